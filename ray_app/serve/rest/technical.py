"""GET /api/v1/technical/{symbol}: the indicators of the last complete candle, and what they are taken to say."""

import asyncio
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI, Request
from pydantic import Field
from starlette.responses import Response

from ray_app.model.completeness import Span
from ray_app.model.records import Bar
from ray_app.model.symbols import Asset
from ray_app.model.timerange import TimeRange, floor
from ray_app.serve.candles import PREFERRED, Chosen, choose, condition_of, parts
from ray_app.serve.completeness import states, told
from ray_app.serve.datasets import check_licence
from ray_app.serve.door import key_of
from ray_app.serve.node import Node
from ray_app.serve.points import Standing
from ray_app.serve.problems import Problem, invalid
from ray_app.serve.queries import Moments, read_query
from ray_app.serve.rest.examples import TECHNICAL
from ray_app.serve.rest.historical import candle_row
from ray_app.serve.routes import get
from ray_app.serve.technical import Latest, latest
from ray_app.serve.wire import Answer

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
    timeframe: str = Field("1h", description="1h, 4h or 1d; 422 INVALID_TIMEFRAME for another")
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


def add(app: FastAPI, node: Node) -> None:
    async def technical(symbol: str, request: Request) -> Response:
        query = read_query(TechnicalQuery, request)
        what = await asyncio.to_thread(_asked, query)  # the first time it loads Polars
        at = await node.standing(query)
        asset = node.resolve(symbol, at.asked)
        if query.timeframe not in TIMEFRAMES:
            raise Problem(
                "INVALID_TIMEFRAME",
                f"no indicators of {query.timeframe!r}; there are {', '.join(TIMEFRAMES)}",
                {"timeframe": query.timeframe, "available": list(TIMEFRAMES)},
            )
        volume = query.indicators is not None and what.volume
        chosen = await choose(node, query.timeframe, asset, query.venue, at, volume=volume)
        check_licence(chosen.dataset, key_of(request.scope).internal, chosen.names)
        found = await latest(node, chosen, what, at)
        if found is None:
            raise Problem(
                "DATA_NOT_AVAILABLE",
                f"no whole candle of {query.timeframe} of {asset.id} is in the store (at that time)",
                {"symbol": asset.symbol, "timeframe": query.timeframe, "dataset": chosen.dataset.name},
            )
        meta, changes = await _meta(node, asset, chosen, found, at)
        as_of = at.as_of(*found.changes, *changes, floor(at.horizon, chosen.step))
        answer = Answer(
            payload={
                "symbol": asset.symbol_at(at.asked),
                "id": asset.id,
                "name": asset.name,
                "timeframe": query.timeframe,
                "vs_currency": chosen.unit,
                "candle": candle_row(found.newest.candle),
                **_told(what, found.newest),
            },
            meta={"as_of": as_of, "known_by": at.known_by, **meta, "simulated": node.parts.simulated},
            observed=found.newest.candle.end,
        )
        return answer.response(request, node.clock.now())

    get(
        app, "/api/v1/technical/{symbol}", technical, scope="read:technical", query=TechnicalQuery,
        summary="Technical indicators of one coin at its last complete candle", example=TECHNICAL,
    )  # fmt: skip


def _asked(query: TechnicalQuery) -> "Asked":
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


async def _meta(
    node: Node, asset: Asset, chosen: Chosen, found: Latest, at: Standing
) -> tuple[dict[str, Any], list[datetime]]:
    """`gaps` are the intervals since the last complete candle; `nulls` says why a value is null."""
    dataset, newest = chosen.dataset, found.newest
    changes, runs, gaps = list[datetime](), list[Span](), list[dict[str, Any]]()
    since = TimeRange(newest.candle.start, max(newest.candle.end, floor(at.horizon, dataset.grain)))
    for name, part in parts(chosen, since):
        tail = await states(node.store, dataset, [name], part, at, chosen.names[name])
        changes += tail.changes
        runs += tail.spans[name]
        gaps += [told(dataset, name, run) for run in tail.spans[name] if run.state != "collected"]
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
        "instrument": parts(chosen, since)[-1][0],
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
