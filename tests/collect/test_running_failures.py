import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest

from ray_app.collect.planner import on_offer
from ray_app.model.collected import Collected
from ray_app.model.errors import Fenced, StoreUnavailable, WrongStore
from ray_app.model.quota import Priority
from ray_app.model.source import Page
from ray_app.model.timerange import TimeRange, floor
from ray_app.sources.coingecko import BARS, PRICES
from tests.collect.conftest import Collect, run, state
from tests.connect.conftest import START, Simulated
from tests.servers import MariaDB

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
SLOT = 5 * MINUTE


async def test_a_refusal_stops_the_stream_for_an_hour(simulated: Simulated, collecting: Collect):
    """The key is wrong: eight slices are due, and no more are sent than were on their way."""
    simulated.fault("F08", code=10002)
    it = await collecting(simulated, ["bitcoin", "ethereum"], BARS, reach=100 * DAY)
    assert await it.running.cycle() is True
    assert it.running.status.state == "refused"
    sent = len(it.requests())
    assert 1 <= sent <= 4
    reasons = {reason for _, outcome, reason in await it.tried("bitcoin") if outcome == "failed"}
    assert len(reasons) == 1
    assert reasons.pop().startswith("Refused: HTTP 401: API Key Missing")
    simulated.heal()

    it = await collecting(simulated, ["bitcoin", "ethereum"], BARS, reach=100 * DAY)
    simulated.fault("F08", code=10002)
    before, started = len(it.requests()), it.clock.now()
    await run(it, 2)  # at the beginning and at the end of the first cycle
    status = it.books.reports[1]
    assert status.state == "refused"
    assert status.next_run is not None
    assert HOUR <= status.next_run - started < HOUR + MINUTE
    sent_at = [request["at_ms"] for request in it.requests()[before:]]
    first_hour = [at for at in sent_at if at < (started + HOUR).timestamp() * 1000]
    assert 1 <= len(first_hour) <= 4


async def test_after_a_refusal_one_answer_is_enough_to_go_on(simulated: Simulated, collecting: Collect):
    simulated.fault("F22", count=1)  # a 401 that a second try does not get
    it = await collecting(simulated, ["bitcoin"])
    assert await it.running.cycle() is True
    assert it.running.status.state == "refused"
    it.running.status.state = "collecting"  # as `run` says an hour later
    assert await it.running.cycle() is False
    assert len(await it.facts()) == 1


async def test_what_fails_is_tried_again_later_and_later_as_healing(
    simulated: Simulated, collecting: Collect
):
    simulated.fault("F10", status=503)
    it = await collecting(simulated, ["bitcoin"], BARS, reach=3 * HOUR)
    await run(it, 8)
    statuses = [report for report in it.books.reports if report.state == "waiting"]
    waits = [
        status.next_run - status.last_error_at
        for status in statuses
        if status.next_run is not None and status.last_error_at is not None
    ]
    seconds = [round(wait.total_seconds()) for wait in waits[:3]]
    assert seconds == [30, 60, 120]
    assert it.turns.asked[:3] == [Priority.LIVE, Priority.HEAL, Priority.HEAL]
    assert {reason for _, _, reason in await it.tried("bitcoin")} == {
        "Transient: HTTP 503: Service Temporarily Unavailable"
    }
    simulated.heal()
    assert await it.running.cycle() is False
    offered = on_offer(it.running.stream, it.clock.now(), 3 * HOUR)
    assert offered is not None
    assert {fact.cursor for fact in await it.facts()} >= {
        offered.start + n * HOUR for n in range(offered.length // HOUR)
    }


@pytest.mark.parametrize(
    ("fault", "parameters"),
    [("F11", {"kind": "empty"}), ("F11", {"kind": "truncated"}), ("F24", {"kind": "missing"})],
)
async def test_an_answer_that_cannot_be_read_leaves_the_slice_open(
    simulated: Simulated, collecting: Collect, fault: str, parameters: dict[str, Any]
):
    simulated.fault(fault, **parameters)
    it = await collecting(simulated, ["bitcoin"], PRICES)
    assert await it.running.cycle() is True
    slot = TimeRange(floor(START, SLOT), floor(START, SLOT) + SLOT)
    ((over, outcome, reason),) = await it.tried("bitcoin")
    assert (over, outcome) == (slot, "failed")
    assert reason.startswith("Malformed: ")
    assert await it.store.ledger.coverage(it.running.name, slot) == {}
    assert await it.facts() == []
    assert len(list(it.store.raw.pages())) == 1  # and the answer is kept as evidence
    simulated.heal()
    assert await it.running.cycle() is False
    assert [fact.cursor for fact in await it.facts()] == [slot.start]
    assert await state(it, "bitcoin", slot.start) == "collected"


@pytest.mark.slow
async def test_while_the_store_is_away_the_answer_is_kept_in_hand(
    simulated: Simulated, collecting: Collect, mariadb: MariaDB, fresh_mariadb_database: str
):
    """MariaDB stops between the answer and its commit: nothing is lost and nothing is asked for twice."""
    it = await collecting(simulated, ["bitcoin", "ethereum"], database=fresh_mariadb_database)
    tries: list[datetime] = []

    async def stop_once(_: Sequence[Collected]) -> None:
        tries.append(it.clock.now())
        if len(tries) == 1:
            await asyncio.to_thread(mariadb.stop)
        if len(tries) == 3:
            await asyncio.to_thread(mariadb.start)

    it.books.before = stop_once
    try:
        assert await it.running.cycle() is False
    finally:
        mariadb.start()
    assert len(tries) == 3
    assert it.running.status.errors == {"StoreUnavailable": 2}
    assert len(it.requests()) == 1
    facts = await it.facts()
    assert [fact.partition for fact in facts] == ["bitcoin", "ethereum"]
    await it.running.cycle()
    assert len(it.requests()) == 1
    assert await it.store.database.is_simulated()


async def test_a_page_that_cannot_be_kept_does_not_count(simulated: Simulated, collecting: Collect):
    full: list[str] = []

    async def keep(page: Page) -> None:
        if "bitcoin" in page.path and not full:
            full.append(page.path)
            raise StoreUnavailable("disk full")

    it = await collecting(simulated, ["bitcoin", "ethereum"], BARS, reach=3 * HOUR, keep=keep)
    assert await it.running.cycle() is True
    assert {fact.partition for fact in await it.facts()} == {"ethereum"}
    assert it.running.status.last_error == "disk full"
    assert await it.running.cycle() is False
    assert {fact.partition for fact in await it.facts()} == {"bitcoin", "ethereum"}


@pytest.mark.parametrize("error", [Fenced("somebody else"), WrongStore("other data")])
async def test_what_must_stop_the_stream_stops_it_as_itself(
    simulated: Simulated, collecting: Collect, error: Exception
):
    """Not as a group, which no `except Fenced` would catch; and nothing more is asked for."""
    it = await collecting(simulated, ["bitcoin", "ethereum"], BARS, reach=100 * DAY)

    async def lost(_: Sequence[Collected]) -> None:
        raise error

    it.books.before = lost
    with pytest.raises(type(error), match=str(error)):
        await asyncio.wait_for(it.running.run(), 20)
    assert len(it.requests()) <= 4
    assert await it.facts() == []


async def test_a_lease_that_was_lost_commits_nothing(simulated: Simulated, collecting: Collect):
    it = await collecting(simulated, ["bitcoin"])
    await it.store.leases.release(it.books.lease)
    await it.store.leases.acquire("shard", "heir")
    with pytest.raises(Fenced, match="heir now holds 2"):
        await it.running.cycle()
    assert await it.facts() == []


async def test_a_store_that_is_away_at_the_start_of_a_cycle_is_waited_for(
    simulated: Simulated, collecting: Collect
):
    it = await collecting(simulated, ["bitcoin"])
    calls: list[int] = []
    coverage = it.books.coverage

    class Away(type(it.books)):  # type: ignore[misc]  # a dataclass made on the spot
        async def coverage(self, stream: str, over: TimeRange) -> Any:
            calls.append(1)
            if len(calls) < 3:
                raise StoreUnavailable("down")
            return await coverage(stream, over)

    it.running.books = Away(it.books.store, it.books.lease, it.books.reports)
    await run(it, 5)
    assert it.running.status.errors["StoreUnavailable"] == 2
    assert len(await it.facts()) >= 1
