"""Lineage leads from an answer to the bytes it came from; revisions tell what changed."""

from hashlib import sha256

from tests.serve.conftest import Running, at
from tests.serve.filling import DAY, START, flat, ohlc
from tests.serve.test_completeness import follow

LINEAGE, REVISIONS = "/api/v1/lineage", "/api/v1/revisions"


async def test_from_an_answer_to_its_page(node: Running):
    collected = await node.fill.prices(at(), {"bitcoin": "64210.5", "ethereum": "3000"})
    node.clock.set(at(minutes=1))
    record = (await node.get("/api/v1/prices/current/ETH"))["record_id"]
    body = await node.get(f"{LINEAGE}/{record}")
    (page,) = collected.pages
    assert body["sha256"] == sha256(page.body).hexdigest()
    assert b'"ethereum","current_price":3000' in page.body
    assert body["request"] == {
        "path": "/coins/markets",
        "params": {"vs_currency": "usd", "ids": "bitcoin,ethereum,solana"},
    }
    assert (body["status"], body["parser"], body["page"]) == (200, collected.parser, page.id)
    assert (body["asked_at"], body["received_at"]) == ("2026-11-23T00:00:01.117Z", "2026-11-23T00:00:01.417Z")
    assert node.store.raw.load(body["page"], page.received_at).body == page.body


async def test_ids_are_taken_in_every_form_of_their_time(node: Running):
    await node.fill.bars("bitcoin", at(hours=-1), [flat("1")], at(minutes=17))
    node.clock.set(at(minutes=30))
    for time in (
        "2026-11-22T23:00:00+00:00",
        "2026-11-22T23:00:00Z",
        "2026-11-22T23:00:00.000Z",
        "2026-11-23T00:00:00%2B01:00",
    ):
        body = await node.get(f"{LINEAGE}/coingecko.bars_1h:bitcoin:{time}:0")
        assert body["request"]["path"] == "/coins/bitcoin/ohlc/range"


async def test_what_is_no_record(node: Running):
    await node.fill.prices(at(), {"bitcoin": "1"})
    node.clock.set(at(minutes=1))
    good = "coingecko.prices:bitcoin:2026-11-23T00:00:00+00:00"
    for record in (f"{good}:1", good.replace("bitcoin", "dog") + ":0", good.replace("prices", "x") + ":0"):
        assert (await node.get(f"{LINEAGE}/{record}", 404))["error"]["code"] == "NOT_FOUND", record
    for record in ("nonsense", f"{good}:x", "coingecko.prices:bitcoin:2026-11-23T00:00:00:0"):
        assert (await node.get(f"{LINEAGE}/{record}", 422))["error"]["code"] == "VALIDATION_ERROR", record


async def test_a_record_does_not_exist_before_it_was_received(node: Running):
    await node.fill.prices(at(), {"bitcoin": "1"})
    node.clock.set(at(minutes=10))
    record = f"{LINEAGE}/coingecko.prices:bitcoin:2026-11-23T00:00:00+00:00:0"
    await node.get(record, as_of="2026-11-23T00:00:01.417Z")
    await node.get(record, 404, as_of="2026-11-23T00:00:01.416Z")
    await node.get(record, 404, known_by="2026-11-22T23:59:59Z")


async def test_a_revision_tells_old_new_and_when(node: Running):
    await node.fill.bars("bitcoin", at(hours=-2), [("10", "12", "9", "11"), flat("5")], at(minutes=17))
    await node.fill.bars(
        "bitcoin", at(hours=-2), [("10", "13.5", "9", "11"), flat("5")], at(hours=1, minutes=17)
    )
    node.clock.set(at(hours=2))
    body = await node.get(REVISIONS)
    (one,) = body["data"]
    assert (one["dataset"], one["series"], one["time"]) == (
        "coingecko.bars_1h",
        "bitcoin",
        "2026-11-22T22:00:00.000Z",
    )
    assert (one["old"], one["new"]) == ({"high": 12}, {"high": 13.5})
    assert (one["first_received_at"], one["received_at"]) == (
        "2026-11-23T00:17:00.000Z",
        "2026-11-23T01:17:00.000Z",
    )
    assert one["record_id"].endswith(":1")
    new, old = [await node.get(f"{LINEAGE}/{one[name]}") for name in ("record_id", "old_record_id")]
    assert new["sha256"] != old["sha256"]
    assert (await node.get(REVISIONS, start="2026-11-23T01:17:00.001Z"))["data"] == []
    assert (await node.get(REVISIONS, end="2026-11-23T01:17:00Z"))["data"] == []
    assert (await node.get(REVISIONS, as_of="2026-11-23T01:16:59.999Z"))["data"] == []
    assert (await node.get(REVISIONS, symbol="ETH"))["data"] == []
    assert len((await node.get(REVISIONS, symbol="BTC", dataset="coingecko.bars_1h"))["data"]) == 1
    assert (await node.get(REVISIONS, dataset="coingecko.prices"))["data"] == []


async def test_pages_of_revisions_hold_together_while_more_arrive(node: Running):
    for coin in ("bitcoin", "ethereum"):
        await node.fill.bars(coin, START - DAY, [ohlc(n) for n in range(10)], at(minutes=17))
        await node.fill.bars(coin, START - DAY, [ohlc(n + 1) for n in range(10)], at(minutes=20))
    await node.fill.prices(at(), {"bitcoin": "1"})
    await node.fill.prices(at(), {"bitcoin": "2"}, at=at(minutes=21))
    node.clock.set(at(minutes=30))
    whole = (await node.get(REVISIONS))["data"]
    assert len(whole) == 21

    async def more(number: int) -> None:
        moment = at(hours=number)
        await node.fill.bars("bitcoin", START - DAY, [ohlc(n + 1 + number) for n in range(10)], moment)
        node.clock.set(at(hours=number, minutes=1))

    pages = await follow(node, REVISIONS, 6, more)
    assert [row for page in pages for row in page] == whole
    assert [len(page) for page in pages] == [6, 6, 6, 3]
