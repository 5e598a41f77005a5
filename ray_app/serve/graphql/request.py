"""A request of GraphQL before it runs, and the errors of its answer; by whatever it comes."""

import json
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from graphql import (
    DocumentNode,
    GraphQLError,
    GraphQLSchema,
    OperationDefinitionNode,
    get_operation_ast,
    validate,
)
from graphql.execution.values import VariableValues, get_variable_values
from pydantic import BaseModel, ConfigDict, Field, field_validator

from ray_app.observe.log import logger
from ray_app.serve.graphql.cost import parsed
from ray_app.serve.graphql.schema import core
from ray_app.serve.problems import Problem, invalid, problem_of
from ray_app.serve.wire import text

log = logger("graphql")
MOST_ERRORS = 20


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


def prepared(body: Body) -> tuple[GraphQLSchema, DocumentNode, OperationDefinitionNode, VariableValues]:
    """Read and checked. Raises Problem, Refused. In a thread: a large query would hold up the event loop."""
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
