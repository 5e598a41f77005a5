"""Streams that resume: each event once and in order over breaks and doubles; what cannot be mended is raised."""

import asyncio
import itertools
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ray_app.client import (
    AsyncClient,
    InvalidKey,
    InvalidSymbol,
    Patience,
    ServerUnavailable,
    Unreachable,
    Unreadable,
)
from ray_app.client.answers.events import (
    Delete,
    IntervalComplete,
    IntervalGap,
    PriceSnapshot,
    PriceUpdate,
    Ticks,
)
from ray_app.client.effects import Request
from ray_app.client.sse import Parser, Said
from ray_app.client.streams import Place, telling
from ray_app.model.clock import SystemClock
from ray_app.serve import auth
from ray_app.serve.streams import examples, hub, sse
from tests.client.plans import Over, Play, problem, told
from tests.serve.filling import COINS
from tests.serve.streams.conftest import Begin, Node, served

STREAM = Request("GET", "/api/v1/stream/prices")
QUICK = Patience(first=0.01, stream_longest=0.02)
OPENED = told(200, b"")


def message(kind: str, **more: Any) -> bytes:
    body = examples.SERVER[kind] | more
    place = f"id: {body['cursor']}\n" if body.get("cursor") is not None else ""
    return f"event: {kind}\n{place}data: {json.dumps(body)}\n\n".encode()


ACK, SNAPSHOT = message("ack"), message("snapshot", cursor=10)


def price(cursor: int) -> bytes:
    return message("price_update", cursor=cursor)


def heard(play: Play, place: Place | None = None, **patience: Any) -> list[tuple[str, int | None]]:
    with pytest.raises(Over):
        play.run(telling("prices", STREAM, place or Place(), play.patience(**patience)))
    return [(event.type, event.cursor) for event in play.out]


def last_ids(play: Play) -> list[str | None]:
    return [request.headers.get("last-event-id") for request in play.asked]


def test_after_a_break_it_goes_on_from_the_last_event():
    lost = Unreachable("reset")
    play = Play(
        [OPENED, b"retry: 3000\n\n", ACK + SNAPSHOT + price(11), lost, OPENED, ACK, price(12), None, OPENED]
    )
    assert heard(play) == [("snapshot", 10), ("price_update", 11), ("price_update", 12)]
    assert last_ids(play) == [None, "11", "12"]
    assert all(3.0 <= wait <= 3.4 for wait in play.waits)


def test_doubles_are_dropped_and_heartbeats_move_the_place():
    play = Play([
        OPENED, ACK + SNAPSHOT + price(11) + price(11) + price(10), message("heartbeat", cursor=19), None,
        OPENED, ACK + price(19) + price(20), message("ticks") + message("ticks"),
    ])  # fmt: skip
    assert heard(play)[1:] == [("price_update", 11), ("price_update", 20), ("ticks", None), ("ticks", None)]
    assert last_ids(play) == [None, "19"]


def test_without_its_snapshot_it_begins_anew():
    play = Play([OPENED, ACK + message("heartbeat", cursor=9), None, OPENED, ACK + SNAPSHOT, None, OPENED])
    assert heard(play) == [("snapshot", 10)]
    assert last_ids(play) == [None, None, "10"]


def test_a_gap_of_what_is_kept_no_more_is_told_and_the_rest_follows():
    gap = message("gap", outcome="retention", series="prices", cursor=500)
    play = Play([OPENED, ACK + gap + price(501)])
    assert heard(play, Place(3)) == [("gap", 500), ("price_update", 501)]
    assert isinstance(play.out[0], IntervalGap)


def test_how_it_ends_says_when_to_come_back():
    end = message("error", error=json.loads(problem(503, "SERVICE_UNAVAILABLE").body)["error"])
    play = Play([OPENED, ACK + SNAPSHOT + b"retry: 4700\n\n" + end, OPENED])
    heard(play)
    assert 4.7 <= play.waits[0] <= 5.3
    wait = {"limit": "burst", "retry_after": 31}
    play = Play([problem(429, "RATE_LIMIT_EXCEEDED", wait, retry_after="31"), OPENED])
    heard(play)
    assert 31 <= play.waits[0] <= 33
    play = Play([OPENED, ACK + SNAPSHOT, None, *[Unreachable("refused")] * 6, OPENED])
    heard(play)
    assert play.waits == sorted(play.waits[:1]) + play.waits[1:]
    assert 8 <= max(play.waits) <= 20


def test_it_gives_up_when_nothing_comes_for_long():
    play = Play([OPENED, ACK + SNAPSHOT, *[Unreachable("refused")] * 999])
    with pytest.raises(Unreachable):
        play.run(telling("prices", STREAM, Place(), play.patience(stream_seconds=100.0)))
    assert play.now <= 100
    assert 5 < len(play.asked) < 20


@pytest.mark.parametrize("data", ["{", '{"type": "price_update"}', "[1]", '{"type": "error", "error": 5}'])
def test_what_cannot_be_read_is_no_event(data: str):
    play = Play([OPENED, f"data: {data}\n\n".encode()])
    with pytest.raises(Unreadable):
        play.run(telling("prices", STREAM, Place(), play.patience()))


def test_a_type_of_tomorrow_is_an_event():
    play = Play([OPENED, ACK + b'data: {"type": "halving", "cursor": 7, "height": 840000}\n\n'])
    assert heard(play) == [("halving", 7)]
    assert play.out[0].model_extra == {"height": 840000}


TEXT = (
    'retry: 5\r\n\r\n: a comment\nevent: x\nid: 7\ndata: {"a":\ndata: "é🚀"}\n\ndata:1\r\rid: 8\n\n'.encode()
)


@given(st.lists(st.integers(0, len(TEXT)), max_size=12))
def test_however_the_bytes_are_cut(cuts: list[int]):
    parser, found = Parser(), list[Said]()
    places = [0, *sorted(cuts), len(TEXT)]
    for begin, end in itertools.pairwise(places):
        found += parser.feed(TEXT[begin:end])
    assert found == [Said(retry=5), Said('{"a":\n"é🚀"}', "7"), Said("1"), Said(id="8")]


class Cutting:
    """In front of the streams: breaks each connection off after so many parts, with an open end."""

    def __init__(self, app: Any, parts: int) -> None:
        self.app, self.parts, self.last_ids = app, parts, list[bytes | None]()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        self.last_ids.append(dict(scope["headers"]).get(b"last-event-id"))
        left = self.parts

        async def counted(part: Any) -> None:
            nonlocal left
            left -= part["type"] == "http.response.body"
            if left < 0:
                raise ConnectionAbortedError("cut")
            await send(part)

        await self.app(scope, receive, counted)


async def test_over_real_breaks_each_event_comes_once(streams: Begin, monkeypatch: pytest.MonkeyPatch):
    """Every connection breaks after a few parts of its body."""
    monkeypatch.setattr(sse, "RETRY_MS", 10)
    node = await streams()
    await node.prices(dict.fromkeys(COINS, "100"))
    cutting: Any = Cutting(node.events, 4)
    async with (
        served(cutting) as port,
        AsyncClient(f"http://127.0.0.1:{port}", node.key, patience=QUICK) as client,
        client.prices.stream() as stream,
        asyncio.timeout(60),
    ):
        first = await anext(stream)
        assert isinstance(first, PriceSnapshot)
        assert {one.symbol for one in first.data} == {"BTC", "ETH", "SOL"}
        seen: list[int | None] = []
        for number in range(6):
            await node.prices(dict.fromkeys(COINS, str(101 + number)))
            for _ in range(4):
                event = await anext(stream)
                assert isinstance(event, PriceUpdate | IntervalComplete)
                seen.append(event.cursor)
                assert stream.cursor == event.cursor
        assert seen == list(range(5, 29))
        assert stream.resumed >= 2
        assert stream.ack is not None
    assert cutting.last_ids[0] is None
    assert all(one is not None for one in cutting.last_ids[1:])


def events_client(node: Node, key: str | None = None) -> AsyncClient:
    return AsyncClient(node.http, node.key if key is None else key, patience=QUICK)


async def test_fields_symbols_and_a_place_are_asked_for(streams: Begin):
    node = await streams()
    for number in range(3):
        await node.prices({"bitcoin": str(100 + number), "ethereum": "5"})
    async with events_client(node) as client, asyncio.timeout(30):
        async with client.prices.stream(["BTC"], fields=["price"], after=3) as stream:
            found = [await anext(stream) for _ in range(4)]
        told = [(one.type, one.cursor) for one in found]
        assert told == [
            ("price_update", 4),
            ("interval_complete", 6),
            ("price_update", 7),
            ("interval_complete", 9),
        ]
        update = found[0]
        assert isinstance(update, PriceUpdate)
        assert (update.symbol, update.data.model_dump(exclude_none=True)) == ("BTC", {"price_usd": 101})
        with pytest.raises(InvalidSymbol) as error:
            await anext(client.prices.stream("BTX"))
        assert error.value.nearest[0] == "BTC"


async def test_a_key_that_ends_ends_the_stream(streams: Begin, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(hub, "LOOK", 0.1)
    monkeypatch.setattr(auth, "KEPT_SECONDS", 0.1)
    node = await streams()
    await node.prices({"bitcoin": "1"})
    key = await node.running.new_key("read:prices")
    async with events_client(node, key) as client, asyncio.timeout(30):
        stream = client.prices.stream()
        await anext(stream)
        await node.running.store.keys.revoke(key.split("_")[1], SystemClock().now())
        with pytest.raises(InvalidKey):
            await anext(stream)


def test_events_of_texts_have_their_types():
    play = Play(
        [OPENED, ACK + message("news_update") + message("delete") + message("sentiment_update", cursor=5121)]
    )
    with pytest.raises(Over):
        play.run(telling("news", STREAM, Place(1), play.patience()))
    assert [type(one).__name__ for one in play.out] == ["NewsUpdate", "Delete", "Event"]
    assert isinstance(play.out[1], Delete)
    play = Play([OPENED, ACK + message("ticks")])
    with pytest.raises(Over):
        play.run(telling("prices", STREAM, Place(1), play.patience()))
    assert isinstance(play.out[0], Ticks)
    with pytest.raises(ServerUnavailable):
        Play([told(503, b"")] * 9).run(
            telling("news", STREAM, Place(), Play([]).patience(stream_seconds=0.0))
        )
