"""The past of what is traded no more: asked for by a job against the simulator, stored, served under its coin."""

from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import httpx
import pytest

from ray_app.app import open_with
from ray_app.model.clock import SystemClock
from ray_app.model.timerange import TimeRange
from ray_app.runtime.jobs import backfill_job, request_of
from ray_app.runtime.opening import Node
from ray_app.serve.gateway import Parts, build_app
from ray_app.settings import Settings
from ray_app.simulator.config import SimulatorConfig
from ray_app.simulator.server import running
from ray_app.store.keys import SCOPES

NOW = datetime(2026, 6, 1, 10, 3, 21, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
RENAME = TimeRange(datetime(2024, 9, 9, tzinfo=UTC), datetime(2024, 9, 15, tzinfo=UTC))
LAST, FIRST = datetime(2024, 9, 10, 3, tzinfo=UTC), datetime(2024, 9, 13, 10, tzinfo=UTC)
STATES = ("collected", "empty_upstream", "late", "failed", "lost", "not_due")


@pytest.fixture(scope="module")
def upstreams() -> Iterator[str]:
    with running(SimulatorConfig(start=NOW, frozen=True, limits=False)) as base:
        yield base


@pytest.fixture
async def opened(upstreams: str, tmp_path: Path) -> AsyncIterator[Callable[..., Any]]:
    nodes: list[Node] = []

    async def open_one(sources: str) -> Node:
        values = {"data_dir": tmp_path, "upstreams": upstreams, "sources": sources, "release": "test"}
        nodes.append(await open_with(Settings.model_validate(values | {"coingecko_plan": "paid"})))
        await nodes[0].store.database.prepare(simulated=True)
        return nodes[0]

    yield open_one
    for node in nodes:
        await node.close()


async def backfill(node: Node, stream: str, names: str | None, over: TimeRange) -> dict[str, Any]:
    request = request_of(node, stream, names, over.start, over.end, None)
    return await backfill_job(node, request, None, near=True, show=False)


async def ask(node: Node, path: str, **params: str) -> dict[str, Any]:
    app = build_app(
        Parts(
            store=node.store,
            redis=None,
            registry=node.registry,
            clock=node.clock,
            simulated=True,
            release="test",
        )
    )
    key = await node.store.keys.create(path + str(params), frozenset(SCOPES), SystemClock().now())
    headers = {"Authorization": f"Bearer {key}"}
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url="http://node", headers=headers
        ) as http,
    ):
        answer = await http.get(path, params=params)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def truth(upstreams: str, symbol: str, over: TimeRange) -> dict[datetime, Decimal]:
    """The closes of the hours that the simulated venue traded in."""
    params = {"symbol": symbol, "interval": "1h", "from": over.start.isoformat(), "to": over.end.isoformat()}
    told = httpx.get(f"{upstreams}/sim/truth/binance", params=params).raise_for_status().json()
    return {datetime.fromisoformat(bar["start"]): Decimal(bar["close"]) for bar in told["bars"]}


def path_of(upstreams: str, coin: str, over: TimeRange) -> dict[datetime, Decimal]:
    """The closes of the coin's hours on the path that every simulated upstream follows."""
    params = {"coin": coin, "from": over.start.isoformat(), "to": over.end.isoformat()}
    told = httpx.get(f"{upstreams}/sim/truth", params=params).raise_for_status().json()
    return {datetime.fromisoformat(bar["start"]): Decimal(str(bar["close"])) for bar in told["bars"]}


def calls(upstreams: str, path: str) -> list[dict[str, Any]]:
    """What has arrived since the last look."""
    told = httpx.get(f"{upstreams}/sim/ledger", params={"path": path}).raise_for_status().json()["arrivals"]
    httpx.post(f"{upstreams}/sim/ledger/reset").raise_for_status()
    return [dict(parse_qsl(one["query"])) | {"path": one["path"]} for one in told]


def closes(body: dict[str, Any]) -> dict[datetime, Decimal]:
    return {datetime.fromisoformat(row["timestamp"]): Decimal(str(row["close"])) for row in body["data"]}


def span(over: TimeRange) -> dict[str, str]:
    return {"start": over.start.isoformat(), "end": over.end.isoformat()}


async def test_matic_on_binance_before_and_pol_after_the_rename(opened: Callable[..., Any], upstreams: str):
    node = await opened("binance")
    calls(upstreams, "*")
    receipt = await backfill(node, "binance.bars_1h", "MATIC", RENAME)

    asked = calls(upstreams, "*/klines")
    begun = {one["symbol"]: int(one["startTime"]) // 1000 for one in asked}
    ended = {one["symbol"]: (int(one["endTime"]) + 1) // 1000 for one in asked}
    assert begun == {"MATICUSDT": RENAME.start.timestamp(), "POLUSDT": FIRST.timestamp()}
    assert ended == {"MATICUSDT": LAST.timestamp(), "POLUSDT": RENAME.end.timestamp()}
    old = truth(upstreams, "MATICUSDT", RENAME)
    new = truth(upstreams, "POLUSDT", RENAME)
    assert max(old) == LAST - HOUR
    assert min(new) == FIRST
    traded = (LAST - RENAME.start + (RENAME.end - FIRST)) // HOUR
    assert len(old) + len(new) == receipt["new"] == traded, "no standstill in these days"
    assert receipt["requested"] == 2 * (RENAME.length // HOUR)
    assert receipt["verified"] == {"collected": traded, "not_due": receipt["requested"] - traded}
    assert {one["reason"] for one in receipt["lost"]} == {"outside of the life of this series"}

    by_old_name = await ask(node, "/api/v1/prices/historical/MATIC", venue="binance", **span(RENAME))
    by_new_name = await ask(node, "/api/v1/prices/historical/POL", venue="binance", **span(RENAME))
    assert by_old_name["data"] == by_new_name["data"]
    assert closes(by_new_name) == old | new
    meta = by_new_name["meta"]
    assert meta["condition"] == "available"
    assert (meta["instrument"], [one["instrument"] for one in meta["instruments"]]) == (
        "POLUSDT",
        ["MATICUSDT", "POLUSDT"],
    )
    assert [(gap["series"], gap["from"][:13], gap["to"][:13], gap["state"]) for gap in meta["gaps"]] == [
        ("MATICUSDT", "2024-09-10T03", "2024-09-13T10", "not_due")
    ]

    told = await ask(node, "/api/v1/coverage", dataset="binance.bars_1h", symbol="POL", **span(RENAME))
    rows = {row["series"]: row for row in told["data"]}
    for name, known in (("MATICUSDT", old), ("POLUSDT", new)):
        dead = RENAME.length // HOUR - len(known)
        assert rows[name]["intervals"] == dict.fromkeys(STATES, 0) | {
            "collected": len(known),
            "not_due": dead,
        }
        assert sum(rows[name]["percent"].values()) == pytest.approx(100, abs=1e-9)
    told = await ask(node, "/api/v1/gaps", dataset="binance.bars_1h", symbol="POL", **span(RENAME))
    assert told["data"] == []


async def test_a_day_that_a_pair_did_not_live_to_the_end_has_a_candle(opened: Callable[..., Any]):
    node = await opened("binance")
    receipt = await backfill(node, "binance.bars_1d", "POL", RENAME)
    assert receipt["verified"] == {"collected": 4, "not_due": 8}
    told = await ask(node, "/api/v1/prices/historical/POL", venue="binance", interval="1d", **span(RENAME))
    assert [row["timestamp"][:10] for row in told["data"]] == [f"2024-09-{n:02d}" for n in (9, 10, 13, 14)]


async def test_coingecko_under_its_former_id(opened: Callable[..., Any], upstreams: str):
    node = await opened("coingecko")
    midnight = datetime(2024, 9, 4, tzinfo=UTC)
    over = TimeRange(midnight - DAY, midnight + DAY)
    receipt = await backfill(node, "coingecko.bars_1h", "MATIC", over)
    assert receipt["verified"] == {"collected": 48, "not_due": 48}
    told = await ask(node, "/api/v1/prices/historical/MATIC", **span(over))
    assert closes(told) == path_of(upstreams, "polygon-ecosystem-token", over)
    assert len(closes(told)) == 48
    assert [one["instrument"] for one in told["meta"]["instruments"]] == [
        "matic-network",
        "polygon-ecosystem-token",
    ]
    assert told["meta"]["gaps"] == []


@pytest.mark.parametrize(
    ("source", "coin", "pair", "end"),
    [
        ("binance", "FTM", "FTMUSDT", datetime(2025, 1, 13, 3, tzinfo=UTC)),
        ("binance", "EOS", "EOSUSDT", datetime(2025, 5, 26, 3, tzinfo=UTC)),
        ("binance", "MKR", "MKRUSDT", datetime(2025, 9, 13, tzinfo=UTC)),
        ("coinbase", "EOS", "EOS-USD", datetime(2025, 2, 14, tzinfo=UTC)),
        ("coinbase", "MKR", "MKR-USD", datetime(2025, 9, 20, tzinfo=UTC)),
    ],
)
async def test_what_was_tracked_once_can_be_had_until_its_end(
    opened: Callable[..., Any], upstreams: str, source: str, coin: str, pair: str, end: datetime
):
    node = await opened(source)
    calls(upstreams, "*")
    over = TimeRange(end - 9 * HOUR, end + 9 * HOUR)
    receipt = await backfill(node, f"{source}.bars_1h", coin, over)
    assert receipt["verified"] == {"collected": 9, "not_due": 9}
    assert (
        len([one for one in calls(upstreams, "*") if "candles" in one["path"] or "klines" in one["path"]])
        == 1
    )
    told = await ask(node, f"/api/v1/prices/historical/{coin}", venue=source, **span(over))
    assert list(closes(told)) == [end - n * HOUR for n in range(9, 0, -1)]
    assert told["meta"]["instrument"] == pair
    known = await node.store.reading.extent(node.find(f"{source}.bars_1h")[1].record, f"{source}.bars_1h")
    assert known is not None
    assert known[:2] == (end - 9 * HOUR, end - HOUR)


async def test_what_nobody_can_tell_is_not_asked(opened: Callable[..., Any], upstreams: str):
    """Kraken knows a pair only while it is traded; and before its time, or after it, nobody has anything."""
    node = await opened("kraken,binance")
    calls(upstreams, "*")
    recent = TimeRange(datetime(2026, 5, 30, tzinfo=UTC), datetime(2026, 6, 1, tzinfo=UTC))
    for stream, name, over in (
        ("kraken.bars_1d", "MKR", TimeRange(datetime(2025, 8, 1, tzinfo=UTC), recent.end)),
        ("binance.bars_1h", "MKR", recent),
        ("binance.bars_1h", "MATICUSDT", recent),
        ("binance.bars_1h", "LUNC", recent),  # its former pair means another coin now
    ):
        with pytest.raises(ValueError, match="outside of its life"):
            await backfill(node, stream, name, over)
    assert request_of(node, "binance.bars_1h", "MATIC", *(recent.start, recent.end), None).partitions == (
        "POLUSDT",
    )
    everything = request_of(node, "binance.bars_1h", None, recent.start, recent.end, None).partitions
    assert len(everything) == 60
    assert "MATICUSDT" not in everything
    assert calls(upstreams, "*") == []


async def test_a_month_is_planned_for_the_living_and_all_are_declared(opened: Callable[..., Any]):
    node = await opened("binance")
    (proof,) = node.proofs()
    assert {line.partitions for line in proof.lines} == {60}
    await node.declare(node.clock.now())
    told = await ask(node, "/api/v1/catalog/datasets")
    rows = {row["dataset"]: row for row in told["data"]}
    assert {(row["series"], row["ended"]) for row in rows.values()} == {(68, 8)}
    told = await ask(node, "/api/v1/catalog/series", dataset="binance.bars_1h", symbol="MATIC")
    assert {row["series"]: row["life"] for row in told["data"]} == {
        "MATICUSDT": [{"from": None, "to": "2024-09-10T03:00:00.000Z"}],
        "POLUSDT": [{"from": "2024-09-13T10:00:00.000Z", "to": None}],
    }
    told = await ask(node, "/api/v1/health")
    (hourly,) = (row for row in told["datasets"] if row["dataset"] == "binance.bars_1h")
    assert hourly["series"]["expected"] == 60
