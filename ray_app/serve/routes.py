"""How a route is added: its path, the scope it needs, its query or body, and an example for the documents."""

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI
from fastapi.routing import APIRoute
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from ray_app.serve.bodies import body
from ray_app.serve.door import check_scope
from ray_app.serve.queries import Nothing, parameters
from ray_app.serve.shapes import shape

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

NEEDS = "x-scope"
ANY = "any"  # a valid key with whatever scopes


class Guarded(APIRoute):
    """A route that looks at the key's scopes before anything else."""

    async def handle(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        needed = (self.openapi_extra or {}).get(NEEDS)
        if needed is not None and needed != ANY:
            check_scope(scope, needed)
        await super().handle(scope, receive, send)


class Direct(Guarded):
    """A route whose handler reads the request: FastAPI's dependencies are half of a small answer's time.

    Handlers take the path's parts as texts and the request, and give a Response; the documents are as ever.
    """

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        super().__init__(path, endpoint, **options)

        async def answer(scope: "Scope", receive: "Receive", send: "Send") -> None:
            response = await endpoint(request=Request(scope, receive, send), **scope["path_params"])
            await response(scope, receive, send)

        self.app = answer


def get(
    app: FastAPI,
    path: str,
    handler: Callable[..., Awaitable[Response]],
    *,
    scope: str | None,
    summary: str,
    query: type[BaseModel] = Nothing,
    example: Any = None,
    also: Sequence[Any] = (),
    media_type: str = "application/json",
    listed: bool = True,
) -> None:
    """Add a GET route. `scope`: one of SCOPES, ANY, or None for an open route; `listed`: in the documents.

    The form of its answers follows from the example, and from those in `also` where answers differ.
    """
    extra = {"parameters": parameters(query)}
    _add(app, "GET", path, handler, scope, summary, extra, [example, *also], media_type, listed=listed)


def post(
    app: FastAPI,
    path: str,
    handler: Callable[..., Awaitable[Response]],
    *,
    scope: str,
    summary: str,
    takes: type[BaseModel],
    sent: Any,
    example: Any,
    also: Sequence[Any] = (),
    status: int = 200,
) -> None:
    """Add a POST route whose handler reads the body `takes` by `read_body`; `sent` is an example of it."""
    extra = {"parameters": parameters(Nothing), "requestBody": body(takes, sent)}
    _add(app, "POST", path, handler, scope, summary, extra, [example, *also], "application/json", status)


def _add(
    app: FastAPI,
    method: str,
    path: str,
    handler: Callable[..., Awaitable[Response]],
    scope: str | None,
    summary: str,
    extra: dict[str, Any],
    examples: Sequence[Any],
    media_type: str,
    status: int = 200,
    *,
    listed: bool = True,
) -> None:
    if scope is not None:
        extra |= {NEEDS: scope, "security": [{"key": []}]}
    told: dict[str, Any] = {}
    if examples[0] is not None:
        told = {"schema": shape(*examples), "example": examples[0]}
    app.router.add_api_route(
        path,
        handler,
        methods=[method],
        route_class_override=Direct,
        summary=summary,
        response_class=Response,
        openapi_extra=extra,
        status_code=status,
        include_in_schema=listed,
        responses={status: {"description": "as in the example", "content": {media_type: told}}},
    )
