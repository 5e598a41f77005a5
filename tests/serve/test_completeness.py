"""Coverage and gaps: every interval in one state, the states add up, the reasons are told."""

from itertools import count
from typing import Any

from ray_app.model.timerange import TimeRange
from tests.serve.conftest import Running, at
from tests.serve.filling import COINS, DAY, START, flat

COVERAGE, GAPS = "/api/v1/coverage", "/api/v1/gaps"
STATES = ("collected", "empty_upstream", "late", "failed", "lost", "not_due")


async def an_hour(node: Running) -> None:
    """An hour of polls: one failed, one answered without a coin, two never made."""
    for number in range(12):
        slot = at(minutes=5 * number)
        over = TimeRange(slot, at(minutes=5 * number + 5))
        if number == 3:
            await node.fill.failed("prices", COINS, over, at(minutes=16))
        elif number == 6:
            await node.fill.prices(slot, {"bitcoin": "1", "ethereum": "2"})
        elif number not in (8, 9):
            await node.fill.prices(slot, {"bitcoin": "1", "ethereum": "2", "solana": "3"})
    node.clock.set(at(hours=1, seconds=5))


async def test_the_states_of_an_hour(node: Running):
    await an_hour(node)
    query = {"dataset": "coingecko.prices", "start": "2026-11-23T00:00:00Z", "end": "2026-11-23T01:10:00Z"}
    body = await node.get(COVERAGE, **query)
    rows = {row["series"]: row for row in body["data"]}
    assert list(rows) == ["bitcoin", "ethereum", "solana"]
    assert rows["bitcoin"]["intervals"] == dict.fromkeys(STATES, 0) | {
        "collected": 9,
        "lost": 3,
        "not_due": 2,
    }
    assert rows["solana"]["intervals"] == dict.fromkeys(STATES, 0) | {
        "collected": 8, "empty_upstream": 1, "lost": 3, "not_due": 2,
    }  # fmt: skip
    told = [(s["from"][11:16], s["to"][11:16], s["state"], s["intervals"]) for s in rows["solana"]["spans"]]
    assert told == [
        ("00:00", "00:15", "collected", 3),
        ("00:15", "00:20", "lost", 1),
        ("00:20", "00:30", "collected", 2),
        ("00:30", "00:35", "empty_upstream", 1),
        ("00:35", "00:40", "collected", 1),
        ("00:40", "00:50", "lost", 2),
        ("00:50", "01:00", "collected", 2),
        ("01:00", "01:10", "not_due", 2),
    ]
    reasons = {s["reason"] for s in rows["solana"]["spans"] if s["state"] == "lost"}
    assert reasons == {"Transient: HTTP 503", "not asked in time, and the upstream tells only the present"}
    assert body["meta"]["condition"] == "degraded"


async def test_everything_adds_up_to_a_hundred_percent(node: Running):
    await an_hour(node)
    body = await node.get(COVERAGE, start="2026-11-21T23:00:00Z", end="2026-11-24T00:00:00Z")
    assert len(body["data"]) == 3 + 4 + 3
    for row in body["data"]:
        whole = sum(row["intervals"].values())
        assert set(row["intervals"]) == set(row["percent"]) == set(STATES)
        assert round(sum(row["percent"].values()), 9) == 100
        assert sum(span["intervals"] for span in row["spans"]) == whole
        assert (row["spans"][0]["from"], row["spans"][-1]["to"]) == (row["start"], row["end"])
        for before, after in zip(row["spans"], row["spans"][1:], strict=False):
            assert before["to"] == after["from"]
            assert (before["state"], before["reason"]) != (after["state"], after["reason"])


async def test_gaps_are_the_spans_that_are_not_there(node: Running):
    await an_hour(node)
    query = {"start": "2026-11-23T00:00:00Z", "dataset": "coingecko.prices"}
    body = await node.get(GAPS, **query)
    told = [(gap["series"], gap["from"][11:16], gap["state"]) for gap in body["data"]]
    each = [("00:15", "lost"), ("00:40", "lost")]
    assert told == [
        *[("bitcoin", *gap) for gap in each],
        *[("ethereum", *gap) for gap in each],
        ("solana", "00:15", "lost"), ("solana", "00:30", "empty_upstream"), ("solana", "00:40", "lost"),
    ]  # fmt: skip
    assert body["total"] == 7
    only = await node.get(GAPS, **query, symbol="SOL")
    assert [gap["series"] for gap in only["data"]] == ["solana"] * 3


async def test_symbols_and_data_sets(node: Running):
    await an_hour(node)
    rows = (await node.get(COVERAGE, symbol="BTC"))["data"]
    assert {(row["dataset"], row["series"]) for row in rows} == {
        ("coingecko.bars_1h", "bitcoin"),
        ("coingecko.prices", "bitcoin"),
    }
    error = (await node.get(COVERAGE, 404, dataset="coingecko.tweets"))["error"]
    assert error["details"]["datasets"] == [
        "coingecko.bars_1h",
        "coingecko.exchange_rates",
        "coingecko.prices",
    ]


async def test_a_question_that_costs_too_much_says_so(node: Running):
    error = (await node.get(COVERAGE, 400, start="2010-01-01T00:00:00Z"))["error"]
    assert error["code"] == "QUERY_TOO_COSTLY"
    assert error["details"]["cost"] > error["details"]["limit"]


async def test_what_is_not_offered_is_told_with_its_reason(node: Running):
    await node.fill.not_offered("bars_1h", ("solana",), TimeRange(START - DAY, at(hours=24)), at(minutes=17))
    node.clock.set(at(minutes=30))
    (gap,) = (await node.get(GAPS, dataset="coingecko.bars_1h", symbol="SOL"))["data"]
    assert (gap["state"], gap["reason"]) == ("empty_upstream", "NotOffered: delisted")


async def follow(node: Running, path: str, limit: int, between: Any = None, **query: Any) -> list[list[Any]]:
    """All pages of a question; `between` is awaited before each further page."""
    pages, cursor = [], None
    while True:
        extra: dict[str, Any] = {"cursor": cursor} if cursor else {}
        body = await node.get(path, limit=limit, **query, **extra)
        pages.append(body["data"])
        cursor = body["meta"]["cursor"]
        if cursor is None:
            return pages
        if between is not None:
            await between(len(pages))


async def test_pages_of_the_ledger_hold_together_while_rows_arrive(node: Running):
    await an_hour(node)
    query = {"start": "2026-11-22T20:00:00Z", "end": "2026-11-23T02:00:00Z"}

    moments = count(1)

    async def more(_: int) -> None:
        number = next(moments)
        slot = at(hours=1, minutes=5 * number)
        await node.fill.prices(slot, {"bitcoin": "1", "ethereum": "2", "solana": "3"})
        await node.fill.bars(
            "bitcoin", at(hours=-4), [flat(str(number))] * 4, at(hours=1, minutes=5 * number, seconds=30)
        )
        node.clock.set(at(hours=1, minutes=5 * number + 1))

    for path, limit in ((COVERAGE, 3), (GAPS, 2)):
        whole = (await node.get(path, **query))["data"]
        pages = await follow(node, path, limit, more, **query)
        assert [row for page in pages for row in page] == whole, path
        assert all(len(page) == limit for page in pages[:-1])
        assert len(pages) > 2


async def test_a_cursor_belongs_to_its_question_and_cannot_be_changed(node: Running):
    await an_hour(node)
    cursor = (await node.get(GAPS, limit=2))["meta"]["cursor"]
    assert (await node.get(GAPS, limit=5, cursor=cursor))["data"]
    wrong = [
        (COVERAGE, cursor, {}),
        (GAPS, cursor, {"symbol": "BTC"}),
        (GAPS, cursor, {"as_of": "2026-11-23T00:30:00Z"}),
        (GAPS, cursor[:-2], {}),
        (GAPS, cursor + "A", {}),
        (GAPS, "", {}),
        (GAPS, "AAAA", {}),
        (GAPS, "é" * 40, {}),
        *(
            (GAPS, cursor[:i] + ("A" if cursor[i] != "A" else "B") + cursor[i + 1 :], {})
            for i in range(0, len(cursor), 7)
        ),
    ]
    for path, sent, query in wrong:
        error = (await node.get(path, 400, cursor=sent, limit=2, **query))["error"]
        assert error["code"] == "CURSOR_INVALID", (path, sent, query)


async def test_a_cursor_is_good_on_every_replica(node: Running, start: Any):
    await an_hour(node)
    first = await node.get(GAPS, limit=2)
    other = await start()
    other.clock.set(at(hours=1, minutes=1))
    body = await other.get(GAPS, limit=100, cursor=first["meta"]["cursor"])
    assert first["data"] + body["data"] == (await node.get(GAPS))["data"]


async def test_a_long_slice_accounts_for_all_of_its_intervals(node: Running):
    await node.fill.bars("bitcoin", START - 3 * DAY, [flat("1"), *[None] * 71], at(minutes=17))
    node.clock.set(at(minutes=30))
    query = {"dataset": "coingecko.bars_1h", "symbol": "BTC", "start": "2026-11-20T00:00:00Z"}
    (row,) = (await node.get(COVERAGE, **query, end="2026-11-23T00:00:00Z"))["data"]
    assert row["intervals"] == dict.fromkeys(STATES, 0) | {"collected": 1, "empty_upstream": 71}
    assert len(row["spans"]) == 2
