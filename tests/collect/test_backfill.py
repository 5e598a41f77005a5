from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from ray_app.collect.backfill import Backfill, Receipt, Request
from ray_app.collect.filling import Apis, Asking
from ray_app.collect.heal import repairs
from ray_app.collect.planner import Lives, living
from ray_app.collect.proof import prove
from ray_app.connect.api import HttpApi
from ray_app.model.errors import Refused, StoreUnavailable
from ray_app.model.quota import Priority
from ray_app.model.source import Page, Stream
from ray_app.model.symbols import load_registry
from ray_app.model.timerange import Coverage, TimeRange, floor
from ray_app.sources.coingecko import BARS, BARS_OF_HALVES, CHART, PRICES, SOURCE
from tests.collect.conftest import Collect, Collecting
from tests.collect.small import RATES, T0, Small, hours
from tests.collect.small import collecting as small
from tests.connect.conftest import START, Simulated
from tests.connect.served import told as told_by

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
END = floor(START - DAY, DAY)
RANGE = TimeRange(END - 70 * DAY, END)


def backfill(it: Collecting, *coins: str, over: TimeRange = RANGE, told: list[Any] | None = None) -> Backfill:
    async def progress(done: int, total: int, _: Receipt) -> None:
        if told is not None:
            told.append((done, total))

    stream = it.running.stream
    return Backfill(
        source=SOURCE, stream=stream, request=Request(it.running.name, coins, over), books=it.books,
        api=it.running.api, clock=it.clock, progress=progress,
    )  # fmt: skip


async def test_a_range_is_covered_and_the_receipt_counts_what_is_there(
    simulated: Simulated, collecting: Collect
):
    it = await collecting(simulated, ["bitcoin", "ethereum"], BARS)
    told: list[tuple[int, int]] = []
    receipt = await backfill(it, "bitcoin", "ethereum", told=told).run()
    hours = 70 * 24
    assert receipt.verified == {"collected": 2 * hours}
    assert (receipt.requested, receipt.new, receipt.records) == (2 * hours, 2 * hours, 2 * hours)
    assert (receipt.revised, receipt.unchanged, receipt.set_aside, receipt.failed) == (0, 0, 0, 0)
    assert (receipt.slices, receipt.fetched, receipt.lost) == (6, 6, [])
    assert sorted(told) == [(n, 6) for n in range(1, 7)]
    assert set(it.turns.asked) == {Priority.BACKFILL}
    truth = {
        datetime.fromisoformat(bar["start"]): Decimal(bar["close"])
        for bar in simulated.truth("bitcoin", RANGE.start, RANGE.end)
    }
    facts = await it.store.reading.between(BARS.record, it.running.name, ["bitcoin"], RANGE)
    assert {fact.cursor: fact.values["close"] for fact in facts} == truth

    again = await backfill(it, "bitcoin", "ethereum").run()
    assert (again.slices, again.new, again.verified) == (0, 0, {"collected": 2 * hours})
    assert len(it.requests()) == 6


async def test_what_was_stopped_goes_on_with_what_is_missing(simulated: Simulated, collecting: Collect):
    it = await collecting(simulated, ["bitcoin"], BARS)
    part = TimeRange(RANGE.start + 20 * DAY, RANGE.start + 30 * DAY)
    await backfill(it, "bitcoin", over=part).run()
    receipt = await backfill(it, "bitcoin").run()
    assert receipt.verified == {"collected": 70 * 24}
    assert receipt.new == 60 * 24
    assert receipt.new + receipt.unchanged == receipt.records


async def test_what_cannot_be_had_is_named_with_its_reason(simulated: Simulated, collecting: Collect):
    it = await collecting(simulated, ["bitcoin", "delisted"], BARS)
    receipt = await backfill(it, "bitcoin", "delisted").run()
    hours = 70 * 24
    assert receipt.verified == {"collected": hours, "empty_upstream": hours}
    assert [(row["partition"], row["state"], row["reason"]) for row in receipt.lost] == [
        ("delisted", "empty_upstream", "NotOffered: HTTP 404: coin not found")
    ]
    assert receipt.as_json()["requested"] == 2 * hours


async def test_what_passes_is_tried_again_and_what_does_not_is_given_up(
    simulated: Simulated, collecting: Collect
):
    it = await collecting(simulated, ["bitcoin"], BARS)
    simulated.fault("F10", status=503, count=2)
    receipt = await backfill(it, "bitcoin").run()
    assert receipt.verified == {"collected": 70 * 24}
    assert receipt.failed == 2

    simulated.fault("F10", status=503)
    receipt = await backfill(it, "bitcoin", over=TimeRange(RANGE.start - 10 * DAY, RANGE.start)).run()
    assert receipt.verified == {"failed": 240}
    assert receipt.lost[0]["reason"] == "Transient: HTTP 503: Service Temporarily Unavailable"
    assert receipt.failed == 3


async def test_a_refusal_ends_the_job_as_itself(simulated: Simulated, collecting: Collect):
    simulated.fault("F08", code=10005)
    it = await collecting(simulated, ["bitcoin"], BARS)
    with pytest.raises(Refused, match="HTTP 401"):
        await backfill(it, "bitcoin").run()


async def test_where_only_the_present_is_told_nothing_is_asked(simulated: Simulated, collecting: Collect):
    it = await collecting(simulated, ["bitcoin"], PRICES)
    receipt = await backfill(it, "bitcoin", over=TimeRange(END - HOUR, END)).run()
    assert receipt.verified == {"lost": 12}
    assert receipt.note == "this upstream tells only the present: nothing can be fetched for the past"
    assert it.requests() == []


async def test_what_is_older_than_the_history_on_offer_is_lost(simulated: Simulated, collecting: Collect):
    it = await collecting(simulated, ["bitcoin"], replace(BARS, offers=END - DAY))
    receipt = await backfill(it, "bitcoin", over=TimeRange(END - 2 * DAY, END)).run()
    assert receipt.verified == {"collected": 24, "lost": 24}
    assert receipt.lost[0]["reason"] == "older than what the upstream still offers"


def test_repairs_begin_with_what_runs_out_first():
    now = START
    streams: list[tuple[Stream, tuple[str, ...], Lives]] = [
        (replace(CHART, longest_slice=DAY), ("bitcoin",), {}),
        (replace(BARS_OF_HALVES, longest_slice=6 * HOUR), ("bitcoin",), {}),
        (PRICES, ("bitcoin",), {}),
    ]
    found = repairs(streams, {"bars_1h": {}, "chart": {}}, now, 3 * DAY)
    assert {one.stream.name for one in found} == {"bars_1h", "chart"}  # the past of prices cannot be had
    rolling = [one for one in found if one.deadline is not None]
    assert found[: len(rolling)] == rolling
    assert [one.deadline for one in rolling] == sorted(one.deadline for one in rolling if one.deadline)
    assert rolling[0].deadline == rolling[0].slice.range.start + timedelta(hours=23)
    rest = [one.slice.range.end for one in found[len(rolling) :]]
    assert rest == sorted(rest, reverse=True)  # newest first
    offered = rolling[0].slice.range.start, rolling[-1].slice.range.end
    done = {"bars_1h": {"bitcoin": Coverage.of([TimeRange(*offered)])}, "chart": {}}
    assert {one.stream.name for one in repairs(streams, done, now, 3 * DAY)} == {"chart"}


@pytest.mark.parametrize("name", ["keyless", "demo", "paid"])
def test_the_shipped_plans_fit_what_their_tier_allows(name: str):
    tier = SOURCE.plan(name)
    registry = load_registry()
    proof = prove(SOURCE, tier, {s.name: living(s, registry, START) for s in tier.streams})
    assert proof.refusals == ()
    allowed = min(proof.per_month or proof.most_in_month, proof.most_in_month)
    assert proof.total == sum(line.base * line.attempts for line in proof.lines) + proof.reserve <= allowed
    prices = next(line for line in proof.lines if line.stream == "prices")
    slots = timedelta(days=31) // prices.every
    assert prices.base == slots * -(-prices.partitions // 250)
    assert proof.live_per_day == pytest.approx(sum(line.worst for line in proof.lines) / 31)


def test_a_schedule_that_does_not_fit_is_refused_with_its_sum():
    tier = SOURCE.plan("demo")
    coins = [f"coin-{n}" for n in range(1000)]
    asked = {"prices": coins, "exchange_rates": ["usd"], "bars_1h": coins[:1]}
    tier = replace(tier, streams=tuple(s for s in tier.streams if s.name in asked))
    proof = prove(SOURCE, tier, asked)
    (text,) = proof.refusals
    # 31 days of quarters: 2,976, four calls each, two attempts; rates hourly: 744; candles every 22 hours: 34
    worst = 2_976 * 4 * 2 + 744 + 34
    assert f"{worst:,} calls at worst + 400 kept for repairs = {worst + 400:,}, more than 10,000" in text
    assert "prices: 11,904 calls x 2 attempts for 1000 partitions every 0:15:00" in text
    slow = replace(tier, quota=replace(tier.quota, calls=1, per=timedelta(hours=1), per_month=None))
    refused = prove(SOURCE, slow, asked).refusals
    assert "allow in 31 days" in refused[0]


def small_backfill(it: Small, api: Apis | None = None, over: TimeRange | None = None) -> Backfill:
    async def progress(*_: Any) -> None: ...

    running = it.running
    request = Request(running.name, ("a",), over or hours(0, 8))
    return Backfill(
        source=running.source, stream=running.stream, request=request, books=it.books, api=api or running.api,
        clock=it.clock, progress=progress,
    )  # fmt: skip


async def test_what_could_not_be_read_is_asked_for_whole_again(tmp_path: Path, prepared_sqlite: Path):
    stream = replace(RATES, conditional=True, longest_slice=8 * HOUR)
    async with small(tmp_path, prepared_sqlite, stream, now=T0 + 9 * HOUR) as it:
        unreadable = [told_by(b'{"no": "list"}', etag='"1"'), told_by(b'[{"of": "a"}]', etag='"2"')]

        def answer() -> bytes:
            if unreadable:
                return unreadable.pop()
            del it.upstream.answers["a"]
            return told_by(b'[{"of": "a", "at": "2026-06-01T05:00:00+00:00", "rate": "2"}]', etag='"3"')

        it.upstream.answers["a"] = answer
        receipt = await small_backfill(it).run()
        assert (receipt.slices, receipt.failed, receipt.fetched) == (3, 2, 1)
        assert [seen.headers.get("if-none-match") for seen in it.server.seen] == [None, None, None]
        assert await it.values() == {T0 + 5 * HOUR: "2"}


async def test_a_page_that_cannot_be_kept_fails_its_slice_and_not_the_job(
    tmp_path: Path, prepared_sqlite: Path
):
    async with small(tmp_path, prepared_sqlite, replace(RATES, longest_slice=HOUR), now=T0 + 9 * HOUR) as it:
        it.upstream.put("a", hours(0, 8))
        full = [T0 + 2 * HOUR, T0 + 5 * HOUR]

        async def keep(page: Page) -> None:
            if (start := datetime.fromisoformat(page.params["start"])) in full:
                full.remove(start)
                raise StoreUnavailable("no space left on device")
            await it.store.raw.keep(page)

        def api(stream: Stream, priority: Priority, before: datetime | None) -> Asking:
            made = it.running.api(stream, priority, before)
            assert isinstance(made, HttpApi)
            return replace(made, keep=keep)

        receipt = await small_backfill(it, api).run()
        assert (receipt.failed, receipt.fetched, receipt.new) == (2, 8, 8)
        assert receipt.verified == {"collected": 8}
        again = [("a", hours(2, 3)), ("a", hours(5, 6))]
        assert sorted(it.asked()[8:], key=lambda one: one[1].start) == again
