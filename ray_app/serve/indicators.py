"""What is told of the indicators of coins: the blocks and columns that were asked for, and how they came about."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from pydantic import Field

from ray_app.model.completeness import Span
from ray_app.model.dataset import Dataset
from ray_app.model.records import Bar
from ray_app.model.symbols import Asset
from ray_app.model.timerange import Coverage, TimeRange, floor
from ray_app.serve.candles import PREFERRED, Chosen, candle_row, choose, condition_of, parts
from ray_app.serve.completeness import States, states, told
from ray_app.serve.datasets import check_licence
from ray_app.serve.node import Node
from ray_app.serve.points import Standing
from ray_app.serve.problems import Problem, invalid
from ray_app.serve.queries import Moments, one_of
from ray_app.serve.technical import Latest, latest
from ray_app.serve.wire import Answer
from ray_app.store.reading import NOW

if TYPE_CHECKING:
    from ray_app.process.indicators.newest import Asked, Newest

TIMEFRAMES = ("1h", "4h", "1d")
MOST_PERIODS, LONGEST_PERIOD = 10, 200
OVERALL = {
    "direction": "overall_direction",
    "strength": "overall_strength",
    "confidence": "overall_confidence",
}


class TechnicalQuery(Moments):
    timeframe: str = Field(
        "1h",
        description="1h, 4h or 1d; 422 INVALID_TIMEFRAME for another",
        json_schema_extra=one_of(*TIMEFRAMES),
    )
    indicators: str | None = Field(
        None,
        description="some, separated by commas: rsi, macd, bollinger_bands, overall_signal, a family "
        "(moving_averages, trend, momentum, volatility, volume, pivots) or names of /api/v1/catalog/features; "
        "everything without it",
        examples=["rsi,macd,atr_14"],
    )
    periods: str | None = Field(
        None,
        description=f"up to {MOST_PERIODS} numbers from 2 to {LONGEST_PERIOD}, separated by commas: moving_averages "
        "(SMA, EMA and WMA) of these instead of the usual ones, and the RSI of the first of them",
        examples=["9,21"],
    )
    venue: str | None = Field(
        None,
        description="from candles of one source: coingecko, or an exchange in its own currency; without it those "
        "in US dollars, CoinGecko's first, or an exchange's first where `indicators` names one of volume",
        examples=["coinbase"],
        max_length=60,
    )


@dataclass(frozen=True, slots=True)
class Told:
    """What the indicators of one coin are, and what they are made of."""

    asset: Asset
    chosen: Chosen
    latest: Latest
    payload: dict[str, Any]


async def look(
    node: Node,
    assets: Sequence[Asset],
    query: TechnicalQuery,
    what: "Asked",
    at: Standing,
    *,
    internal: bool,
) -> list[Told | Problem]:
    """The indicators of each, read at once; a Problem for each that has none. Raises Problem for a wrong timeframe."""
    if query.timeframe not in TIMEFRAMES:
        raise Problem(
            "INVALID_TIMEFRAME",
            f"no indicators of {query.timeframe!r}; there are {', '.join(TIMEFRAMES)}",
            {"timeframe": query.timeframe, "available": list(TIMEFRAMES)},
        )
    volume = query.indicators is not None and what.volume
    out: list[Told | Problem | None] = []
    chosen: dict[int, Chosen] = {}
    for place, asset in enumerate(assets):
        out.append(None)
        try:
            one = await choose(node, query.timeframe, asset, query.venue, at, volume=volume)
            check_licence(one.dataset, internal, one.names)
            chosen[place] = one
        except Problem as problem:
            out[place] = problem
    found = await latest(node, list(chosen.values()), what, at) if chosen else []
    for (place, one), newest in zip(chosen.items(), found, strict=True):
        asset = assets[place]
        match newest:
            case None:
                out[place] = Problem(
                    "DATA_NOT_AVAILABLE",
                    f"no whole candle of {query.timeframe} of {asset.id} is in the store (at that time)",
                    {"symbol": asset.symbol, "timeframe": query.timeframe, "dataset": one.dataset.name},
                )
            case Problem():
                out[place] = newest
            case _:
                payload = {
                    "symbol": asset.symbol_at(at.asked),
                    "id": asset.id,
                    "name": asset.name,
                    "timeframe": query.timeframe,
                    "vs_currency": one.unit,
                    "candle": candle_row(newest.newest.candle),
                    **_told(what, newest.newest),
                }
                out[place] = Told(asset, one, newest, payload)
    return [one for one in out if one is not None]


async def answers(node: Node, told: Sequence[Told], at: Standing) -> list[Answer]:
    """The same with all that `meta` says, looked up for all of them at once."""
    out = []
    tails = await _tails(node, told, at)
    for one, tail in zip(told, tails, strict=True):
        meta, changes = await _meta(node, one, tail, at)
        of = (one.chosen.dataset.name,) if at.point == NOW else ()
        until = min(seen.until for _, seen in tail)
        as_of = at.as_of(*one.latest.changes, *changes, floor(at.horizon, one.chosen.step))
        meta = {"as_of": as_of, "known_by": at.known_by, **meta, "simulated": node.parts.simulated}
        seen = one.latest.newest.candle.end
        out.append(Answer(payload=one.payload, meta=meta, observed=seen, of=of, until=until))
    return out


def asked_for(query: TechnicalQuery) -> "Asked":
    """Raises Problem for names and periods that there are not."""
    from ray_app.process.indicators.newest import asked, nearest

    names = None if query.indicators is None else [one.strip().lower() for one in query.indicators.split(",")]
    periods = [] if query.periods is None else [one.strip() for one in query.periods.split(",")]
    good = [
        n for one in periods if one.isascii() and one.isdigit() and 2 <= (n := int(one[:4])) <= LONGEST_PERIOD
    ]
    if len(good) != len(periods) or len(good) > MOST_PERIODS:
        raise invalid(
            f"periods takes up to {MOST_PERIODS} whole numbers from 2 to {LONGEST_PERIOD}",
            parameter="periods",
        )
    try:
        return asked(names, list(dict.fromkeys(good)))
    except KeyError as error:
        name = str(error.args[0])
        raise invalid(
            f"no indicator {name!r}; the nearest are {', '.join(nearest(name))}",
            parameter="indicators",
            nearest=nearest(name),
        ) from None


def _told(what: "Asked", found: "Newest") -> dict[str, Any]:
    """The blocks that were asked for, then the columns."""
    from ray_app.process.indicators.newest import AVERAGES, BANDS, MACD
    from ray_app.process.indicators.signals import HIGH, LOW

    values, said = found.values, found.signals
    out: dict[str, Any] = {}
    if "rsi" in what.blocks:
        out["rsi"] = {
            "value": values[what.rsi.name],
            "signal": said["rsi_signal"],
            "thresholds": {"oversold": LOW, "overbought": HIGH},
            "period": int(what.rsi.parameters[0]),
        }
    if "macd" in what.blocks:
        told = dict(zip(("line", "signal_line", "histogram"), (values[one] for one in MACD), strict=True))
        out["macd"] = told | {"crossover": said["macd_crossover"]}
    if "bollinger_bands" in what.blocks:
        upper, middle, lower, width, percent, _ = (values[one] for one in BANDS)
        out["bollinger_bands"] = {
            "upper": upper,
            "middle": middle,
            "lower": lower,
            "position": said["bollinger_position"],
            "percent": percent,
            "bandwidth": width,
            "squeeze": said["bollinger_squeeze"],
        }
    averages = {one.name: values[one.name] for one in what.columns if one.family == AVERAGES}
    if averages:
        out["moving_averages"] = averages
    others = {one.name: values[one.name] for one in what.columns if one.family != AVERAGES}
    if others:
        out["indicators"] = others
    if "overall_signal" in what.blocks:
        out["overall_signal"] = {name: said[signal] for name, signal in OVERALL.items()}
    return out


Tail = list[tuple[str, States]]  # by series: the intervals since the last complete candle


async def _tails(node: Node, told: Sequence[Told], at: Standing) -> list[Tail]:
    """Of each, what became of the intervals since its last complete candle."""
    groups: list[tuple[Dataset, TimeRange, dict[str, Coverage]]] = []
    places: list[list[tuple[str, int]]] = []
    for one in told:
        dataset, candle = one.chosen.dataset, one.latest.newest.candle
        since = TimeRange(candle.start, max(candle.end, floor(at.horizon, dataset.grain)))
        mine = []
        for name, part in parts(one.chosen, since):
            life = one.chosen.names[name]
            place = next(
                (
                    n
                    for n, (other, over, lives) in enumerate(groups)
                    if other.name == dataset.name and over == part and lives.get(name, life) == life
                ),
                len(groups),
            )
            if place == len(groups):
                groups.append((dataset, part, {}))
            groups[place][2][name] = life
            mine.append((name, place))
        places.append(mine)
    found = [
        await states(node.store, dataset, list(lives), part, at, lives) for dataset, part, lives in groups
    ]
    return [[(name, found[place]) for name, place in mine] for mine in places]


async def _meta(node: Node, one: Told, tail: Tail, at: Standing) -> tuple[dict[str, Any], list[datetime]]:
    """`gaps` are the intervals since the last complete candle; `nulls` says why a value is null."""
    asset, dataset, found = one.asset, one.chosen.dataset, one.latest
    newest = found.newest
    changes, runs, gaps = list[datetime](), list[Span](), list[dict[str, Any]]()
    for name, seen in tail:
        changes += seen.changes_of(name)
        runs += seen.spans[name]
        gaps += [told(dataset, name, run) for run in seen.spans[name] if run.state != "collected"]
    reasons = []
    if "no_volume" in newest.nulls:
        having = await _with_volume(node, asset, at)
        hint = f"; there is with venue={' or '.join(having)}" if having else ""
        reasons.append(f"candles of {dataset.source} have no volume{hint}")
    if found.whole:
        reasons.append(
            f"{asset.id} is younger than some indicators remember: they begin with its first candle"
        )
    return {
        "condition": condition_of(runs),
        "reasons": reasons,
        "source": dataset.source,
        "dataset": dataset.name,
        "instrument": tail[-1][0],
        "attribution": dataset.declared["attribution"],
        "candles": {
            "from": newest.first.start,
            "to": newest.candle.end,
            "count": newest.bars,
            "missing": newest.gaps,
            "whole_history": found.whole,
        },
        "nulls": newest.nulls,
        "gaps": gaps,
    }, changes


async def _with_volume(node: Node, asset: Asset, at: Standing) -> list[str]:
    known = await node.datasets.of(Bar, at.point.as_of)
    hours = timedelta(hours=1)
    return sorted(
        {one.source for one in known if one.source != PREFERRED and one.grain >= hours and one.names(asset)}
    )
