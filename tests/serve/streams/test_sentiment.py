"""The stream of sentiment says what the REST routes answer as of the same minute, to each key what it may have."""

from collections.abc import Callable
from datetime import datetime
from types import SimpleNamespace
from typing import Any

import pytest

from ray_app.model.clock import SystemClock
from ray_app.model.errors import Fenced
from ray_app.runtime.aggregating import Aggregating
from ray_app.sources import rss
from tests.serve.conftest import at
from tests.serve.sources import had
from tests.serve.streams.conftest import Node
from tests.serve.test_sentiment import ready, scored, told
from tests.serve.test_texts import article

SYMBOLS = {"BTC", "ETH", "SOL"}


def aggregating(node: Node, owner: str = "one", committed: Callable[[], None] = lambda: None) -> Aggregating:
    running = node.running
    of = SimpleNamespace(store=running.store, clock=running.clock, models={"any": None})
    return Aggregating(of, owner, SystemClock(), committed)  # type: ignore[arg-type]  # what it needs of a node


async def answered(node: Node, symbol: str, minute: str) -> dict[str, Any]:
    """What the REST route answers as of a minute, in the words of the stream."""
    body = await node.running.get(f"/api/v1/sentiment/crypto/{symbol}", as_of=minute)
    parts = {
        kind: {name: value for name, value in part.items() if name != "model"}
        for kind, part in body["breakdown"].items()
        if part["count"] + part["unscored"]
    }
    names = ("overall_sentiment", "sample_size", "effective_sample_size", "texts", "unscored")
    return {name: body[name] for name in names} | {"breakdown": parts}


async def said(node: Node, loop: Aggregating, moment: datetime) -> list[tuple[str, int]]:
    """A round at a time: of which assets it spoke, and over how many texts."""
    node.running.clock.set(moment)
    before = await node.running.store.outbox.newest("sentiment")
    made = await loop.round()
    await node.relay()
    events = await node.running.store.outbox.after("sentiment", before)
    assert len(events) == made
    return [(one.record["asset"], one.record["overall"]["count"]) for one in events]


async def test_events_say_what_the_routes_answer(hot: Node):
    await ready(hot.running)
    inside = await hot.running.new_key("read:sentiment", internal=True)
    outside = await hot.running.new_key("read:sentiment")
    client, open_ = await hot.socket("sentiment", key=inside), await hot.socket("sentiment", key=outside)
    for one in (client, open_):
        assert (await one.subscribed())["data"] == []
    assert await aggregating(hot).round() == 3
    await hot.relay()
    found: dict[str, Any] = {}
    for key, one in ((inside, client), (outside, open_)):
        hot.running.http.headers["Authorization"] = f"Bearer {key}"
        found = {told["symbol"]: told for told in await one.updates(3, "sentiment_update")}
        assert set(found) == SYMBOLS
        for symbol, message in found.items():
            assert message["timestamp"] == "2026-11-23T00:06:00.000Z"
            assert message["data"] == await answered(hot, symbol, message["timestamp"])
    ether = found["ETH"]["data"]["overall_sentiment"]
    assert (ether["score"], ether["reason"]) == (None, "few_texts")
    later = await hot.socket("sentiment", "?symbols=btc", key=inside)
    await later.next("ack")
    (one,) = (await later.next("snapshot"))["data"]
    assert (one["symbol"], one["data"]["texts"]) == ("BTC", 4)


async def test_an_asset_is_spoken_of_when_its_texts_change_and_each_quarter_of_an_hour(node: Node):
    await ready(node.running)
    loop = aggregating(node)
    every = [("bitcoin", 4), ("ethereum", 2), ("solana", 1)]
    assert await said(node, loop, at(minutes=6, seconds=30)) == every
    assert await said(node, loop, at(minutes=6, seconds=50)) == []  # the same minute
    assert await said(node, loop, at(minutes=7, seconds=30)) == []
    more = [article("crypto/decrypt", "n", at(minutes=7), "Solana falls")]
    await had(node.running, rss.SOURCE, "articles", more, at(minutes=8))
    await told(node.running, at(minutes=8, seconds=10))
    assert await said(node, loop, at(minutes=9, seconds=30)) == [("solana", 1)]  # one more, not scored yet
    await scored(node.running, at(minutes=9, seconds=40), {"n": ("0.9", "0.05")})
    assert await said(node, loop, at(minutes=10, seconds=30)) == [("solana", 2)]
    assert await said(node, loop, at(minutes=15, seconds=1)) == []  # the minute before is the settled one
    assert await said(node, loop, at(minutes=15, seconds=3)) == [*every[:2], ("solana", 2)]
    late = at(hours=23, minutes=30)  # what is older than a day does not count any more
    assert await said(node, loop, late) == [("bitcoin", 2), ("ethereum", 1), ("solana", 2)]
    late = at(hours=23, minutes=50)
    assert await said(node, loop, late) == [("bitcoin", 1), ("ethereum", 0), ("solana", 1)]
    assert await said(node, loop, at(hours=30)) == [("bitcoin", 0), ("solana", 0)]
    assert await said(node, loop, at(hours=30, minutes=16)) == []


async def test_of_two_processes_one_speaks(node: Node):
    await ready(node.running)
    one, other = aggregating(node, "one"), aggregating(node, "other")
    assert await one.round() == 3
    assert await other.round() == 0
    assert one._alone._lease is not None
    await node.running.store.leases.release(one._alone._lease)
    assert await other.round() == 3  # it does not know what was said
    one._minute = None
    with pytest.raises(Fenced):
        await one.round()


async def test_stocks_are_asked_for_by_their_ticker(node: Node):
    client = await node.socket("sentiment")
    assert (await client.subscribed("COIN"))["data"] == []
    assert client.seen[0]["symbols"] == ["COIN"]
    await client.say(action="subscribe", symbols=["NOSUCH"])
    assert (await client.next("error"))["error"]["code"] == "INVALID_SYMBOL"
