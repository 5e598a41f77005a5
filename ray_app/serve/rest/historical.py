"""GET /api/v1/prices/historical/{symbol}: true candles, and the names of those that are missing."""

from datetime import datetime, timedelta

from fastapi import FastAPI, Request
from pydantic import Field
from starlette.responses import Response

from ray_app.model.timerange import TimeRange, ceil, floor
from ray_app.process.bars import Candle
from ray_app.serve.candles import Chosen, candle_row, choose, history
from ray_app.serve.conversion import USD
from ray_app.serve.datasets import check_licence
from ray_app.serve.door import key_of
from ray_app.serve.node import Node
from ray_app.serve.paging import Page, pinned
from ray_app.serve.points import Standing, instant
from ray_app.serve.problems import Problem, invalid
from ray_app.serve.queries import MOMENT, Moments, one_of, read_query
from ray_app.serve.rest.current import currencies
from ray_app.serve.rest.examples import HISTORICAL
from ray_app.serve.routes import get
from ray_app.serve.wire import Answer

DAYS, MOST_DAYS = 7, 365
LONGEST = timedelta(days=366)
MOST_CANDLES = LONGEST // timedelta(minutes=5)


class HistoricalQuery(Moments):
    interval: str = Field(
        "1h",
        description="1m, 5m, 1h, 4h or 1d; 422 INVALID_TIMEFRAME if no source offers it",
        json_schema_extra=one_of("1m", "5m", "1h", "4h", "1d"),
    )
    days: int | None = Field(
        None, ge=1, le=MOST_DAYS, description=f"the last so many days; {DAYS} without start"
    )
    start: str | None = Field(
        None, description="RFC 3339 time: candles that start at or after it", json_schema_extra=MOMENT
    )
    end: str | None = Field(
        None, description="RFC 3339 time: candles that end at or before it", json_schema_extra=MOMENT
    )
    vs_currency: str | None = Field(
        None,
        description="converted by the exchange rate known at each candle's end; usd without it",
        examples=["eur"],
    )
    venue: str | None = Field(
        None,
        description="candles of one source: coingecko, or an exchange in its own currency; without it those "
        "in US dollars, CoinGecko's before an exchange's",
        examples=["coinbase"],
        max_length=60,
    )
    limit: int | None = Field(None, ge=1, le=1000, description="candles a page; without it all of them")
    cursor: str | None = Field(None, description="`meta.cursor` of the page before", max_length=2000)


def add(app: FastAPI, node: Node) -> None:
    async def historical(symbol: str, request: Request) -> Response:
        query = read_query(HistoricalQuery, request)
        internal = key_of(request.scope).internal

        async def read() -> Answer:
            page = await pinned(node, request, query, query.limit)
            return await told(node, symbol, query, page, internal=internal)

        made = await node.together.read((request.scope["path"], query, internal), read)
        return made.response(request, node.clock.now())

    get(
        app, "/api/v1/prices/historical/{symbol}", historical, scope="read:prices", query=HistoricalQuery,
        summary="Candles of one coin", example=HISTORICAL,
    )  # fmt: skip


async def told(node: Node, symbol: str, query: HistoricalQuery, page: Page, *, internal: bool) -> Answer:
    """The candles of one coin, or a page of them."""
    at = page.standing
    asset = node.resolve(symbol, at.asked)
    chosen = await choose(node, query.interval, asset, query.venue, at)
    check_licence(chosen.dataset, internal, chosen.names)
    currency = _currency(query.vs_currency, chosen)
    over = _over(query, chosen.step, at)
    found = await history(node, chosen, over, currency, at)
    as_of = at.as_of(*found.changes, floor(at.horizon, chosen.step))
    shown, more = _shown(found.candles, page)

    def after(n: int) -> str:
        return page.next([shown[n].start.isoformat()], as_of)

    last = max((candle.end for candle in found.candles), default=None)
    return Answer(
        payload={
            "symbol": asset.symbol_at(at.asked),
            "id": asset.id,
            "name": asset.name,
            "interval": query.interval,
            "vs_currency": currency,
            "units": {"price": currency.upper(), "volume": asset.symbol_at(at.asked)},
            "data": [candle_row(candle) for candle in shown],
            "total_points": len(found.candles),
        },
        meta={
            "as_of": as_of,
            "known_by": at.known_by,
            "condition": found.condition,
            "source": chosen.dataset.source,
            "instrument": found.parts[-1][0] if found.parts else chosen.partition,
            "instruments": [
                {"instrument": name, "from": part.start, "to": part.end} for name, part in found.parts
            ],
            "dataset": chosen.dataset.name,
            "attribution": chosen.dataset.declared["attribution"],
            "simulated": node.parts.simulated,
            "start": over.start if over else None,
            "end": over.end if over else None,
            "gaps": found.gaps,
            "cursor": after(-1) if more else None,
        },
        observed=last,
        after=after,
    )


def _currency(asked: str | None, chosen: Chosen) -> str:
    """The currency to tell prices in. Raises Problem where there is no rate from the venue's own."""
    if asked is None or asked.strip().lower() == chosen.unit:
        return chosen.unit
    currency, *more = currencies(asked)
    if more:
        raise invalid("vs_currency takes one currency", parameter="vs_currency")
    if chosen.unit != USD:
        raise invalid(
            f"candles of {chosen.dataset.source} are in {chosen.unit.upper()}, and no exchange rate from it "
            "is kept: leave vs_currency out",
            parameter="vs_currency",
            available=[chosen.unit],
        )
    return currency


def _over(query: HistoricalQuery, step: timedelta, at: Standing) -> TimeRange | None:
    """The candles asked for that are over; None when there is none."""
    if query.days is not None and query.start is not None:
        raise invalid("give days or start, not both", parameters=["days", "start"])
    asked_end = instant(query.end, "end") if query.end is not None else at.horizon
    end = floor(min(asked_end, at.horizon), step)
    if query.start is None:
        start = end - timedelta(days=query.days or DAYS)
    else:
        start = instant(query.start, "start")
        if query.end is not None and start >= asked_end:
            raise invalid("start must be before end", parameters=["start", "end"])
    start = ceil(start, step)
    if end - start > LONGEST:
        raise invalid(f"at most {LONGEST.days} days at once", parameters=["start", "end"])
    if (asked := (end - start) // step) > MOST_CANDLES:
        raise Problem(
            "QUERY_TOO_COSTLY",
            f"this asks for {asked} candles, at most {MOST_CANDLES} are told at once: ask for less time",
            {"limit": MOST_CANDLES, "cost": asked},
        )
    return TimeRange(start, end) if start < end else None


def _shown(candles: list[Candle], page: Page) -> tuple[list[Candle], bool]:
    """The candles of the page, and whether there are more behind it."""
    after = datetime.fromisoformat(page.after[0]) if page.after else None
    rest = [candle for candle in candles if after is None or candle.start > after]
    if page.limit is None or len(rest) <= page.limit:
        return rest, False
    return rest[: page.limit], True
