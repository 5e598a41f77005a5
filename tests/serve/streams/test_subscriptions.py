"""Subscriptions of GraphQL: the same events, cursors and gaps as the streams, cut by a selection."""

import asyncio
import json
import re
from typing import Any, get_args

import pytest
from graphql import execute
from pydantic import BaseModel

from ray_app.model.timerange import TimeRange
from ray_app.serve.graphql import events
from ray_app.serve.streams import hub, messages, topic, wordings
from ray_app.serve.streams.making import Prices
from ray_app.sources import edgar, reddit
from tests.architecture.modules import REPO
from tests.serve import test_sentiment
from tests.serve.conftest import at
from tests.serve.filling import COINS
from tests.serve.sources import had
from tests.serve.streams import test_news
from tests.serve.streams.conftest import Node
from tests.serve.streams.subscribing import PRICES, UPDATES, opened
from tests.serve.streams.test_sentiment import aggregating
from tests.serve.test_texts import article, post

GUIDE = (REPO / "docs/graphql.md").read_text()
CAMEL = re.compile(r"_([a-z0-9])")


def camel(value: Any) -> Any:
    """A message of the streams as GraphQL names it."""
    if isinstance(value, dict):
        return {CAMEL.sub(lambda m: m[1].upper(), name): camel(one) for name, one in value.items()}
    return [camel(one) for one in value] if isinstance(value, list) else value


TYPES = {
    "price_update": "PriceUpdate", "interval_complete": "IntervalComplete", "gap": "StreamGap",
    "snapshot": "PriceSnapshot", "ack": "Subscribed",
}  # fmt: skip


async def test_it_tells_what_the_socket_tells(hot: Node):
    """Message for message: snapshot, updates, the ends of intervals, gaps."""
    await hot.prices({"bitcoin": "68000.123456789012", "ethereum": "3500"})
    plain, mine = await hot.socket(), await opened(hot)
    await mine.subscribe("1", PRICES, symbols=["BTC"])
    snapshot = await plain.subscribed("BTC")
    first = await mine.next()
    assert first == {"__typename": "Subscribed", "symbols": ["BTC"], "leftOut": None, "cursor": 3}
    told = await mine.next()
    assert told["__typename"] == "PriceSnapshot"
    assert (told["cursor"], told["prices"]) == (snapshot["cursor"], camel(snapshot["data"]))
    assert told["prices"][0]["data"]["priceUsd"] == 68000.123456789012
    await hot.prices({"bitcoin": "68001", "ethereum": "3501"})
    over = TimeRange(at(minutes=15), at(minutes=20))
    await hot.running.fill.failed("prices", ["bitcoin"], over, at(minutes=16))
    await hot.relay()
    seen = list[dict[str, Any]]()
    while not seen or seen[-1]["type"] != "gap":
        seen.append(await plain.next())
        event = await mine.next()
        assert event.pop("__typename") == TYPES[seen[-1]["type"]]
        expected = camel(seen[-1])
        del expected["type"]
        assert event == expected
    assert [one["type"] for one in seen] == ["price_update", "interval_complete", "gap"]


TEXTS = """subscription($after: Cursor) { news(after: $after) { __typename
  ... on Subscribed { leftOut { dataset } }
  ... on NewsSnapshot { texts { id data { title } } }
  ... on NewsUpdate { id data { title kind source mentions { symbol confidence } } revision cursor }
  ... on TextDeleted { id reason cursor } } }"""


async def test_texts_with_mentions_to_those_who_may_have_them_and_their_deletion(hot: Node):
    key = await test_news.ready(hot)
    outside = await hot.running.new_key("read:news")
    inside, others = await opened(hot, key), await opened(hot, outside)
    plain = await hot.socket("news", "?symbols=*", key=key)
    for one in (inside, others):
        await one.subscribe("1", TEXTS)
    await plain.updates(2)
    assert await inside.next() == {"__typename": "Subscribed", "leftOut": None}
    left = (await others.next())["leftOut"]
    assert {"dataset": "rss.articles"} in left
    assert {"dataset": "edgar.filings"} not in left
    for one in (inside, others):
        assert await one.next() == {"__typename": "NewsSnapshot", "texts": []}
    posts = [post("t3_a", at(minutes=-15), "secret words of bitcoin")]
    await had(hot.running, reddit.SOURCE, "posts", posts, at(minutes=2))
    filing = article("COIN", "f1", at(minutes=-60), "Coinbase Global, Inc.: 8-K")
    await had(hot.running, edgar.SOURCE, "filings", [filing], at(minutes=3))
    await hot.relay()
    first = await plain.next("news_update")
    names = ("title", "kind", "source")
    cut = {name: first["data"][name] for name in names}
    cut["mentions"] = [{k: one[k] for k in ("symbol", "confidence")} for one in first["data"]["mentions"]]
    assert cut["mentions"]
    assert await inside.next() == {
        "__typename": "NewsUpdate", "id": first["id"], "data": cut, "revision": 0, "cursor": first["cursor"],
    }  # fmt: skip
    assert (await others.next())["data"]["title"] == "Coinbase Global, Inc.: 8-K"
    (due,) = await hot.running.store.texts.due("reddit.posts", at(hours=30), at(hours=30), 10)
    assert (await inside.next())["__typename"] == "IntervalComplete"
    views = hot.sockets.hub._topics["news"]._views
    kept = [one.form._made for one in views if isinstance(one.form, wordings.Wording)]
    assert "secret words" in str(kept)
    lease = hot.running.fill.lease
    await hot.running.store.texts.wipe("reddit.posts", "news", [due], "gone upstream", at(minutes=6), lease)
    await hot.relay()
    while (told := await inside.next())["__typename"] != "TextDeleted":
        pass
    assert (told["id"], told["reason"]) == (first["id"], "gone upstream")
    kept = [one.form._made for one in views if isinstance(one.form, wordings.Wording)]
    assert kept
    assert "secret words" not in str(kept)


async def test_sentiment_as_the_stream_tells_it(hot: Node):
    await test_sentiment.ready(hot.running)
    score = "score label confidence reason"
    query = f"""subscription {{ sentiment(symbols: ["BTC"]) {{ ... on SentimentUpdate {{ symbol id kind timeframe
      data {{ overallSentiment {{ {score} }} sampleSize effectiveSampleSize texts unscored
        breakdown {{ news {{ {score} count stories unscored }} reddit {{ {score} count stories unscored }} }} }}
      timestamp receivedAt cursor }} }} }}"""
    mine, plain = await opened(hot), await hot.socket("sentiment")
    await mine.subscribe("1", query)
    await plain.subscribed("BTC")
    await asyncio.sleep(0)
    assert await aggregating(hot).round() == 3
    await hot.relay()
    told = camel(await plain.next("sentiment_update"))
    del told["type"]
    told["data"]["breakdown"].setdefault("reddit", None)
    told["data"]["breakdown"].pop("twitter", None)
    assert await mine.next() == told


async def test_a_cursor_resumes_once_in_order(hot: Node, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(Prices, "first", 4)  # the rest is read in the log
    monkeypatch.setattr(topic, "CHUNK", 3)
    for number in range(5):
        await hot.prices({coin: str(100 + number) for coin in COINS})
    mine = await opened(hot)
    await mine.subscribe("1", UPDATES, after=2)
    # of each four the last is the end of the interval, of which nothing is selected
    cursors = [(await mine.next())["cursor"] for _ in range(13)]
    assert cursors == [n for n in range(3, 21) if n % 4]
    await hot.prices({"bitcoin": "200"})
    assert await mine.next() == {"symbol": "BTC", "cursor": 21, "data": {"priceUsd": 200}}
    await mine.subscribe("2", UPDATES, after=999)
    error = await mine.error("2")
    assert (error["extensions"]["code"], len(error["extensions"]["request_id"])) == ("CURSOR_INVALID", 24)
    await hot.prices({"bitcoin": "201"})
    assert (await mine.next())["cursor"] == 23, "the other goes on"


async def test_a_cursor_that_is_too_old_is_a_gap(hot: Node, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(Prices, "first", 1)
    for slot, price in ((1, "100"), (2, "101"), (300, "102")):  # the last a day later
        await hot.prices({"bitcoin": price}, slot=slot)
    mine = await opened(hot)
    await mine.subscribe("1", PRICES, after=1)
    assert (await mine.next())["cursor"] == 1
    assert await mine.next() == {
        "__typename": "StreamGap",
        "series": "prices",
        "members": None,
        "from": "2026-11-23T00:05:01.417Z",
        "to": "2026-11-23T00:10:01.417Z",
        "outcome": "retention",
        "reason": "older than the 24 hours that are kept",
        "cursor": 4,
    }
    assert (await mine.next())["data"]["priceUsd"] == 102


async def test_heartbeats_tell_the_place_to_those_who_select_them(hot: Node, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(hub, "HEARTBEAT", 0.2)
    monkeypatch.setattr(hub, "LOOK", 0.05)
    mine = await opened(hot)
    await mine.subscribe("1", "subscription { prices { ... on Heartbeat { cursor } } }")
    await mine.subscribe("2", UPDATES)
    assert await mine.next() == {"cursor": 0}
    await hot.prices({"bitcoin": "100"})
    while (await mine.next())["cursor"] < 2:
        pass
    assert [one["symbol"] for one in mine.events["2"]] == ["BTC"]


async def test_who_words_it_alike_shares_what_was_made(hot: Node, monkeypatch: pytest.MonkeyPatch):
    """Other symbols, names of variables' values and cursors are no other wording; another selection is."""
    made: list[str] = []

    def counted(*arguments: Any) -> Any:
        made.append(arguments[2]["type"])
        return execute(*arguments)

    mine = [await opened(hot) for _ in range(3)]
    for one, symbols in zip(mine, (["BTC"], ["BTC", "ETH"], None), strict=True):
        await one.subscribe("1", UPDATES, symbols=symbols)
    while sum(len(views) for views in hot.sockets.hub._topics["prices"]._views.values()) < 3:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    monkeypatch.setattr(wordings, "execute", counted)
    await hot.prices({"bitcoin": "100", "ethereum": "10"})
    for one, symbols in zip(mine, (["BTC"], ["BTC", "ETH"], ["BTC", "ETH"]), strict=True):
        assert [(await one.next())["symbol"] for _ in symbols] == symbols
    assert sorted(made) == ["interval_complete", "price_update", "price_update"]


async def test_the_example_of_the_guide_runs(hot: Node):
    ((query, variables),) = re.findall(
        r"```graphql\n(subscription.*?)```\s+```json\n(.*?)```", GUIDE, re.DOTALL
    )
    mine = await opened(hot)
    await mine.subscribe("1", query, **json.loads(variables))
    assert await mine.next() == {"__typename": "Subscribed"}
    assert (await mine.next())["prices"] == []
    await hot.prices({"bitcoin": "100"})
    assert (await mine.next())["data"] == {"priceUsd": 100, "volume24h": None}


async def test_the_gateway_says_where_subscriptions_are(node: Node):
    answer = await node.running.http.post("/graphql", json={"query": UPDATES})
    assert (answer.status_code, "/ws/graphql" in answer.json()["error"]["message"]) == (422, True)


def names(kind: Any) -> set[str]:
    return {one.name.rstrip("_") for one in kind.__strawberry_definition__.fields}


def fields(model: type[BaseModel]) -> set[str]:
    return {name.rstrip("_") for name in model.model_fields} - {"type"}


def test_the_types_are_those_of_the_messages():
    """Of the ack only what is about the subscription itself."""
    of: dict[str, type[BaseModel]] = {get_args(m.model_fields["type"].annotation)[0]: m for m in MODELS}
    unions = (events.PriceEvent, events.NewsEvent, events.SentimentEvent)
    found = {kind for union in unions for kind in get_args(get_args(union)[0])}
    assert {kind.told_as for kind in found} == set(of) - {"error", "ticks"}
    for kind in found:
        if kind is not events.Subscribed:
            assert names(kind) == fields(of[kind.told_as]), kind
    assert names(events.Subscribed) < fields(messages.Ack)
    for name in ("PriceData", "NewsData", "SentimentData", "PriceEntry", "NewsEntry", "SentimentEntry"):
        assert names(getattr(events, name)) == fields(getattr(messages, name)), name
    assert names(events.SentimentPart) == fields(messages.Part)


MODELS = get_args(messages.ServerMessage)
