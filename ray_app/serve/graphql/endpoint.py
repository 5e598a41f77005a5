"""POST /graphql and its schema as a document.

What is refused before it runs gets the error envelope of every route; what is no valid GraphQL, and what goes wrong in
a field, stands in `errors` as GraphQL has it, with the envelope's code in `extensions`.
"""

import asyncio
from typing import Any

from fastapi import FastAPI, Request
from graphql import ExecutionResult, OperationType, execute
from starlette.responses import Response

from ray_app.serve.bodies import read_body
from ray_app.serve.door import REQUEST_ID, key_of
from ray_app.serve.graphql.asking import Asking
from ray_app.serve.graphql.cost import check_cost
from ray_app.serve.graphql.request import Body, Refused, prepared, told
from ray_app.serve.graphql.schema import sdl
from ray_app.serve.node import Node
from ray_app.serve.problems import invalid
from ray_app.serve.queries import Nothing, read_query
from ray_app.serve.routes import ANY, get, post
from ray_app.serve.shapes import Free
from ray_app.serve.wire import dumps

LARGEST = 256 * 1024  # bytes of a body
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
    known, document, operation, variables = await asyncio.to_thread(prepared, body)
    if operation.operation is OperationType.SUBSCRIPTION:
        raise invalid("subscriptions are told over graphql-transport-ws, at /ws/graphql")
    check_cost(known, document, operation, variables)
    made = execute(
        known, document, {}, asking, body.variables or {}, body.operationName, hide_suggestions=False
    )
    return made if isinstance(made, ExecutionResult) else await made


def _sent(body: dict[str, Any], status: int) -> Response:
    headers = {"Cache-Control": "no-store"}
    return Response(dumps(body), status, headers, media_type="application/json")
