"""News: texts with their mentions as soon as they are committed, licences, and deletions."""

from typing import Any

import httpx

from ray_app.sources import edgar, reddit, rss
from ray_app.store.texts import Due
from tests.serve.conftest import at
from tests.serve.sources import declared, had
from tests.serve.streams.conftest import Client, Node
from tests.serve.test_texts import CRYPTO, FIRST, SOCIAL, article, everything_declared, linked, post


async def ready(node: Node) -> str:
    """Every feed is declared; a key marked internal."""
    await everything_declared(node.running)
    node.running.clock.set(at(minutes=5))
    return await node.running.new_key("read:news", internal=True)


async def texts(client: Client, count: int) -> list[dict[str, Any]]:
    """The next texts; the ends of intervals come in between."""
    out: list[dict[str, Any]] = []
    while len(out) < count:
        message = await client.next("news_update", "interval_complete")
        out += [message] if message["type"] == "news_update" else []
    return out


async def test_a_text_comes_with_what_it_speaks_of(hot: Node):
    key = await ready(hot)
    client = await hot.socket("news", "?symbols=*", key=key)
    await client.updates(2, "ack", "snapshot")
    liked = post("t3_a", at(minutes=-15), "to the moon with bitcoin", likes=7)
    await had(hot.running, rss.SOURCE, "articles", [FIRST], at(minutes=1))
    await had(hot.running, reddit.SOURCE, "posts", [liked], at(minutes=2))
    await hot.relay()
    told = await texts(client, 2)
    await linked(hot.running, at(minutes=4))
    rows = (await hot.running.get(CRYPTO))["data"] + (await hot.running.get(SOCIAL))["data"]
    for message, row in zip(told, rows, strict=True):
        shown = message["data"]
        assert {name: value for name, value in shown.items() if name != "kind"} == {
            name: row[name] for name in shown if name != "kind"
        }
        assert (message["record_id"], message["received_at"]) == (row["record_id"], row["received_at"])
    assert [one["id"] for one in told] == ["rss.articles:crypto/coindesk:a", "reddit.posts:Bitcoin:t3_a"]
    assert [one["data"]["kind"] for one in told] == ["article", "post"]
    assert {one["symbol"] for one in told[0]["data"]["mentions"]} == {"BTC", "ETH"}


async def test_symbols_are_those_that_a_text_mentions(hot: Node):
    key = await ready(hot)
    client = await hot.socket("news", "?symbols=ETH,COIN", key=key)
    await client.updates(2)
    news = [FIRST, article("crypto/decrypt", "b", at(minutes=-30), "An ETF for solana")]
    await had(hot.running, rss.SOURCE, "articles", news, at(minutes=1))
    filing = article("COIN", "f1", at(minutes=-60), "Coinbase Global, Inc.: 8-K")
    await had(hot.running, edgar.SOURCE, "filings", [filing], at(minutes=3))
    await hot.relay()
    assert [one["data"]["title"] for one in await texts(client, 2)] == [
        "Bitcoin rises",
        "Coinbase Global, Inc.: 8-K",
    ]
    again = await hot.socket("news", "?symbols=SOL&fields=title,url", key=key)
    await again.next("ack")
    (one,) = (await again.next("snapshot"))["data"]
    assert one["data"] == {"title": "An ETF for solana", "url": None}


async def test_who_may_not_have_a_text_is_not_told_of_it(hot: Node):
    await ready(hot)
    outside = await hot.running.new_key("read:news")
    client, events = await hot.socket("news", key=outside), await hot.sse("news", key=outside)
    await client.say(action="subscribe")
    for ack in (await client.next("ack"), await events.next("ack")):
        assert {
            "dataset": "rss.articles",
            "series": "crypto/coindesk",
            "licence": "no_redistribution",
        } in ack["left_out"]
        assert not any(one["dataset"] == "edgar.filings" for one in ack["left_out"])
    await had(hot.running, rss.SOURCE, "articles", [FIRST], at(minutes=1))
    filing = article("COIN", "f1", at(minutes=-60), "Coinbase Global, Inc.: 8-K")
    await had(hot.running, edgar.SOURCE, "filings", [filing], at(minutes=3))
    await hot.relay()
    for one in (client, events):
        assert (await one.next())["type"] == "snapshot"
        (told, complete) = [await one.next() for _ in range(2)]
        assert (told["data"]["title"], told["cursor"]) == ("Coinbase Global, Inc.: 8-K", 3)
        assert (complete["series"], complete["members"]) == ("edgar.filings", ["COIN"])
    late = await hot.socket("news", "?symbols=*&after=0", key=outside)
    await late.next("ack")
    assert [one["cursor"] for one in await late.updates(2)] == [3, 4]


async def test_a_key_that_may_have_no_text_at_all_is_told_so(hot: Node):
    await declared(hot.running, rss.SOURCE)
    outside = await hot.running.new_key("read:news")
    client = await hot.socket("news", key=outside)
    assert await client.closed() == (4403, "LICENCE_RESTRICTED")
    async with httpx.AsyncClient(base_url=hot.http) as http:
        answer = await http.get("/api/v1/stream/news", headers={"Authorization": f"Bearer {outside}"})
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "LICENCE_RESTRICTED")


async def test_a_deleted_post_is_told_and_nowhere_afterwards(hot: Node):
    key = await ready(hot)
    client = await hot.socket("news", "?symbols=ETH", key=key)
    await client.updates(2)
    posts = [post("t3_a", at(minutes=-15), "secret words"), post("t3_b", at(minutes=-14), "stays")]
    await had(hot.running, reddit.SOURCE, "posts", posts, at(minutes=2))
    await hot.relay()
    await client.next("interval_complete")
    store, lease = hot.running.store, hot.running.fill.lease
    gone = await store.texts.due("reddit.posts", at(hours=30), at(hours=30), 10)
    one: Due = next(due for due in gone if due.item == "t3_a")
    topic = hot.sockets.hub._topics["news"]
    assert "secret words" in str([item.whole for item in topic.items()])
    numbers = await store.texts.wipe("reddit.posts", "news", [one], "gone upstream", at(minutes=6), lease)
    assert numbers == [1]
    await hot.relay()
    told = await client.next("delete")
    assert (told["id"], told["reason"]) == ("reddit.posts:Bitcoin:t3_a", "gone upstream")
    assert "secret words" not in str([(item.whole, item._entries) for item in topic.items()])
    for place in ("?symbols=*&after=0", "?symbols=*"):
        late = await hot.socket("news", place, key=key)
        await late.next("ack")
        seen = str(await late.next())
        if "after" in place:
            seen += str(await late.updates(2))
        assert "stays" in seen
        assert "secret words" not in seen
