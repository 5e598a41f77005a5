"""What goes wrong for a client, and the one form in which it is told: the error envelope."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from ray_app.model.errors import StoreUnavailable
from ray_app.model.symbols import AmbiguousSymbol, UnknownSymbol
from ray_app.serve.wire import dumps

STATUS = {
    "INVALID_API_KEY": 401,
    "INSUFFICIENT_SCOPE": 403,
    "LICENCE_RESTRICTED": 403,
    "NOT_FOUND": 404,
    "METHOD_NOT_ALLOWED": 405,
    "CURSOR_INVALID": 400,
    "QUERY_TOO_COSTLY": 400,
    "RATE_LIMIT_EXCEEDED": 429,
    "INVALID_SYMBOL": 404,
    "AMBIGUOUS_SYMBOL": 400,
    "INVALID_TIMEFRAME": 422,
    "VALIDATION_ERROR": 422,
    "DATA_NOT_AVAILABLE": 404,
    "PAYLOAD_TOO_LARGE": 413,
    "RANGE_NOT_SATISFIABLE": 416,
    "SERVICE_UNAVAILABLE": 503,
    "INTERNAL_ERROR": 500,
}
_OF_STATUS = {
    404: "NOT_FOUND",
    405: "METHOD_NOT_ALLOWED",
    413: "PAYLOAD_TOO_LARGE",
    503: "SERVICE_UNAVAILABLE",
}
RETRY_SECONDS = 5  # a store that is down is asked again after this


class Problem(Exception):
    """An answer that is an error. `code` is one of STATUS; `details` are JSON types."""

    def __init__(
        self,
        code: str,
        message: str,
        details: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(code, message, details, headers)
        self.code, self.message = code, message
        self.details, self.headers = dict(details or {}), dict(headers or {})

    @property
    def status(self) -> int:
        return STATUS[self.code]


def invalid(message: str, **details: Any) -> Problem:
    return Problem("VALIDATION_ERROR", message, details)


def problem_of(error: Exception) -> Problem:
    """Whatever was raised, as the client is told it; what nobody expected is an INTERNAL_ERROR."""
    match error:
        case Problem():
            return error
        case UnknownSymbol():
            return Problem(
                "INVALID_SYMBOL", str(error), {"symbol": error.text, "nearest": list(error.nearest)}
            )
        case AmbiguousSymbol():
            return Problem(
                "AMBIGUOUS_SYMBOL", str(error), {"symbol": error.text, "candidates": list(error.candidates)}
            )
        case StoreUnavailable():
            return unavailable("the store does not answer; try again", ["store"])
        case RequestValidationError():
            return invalid("the request is not valid", errors=plain_errors(error.errors()))
        case HTTPException() if error.status_code in _OF_STATUS:
            return Problem(_OF_STATUS[error.status_code], str(error.detail), headers=error.headers)
        case HTTPException() if 400 <= error.status_code < 500:
            return invalid(str(error.detail))
    return Problem("INTERNAL_ERROR", "something went wrong on our side; tell us the request id")


def unavailable(message: str, down: Sequence[str]) -> Problem:
    return Problem("SERVICE_UNAVAILABLE", message, {"down": list(down)}, {"Retry-After": str(RETRY_SECONDS)})


def plain_errors(errors: Sequence[Any]) -> list[dict[str, Any]]:
    """Pydantic's findings without what was sent: it could hold a secret."""
    return [
        {
            "where": ".".join(str(part) for part in one["loc"]),
            "message": str(one["msg"]),
            "type": str(one["type"]),
        }
        for one in errors
    ]


def envelope(problem: Problem, request_id: str, now: datetime) -> Response:
    body = {
        "error": {
            "code": problem.code,
            "message": problem.message,
            "details": problem.details,
            "timestamp": now,
            "request_id": request_id,
        }
    }
    headers = {"Cache-Control": "no-store"} | problem.headers
    if problem.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return Response(dumps(body), problem.status, headers, media_type="application/json")
