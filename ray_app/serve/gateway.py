"""The gateway's application: every route of the REST interface, behind one door."""

import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Match

from ray_app.model.errors import StoreUnavailable
from ray_app.model.symbols import AmbiguousSymbol, UnknownSymbol
from ray_app.serve.door import REQUEST_ID, Door
from ray_app.serve.graphql import endpoint as graphql
from ray_app.serve.node import Node
from ray_app.serve.parts import Parts
from ray_app.serve.problems import Problem, envelope, problem_of
from ray_app.serve.rest import (
    catalog,
    coverage,
    current,
    derivatives,
    documents,
    evidence,
    exports,
    features,
    health,
    historical,
    macro,
    models,
    onchain,
    operations,
    page,
    quality,
    sentiment,
    technical,
    texts,
)
from ray_app.serve.routes import Guarded

__all__ = ["Parts", "build_app"]


def build_app(parts: Parts, *, owned: bool = False) -> FastAPI:
    """The application over opened parts; it closes them at its end only if they are its own."""
    node = Node(parts)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await node.start()
        if (
            owned
        ):  # the process is ours: what the start left is there for good, and is not looked through again
            gc.collect()
            gc.freeze()
        try:
            yield
        finally:
            await node.stop()
            if owned:
                await node.close()

    app = FastAPI(
        title="crypto-data",
        version=parts.release,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
    )
    app.router.route_class = Guarded
    app.state.node = node
    data = (current, historical, technical, features, derivatives, macro, onchain, texts, sentiment, models)
    own = (coverage, evidence, quality, operations, catalog, exports)
    for routes in (*data, *own, graphql, health, documents, page):
        routes.add(app, node)

    async def told(request: Request, error: Exception) -> Response:
        problem = problem_of(error)
        if problem.code == "METHOD_NOT_ALLOWED":  # a route knows its own method only
            problem.headers["Allow"] = ", ".join(allowed(app, request))
        return envelope(problem, request.scope[REQUEST_ID], node.clock.now())

    for kind in (
        Problem,
        StoreUnavailable,
        UnknownSymbol,
        AmbiguousSymbol,
        RequestValidationError,
        HTTPException,
    ):
        app.add_exception_handler(kind, told)
    app.add_middleware(Door, ring=node.ring, limits=node.limits, clock=node.clock, counted=parts.counted)
    return app


def allowed(app: FastAPI, request: Request) -> list[str]:
    """The methods of every route at the path of this request."""
    here = (one for one in app.routes if isinstance(one, APIRoute))
    return sorted(
        {m for one in here if one.matches(request.scope)[0] is not Match.NONE for m in one.methods or ()}
    )
