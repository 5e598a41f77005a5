"""Made up inputs of features: every frame, with revisions, latecomers, twins, holes and rows in no order."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache

import numpy as np
import polars as pl

from ray_app.process.features.catalogue import compute, features
from ray_app.process.features.feature import Feature
from ray_app.process.features.inputs import Inputs, Shared
from ray_app.process.indicators.grid import NUMBERS
from tests.process.indicator_bars import walk

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
T0 = datetime(2023, 1, 1, tzinfo=UTC)
HOURS = 6000
END = T0 + HOURS * HOUR
SYMBOLS = ("BTC", "ETH", "SOL", "ADA")
PERIODS = {"bars": "start", "points": "at", "funding": "at", "open_interest": "at", "sentiment": "at",
           "observations": "period", "metrics": "at", "mood": "day", "totals": "slot"}  # fmt: skip
DAILY = ("DFF", "DFEDTARU", "DGS3MO", "DGS2", "DGS10", "DFII10", "T10YIE", "RRPONTSYD", "DTWEXBGS", "VIXCLS", "SP500",
         "NASDAQCOM", "DCOILWTICO")  # fmt: skip
WEEKLY = ("ICSA", "WALCL", "WTREGEN")
MONTHLY = ("CPIAUCSL", "CPILFESL", "PCEPILFE", "UNRATE", "PAYEMS", "INDPRO", "RSAFS", "M2SL", "UMCSENT")
DAILY_METRICS = (
    *(f"{coin}.{name}" for coin in ("btc", "eth") for name in (
        "AdrActCnt", "TxCnt", "TxTfrCnt", "CapMVRVCur", "FlowInExNtv", "FlowOutExNtv", "SplyCur", "IssTotNtv",
        "FeeTotNtv", "CapMrktCurUSD")),
    "btc.HashRate", "btc.transfer_volume", "all.stablecoin_supply", "all.tvl", "all.dex_volume",
)  # fmt: skip
LIVE_METRICS = ("btc.fee_rate_fast", "btc.mempool_tx", "btc.difficulty", "eth.gas_proposed")


@dataclass(frozen=True)
class World:
    """All frames. What belongs to one symbol has a column `symbol`."""

    frames: dict[str, pl.DataFrame]

    def known_by(self, moment: datetime) -> "World":
        """Without all that was not known yet."""
        return World(
            {
                name: frame.filter(
                    (pl.col("start") + HOUR if name == "bars" else pl.col("known_at")) <= moment
                )
                for name, frame in self.frames.items()
            }
        )

    def since(self, start: datetime, series: timedelta) -> "World":
        """Bars from `start` on, the rest with periods from `series` before it on."""
        return World(
            {
                name: frame.filter(pl.col(PERIODS[name]) >= (start if name == "bars" else start - series))
                for name, frame in self.frames.items()
            }
        )

    def shared(self, start: datetime, end: datetime) -> Shared:
        return Shared(start, end, self._by_symbol("bars"), self._by_symbol("points"),
                      *(self.frames[name] for name in ("observations", "metrics", "mood", "totals")))  # fmt: skip

    def inputs(self, shared: Shared, symbol: str = "ETH", listed: datetime | None = T0) -> Inputs:
        mine = {name: self._by_symbol(name).get(symbol)
                for name in ("bars", "points", "funding", "open_interest", "sentiment")}  # fmt: skip
        return Inputs(symbol, shared, **mine, listed=listed)

    def _by_symbol(self, name: str) -> dict[str, pl.DataFrame]:
        parts = self.frames[name].partition_by("symbol", as_dict=True)
        return {str(symbol): part for (symbol,), part in parts.items()}


def wandering(
    random: np.random.Generator, count: int, size: float = 0.02, level: float = 100.0
) -> np.ndarray:
    return level * np.cumprod(1 + size * random.uniform(-1, 1, count))


def series(
    random: np.random.Generator, key: str, name: str, periods: Sequence[datetime], lag: timedelta,
    time: str, revised: float = 0.15,
) -> pl.DataFrame:  # fmt: skip
    """One value a period, known after the lag or up to two days later, some of them revised, some withdrawn."""
    count = len(periods)
    late = [lag + timedelta(hours=float(x)) for x in random.uniform(0, 48, count).round()]
    first = pl.DataFrame({key: name, time: periods, "value": wandering(random, count),
                          "known_at": [p + d for p, d in zip(periods, late, strict=True)]})  # fmt: skip
    again = first.filter(pl.Series(random.random(count) < revised)).with_columns(
        pl.col("value") * 1.01, pl.col("known_at") + 9 * DAY
    )
    gone = first.filter(pl.Series(random.random(count) < 0.02)).with_columns(
        pl.lit(None, pl.Float64).alias("value"), pl.col("known_at") + 3 * DAY
    )
    twins = first.filter(pl.Series(random.random(count) < 0.02)).with_columns(pl.col("value") + 1)
    return pl.concat([first, again, gone, twins])


def told(
    name: str,
    rows: list[tuple[datetime, datetime, float | None]],
    key: str = "series",
    period: str = "period",
) -> pl.DataFrame:
    """A series from (period, known_at, value)."""
    return pl.DataFrame(
        [(name, *row) for row in rows], schema=[key, period, "known_at", "value"], orient="row"
    )


def every(step: timedelta, before: timedelta = timedelta(0)) -> list[datetime]:
    return pl.datetime_range(T0 - before, END, step, time_unit="us", eager=True).to_list()


def months(step: int) -> list[datetime]:
    return pl.datetime_range(
        datetime(2021, 1, 1, tzinfo=UTC), END, f"{step}mo", time_unit="us", eager=True
    ).to_list()


@cache
def world(seed: int = 1) -> World:
    random = np.random.default_rng(seed)
    bars, points, funding, interest, texts = [], [], [], [], []
    hours = [T0 + (i + 1) * HOUR for i in range(HOURS)]
    for place, symbol in enumerate(SYMBOLS):
        made = walk(HOURS, seed=seed + place)
        made = made.with_columns(start=pl.col("start") - made["start"][0] + T0)
        bars.append(made.filter(pl.Series(random.random(HOURS) > 0.002)).with_columns(symbol=pl.lit(symbol)))
        at = [
            t - timedelta(minutes=int(m)) for t, m in zip(hours, random.integers(1, 59, HOURS), strict=True)
        ]
        cap, volume = wandering(random, HOURS, 0.01, 1e9 * (9 - place)), wandering(random, HOURS, 0.05, 1e7)
        points.append(pl.DataFrame({"symbol": symbol, "at": at, "known_at": at, "market_cap": cap,
                                    "volume_24h": volume})
                      .filter(pl.Series(random.random(HOURS) > 0.02)))  # fmt: skip
        paid = every(8 * HOUR, 40 * DAY)
        funding.append(pl.DataFrame({"symbol": symbol, "at": paid, "known_at": paid,
                                     "rate": random.normal(1e-4, 1e-4, len(paid))}))  # fmt: skip
        interest.append(pl.DataFrame({"symbol": symbol, "at": hours, "known_at": hours,
                                      "worth": wandering(random, HOURS, 0.01, 1e8)}))  # fmt: skip
        for window in ("1h", "4h", "24h", "7d"):
            for kind in ("all", "news", "reddit", "twitter"):
                there = random.random(HOURS) > (0.01 if kind == "all" else 0.1)
                score = random.uniform(-1, 1, HOURS)
                score[random.random(HOURS) < 0.05] = np.nan
                texts.append(pl.DataFrame({
                    "symbol": symbol, "window": window, "kind": kind, "at": hours,
                    "known_at": [t + timedelta(minutes=int(m)) for t, m in
                                 zip(hours, random.choice([0, 0, 0, 20, 70], HOURS), strict=True)],
                    "score": score, "confidence": random.random(HOURS),
                    "count": random.integers(0, 30, HOURS), "unscored": random.integers(0, 3, HOURS),
                }).filter(pl.Series(there)))  # fmt: skip
    days = every(DAY, 500 * DAY)
    trading = [day for day in days if day.weekday() < 5 and (day.month, day.day) != (7, 4)]
    observed = [
        *(series(random, "series", name, trading, 30 * HOUR, "period", 0.02) for name in DAILY),
        *(series(random, "series", name, days[::7], 4 * DAY, "period") for name in WEEKLY),
        *(series(random, "series", name, months(1), 42 * DAY, "period", 0.5) for name in MONTHLY),
        series(random, "series", "GDPC1", months(3), 120 * DAY, "period", 0.8),
    ]
    measured = [
        *(series(random, "metric", name, days, 30 * HOUR, "at") for name in DAILY_METRICS),
        *(
            series(random, "metric", name, every(HOUR), timedelta(minutes=1), "at", 0)
            for name in LIVE_METRICS
        ),
    ]
    live = pl.col("metric").is_in(list(LIVE_METRICS))
    frames = {
        "bars": pl.concat(bars), "points": pl.concat(points), "funding": pl.concat(funding),
        "open_interest": pl.concat(interest), "sentiment": pl.concat(texts), "observations": pl.concat(observed),
        "metrics": pl.concat(measured).with_columns(
            pl.when(live).then(pl.col("at") + timedelta(minutes=1)).otherwise(pl.col("known_at")).alias("known_at")),
        "mood": series(random, "index", "fear_greed", days, timedelta(0), "day", 0).with_columns(known_at="day"),
        "totals": pl.DataFrame({"slot": hours, "known_at": hours, "market_cap": wandering(random, HOURS, 0.01, 1e12),
                                "volume_24h": wandering(random, HOURS, 0.05, 1e11),
                                "btc_dominance": random.uniform(50, 60, HOURS),
                                "eth_dominance": [None] * 5 + [12.5] * (HOURS - 5)}),
    }  # fmt: skip
    return World({name: frame.sample(fraction=1, shuffle=True, seed=seed) for name, frame in frames.items()})


def same(one: pl.DataFrame, other: pl.DataFrame) -> set[str]:
    """The columns that differ in a bit, or in where they are null."""
    return {name for name in one.columns if not one[name].equals(other[name])}


def moved_by_the_future(
    made: World, wanted: list[Feature], moments: Sequence[datetime], rows: int = 50
) -> set[str]:
    """Features of which a value changes when what was not known yet is dropped."""
    shared = made.shared(T0, END)
    whole, moved = compute(made.inputs(shared), wanted), set()
    for moment in moments:
        part = made.known_by(moment)
        cut = compute(part.inputs(part.shared(T0, END)), wanted)
        known = pl.col("at").is_between(moment - rows * HOUR, moment)
        moved |= same(whole.filter(known), cut.filter(known)) - {"quality"}
    return moved


def moved_by_the_past(made: World, wanted: list[Feature], moments: Sequence[datetime]) -> set[str]:
    """Features of which the newest value differs when no more is loaded than the catalogue asks for."""
    moved, shared = set(), made.shared(T0, END)
    whole = compute(made.inputs(shared), wanted)
    for one in wanted:
        for moment in moments:
            start = moment - (one.hours + 1) * HOUR
            part = made.known_by(moment).since(start, one.lookback - one.hours * HOUR)
            found = compute(part.inputs(part.shared(start, moment)), [one], [moment])
            assert start >= T0
            moved |= same(
                whole.filter(pl.col("at") == moment).select("at", one.name), found.select("at", one.name)
            )
    return moved


def without_a_hole(bars: pl.DataFrame) -> bool:
    return bars.height == HOURS and bars.select(NUMBERS).null_count().sum_horizontal().item() == 0


def planted(function: object, hours: int = 0, shared: bool = False) -> Feature:
    return replace(features(["price_usd"])[0], name="planted", function=function, parameters=(), hours=hours,  # type: ignore[arg-type]  # wrong on purpose
                   shared=shared)  # fmt: skip
