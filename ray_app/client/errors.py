"""What can go wrong, named by what you do about it.

    ClientError
    ├── ApiError            the node refused: `code`, `message`, `details`, `request_id`, `status`
    │   ├── InvalidKey          get another key
    │   ├── ScopeMissing        ask for a key with `scope`
    │   ├── LicenceRestricted   needs a key marked internal: `series`
    │   ├── InvalidRequest      change the question: `errors`
    │   │   ├── InvalidSymbol       `nearest`
    │   │   ├── AmbiguousSymbol     ask by id: `candidates`
    │   │   ├── InvalidTimeframe    `available`
    │   │   ├── CursorInvalid       start again without the cursor
    │   │   ├── TooCostly           ask for less: `limit`, `cost`
    │   │   └── TooLarge            send less
    │   ├── NotFound            there is no such thing
    │   ├── NotAvailable        there is none of it (at that time)
    │   ├── RateLimited         wait `retry_after` seconds, then ask again
    │   ├── ServerUnavailable   wait, then ask again: `down`
    │   └── ServerFailed        tell the operator the `request_id`
    ├── Unreachable         no answer: the network, or nobody listens there
    ├── Unreadable          an answer that is not the node's: a proxy's page, or a node of another age
    ├── ExportFailed        the node could not make the export: `reason`; ask for it again
    ├── ExportUnfinished    wait longer for the export
    └── Damaged             a file does not have its checksum, also when fetched anew

The client has already waited and tried again where that helps before one of these is raised. Every argument goes
to Exception.__init__, so that pickle can rebuild them.
"""

from collections.abc import Mapping
from typing import Any


class ClientError(Exception):
    """Anything that the client raises on purpose."""


class ApiError(ClientError):
    """`status` is the HTTP status; `request_id` leads the operator to the log line."""

    def __init__(
        self,
        code: str,
        message: str,
        details: Mapping[str, Any] | None = None,
        request_id: str | None = None,
        status: int = 0,
        retry_after: float | None = None,
    ) -> None:
        Exception.__init__(self, code, message, details, request_id, status, retry_after)
        self.code, self.message, self.request_id, self.status = code, message, request_id, status
        self.details = dict(details or {})
        self.retry_after = retry_after  # seconds; None when the node did not say

    def __str__(self) -> str:
        told = f"{self.code}: {self.message}"
        return f"{told} (request {self.request_id})" if self.request_id else told


class InvalidKey(ApiError): ...


class ScopeMissing(ApiError):
    @property
    def scope(self) -> str:
        return str(self.details.get("scope", ""))


class LicenceRestricted(ApiError):
    @property
    def series(self) -> list[dict[str, str]]:
        """`dataset`, `series` and `licence` of what the key may not have."""
        return list(self.details.get("series", ()))


class InvalidRequest(ApiError):
    @property
    def errors(self) -> list[dict[str, str]]:
        """`where` and `message` of each parameter that is wrong."""
        return list(self.details.get("errors", ()))


class InvalidSymbol(InvalidRequest):
    @property
    def nearest(self) -> list[str]:
        return list(self.details.get("nearest", ()))


class AmbiguousSymbol(InvalidRequest):
    @property
    def candidates(self) -> list[str]:
        return list(self.details.get("candidates", ()))


class InvalidTimeframe(InvalidRequest):
    @property
    def available(self) -> list[str]:
        return list(self.details.get("available", ()))


class CursorInvalid(InvalidRequest): ...


class TooCostly(InvalidRequest):
    @property
    def limit(self) -> int | None:
        return self.details.get("limit")

    @property
    def cost(self) -> int | None:
        return self.details.get("cost")


class TooLarge(InvalidRequest): ...


class NotFound(ApiError): ...


class NotAvailable(ApiError): ...


class RateLimited(ApiError):
    @property
    def limit(self) -> str | None:
        """Which limit: `burst` or `hour`."""
        return self.details.get("limit")


class ServerUnavailable(ApiError):
    @property
    def down(self) -> list[str]:
        return list(self.details.get("down", ()))


class ServerFailed(ApiError): ...


class Unreachable(ClientError):
    """`sent`: whether the node may have had the request; False when no connection was made."""

    def __init__(self, detail: str, sent: bool = True) -> None:
        Exception.__init__(self, detail, sent)
        self.detail, self.sent = detail, sent

    def __str__(self) -> str:
        return self.detail


class Unreadable(ClientError):
    def __init__(self, detail: str, request_id: str | None = None) -> None:
        Exception.__init__(self, detail, request_id)
        self.detail, self.request_id = detail, request_id

    def __str__(self) -> str:
        return f"{self.detail} (request {self.request_id})" if self.request_id else self.detail


class ExportFailed(ClientError):
    def __init__(self, export: str, reason: str) -> None:
        Exception.__init__(self, export, reason)
        self.export, self.reason = export, reason

    def __str__(self) -> str:
        return f"export {self.export}: {self.reason}"


class ExportUnfinished(ClientError):
    """It goes on at the node: `client.exports.wait(export)`."""

    def __init__(self, export: str, state: str, seconds: float) -> None:
        Exception.__init__(self, export, state, seconds)
        self.export, self.state, self.seconds = export, state, seconds

    def __str__(self) -> str:
        return f"export {self.export} is {self.state} after {self.seconds:.0f} s"


class Damaged(ClientError):
    def __init__(self, file: str, detail: str) -> None:
        Exception.__init__(self, file, detail)
        self.file, self.detail = file, detail

    def __str__(self) -> str:
        return f"{self.file}: {self.detail}"


BY_CODE: dict[str, type[ApiError]] = {
    "INVALID_API_KEY": InvalidKey,
    "INSUFFICIENT_SCOPE": ScopeMissing,
    "LICENCE_RESTRICTED": LicenceRestricted,
    "NOT_FOUND": NotFound,
    "METHOD_NOT_ALLOWED": InvalidRequest,
    "CURSOR_INVALID": CursorInvalid,
    "QUERY_TOO_COSTLY": TooCostly,
    "RATE_LIMIT_EXCEEDED": RateLimited,
    "INVALID_SYMBOL": InvalidSymbol,
    "AMBIGUOUS_SYMBOL": AmbiguousSymbol,
    "INVALID_TIMEFRAME": InvalidTimeframe,
    "VALIDATION_ERROR": InvalidRequest,
    "DATA_NOT_AVAILABLE": NotAvailable,
    "PAYLOAD_TOO_LARGE": TooLarge,
    "RANGE_NOT_SATISFIABLE": InvalidRequest,
    "SERVICE_UNAVAILABLE": ServerUnavailable,
    "INTERNAL_ERROR": ServerFailed,
}
_BY_STATUS: dict[int, type[ApiError]] = {401: InvalidKey, 404: NotFound, 429: RateLimited}


def refusal(
    status: int, told: Any, retry_after: float | None, request_id: str | None = None
) -> ApiError | None:
    """The error of an envelope's `error`; of a status alone where a proxy answered. None: it says nothing to us."""
    if isinstance(told, Mapping) and isinstance(told.get("code"), str):
        details = told.get("details") if isinstance(told.get("details"), Mapping) else {}
        kind = BY_CODE.get(told["code"]) or _of_status(status) or ApiError
        said = str(told.get("request_id") or "") or request_id
        return kind(told["code"], str(told.get("message", "")), details, said, status, retry_after)
    if (plain := _of_status(status)) is None:
        return None
    return plain(
        f"HTTP_{status}", "answered by something in front of the node", {}, request_id, status, retry_after
    )


def _of_status(status: int) -> type[ApiError] | None:
    """Of an answer that is not the node's own: 500 is what Ray's proxy says when a replica dies in the middle."""
    return ServerUnavailable if status in (500, 502, 503, 504) else _BY_STATUS.get(status)
