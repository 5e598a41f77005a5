"""Features: rows a second for 100 features of 50 symbols over a year of hours in two processes, beside `ta`, whether
ten times the rows take ten times as long, the memory that it takes, and the newest hour of all symbols.

Inputs are frames that are already read: bars, market points, funding, open interest, sentiment, macro, on-chain. They
are made up; what the arithmetic takes does not depend on the numbers. The hundred features are spread evenly over the
catalogue. Nothing is kept from one group of symbols to the next but what is one for all symbols. For the newest hour
frames are cut to what the catalogue asks for.
"""

import multiprocessing
import os
import resource
import statistics
import time
import warnings
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from multiprocessing.synchronize import Barrier
from typing import Any

import numpy as np
import polars as pl
import ta

from benchmarks.figures import Figure, at_least, at_most
from benchmarks.indicators import walk
from ray_app.process.features.catalogue import FEATURES, compute_many, hours_before, lookback
from ray_app.process.features.inputs import LABELS, Inputs, Shared

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
START = datetime(2025, 1, 1, tzinfo=UTC)
HOURS, SYMBOLS, WIDTH, CORES = 8_760, 50, 100, 2
GROUP = 7  # symbols whose features are held at once
CHOSEN = [FEATURES[i * len(FEATURES) // WIDTH].name for i in range(WIDTH)]
MILLION = 1_000_000
TIMES = 100  # how much faster than ta a row should be at least
RATE = 300_000  # rows a second that it should reach
NEWEST = 1_000  # milliseconds that the newest hour of all symbols may take
PERIODS = {"bars": "start", "points": "at", "funding": "at", "open_interest": "at", "sentiment": "at",
           "observations": "period", "metrics": "at", "mood": "day", "totals": "slot"}  # fmt: skip


def times(step: timedelta, before: timedelta = timedelta(0)) -> pl.Series:
    return pl.datetime_range(START - before, START + HOURS * HOUR, step, time_unit="us", eager=True)


def valued(key: str, name: str, period: str, at: pl.Series, lag: timedelta) -> pl.DataFrame:
    values = 100 + np.random.default_rng(len(name)).random(len(at))
    return pl.DataFrame({key: [name] * len(at), period: at, "known_at": at + lag, "value": values})


def shared_frames() -> dict[str, pl.DataFrame]:
    """The series that the catalogue names, daily ones as long as features look back."""
    named = {source.partition(" ")[::2] for one in FEATURES for source in one.inputs if " " in source}
    days = times(DAY, lookback())
    parts: dict[str, list[pl.DataFrame]] = {"observations": [], "metrics": []}
    for frame, name in sorted(named):
        key, period = {"observations": ("series", "period"), "metrics": ("metric", "at")}.get(frame, ("", ""))
        if key:
            coins = ("btc", "eth") if name.startswith("SYMBOL.") else ("",)
            parts[frame] += [
                valued(key, name.replace("SYMBOL", coin), period, days, 30 * HOUR) for coin in coins
            ]
    slots = times(HOUR)
    totals = {name: np.linspace(50, 60, len(slots)) for name in ("market_cap", "volume_24h", "btc_dominance")}
    return {
        **{name: pl.concat(frames) for name, frames in parts.items()},
        "mood": valued("index", "fear_greed", "day", days, timedelta(0)),
        "totals": pl.DataFrame(
            {"slot": slots, "known_at": slots, **totals, "eth_dominance": totals["btc_dominance"]}
        ),
    }


def own_frames(seed: int) -> dict[str, Any]:
    random = np.random.default_rng(seed)
    bars = walk(HOURS)
    hours, paid = times(HOUR), times(8 * HOUR)
    count = len(hours)
    sentiment = [
        pl.DataFrame({
            "window": pl.Series([window] * count, dtype=LABELS["window"]),
            "kind": pl.Series([kind] * count, dtype=LABELS["kind"]), "at": hours, "known_at": hours,
            "score": random.uniform(-1, 1, count), "confidence": random.random(count),
            "count": random.integers(0, 50, count), "unscored": random.integers(0, 5, count),
        })
        for window in ("1h", "4h", "24h", "7d") for kind in ("all", "news", "reddit", "twitter")
    ]  # fmt: skip
    return {
        "bars": bars.with_columns(close=bars["close"] * random.uniform(0.995, 1.005, HOURS)),
        "points": pl.DataFrame({"at": hours, "known_at": hours, "market_cap": 1e9 * random.random(count),
                                "volume_24h": 1e7 * random.random(count)}),
        "funding": pl.DataFrame({"at": paid, "known_at": paid, "rate": random.normal(0, 1e-4, len(paid))}),
        "open_interest": pl.DataFrame({"at": hours, "known_at": hours, "worth": 1e8 * random.random(count)}),
        "sentiment": pl.concat(sentiment, rechunk=True),
    }  # fmt: skip


def names() -> list[str]:
    return ["BTC", "ETH", *(f"COIN{i}" for i in range(SYMBOLS - 2))]


def made() -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    return shared_frames(), {symbol: own_frames(i) for i, symbol in enumerate(names())}


def year(common: dict[str, Any], own: dict[str, dict[str, Any]]) -> Shared:
    bars, points = ({symbol: frames[name] for symbol, frames in own.items()} for name in ("bars", "points"))
    return Shared(START, START + HOURS * HOUR, bars, points, **common)


def work(mine: int, rows: int, columns: Sequence[str], ready: Barrier, told: Any) -> None:
    """One process: its part of the symbols, over and over until it has made so many rows. Then `ta`, just as busy."""
    common, own = made()
    symbols = names()[mine::CORES]
    shared = year(common, own)  # code, threads and memory are warm
    compute_many([Inputs(symbol, shared, **own[symbol]) for symbol in symbols[:GROUP]], columns)
    ready.wait()
    began, burnt, done = time.monotonic(), time.process_time(), 0
    while done < rows:
        shared = year(common, own)
        for i in range(0, len(symbols), GROUP):
            group = [Inputs(symbol, shared, **own[symbol], listed=START) for symbol in symbols[i : i + GROUP]]
            done += compute_many(group, columns).height
            if done >= rows:
                break
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    seconds, burnt = time.monotonic() - began, time.process_time() - burnt
    ready.wait()
    told.put((seconds, done, peak, burnt, ta_seconds()))


def together(rows: int, columns: Sequence[str]) -> dict[str, float]:
    """So many rows in all by one process a core."""
    context = multiprocessing.get_context("spawn")
    os.environ["POLARS_MAX_THREADS"] = "1"  # the processes share the cores already
    ready, told = context.Barrier(CORES), context.Queue()
    processes = [
        context.Process(target=work, args=(i, rows // CORES, columns, ready, told)) for i in range(CORES)
    ]
    for one in processes:
        one.start()
    found = [told.get(timeout=3600) for _ in processes]
    for one in processes:
        one.join()
    seconds, done = max(one[0] for one in found), sum(one[1] for one in found)
    peak = max(one[2] for one in found)
    return {
        "rows": done, "seconds": seconds, "rows_per_second": done / seconds, "peak_mib_each": peak,
        "cpu_us_per_row": sum(one[3] for one in found) / done * 1e6,
        "ta_us_per_row": statistics.mean(one[4] for one in found) / HOURS * 1e6,
    }  # fmt: skip


def ta_seconds() -> float:
    frame = walk(HOURS).drop("start").to_pandas()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        began = time.process_time()
        ta.add_all_ta_features(frame, "open", "high", "low", "close", "volume")
    return time.process_time() - began


def cut(frames: dict[str, Any], start: datetime, end: datetime) -> dict[str, Any]:
    """Bars from `start` on, of the rest the periods that the catalogue asks for."""
    found = {}
    for name, frame in frames.items():
        users = [one for one in FEATURES if name in {source.partition(" ")[0] for source in one.inputs}]
        first = start if name == "bars" else end - lookback(users) - HOUR
        found[name] = frame.filter(pl.col(PERIODS[name]) >= first)
    return found


def newest() -> dict[str, float]:
    """All features of the newest hour, of one symbol and of all, what they share included."""
    common, own = made()
    end = START + HOURS * HOUR
    start = end - (hours_before() + 1) * HOUR
    common, own = cut(common, start, end), {symbol: cut(frames, start, end) for symbol, frames in own.items()}
    taken: dict[str, list[float]] = {"one": [], "one_processor": [], "all": [], "all_processor": []}
    for _ in range(5):
        for which, symbols in (("one", ["ETH"]), ("all", names())):
            bars, points = ({s: own[s][name] for s in symbols} for name in ("bars", "points"))
            shared = Shared(start, end, bars, points, **common)
            inputs = [Inputs(symbol, shared, **own[symbol]) for symbol in symbols]
            began, burnt = time.perf_counter(), time.process_time()
            found = compute_many(inputs, at=[end])
            taken[which].append(time.perf_counter() - began)
            taken[f"{which}_processor"].append(time.process_time() - burnt)
            assert found.height == len(symbols)
    return {"rows_loaded": hours_before() + 1} | {
        f"{which}_ms": statistics.median(seconds) * 1e3 for which, seconds in taken.items()
    }


def measure() -> dict[str, Any]:
    every = [one.name for one in FEATURES]
    return {
        "symbols": SYMBOLS, "hours": HOURS, "processes": CORES,
        "year": together(SYMBOLS * HOURS, CHOSEN),
        "all_features": {"columns": len(every), **together(SYMBOLS * HOURS, every)},
        "million": together(MILLION, CHOSEN),
        "ten_million": together(10 * MILLION, CHOSEN),
        "newest": newest(),
    }  # fmt: skip


def figures(measured: dict[str, Any]) -> Sequence[Figure]:
    year, ten, one, last = (measured[name] for name in ("year", "ten_million", "million", "newest"))
    slower = ten["cpu_us_per_row"] / one["cpu_us_per_row"]
    return [
        at_least(f"{WIDTH} features, {SYMBOLS} symbols x {HOURS:,} hours, {CORES} processes", year["rows_per_second"],
                 RATE, "rows/s"),
        Figure(f"all {len(FEATURES)} features", measured["all_features"]["rows_per_second"], "rows/s"),
        at_most(f"{WIDTH} features", year["cpu_us_per_row"], 1e6 * CORES / RATE, "µs of a processor a row"),
        Figure("ta, 86 columns", year["ta_us_per_row"], "µs of a processor a row"),
        at_least("times as fast as ta a row, in processor time", year["ta_us_per_row"] / year["cpu_us_per_row"],
                 TIMES),
        Figure("processor time of a row of 10 million by one of 1 million", slower, "times", "about 1",
               0.8 <= slower <= 1.25),
        Figure("peak memory of a process, 1 million rows", one["peak_mib_each"], "MiB"),
        Figure("peak memory of a process, 10 million rows", ten["peak_mib_each"], "MiB"),
        Figure(f"newest hour of one symbol, all features, {last['rows_loaded']:,} hours loaded", last["one_ms"], "ms"),
        at_most(f"newest hour of {SYMBOLS} symbols", last["all_ms"], NEWEST, "ms"),
        Figure(f"newest hour of {SYMBOLS} symbols", last["all_processor_ms"], "ms of a processor"),
    ]  # fmt: skip
