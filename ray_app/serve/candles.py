"""Historical candles: read, built up to longer ones, converted; what is missing is named."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from ray_app.model.completeness import NOT_ALIVE, Span
from ray_app.model.dataset import Dataset, named
from ray_app.model.records import Bar, ExchangeRate
from ray_app.model.symbols import Asset
from ray_app.model.timerange import Coverage, TimeRange
from ray_app.process.bars import Candle, coarser
from ray_app.serve.completeness import check_cost, states, told
from ray_app.serve.conversion import USD, Rate, RateTable, newest_rates
from ray_app.serve.datasets import INTERVALS
from ray_app.serve.node import Node
from ray_app.serve.points import Standing
from ray_app.serve.problems import Problem, invalid

BUILT = ("4h", "1d")  # from candles of an hour, where no source has them
HOUR = timedelta(hours=1)
LENGTH = {name: length for length, name in INTERVALS.items()}
PREFERRED = "coingecko"  # its candles are of all venues together, and have no volume
NOT_HERE = ("late", "failed", "lost")


@dataclass(frozen=True, slots=True)
class Chosen:
    """Which data set's candles answer for an interval."""

    dataset: Dataset
    step: timedelta
    names: dict[str, Coverage]  # the series that are or were the coin, oldest first, each with when

    @property
    def partition(self) -> str:
        """What the coin is called now, or was last."""
        return list(self.names)[-1]

    @property
    def unit(self) -> str:
        """What its prices are told in, lower case like a currency."""
        return self.dataset.unit(self.partition).lower()


@dataclass(slots=True)
class History:
    """`parts`: which series answers for which part of the range, in order."""

    candles: list[Candle]
    gaps: list[dict[str, Any]]
    condition: str
    changes: list[datetime]
    parts: list[tuple[str, TimeRange]] = field(default_factory=list)


async def choose(
    node: Node, interval: str, asset: Asset, venue: str | None, at: Standing, *, volume: bool = False
) -> Chosen:
    """The data set that answers: of one venue, else one in US dollars, CoinGecko's before those of venues.

    With `volume` CoinGecko's come last instead: they have none. Of one source, a candle that it has itself
    comes before one that is built here. Raises Problem: VALIDATION_ERROR for an unknown venue,
    INVALID_TIMEFRAME when nobody offers it, DATA_NOT_AVAILABLE when not for this coin.
    """
    known = await node.datasets.of(Bar, at.point.as_of)
    venues = sorted({one.source for one in known})
    if venue is not None and venue not in venues:
        raise invalid(
            f"no candles of {venue!r}; there are {', '.join(venues) or 'none'}",
            parameter="venue",
            available=venues,
        )
    found = [one for one in known if (one.source == venue if venue else one.declared["unit"].lower() == USD)]
    found.sort(key=lambda one: ((one.source == PREFERRED) is volume, one.name))
    offered = _offered(found)
    if interval not in offered:
        of_venues = {name: _offered(one for one in known if one.source == name) for name in venues}
        having = [name for name in venues if interval in of_venues[name]]
        hint = f"; with venue={having[0]} there are" if having else ""
        raise Problem(
            "INVALID_TIMEFRAME",
            f"no source offers candles of {interval!r}; there are {', '.join(offered) or 'none'}{hint}",
            {"interval": interval, "available": offered, "venues": of_venues},
        )
    step = LENGTH[interval]
    grains = [step, HOUR] if interval in BUILT else [step]
    for source in dict.fromkeys(one.source for one in found):
        for grain in grains:
            for dataset in found:
                if (dataset.source, dataset.grain) == (source, grain) and (names := dataset.names(asset)):
                    return Chosen(dataset, step, names)
    raise Problem(
        "DATA_NOT_AVAILABLE",
        f"no candles of {asset.id} are collected" + (f" from {venue}" if venue else ""),
        {"symbol": asset.id, "interval": interval, "venue": venue},
    )


def _offered(found: Iterable[Dataset]) -> list[str]:
    """The intervals that these data sets have, or that can be built from them; shortest first."""
    names = {INTERVALS[one.grain] for one in found if one.grain in INTERVALS}
    return sorted(names | (set(BUILT) if "1h" in names else set()), key=LENGTH.__getitem__)


async def history(node: Node, chosen: Chosen, over: TimeRange | None, currency: str, at: Standing) -> History:
    """`over` lies on the grid of the candles asked for; None when nothing of it is over yet."""
    if over is None:
        return History([], [], "pending", [])
    dataset, out, runs = chosen.dataset, History([], [], "pending", []), list[Span]()
    check_cost(over.length // dataset.grain)
    for name, part in parts(chosen, over):
        life = chosen.names[name]
        read = partial(_read, node, dataset, name, life.touched(part, dataset.grain), at, out)
        found = await states(node.store, dataset, [name], part, at, {name: life}, read)
        out.gaps += [told(dataset, name, run) for run in found.spans[name] if run.state != "collected"]
        out.changes += found.changes
        out.parts.append((name, part))
        runs += found.spans[name]
    out.condition = condition_of(runs)
    if dataset.grain != chosen.step:
        out.candles = coarser(out.candles, chosen.step)
    if currency != chosen.unit:
        await _convert(node, out, over, currency, at)
    return out


async def _read(
    node: Node, dataset: Dataset, name: str, over: Iterable[TimeRange], at: Standing, out: History
) -> dict[str, list[datetime]]:
    """Candles of one series, added to what is told; their times. `over`: while its id was this coin."""
    starts: list[datetime] = []
    for alive in over:
        found = (await node.store.bars.rows(dataset.name, [name], alive, at.point))[name]
        candles = [Candle(*row) for row in found.rows]
        out.candles += candles
        out.changes += [found.received_at] if found.received_at is not None else []
        starts += [one.start for one in candles]
    return {name: starts}


def parts(chosen: Chosen, over: TimeRange) -> list[tuple[str, TimeRange]]:
    """The range cut where the coin got another name."""
    return named(chosen.names, over, chosen.dataset.grain)


async def _convert(node: Node, out: History, over: TimeRange, currency: str, at: Standing) -> None:
    """Each candle by the newest rate known at its end; one without is left out and named."""
    dataset = await node.datasets.first(ExchangeRate, at.point.as_of)
    margin = 2 * dataset.grain
    reach = TimeRange(over.start - margin, over.end + dataset.grain)
    facts = await node.store.reading.between(ExchangeRate, dataset.name, [USD, currency], reach, at.point)
    table = RateTable(facts, currency, dataset.grain)
    if not table:
        await newest_rates(
            node.store.reading, dataset, [currency], at.point
        )  # says so if there is none at all
    out.changes += [fact.received_at for fact in facts]
    converted = []
    for candle in out.candles:
        rate = table.known_at(candle.end)
        if rate is not None:
            converted.append(_in(candle, rate))
            continue
        out.condition = "degraded"
        reason = f"no exchange rate of {currency} from the {table.longest} before the candle's end"
        last = out.gaps[-1] if out.gaps else {}
        if last.get("reason") == reason and last["to"] == candle.start:
            last |= {"to": candle.end, "intervals": last["intervals"] + 1}
        else:
            run = Span(TimeRange(candle.start, candle.end), "lost", reason, 1)
            out.gaps.append(told(dataset, currency, run))
    out.candles = converted


def _in(candle: Candle, rate: Rate) -> Candle:
    return candle._replace(
        open=rate.convert(candle.open),
        high=rate.convert(candle.high),
        low=rate.convert(candle.low),
        close=rate.convert(candle.close),
    )


def condition_of(runs: Iterable[Span]) -> str:
    """What `meta.condition` says of candles, from the states of their intervals."""
    kinds: Sequence[str] = [run.state for run in runs if run.reason != NOT_ALIVE]
    if "collected" not in kinds:
        return "pending" if kinds and set(kinds) <= {"not_due"} else "missing"
    return "degraded" if any(kind in NOT_HERE for kind in kinds) else "available"


def candle_row(candle: Candle) -> dict[str, object]:
    """One candle as JSON types."""
    return {
        "timestamp": candle.start,
        "end": candle.end,
        "open": candle.open,
        "high": candle.high,
        "low": candle.low,
        "close": candle.close,
        "volume": candle.volume,
        "complete": candle.complete,
    }
