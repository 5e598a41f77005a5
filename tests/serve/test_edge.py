"""The proxy's middleware and the deployment, without Ray."""

from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from ray_app.serve.edge import DROPPED, middlewares
from ray_app.serve.ingress import Gateway
from ray_app.serve.parts import Parts


async def show(request: Request) -> JSONResponse:
    return JSONResponse({"path": request.url.path, "headers": [name for name, _ in request.headers.items()]})


def edge() -> Any:
    return Starlette(routes=[Route("/{rest:path}", show)], middleware=middlewares())


def caller(client: tuple[str, int]) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(edge(), client=client), base_url="http://x")


async def test_headers_that_override_serve_are_dropped():
    sent = {name.decode().title(): "0" for name in DROPPED} | {
        "Authorization": "Bearer x",
        "X-Client-Request-Id": "7",
    }
    async with caller(("10.0.0.7", 1)) as http:
        headers = set((await http.get("/api", headers=sent)).json()["headers"])
    assert not headers & {name.decode() for name in DROPPED}
    assert headers >= {"authorization", "x-client-request-id"}


@pytest.mark.parametrize(
    ("address", "path", "status"),
    [
        ("10.0.0.7", "/-/routes", 404),
        ("10.0.0.7", "/-/", 404),
        ("10.0.0.7", "/-/healthz/../routes", 404),
        ("10.0.0.7", "/-/healthz", 200),
        ("10.0.0.7", "/-x", 200),
        ("10.0.0.7", "/api", 200),
        ("127.0.0.1", "/-/routes", 200),
        ("::1", "/-/routes", 200),
        ("unix", "/-/routes", 404),
    ],
)
async def test_serves_own_paths_are_hidden_from_others(address: str, path: str, status: int):
    async with caller((address, 1)) as http:
        answer = await http.get(path, headers={"X-Forwarded-For": "127.0.0.1"})
    assert answer.status_code == status
    if status == 404:
        assert answer.json()["error"]["code"] == "NOT_FOUND"


OPENED: list[Parts] = []


async def open_parts() -> Parts:
    return OPENED[-1]


async def test_the_replica_builds_its_own_application(start: Any):
    """The deployment's class as Serve drives it; what is bound can be sent to a replica."""
    running = await start()
    OPENED.append(running.node.parts)
    deployment: Any = Gateway
    own = deployment.func_or_class.__mro__[1]  # ours, without what Serve wraps around it
    made = own.__new__(own)
    await own.__init__(made, open_parts, "r1")
    app = made.__serve_build_asgi_app__()
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x") as http:
        assert (await http.get("/health")).json() == {"status": "alive"}
        assert (await http.get("/api/v1/quotas")).status_code == 401
    assert deployment.bind(open_parts, "r1") is not None
