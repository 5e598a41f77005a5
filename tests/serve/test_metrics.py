"""What /metrics tells: all that is declared, by Prometheus' conventions, and nothing that is not known."""

import asyncio
import subprocess
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import generate_latest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from ray_app.model.clock import SystemClock
from ray_app.observe.measures import ACTORS, GATEWAY
from ray_app.observe.metrics import registry_of
from ray_app.serve.figures import drift, figures
from ray_app.store.folder import Folder
from ray_app.store.raw import RawPages
from tests.serve.conftest import Running, Start
from tests.serve.watched import everything
from tests.server_process import program


@pytest.fixture
async def node(start: Start) -> Running:
    running = await start()
    await everything(running)
    return running


async def told(node: Running) -> dict[tuple[str, ...], float]:
    """By name and the values of the labels."""
    families: Any = text_string_to_metric_families((await node.http.get("/metrics")).text)
    return {
        (s.name, *(value for _, value in sorted(s.labels.items()))): s.value
        for f in families
        for s in f.samples
    }


async def test_all_that_is_declared_is_told_and_no_more(node: Running):
    found = await told(node)
    assert {name for name, *_ in found} == {one.name for one in GATEWAY}
    assert found["crypto_data_freshness_allowed_seconds", "coingecko.prices"] == 450
    assert found["crypto_data_part_up", "scoring.articles", "false"] == 1
    assert found["crypto_data_lease_info", "tests", "tests"] == 1
    assert found["crypto_data_lease_takings_total", "tests"] == 1
    assert found["crypto_data_read_rows", "coingecko.prices"] == 3
    assert found["crypto_data_quota_month_forecast_calls", "coingecko-demo"] == 12 + round(
        12 * (189.95 / 2.05)
    )
    assert found["crypto_data_texts", "scored", "articles"] == 100  # of the last three days
    assert found["crypto_data_scores", "bullish", "articles"] == 50
    assert found["crypto_data_score_drift_ratio", "articles"] == 0
    assert found["crypto_data_feature_skew_age_seconds",] == 7_380
    assert 0 <= found["crypto_data_backup_age_seconds",] < 60
    assert 0 < found["crypto_data_raw_free_bytes",] <= found["crypto_data_raw_size_bytes",]


async def test_names_follow_the_conventions(node: Running):
    text = generate_latest(registry_of(await figures(node.node)))
    command = [program("promtool"), "check", "metrics"]
    lint = await asyncio.to_thread(subprocess.run, command, input=text, capture_output=True, timeout=30)
    assert (lint.returncode, lint.stdout + lint.stderr) == (0, b"")


async def test_a_young_node_tells_no_more_than_it_knows(start: Start):
    running = await start()
    await running.fill.declare()
    names = {name for name, *_ in await told(running)}
    unknown = {
        "freshness_seconds", "texts", "scores", "score_drift_ratio", "feature_skew",
        "backup_age_seconds", "quota_month_forecast_calls", "raw_free_bytes",
    }  # fmt: skip
    assert not names & {f"crypto_data_{one}" for one in unknown}


async def test_a_mark_that_cannot_be_read_hides_nothing_else(start: Start, tmp_path: Path):
    running = await start()
    await running.fill.declare()
    (tmp_path / "raw" / "backed-up").mkdir(parents=True)
    names = {name for name, *_ in await told(running)}
    assert "crypto_data_backup_age_seconds" not in names
    assert {"crypto_data_series", "crypto_data_raw_free_bytes"} <= names


def test_labels_have_few_values():
    """A coin, a key, a client or a path as a label would be a series for each of them: think before this grows."""
    assert {label for one in (*GATEWAY, *ACTORS) for label in one.labels} == {
        "dataset", "label", "outcome", "owner", "part", "reaction", "release", "required", "route", "scope", "shard",
        "source", "state", "status", "texts",
    }  # fmt: skip
    assert all(one.bound for one in (*GATEWAY, *ACTORS))


async def test_events_that_wait_are_counted(node: Running):
    waiting = (await told(node))["crypto_data_outbox_waiting_rows",]
    assert waiting == await node.store.outbox.count_waiting() > 0
    await node.store.outbox.number(node.fill.lease)
    assert (await told(node))["crypto_data_outbox_waiting_rows",] == 0


def test_drift_is_the_part_that_changed_its_label():
    before = {"bullish": 200, "neutral": 200}
    assert drift({"bullish": 50, "neutral": 50}, before) == 0
    assert drift({"bullish": 75, "neutral": 25}, before) == 0.25
    assert drift({"bearish": 100}, before) == 1
    assert drift({"bullish": 99}, before) is None
    assert drift({"bullish": 100}, {}) is None


async def test_a_replica_is_told_of_each_answer(start: Start):
    counted: list[tuple[str, int]] = []
    running = await start(counted=lambda route, status, seconds: counted.append((route, status)))
    await running.fill.declare()
    await running.get("/api/v1/prices/current/NOSUCH", 404)
    await running.get("/nothing", 404)
    await running.get("/health")
    assert counted == [("/api/v1/prices/current/{symbol}", 404), ("none", 404), ("/health", 200)]


@pytest.mark.parametrize("scheme", ["", "memory://"])
async def test_a_backup_leaves_its_mark(scheme: str, tmp_path: Path):
    folder = Folder(RawPages(f"{scheme}{tmp_path}/raw").files)
    assert await folder.backed_up() is None
    now = SystemClock().now().replace(microsecond=0)
    for at in (now - timedelta(days=1), now):
        await folder.mark_backup(at)
        assert await folder.backed_up() == at
    assert (await folder.space() is None) == bool(scheme)
    if not scheme:
        (tmp_path / "raw" / "backed-up").write_text("yesterday")
        assert await folder.backed_up() is None
