"""A backfill job killed in the middle goes on where it stopped: nothing twice, nothing missing, nothing asked again."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from ray_app.app import open_with
from ray_app.model.clock import SystemClock
from ray_app.model.records import Bar
from ray_app.settings import Settings

REPO = Path(__file__).parents[2]
ASK = (
    "coingecko.bars_1h",
    "--partitions",
    "BTC,ETH",
    "--start",
    "2022-01-01",
    "--end",
    "2024-01-01",
    "--id",
    "two-years",
)
HOURS = 2 * 730 * 24
WALL = SystemClock()


def command(settings: Settings) -> tuple[list[str], dict[str, str]]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("CRYPTO_DATA_")} | {
        "CRYPTO_DATA_DATA_DIR": str(settings.data_dir),
        "CRYPTO_DATA_UPSTREAMS": settings.upstreams,
        "CRYPTO_DATA_COINGECKO_PLAN": "paid",
    }
    return [sys.executable, "-m", "ray_app.cli", "backfill", *ASK], environment


@pytest.mark.slow
async def test_a_killed_job_goes_on_where_it_stopped(simulate: Any, settings_for: Callable[..., Settings]):
    address = simulate("--plan", "paid")
    settings = settings_for(address)
    node = await open_with(settings)
    await node.store.database.prepare(simulated=True)
    arguments, environment = command(settings)
    try:
        first = subprocess.Popen(arguments, cwd=REPO, env=environment, stdout=subprocess.DEVNULL)  # noqa: ASYNC220
        while await node.store.reading.count(Bar, "coingecko.bars_1h") < 5_000:
            assert first.poll() is None, "it ended before it could be killed"
            await WALL.sleep(0.05)
        first.send_signal(signal.SIGKILL)
        first.wait()
        before = await node.store.reading.count(Bar, "coingecko.bars_1h")
        assert before < HOURS
        row = await node.store.catalog.backfill("two-years")
        assert row is not None
        assert row["state"] == "running", "the killed job left its last progress behind"

        # The dead job's lease runs out by itself; until then the name is taken and says so.
        taken = await asyncio.to_thread(
            subprocess.run, arguments, cwd=REPO, env=environment, capture_output=True, text=True, check=False
        )
        assert taken.returncode == 2
        assert "two-years is running elsewhere" in taken.stderr
        while True:
            second = await asyncio.to_thread(
                subprocess.run,
                arguments,
                cwd=REPO,
                env=environment,
                capture_output=True,
                text=True,
                check=False,
            )
            if "is running elsewhere" not in second.stderr:
                break
            await WALL.sleep(1)
        assert second.returncode == 0, second.stderr
        receipt = json.loads(second.stdout)
        assert receipt["verified"] == {"collected": HOURS}
        assert (receipt["revised"], receipt["failed"], receipt["lost"]) == (0, 0, [])
        assert receipt["new"] + before == HOURS, "the second run adds exactly what was missing"
        assert await node.store.reading.count(Bar, "coingecko.bars_1h") == HOURS
        async with httpx.AsyncClient(base_url=address) as http:
            asked = (await http.get("/sim/ledger?path=*/ohlc/range")).json()["arrivals"]
        assert len(asked) <= 2 * 24 + 8, "only what was under way when it was killed may be asked again"
    finally:
        await node.close()


async def test_a_name_belongs_to_one_request(simulate: Any, settings_for: Callable[..., Settings]):
    from ray_app.runtime.jobs import backfill_job, request_of

    node = await open_with(settings_for(simulate("--no-limits")))
    await node.store.database.prepare(simulated=True)
    try:
        from ray_app.cli import moment

        start, end = moment("2026-01-01"), moment("2026-01-08")
        one = request_of(node, "coingecko.bars_1h", "BTC", start, end, None)
        await backfill_job(node, one, "mine", near=True, show=False)
        other = request_of(node, "coingecko.bars_1h", "ETH", start, end, None)
        with pytest.raises(ValueError, match="job 'mine' exists with another request"):
            await backfill_job(node, other, "mine", near=True, show=False)
        rates = request_of(node, "coingecko.exchange_rates", "eur", start, end, None)
        receipt = await backfill_job(node, rates, None, near=True, show=False)
        assert receipt["verified"] == {"lost": 7 * 24}
        assert "tells only the present" in receipt["note"]
    finally:
        await node.close()
