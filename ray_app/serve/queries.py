"""What may stand in a query string. Unknown names are refused: a misspelt one is not a silent default."""

from functools import cache
from typing import Any, TypeVar
from urllib.parse import parse_qsl

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import HTTPConnection

from ray_app.serve.problems import invalid, plain_errors

MOST_QUERY = 8_000  # characters
Q = TypeVar("Q", bound=BaseModel)


class Nothing(BaseModel):
    """No parameters."""

    model_config = ConfigDict(extra="forbid", frozen=True)


MOMENT: dict[
    str, Any
] = {  # what a moment in a query string looks like, for the documents; instant() reads it
    "anyOf": [{"type": "string", "format": "date-time"}, {"type": "string", "format": "date"}]
}


def one_of(*words: str) -> dict[str, Any]:
    """For the documents, where another word gets a code of its own."""
    return {"enum": list(words)}


class Moments(Nothing):
    """The two points in time that every data route takes."""

    as_of: str | None = Field(
        None,
        description="RFC 3339 time: what this node would have answered then",
        examples=["2026-11-23T01:05:00.000Z"],
        json_schema_extra=MOMENT,
    )
    known_by: str | None = Field(
        None,
        description="RFC 3339 time: only what anyone could have known then, whenever it was collected",
        examples=["2026-11-23T01:05:00.000Z"],
        json_schema_extra=MOMENT,
    )


class Paged(Moments):
    limit: int = Field(100, ge=1, le=1000, description="rows a page")
    cursor: str | None = Field(None, description="`meta.cursor` of the page before", max_length=2000)


def read_query(model: type[Q], request: HTTPConnection) -> Q:
    """The query string as the model. Raises Problem VALIDATION_ERROR."""
    raw: bytes = request.scope["query_string"]
    if len(raw) > MOST_QUERY:
        raise invalid(f"the query string is longer than {MOST_QUERY} characters")
    pairs = parse_qsl(raw.decode("latin-1"), keep_blank_values=True)
    if len(names := [name for name, _ in pairs]) != len(set(names)):
        twice = sorted({name for name in names if names.count(name) > 1})
        raise invalid(f"given more than once: {', '.join(twice)}", parameters=twice)
    return checked(model, dict(pairs))


def checked(model: type[Q], given: dict[str, Any]) -> Q:
    """What was given as the model. Raises Problem VALIDATION_ERROR."""
    try:
        return model.model_validate(given)
    except ValidationError as error:
        known = ", ".join(model.model_fields) or "none"
        raise invalid(
            f"the query is not valid; this route takes: {known}", errors=plain_errors(error.errors())
        ) from None


@cache
def _schema(model: type[BaseModel]) -> dict[str, Any]:
    """Once a process: it takes a millisecond or two, and an application has some hundred routes."""
    return model.model_json_schema()


def parameters(model: type[BaseModel]) -> list[dict[str, Any]]:
    """The same for the OpenAPI document."""
    schema = _schema(model)
    required = set(schema.get("required", ()))
    out = []
    for name, shape in schema.get("properties", {}).items():
        out.append(
            {
                "name": name,
                "in": "query",
                "required": name in required,
                "description": shape.get("description", ""),
                "schema": _plain(shape),
            }
        )
    return out


def _plain(shape: dict[str, Any]) -> dict[str, Any]:
    """Without what is told beside it, and without null: what may be left out cannot be written as null."""
    plain = {key: value for key, value in shape.items() if key not in ("title", "description", "anyOf")}
    forms = [one for one in shape.get("anyOf", ()) if one != {"type": "null"}]
    return (forms[0] if len(forms) == 1 else {"anyOf": forms} if forms else {}) | plain
