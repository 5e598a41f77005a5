"""A trading bot, written against the documents alone: httpx, websockets, a generic GraphQL client, nothing of the node.

It learns the routes from /openapi.json and checks its GraphQL against the schema that it asks for. Each hour it
looks at what it would trade by; its streams run all day, break off again and again, and resume by their cursors.
What it was told is in its notebook.
"""

import asyncio
import hashlib
import io
import json
import re
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Self

import httpx
import polars as pl
from graphql import GraphQLSchema, build_client_schema, get_introspection_query, parse, validate
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

COINS = ("BTC", "ETH", "SOL")
PORTFOLIO = """
query Portfolio($symbols: [String!]!) {
  assets(symbols: $symbols) {
    symbol
    price { quotes { currency price } recordId meta { asOf } }
    sentiment { overallSentiment { score label } sampleSize }
  }
}"""
# An answer of then is the same to the byte, but for these three.
ASIDE = re.compile(rb'"(generated_at|request_id|age_seconds)":("[^"]*"|[^,}]*)')
BREAK_AFTER = 25  # events, then the line is cut


@dataclass
class Asked:
    """One answer, with the question, so that it can be asked again."""

    path: str
    query: dict[str, str]
    body: bytes

    @property
    def told(self) -> Any:
        return json.loads(self.body)


@dataclass
class Notebook:
    """What the bot was told in a day."""

    prices: list[Asked] = field(default_factory=list)
    technical: list[Asked] = field(default_factory=list)
    others: dict[str, list[Asked]] = field(default_factory=dict)
    portfolios: list[Any] = field(default_factory=list)
    heard: list[dict[str, Any]] = field(default_factory=list)  # events of the prices, by socket
    news: list[dict[str, Any]] = field(default_factory=list)  # events of the texts, as server-sent events
    resumed: int = 0
    unchanged: int = 0  # answers of 304
    wrong: list[str] = field(default_factory=list)  # what does not agree with itself


class Bot:
    def __init__(self, url: str, key: str) -> None:
        headers = {"Authorization": f"Bearer {key}"}
        self.http = httpx.AsyncClient(base_url=url, headers=headers, timeout=60)
        self.book = Notebook()
        self._ws, self._headers = url.replace("http", "ws", 1), headers
        self._routes: dict[str, Any] = {}
        self._graph: GraphQLSchema | None = None
        self._etags: dict[str, tuple[str, bytes]] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self.last = {"prices": -1, "news": -1}

    async def __aenter__(self) -> Self:
        """Read the documents, start to listen."""
        self._routes = (await self.http.get("/openapi.json")).json()["paths"]
        answer = await self.http.post("/graphql", json={"query": get_introspection_query()})
        self._graph = build_client_schema(answer.json()["data"])
        self._tasks = [asyncio.create_task(self._socket()), asyncio.create_task(self._events())]
        return self

    async def ask(self, route: str, places: dict[str, str] | None = None, **query: Any) -> Asked:
        """A GET of a documented route; what is unchanged comes from memory, by its ETag."""
        operation = self._routes[route]["get"]
        known = {one["name"] for one in operation["parameters"] if one["in"] == "query"}
        assert set(query) <= known, (route, query)
        path = route.format(**(places or {}))
        place = f"{path}?{sorted(query.items())}"
        etag, kept = self._etags.get(place, ("", b""))
        answer = await self.http.get(path, params=query, headers={"If-None-Match": etag} if etag else {})
        if answer.status_code == 304:
            self.book.unchanged += 1
            return Asked(path, query, kept)
        if answer.status_code != 200:
            raise RuntimeError(f"{path}: {answer.status_code} {answer.text}")
        if "etag" in answer.headers:
            self._etags[place] = answer.headers["etag"], answer.content
        return Asked(path, query, answer.content)

    async def hour(self) -> None:
        """What it looks at each hour."""
        book = self.book
        many = await self.ask("/api/v1/prices/current", symbols=",".join(COINS), vs_currencies="usd,eur")
        book.prices.append(many)
        for coin in COINS:
            symbol = {"symbol": coin}
            candles = await self.ask(
                "/api/v1/prices/historical/{symbol}", symbol, interval="1h", venue="coingecko"
            )
            technical = await self.ask(
                "/api/v1/technical/{symbol}", symbol, venue="coingecko", indicators="sma_10,rsi"
            )
            book.technical.append(technical)
            self._reckon(candles.told, technical.told)
            self._note("candles", candles)
        await self._look_around()
        portfolio = await self.graphql(PORTFOLIO, symbols=list(COINS))
        book.portfolios.append(portfolio)
        prices = {one["symbol"]: one["current_price"]["usd"] for one in many.told["data"]}
        told = {one["symbol"]: one["price"]["quotes"][0]["price"] for one in portfolio["assets"]}
        if prices != told:
            book.wrong.append(f"GraphQL tells other prices: {told}, {prices}")

    async def _look_around(self) -> None:
        bitcoin = {"symbol": "BTC"}
        for name, asked in {
            "sentiment": await self.ask("/api/v1/sentiment/crypto/{symbol}", bitcoin, timeframe="24h"),
            "market": await self.ask("/api/v1/sentiment/market"),
            "features": await self.ask("/api/v1/ml-features", symbols="BTC,ETH", format="flat"),
            "macro": await self.ask("/api/v1/macro/{series}", {"series": "GDP"}),
            "onchain": await self.ask("/api/v1/onchain/{symbol}", bitcoin, metrics="mempool_tx"),
            "derivatives": await self.ask("/api/v1/derivatives/{symbol}", bitcoin),
            "news": await self.ask("/api/v1/news/crypto/latest", limit=1000),
        }.items():
            self._note(name, asked)

    def _note(self, name: str, asked: Asked) -> None:
        self.book.others.setdefault(name, []).append(asked)

    def _reckon(self, candles: Any, technical: Any) -> None:
        """The average of the last ten closes, from the candles themselves."""
        said = technical["moving_averages"]["sma_10"]
        end = technical["candle"]["end"]
        closes = [one["close"] for one in candles["data"] if one["end"] <= end][-10:]
        if len(closes) == 10 and said is not None and abs(said - sum(closes) / 10) > 1e-9 * abs(said):
            self.book.wrong.append(f"sma_10 of {technical['symbol']}: {said} is not {sum(closes) / 10}")

    async def graphql(self, query: str, **variables: Any) -> Any:
        assert self._graph is not None
        assert validate(self._graph, parse(query)) == []
        answer = (await self.http.post("/graphql", json={"query": query, "variables": variables})).json()
        if "errors" in answer:
            raise RuntimeError(answer["errors"])
        return answer["data"]

    async def _socket(self) -> None:
        """Prices over a WebSocket; cut after some events, resumed after the last cursor."""
        while True:
            after = {"after": self.last["prices"]} if self.last["prices"] >= 0 else {}
            with suppress(ConnectionClosed):
                async with connect(f"{self._ws}/ws/prices", additional_headers=self._headers) as socket:
                    await socket.send(json.dumps({"action": "subscribe", "symbols": list(COINS), **after}))
                    heard = 0
                    async for raw in socket:
                        message = json.loads(raw)
                        if message["type"] == "error":
                            raise RuntimeError(message)
                        if message["type"] in ("price_update", "interval_complete", "gap"):
                            self.book.heard.append(message)
                            heard += 1
                        if (cursor := message.get("cursor")) is not None and message["type"] != "ack":
                            self.last["prices"] = cursor
                        if heard >= BREAK_AFTER:
                            break
            self.book.resumed += 1

    async def _events(self) -> None:
        """Texts as server-sent events, in the same way."""
        while True:
            headers = {"Last-Event-ID": str(self.last["news"])} if self.last["news"] >= 0 else {}
            async with self.http.stream(
                "GET", "/api/v1/stream/news", headers=headers, timeout=None
            ) as answer:
                heard = 0
                async for message, cursor in _told(answer):
                    if message["type"] == "news_update":
                        self.book.news.append(message)
                        heard += 1
                    if cursor is not None:
                        self.last["news"] = int(cursor)
                    if heard >= 3:
                        break
            self.book.resumed += 1

    async def review(self) -> None:
        """In the evening: every answer of the day that has an `as_of` is asked again, as of then."""
        day = [
            *self.book.prices,
            *self.book.technical,
            *(one for some in self.book.others.values() for one in some),
        ]
        for one in {(one.path, str(one.query), one.told["meta"]["as_of"]): one for one in day}.values():
            again = await self.http.get(one.path, params=one.query | {"as_of": one.told["meta"]["as_of"]})
            if again.status_code != 200 or ASIDE.sub(b"", again.content) != ASIDE.sub(b"", one.body):
                self.book.wrong.append(f"{one.path} {one.query} was another answer: {again.text[:500]}")

    async def export(self, **asked: Any) -> tuple[dict[str, Any], pl.DataFrame]:
        """History as files: asked for, waited for, fetched in two parts, checked by the manifest."""
        made = await self.http.post("/api/v1/export", json=asked)
        assert made.status_code == 202, made.text
        place = made.headers["location"]
        while (state := (await self.http.get(place)).json())["state"] in ("queued", "running"):  # noqa: ASYNC110  # as the documents say
            await asyncio.sleep(0.05)
        assert state["state"] == "done", state
        frames = []
        for file in state["manifest"]["files"]:
            half = file["bytes"] // 2
            ranges = (f"bytes=0-{half - 1}", f"bytes={half}-")
            parts = [
                await self.http.get(f"{place}/files/{file['name']}", headers={"Range": one}) for one in ranges
            ]
            assert [one.status_code for one in parts] == [206, 206]
            whole = b"".join(one.content for one in parts)
            assert hashlib.sha256(whole).hexdigest() == file["sha256"]
            frames.append(pl.read_parquet(io.BytesIO(whole)))
            assert frames[-1].height == file["rows"]
        return state["manifest"], pl.concat(frames)

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        for ended in await asyncio.gather(*self._tasks, return_exceptions=True):
            if not isinstance(ended, asyncio.CancelledError):
                self.book.wrong.append(f"a stream broke off: {ended!r}")
        await self.http.aclose()


async def _told(answer: httpx.Response) -> AsyncIterator[tuple[dict[str, Any], str | None]]:
    """The messages of an event stream, with their ids."""
    if answer.status_code != 200:
        raise RuntimeError(f"{answer.status_code} {(await answer.aread()).decode()}")
    event: dict[str, str] = {}
    async for line in answer.aiter_lines():
        if line:
            name, _, value = line.partition(": ")
            event[name] = value
        else:
            if "data" in event:
                yield json.loads(event["data"]), event.get("id")
            event = {}
