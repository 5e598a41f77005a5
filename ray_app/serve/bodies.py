"""What may stand in the body of a request: JSON of one shape and a bounded size; unknown names are refused."""

import json
from typing import Any, NoReturn, TypeVar

from pydantic import BaseModel, ValidationError
from starlette.requests import ClientDisconnect, Request

from ray_app.serve.problems import Problem, invalid, plain_errors

B = TypeVar("B", bound=BaseModel)


async def read_body(model: type[B], request: Request, most: int) -> B:
    """The body as the model. Raises Problem: PAYLOAD_TOO_LARGE beyond `most` bytes, else VALIDATION_ERROR."""
    raw = await _bytes(request, most)
    try:
        said = json.loads(raw.decode(), object_pairs_hook=_once, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        reason = str(error) if isinstance(error, Twice) else "send one JSON object in UTF-8"
        raise invalid(f"the body is not valid: {reason}", fields=list(model.model_fields)) from None
    try:
        return model.model_validate(said)
    except ValidationError as error:
        known = ", ".join(model.model_fields)
        raise invalid(
            f"the body is not valid; this route takes: {known}", errors=plain_errors(error.errors())
        ) from None


def body(model: type[BaseModel], example: Any) -> dict[str, Any]:
    """The same for the OpenAPI document."""
    told = {"schema": model.model_json_schema(), "example": example}
    return {"required": True, "content": {"application/json": told}}


def whole(value: Any) -> Any:
    """JSON knows one kind of number, and JSON Schema takes 24.0 for an integer."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


async def _bytes(request: Request, most: int) -> bytes:
    """No more than `most` of it is ever held, whatever the header says."""
    declared = request.headers.get("content-length", "")
    found = bytearray()
    if not (declared.isascii() and declared.isdigit() and int(declared) > most):
        try:
            async for some in request.stream():
                found += some
                if len(found) > most:
                    break
            else:
                return bytes(found)
        except ClientDisconnect:
            raise invalid("the body ends before its end") from None
    raise Problem("PAYLOAD_TOO_LARGE", f"the body has more than {most:,} bytes", {"most_bytes": most})


class Twice(ValueError):
    """A name that is given more than once: which value is meant?"""


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise Twice("a name is given more than once")
    return found


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number in JSON")
