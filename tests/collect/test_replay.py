"""The facts can be made again from the raw pages, equal in every row."""

import json
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from pathlib import Path

import pytest

from ray_app.collect.replay import replay
from ray_app.model.collected import Collected, Lease
from ray_app.model.errors import StoreUnavailable
from ray_app.sources import all_sources
from ray_app.sources.coingecko import BARS, PRICES
from ray_app.store.compare import compare
from ray_app.store.facts import Committed
from ray_app.store.store import Store
from tests.collect.conftest import Collect, Collecting
from tests.connect.conftest import START, Simulate

HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
SOURCES = list(all_sources().values())


class Writes:
    def __init__(self, store: Store, lease: Lease) -> None:
        self.store, self.lease = store, lease

    async def commit(self, collected: Sequence[Collected]) -> Committed:
        return await self.store.facts.commit(collected, self.lease)


@pytest.fixture
async def again(tmp_path: Path) -> AsyncIterator[Writes]:
    """An empty store to make everything again in."""
    store = Store(f"sqlite+aiosqlite:///{tmp_path}/again.db", str(tmp_path / "unused"))
    await store.database.prepare(simulated=True)
    yield Writes(store, await taken(store))
    await store.close()


@pytest.fixture
async def eventful(simulate: Simulate, collecting: Collect) -> Collecting:
    """A store in which everything has happened: facts, revisions, rows set aside, failures, late commits."""
    simulated = simulate(limits=False)
    prices = await collecting(simulated, ["bitcoin", "ethereum", "silent"], PRICES)
    bars = await collecting(simulated, ["bitcoin", "delisted"], BARS, reach=5 * HOUR, clock=prices.clock)
    bars.books.lease = prices.books.lease = await taken(bars.store)
    for fault in (("F12", {"kind": "missing"}), ("F10", {"status": 500}), ("F03", {}), ("", {})):
        simulated.heal()
        if fault[0]:
            simulated.fault(fault[0], **fault[1])
        for it in (prices, bars):
            now = it.clock.now()

            async def away(_: Sequence[Collected], it: Collecting = it, until=now + 7 * MINUTE) -> None:
                if it.clock.now() < until:
                    raise StoreUnavailable("down")

            it.books.before = away if fault[0] in ("F10", "") else None
            await it.running.cycle()
            await it.clock.sleep_until(it.next_due())
    simulated.fault("F16", share=1, age=0)  # history told anew
    await bars.store.commit([await revised(bars)], bars.books.lease)
    return bars


async def taken(store: Store) -> Lease:
    lease = await store.leases.acquire("shard", "me")
    assert lease is not None
    return lease


async def revised(bars: Collecting) -> Collected:
    from ray_app.collect.collector import collect
    from ray_app.model.quota import Priority
    from ray_app.model.source import Slice
    from ray_app.model.timerange import TimeRange, floor

    end = floor(START, HOUR)
    wanted = Slice(("bitcoin",), TimeRange(end - 3 * HOUR, end - HOUR))
    api = bars.running.api(bars.running.stream, Priority.HEAL, None)
    return await collect(bars.running.source, bars.running.stream, wanted, api)


async def test_an_empty_store_is_filled_from_the_pages_row_by_row_equal(eventful: Collecting, again: Writes):
    done = await replay(eventful.store.raw, again, SOURCES)
    assert done.problems == []
    equal, different = await compare(eventful.store.database, again.store.database)
    assert different == [], [(one.table, one.left, one.right) for one in different]
    assert min(equal[name] for name in ("prices", "bars", "slices", "set_aside", "pages")) > 0
    outcomes = {manifest["outcome"] for manifest in eventful.store.raw.manifests()}
    assert outcomes == {"covered", "failed", "not_offered", "lost", "awaited"}
    late = [m for m in eventful.store.raw.manifests() if m["received_at"] > m["first_at"]]
    assert {manifest["outcome"] for manifest in late} >= {"covered", "failed"}
    assert any(fact.revision for fact in await eventful.facts())
    assert done.manifests == equal["slices"]


async def test_a_difference_is_told(eventful: Collecting, again: Writes):
    manifests = list(eventful.store.raw.manifests())
    await replay(eventful.store.raw, again, SOURCES, known=frozenset({manifests[0]["hash"]}))
    _, different = await compare(eventful.store.database, again.store.database)
    assert {one.table for one in different} >= {"slices", "pages"}


async def test_what_is_known_is_not_done_again_and_the_rest_can_be_announced(
    eventful: Collecting, again: Writes
):
    covered = [
        m for m in eventful.store.raw.manifests() if m["stream"] == "prices" and m["outcome"] == "covered"
    ]
    known = frozenset({covered[0]["hash"]})
    only = frozenset({"coingecko.prices"})
    done = await replay(eventful.store.raw, again, SOURCES, known=known, only=only, announce=True)
    assert done.manifests == len([m for m in eventful.store.raw.manifests() if m["stream"] == "prices"]) - 1
    assert await again.store.outbox.topics() == ["prices"]
    assert await again.store.reading.count(BARS.record, "coingecko.bars_1h") == 0
    quiet = await replay(eventful.store.raw, again, SOURCES, known=frozenset())
    assert quiet.problems == []


async def test_what_cannot_be_replayed_is_named_and_the_rest_goes_on(eventful: Collecting, again: Writes):
    raw = eventful.store.raw
    folder = Path(raw.path)
    (victim,) = {
        m["pages"][0] for m in raw.manifests() if m["stream"] == "prices" and m["outcome"] == "covered"
    } & {
        next(m["pages"][0] for m in raw.manifests() if m["stream"] == "prices" and m["outcome"] == "covered")
    }
    envelope = folder / raw.page_names()[victim]
    body = json.loads(envelope.read_text())["body"]
    (folder / f"bodies/{body[:2]}/{body}.zst").write_bytes(b"rotten")
    done = await replay(raw, again, SOURCES)
    assert len(done.problems) == 1
    assert "coingecko.prices slice" in done.problems[0]
    assert "damaged" in done.problems[0]
    assert await again.store.reading.count(BARS.record, "coingecko.bars_1h") > 0
