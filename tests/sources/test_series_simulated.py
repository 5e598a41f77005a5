"""Macro, on-chain and mood sources against their simulated upstreams: whole answers, and spoilt ones."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest

from ray_app.collect.collector import collect
from ray_app.collect.planner import on_offer, plan
from ray_app.model.errors import Malformed, Transient
from ray_app.model.source import Slice, Source, Stream
from ray_app.model.symbols import load_registry
from ray_app.simulator.config import SimulatorConfig
from ray_app.simulator.server import running
from ray_app.sources import alternative, blockchain, coinmetrics, defillama, etherscan, fred, mempool
from tests.connect.conftest import START, Asking, Simulated, asking

__all__ = ["asking"]
MODULES = (alternative, blockchain, coinmetrics, defillama, etherscan, fred, mempool)
STREAMS = [(module.SOURCE, stream) for module in MODULES for stream in module.SOURCE.plans[0].streams]
each_stream = pytest.mark.parametrize(
    ("source", "stream"), STREAMS, ids=[f"{source.name}.{stream.name}" for source, stream in STREAMS]
)
BY_VINTAGE = {"macro", "macro_daily"}  # they tell something on the days on which something was released
LATE = {"NASDAQCOM", "VIXCLS"}  # Friday's close is told on Monday afternoon
SOME = {"GDP", "ICSA", "DGS10", "btc.TxCnt", "eth.SplyCur", "all.tvl", "solana.tvl"}
SPOILT: list[tuple[str, dict[str, Any]]] = [
    ("F12", {"kind": "null"}), ("F12", {"kind": "missing"}), ("F13", {"kind": "shuffled"}),
    ("F24", {"kind": "strings"}), ("F25", {"kind": "seconds"}), ("F25", {"kind": "microseconds"}),
]  # fmt: skip
Told = dict[tuple[str, datetime | str, int | None], dict[str, Any]]


@pytest.fixture(scope="module")
def simulated() -> Iterator[Simulated]:
    config = SimulatorConfig(start=START, frozen=True, limits=False)
    with running(config) as base, httpx.Client(base_url=base, timeout=10) as admin:
        yield Simulated(base, admin)


def asks(made: Any, simulated: Simulated, source: Source, stream: Stream) -> Asking:
    tier = source.plans[0]
    key = "sim-key" if tier.auth else None
    base = simulated.base
    it: Asking = made(base + tier.simulated_at, source=source, plan=tier, stream=stream, key=key, attempts=1)
    return it


def slices(stream: Stream, days: int) -> list[Slice]:
    over = on_offer(stream, START, timedelta(days=days))
    assert over is not None
    partitions = stream.partitions(load_registry())
    few = tuple(name for name in partitions if name in SOME) or partitions
    return list(plan(stream, few, over, {}))


@each_stream
async def test_every_interval_that_is_due_is_told(
    source: Source, stream: Stream, simulated: Simulated, asking: Any
):
    simulated.heal()
    it = asks(asking, simulated, source, stream)
    for wanted in slices(stream, 5):
        collected = await collect(source, stream, wanted, it.api)
        assert collected.set_aside == ()
        records = [record for record, _ in collected.records]
        assert {type(record) for record in records} <= {stream.record}
        assert all(record.cursor <= record.known_at for record in records)
        if stream.name in BY_VINTAGE:
            assert all(record.cursor in wanted.range for record in records)
            continue
        due = [part.start for part in wanted.range.split(stream.grain)]
        if stream.name == "market_closes":
            due = [day for day in due if day.weekday() < 5]
        for partition in wanted.partitions:
            have = sorted(r.cursor for r in records if r.partition == partition)
            late = 1 if partition in LATE else 0
            assert have == due[: len(due) - late]
    assert {page.status for page in it.kept} == {200}


@each_stream
async def test_a_spoilt_answer_yields_right_records_or_none(
    source: Source, stream: Stream, simulated: Simulated, asking: Any
):
    """Dropped, doubled, renamed, told in other units: no record has another value than in the right answer."""
    it = asks(asking, simulated, source, stream)
    wanted = slices(stream, 5)[0]

    async def told() -> Told:
        collected = await collect(source, stream, wanted, it.api)
        return {(r.partition, r.key, r.number): r.model_dump() for r, _ in collected.records}

    simulated.heal()
    right = await told()
    assert right
    for fault, parameters in SPOILT:
        simulated.heal()
        simulated.fault(fault, **parameters)
        try:
            spoilt = await told()
        except (Malformed, Transient):
            continue
        assert {place: right.get(place) for place in spoilt} == spoilt, (fault, parameters)
        assert spoilt == right or fault != "F13"  # in another order it is the same answer
