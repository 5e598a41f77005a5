"""A drill with real servers: what the dashboards ask for is there, and a broken collector is told to somebody."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from ray_app.monitoring.alerts import ALERTS
from ray_app.monitoring.boards import BOARDS
from tests.monitoring.names import metrics_in
from tests.serve.conftest import Running, Start, at
from tests.serve.watched import EXAMPLES, Beside, Watched, everything, report, served

WITHIN = 60.0  # seconds; it takes some ten


async def until(done: Callable[[], Awaitable[bool]]) -> None:
    """Wait for it; whoever asks afterwards says what is missing."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + WITHIN
    while not await done() and loop.time() < deadline:  # noqa: ASYNC110  # it happens in other processes
        await asyncio.sleep(0.1)


@pytest.mark.slow
async def test_a_broken_collector_reaches_somebody_and_no_panel_is_empty(start: Start, tmp_path: Path):
    node: Running = await start()
    await everything(node)
    beside = Beside()
    async with (
        served(node.app) as gateway,
        served(beside.app) as other,
        Watched(tmp_path, node.key, gateway, other) as watched,
    ):
        asked = {
            (board.name, panel.title, query.expr)
            for board in BOARDS for panel in board.panels for query in panel.queries
        }  # fmt: skip

        async def all_there() -> bool:
            # What counts must have been seen twice, with something between.
            beside.later = beside.later or bool(await watched.query("count(ray_crypto_data_requests_total)"))
            asked.difference_update([one for one in asked if await watched.query(one[2])])
            return not asked

        await until(all_there)
        assert asked == set(), "these give no data"
        names = {name for alert in ALERTS for name in metrics_in(alert.expr)}
        assert {name for name in names if not await watched.query(f"count({name})")} == set()
        broken = {("DatasetStale", "coingecko.prices"), ("CollectorDead", "coingecko.prices")}
        assert not broken & await watched.firing()

        node.clock.set(at(hours=2, minutes=20))  # its upstream hangs: nothing new for a quarter of an hour

        async def told(name: str) -> bool:
            wanted = ("night", name, "coingecko.prices")
            return wanted in {
                (who, one["labels"]["alertname"], one["labels"].get("dataset")) for who, one in beside.told
            }

        await until(lambda: told("DatasetStale"))
        assert await told("DatasetStale"), beside.told
        assert not await told("CollectorDead")
        await report(node, "prices", next_run=at(hours=2, minutes=5))  # and its collector misses its run
        await until(lambda: told("CollectorDead"))
        assert await told("CollectorDead"), beside.told
    for _, alert in beside.told:
        page = EXAMPLES.parents[1] / alert["annotations"]["runbook_url"]
        assert page.is_file(), page
