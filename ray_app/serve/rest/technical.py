"""GET /api/v1/technical/{symbol}: the indicators of the last complete candle, and what they are taken to say."""

import asyncio

from fastapi import FastAPI, Request
from starlette.responses import Response

from ray_app.serve.door import key_of
from ray_app.serve.indicators import TechnicalQuery, answers, asked_for, look
from ray_app.serve.kept import place_of
from ray_app.serve.node import Node
from ray_app.serve.problems import Problem
from ray_app.serve.queries import read_query
from ray_app.serve.rest.examples import TECHNICAL, TECHNICAL_SOME
from ray_app.serve.routes import get
from ray_app.serve.wire import Answer


def add(app: FastAPI, node: Node) -> None:
    async def technical(symbol: str, request: Request) -> Response:
        internal = key_of(request.scope).internal

        async def told() -> Answer:
            query = read_query(TechnicalQuery, request)
            what = await asyncio.to_thread(asked_for, query)  # the first time it loads Polars
            at = await node.standing(query)
            asset = node.resolve(symbol, at.asked)
            [found] = await look(node, [asset], query, what, at, internal=internal)
            if isinstance(found, Problem):
                raise found
            [made] = await answers(node, [found], at)
            return made

        answer = await node.kept.answer(place_of(request.scope), told)
        return answer.response(request, node.clock.now())

    get(
        app, "/api/v1/technical/{symbol}", technical, scope="read:technical", query=TechnicalQuery,
        summary="Technical indicators of one coin at its last complete candle",
        example=TECHNICAL, also=[TECHNICAL_SOME],
    )  # fmt: skip
