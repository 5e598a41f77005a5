"""A whole year of real hours through the real path: HTTP, 31 days a call, close stamps shifted, stored, served.

The expected values are read here from the source files themselves, not through the simulator's reader.
"""

import csv
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import talib

from ray_app.app import open_gateway_with, open_with
from ray_app.collect.replay import replay
from ray_app.commands.operate import Rebuilt
from ray_app.runtime.jobs import backfill_job, request_of
from ray_app.serve.gateway import build_app
from ray_app.settings import Settings
from ray_app.sources import all_sources
from ray_app.store.compare import compare
from ray_app.store.store import Store

YEAR = 2021
START, END = datetime(YEAR, 1, 1, tzinfo=UTC), datetime(YEAR + 1, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
EMA_200_REMEMBERS = 3_193  # bars
LIB: Any = talib  # its stubs know scalars only
Row = tuple[Decimal, Decimal, Decimal, Decimal]


def binance(path: Path) -> dict[datetime, Row]:
    """datetime,open,high,low,close,volume; the time is the hour's start."""
    out = {}
    for row in csv.DictReader(path.read_text().splitlines()):
        at = datetime.fromisoformat(row["datetime"]).replace(tzinfo=UTC)
        if START <= at < END:
            out[at] = (Decimal(row["open"]), Decimal(row["high"]), Decimal(row["low"]), Decimal(row["close"]))
    return out


def cryptodatadownload(path: Path) -> dict[datetime, Row]:
    """Unix,Date,Oymbol,Open,High,Low,Close,...; newest first; Date is the hour's start."""
    out = {}
    for row in csv.DictReader(path.read_text().splitlines()):
        if row["Date"].startswith(str(YEAR)):
            at = datetime.fromisoformat(row["Date"]).replace(tzinfo=UTC)
            out[at] = (Decimal(row["Open"]), Decimal(row["High"]), Decimal(row["Low"]), Decimal(row["Close"]))
    return out


@pytest.fixture
def files(shared_data: Path) -> dict[str, dict[datetime, Row]]:
    hours = {
        "bitcoin": binance(shared_data / "ohlcv/hourly_binance/BTCUSDT-perp-1h-2020_2025.csv"),
        "ethereum": cryptodatadownload(shared_data / "ohlcv/hourly_cdd/ETH-USD-1h.csv"),
    }
    assert all(len(found) == 8760 for found in hours.values()), "the year is whole in both files"
    return hours


@pytest.mark.slow
async def test_a_year_of_real_hours_is_served_value_for_value_and_replayed(
    files: dict[str, dict[datetime, Row]],
    shared_data: Path,
    simulate: Any,
    settings_for: Callable[..., Settings],
    tmp_path: Path,
) -> None:
    folders = [shared_data / "ohlcv/hourly_binance", shared_data / "ohlcv/hourly_cdd"]
    address = simulate("--plan", "paid", *(word for folder in folders for word in ("--data", str(folder))))
    settings = settings_for(address)
    node = await open_with(settings)
    await node.store.database.prepare(simulated=True)
    await node.declare(node.clock.now())

    request = request_of(node, "coingecko.bars_1h", "BTC,ETH", START, END, None)
    receipt = await backfill_job(node, request, "the-year", near=True, show=False)
    assert receipt["verified"] == {"collected": 2 * 8760}
    assert (receipt["new"], receipt["revised"], receipt["lost"]) == (2 * 8760, 0, [])
    again = await backfill_job(node, request, "the-year", near=True, show=False)
    assert again["verified"] == receipt["verified"]

    async with httpx.AsyncClient(base_url=address) as http:
        calls = [
            c for c in (await http.get("/sim/ledger")).json()["arrivals"] if c["path"].endswith("/ohlc/range")
        ]
    assert len(calls) == 2 * 12, "365 days at 31 days a call, for two coins; a job that is done asks nothing"

    parts = await open_gateway_with(settings)
    key = await parts.store.keys.create(
        "test", frozenset({"read:prices", "read:technical"}), node.clock.now(), per_hour=10**6, burst=10**6
    )
    app = build_app(parts)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(
            transport=httpx.ASGITransport(app),
            base_url="http://node",
            headers={"Authorization": f"Bearer {key}"},
        ) as api,
    ):
        for coin, hours in files.items():
            served = await whole_year(api, coin)
            assert served == hours, f"{coin} differs from its source file"
            for moment in (END, datetime(YEAR, 8, 15, 13, tzinfo=UTC)):
                await indicators_are_those_of_talib(api, coin, hours, moment)

    rebuilt = Store(f"sqlite+aiosqlite:///{tmp_path / 'rebuilt.db'}", settings.raw)
    await rebuilt.database.prepare(simulated=True)
    lease = await rebuilt.leases.acquire("replay", "test")
    assert lease is not None
    done = await replay(node.store.raw, Rebuilt(rebuilt, lease), all_sources().values())
    equal, different = await compare(node.store.database, rebuilt.database)
    assert (done.problems, different) == ([], [])
    assert equal["bars"] == 2 * 8760
    for store in (rebuilt, parts.store):
        await store.close()
    await node.close()


async def whole_year(api: httpx.AsyncClient, coin: str) -> dict[datetime, Row]:
    """Every bar of the year as the API serves it, following cursors."""
    out: dict[datetime, Row] = {}
    query = {"interval": "1h", "start": START.isoformat(), "end": END.isoformat(), "limit": "1000"}
    while True:
        answer = await api.get(f"/api/v1/prices/historical/{coin}", params=query)
        assert answer.status_code == 200, answer.text
        body = answer.json(parse_float=Decimal, parse_int=Decimal)
        assert body["meta"]["simulated"] is True
        for bar in body["data"]:
            at = datetime.fromisoformat(bar["timestamp"])
            assert datetime.fromisoformat(bar["end"]) == at + HOUR
            assert bar["complete"] is True
            assert bar["volume"] is None, "this upstream's candles have no volume"
            out[at] = (bar["open"], bar["high"], bar["low"], bar["close"])
        if not body["meta"].get("cursor"):
            return out
        query["cursor"] = body["meta"]["cursor"]


async def indicators_are_those_of_talib(
    api: httpx.AsyncClient, coin: str, hours: dict[datetime, Row], moment: datetime
) -> None:
    """As they could be known at `moment`, within 1e-8 of what TA-Lib makes of the source file up to then."""
    known = np.array([[float(x) for x in hours[start]] for start in sorted(hours) if start < moment])
    for timeframe, per_candle in (("1h", 1), ("4h", 4)):
        whole = known[: len(known) // per_candle * per_candle].reshape(-1, per_candle, 4)
        high, low, close = whole[:, :, 1].max(axis=1), whole[:, :, 2].min(axis=1), whole[:, -1, 3]
        query = {"timeframe": timeframe, "known_by": moment.isoformat()}
        answer = await api.get(f"/api/v1/technical/{coin}", params=query)
        assert answer.status_code == 200, answer.text
        body = answer.json()
        end = START + len(whole) * per_candle * HOUR
        assert datetime.fromisoformat(body["candle"]["end"]) == end
        assert body["candle"]["close"] == close[-1]
        upper, middle, lower = LIB.BBANDS(close, 20, 2, 2)
        line, signal, histogram = LIB.MACD(close, 12, 26, 9)
        bands, macd, other = body["bollinger_bands"], body["macd"], body["indicators"]
        pairs = {
            "rsi": (body["rsi"]["value"], LIB.RSI(close, 14)),
            "line": (macd["line"], line),
            "signal_line": (macd["signal_line"], signal),
            "histogram": (macd["histogram"], histogram),
            "upper": (bands["upper"], upper),
            "middle": (bands["middle"], middle),
            "lower": (bands["lower"], lower),
            "sma_200": (body["moving_averages"]["sma_200"], LIB.SMA(close, 200)),
            "ema_50": (body["moving_averages"]["ema_50"], LIB.EMA(close, 50)),
            "atr_14": (other["atr_14"], LIB.ATR(high, low, close, 14)),
            "adx_14": (other["adx_14"], LIB.ADX(high, low, close, 14)),
            "cci_20": (other["cci_20"], LIB.CCI(high, low, close, 20)),
        }
        for name, (served, theirs) in pairs.items():
            assert served == pytest.approx(theirs[-1], rel=1e-8), (coin, timeframe, moment, name)
        slow = body["moving_averages"]["ema_200"]
        if len(whole) > EMA_200_REMEMBERS:
            assert slow == pytest.approx(LIB.EMA(close, 200)[-1], rel=1e-8)
        else:
            assert (slow, body["meta"]["nulls"]["warming_up"]["ema_200"]) == (
                None,
                EMA_200_REMEMBERS + 1 - len(whole),
            )
