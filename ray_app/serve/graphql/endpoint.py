"""POST /graphql and its schema as a document.

What is refused before it runs gets the error envelope of every route; what is no valid GraphQL, and what goes wrong in
a field, stands in `errors` as GraphQL has it, with the envelope's code in `extensions`.
"""

import asyncio
import json
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from fastapi import FastAPI, Request
from graphql import (
    DocumentNode,
    ExecutionResult,
    GraphQLError,
    GraphQLSchema,
    OperationDefinitionNode,
    execute,
    get_operation_ast,
    validate,
)
from graphql.execution.values import VariableValues, get_variable_values
from pydantic import BaseModel, ConfigDict, Field, field_validator
from starlette.responses import Response

from ray_app.observe.log import logger
from ray_app.serve.bodies import read_body
from ray_app.serve.door import REQUEST_ID, key_of
from ray_app.serve.graphql.asking import Asking
from ray_app.serve.graphql.cost import check_cost, parsed
from ray_app.serve.graphql.schema import core, sdl
from ray_app.serve.node import Node
from ray_app.serve.problems import Problem, invalid, problem_of
from ray_app.serve.queries import Nothing, read_query
from ray_app.serve.routes import ANY, get, post
from ray_app.serve.shapes import Free
from ray_app.serve.wire import dumps, text

log = logger("graphql")
LARGEST = 256 * 1024  # bytes of a body
MOST_ERRORS = 20
SENT = {
    "query": "query($symbols: [String!]!) { assets(symbols: $symbols) { symbol price { quotes { currency price } } } }",
    "variables": {"symbols": ["BTC", "ETH"]},
}
ANSWERED: dict[str, Any] = {
    "data": Free({"assets": [{"symbol": "BTC", "price": {"quotes": [{"currency": "usd", "price": 1.5}]}}]}),
}
_FAILED: dict[str, Any] = {
    "message": "unknown symbol 'BTX'; nearest: BTC, BTT, STX",
    "extensions": {
        "code": "INVALID_SYMBOL",
        "details": Free({"symbol": "BTX", "nearest": ["BTC", "BTT", "STX"]}),
        "timestamp": "2026-11-23T01:05:00.000Z",
        "request_id": "b65a5700229a5c4adb3ab9d9",
    },
}
_AT_A_PLACE: dict[str, Any] = {**_FAILED, "locations": [{"line": 1, "column": 3}], "path": ["price", "0"]}
IN_PART: dict[str, Any] = {"data": None, "errors": [_AT_A_PLACE, _FAILED]}
INVALID: dict[str, Any] = {"errors": IN_PART["errors"]}  # with 400: no valid GraphQL


class Body(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    query: str = Field(description="a document of GraphQL; its schema is /graphql/schema.graphql")
    variables: dict[str, Any] | None = Field(None, description="values of the variables that it declares")
    operationName: str | None = Field(None, description="which of its operations is meant")  # noqa: N815 - as the specification spells it
    extensions: dict[str, Any] | None = Field(None, description="none is known here")

    @field_validator("variables")
    @classmethod
    def _whole(cls, given: dict[str, Any] | None) -> dict[str, Any] | None:
        """An escape may be half of a character, which no answer could repeat."""
        try:
            json.dumps(given, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            raise ValueError("holds half of a pair of surrogates") from None
        return given


class Refused(Exception):
    """Not valid GraphQL, by the schema; each finding with its place."""

    def __init__(self, errors: list[GraphQLError]) -> None:
        super().__init__(errors)
        self.errors = errors


def add(app: FastAPI, node: Node) -> None:
    async def graphql(request: Request) -> Response:
        read_query(Nothing, request)
        body = await read_body(Body, request, LARGEST)
        request_id = request.scope[REQUEST_ID]
        try:
            made = await run(Asking(node, key_of(request.scope)), body)
        except Refused as refused:
            errors = told(refused.errors, request_id, node.clock.now())
            return _sent({"errors": errors}, 400)
        out: dict[str, Any] = {"data": made.data}
        if made.errors:
            out["errors"] = told(made.errors, request_id, node.clock.now())
        return _sent(out, 200)

    async def document(request: Request) -> Response:  # noqa: ARG001 - a route's form
        return Response(await asyncio.to_thread(sdl), media_type="text/plain; charset=utf-8")

    post(
        app, "/graphql", graphql, scope=ANY, takes=Body, sent=SENT, example=ANSWERED, also=[IN_PART],
        summary="Queries of GraphQL: each field asks for the scope of its route",
    )  # fmt: skip
    get(
        app, "/graphql/schema.graphql", document, scope=None, media_type="text/plain",
        summary="The schema of GraphQL as a document",
    )  # fmt: skip


async def run(asking: Asking, body: Body) -> ExecutionResult:
    """Check the query, then run it. Raises Problem where it is refused, Refused where it is not valid."""
    known, document, operation, variables = await asyncio.to_thread(_prepared, body)
    check_cost(known, document, operation, variables)
    made = execute(
        known, document, {}, asking, body.variables or {}, body.operationName, hide_suggestions=False
    )
    return made if isinstance(made, ExecutionResult) else await made


def _prepared(body: Body) -> tuple[GraphQLSchema, DocumentNode, OperationDefinitionNode, VariableValues]:
    """In a thread: reading and checking a large query would hold up the event loop."""
    known = core()
    try:
        document = parsed(body.query)
    except GraphQLError as error:
        raise Refused([error]) from None
    if errors := validate(known, document, max_errors=MOST_ERRORS):
        raise Refused(errors)
    operation = get_operation_ast(document, body.operationName)
    if operation is None:
        raise invalid("operationName must name one of the query's operations", parameter="operationName")
    variables = get_variable_values(
        known, operation.variable_definitions or (), body.variables or {}, MOST_ERRORS
    )
    if isinstance(variables, list):
        raise Refused(variables)
    return known, document, operation, variables


def told(errors: Iterable[GraphQLError], request_id: str, now: datetime) -> list[dict[str, Any]]:
    """The errors of an answer; what nobody expected goes into the log with its request id."""
    out = []
    for error in errors:
        problem = _problem(error)
        if problem.code == "INTERNAL_ERROR":
            log.error(
                "request %s failed at %s", request_id, error.path, exc_info=error.original_error or error
            )
        elif problem.code == "SERVICE_UNAVAILABLE":
            log.warning("request %s at %s: %s", request_id, error.path, error.original_error)
        one: dict[str, Any] = {"message": problem.message}
        if error.locations:
            one["locations"] = [{"line": place.line, "column": place.column} for place in error.locations]
        if error.path is not None:
            one["path"] = error.path
        one["extensions"] = {
            "code": problem.code,
            "details": problem.details,
            "timestamp": text(now),
            "request_id": request_id,
        }
        out.append(one)
    return out


def _problem(error: GraphQLError) -> Problem:
    """Without a path nothing ran: the query or its variables are wrong."""
    origin = error.original_error
    while isinstance(origin, GraphQLError) and origin.original_error is not None:
        origin = origin.original_error
    if origin is not None and not isinstance(origin, GraphQLError):
        return problem_of(origin)
    if error.path is None:
        return invalid(error.message)
    return problem_of(error)


def _sent(body: dict[str, Any], status: int) -> Response:
    headers = {"Cache-Control": "no-store"}
    return Response(dumps(body), status, headers, media_type="application/json")
