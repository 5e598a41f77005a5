"""What schemathesis is told of this interface: where a check asks for what the contract does not promise."""

import re
from datetime import datetime
from typing import Any

import schemathesis
from hypothesis import strategies
from schemathesis.core.failures import Failure
from schemathesis.specs.graphql.schemas import GraphQLSchema
from schemathesis.specs.openapi.checks import positive_data_acceptance

NAMES = "data set|series|source|metric|candles|currency|group|indicator|venue|feature"
# Of a request that its schema allows, these refusals are right: no schema can state the rule. Code: words, why.
STATED: tuple[tuple[str, str, str], ...] = (
    ("CURSOR_INVALID", "", "a cursor is signed by us and belongs to one question"),
    ("QUERY_TOO_COSTLY", "", "the cost is that of the whole question"),
    ("AMBIGUOUS_SYMBOL", "", "which names two assets share is data"),
    ("INVALID_SYMBOL", "", "so is which names there are"),
    ("INVALID_TIMEFRAME", "", "and of which lengths candles are collected"),
    ("NOT_FOUND", "", "and which data sets and series there are"),
    ("DATA_NOT_AVAILABLE", "", "and of what something is stored"),
    ("VALIDATION_ERROR", "must not be before|must be before|in the future|has not begun", "times have no bounds there"),
    ("VALIDATION_ERROR", f"^(no|unknown) ({NAMES})", "names, which the catalogue tells"),
    ("VALIDATION_ERROR", "takes? no|needs? |not both|without|together", "one parameter forbids or needs another"),
    ("VALIDATION_ERROR", "Variable '|operationName|Syntax Error|Cannot query", "GraphQL is a text within JSON"),
    ("VALIDATION_ERROR", "^subscriptions are told over", "of which one kind is answered elsewhere"),
)  # fmt: skip


FIRST, LAST = datetime(2000, 1, 1), datetime(2030, 1, 1)  # noqa: DTZ001  # their zone is the Z behind them
FAILURES = ("INTERNAL_ERROR", "SERVICE_UNAVAILABLE")
TIMES = strategies.datetimes(FIRST, LAST).map(lambda one: f"{one.isoformat()}Z")
schemathesis.graphql.scalar("Time", TIMES.map(schemathesis.graphql.nodes.String))


def stated(body: Any) -> bool:
    """Whether every error of an answer is one of those."""
    found = (
        [body["error"]] if "error" in body else [one | one["extensions"] for one in body.get("errors", ())]
    )
    return bool(found) and all(
        any(one["code"] == code and re.search(words, one["message"]) for code, words, _ in STATED)
        for one in found
    )


@schemathesis.check
def accepted_or_for_a_stated_reason(ctx: Any, response: Any, case: Any) -> None:
    """`positive_data_acceptance`, but for those refusals."""
    try:
        positive_data_acceptance(ctx, response, case)
    except Failure:
        if isinstance(case.operation.schema, GraphQLSchema):
            return  # of values the schema says nothing
        if not stated(response.json()):
            raise


@schemathesis.check
def no_failure_of_ours(ctx: Any, response: Any, case: Any) -> None:
    """`not_a_server_error` for GraphQL, whose fields say what is wrong with their arguments in an answer of 200."""
    if not isinstance(case.operation.schema, GraphQLSchema):
        return
    codes = {one["extensions"]["code"] for one in response.json().get("errors", ())}
    if response.status_code >= 500 or codes & set(FAILURES):
        raise AssertionError(f"a failure of ours: {response.status_code} {response.text}")
