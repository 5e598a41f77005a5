"""Fill a store as collecting does: pages in CoinGecko's words, read by its own parse code, committed."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from ray_app.collect.collector import failure, parsed
from ray_app.model.collected import Collected, Lease
from ray_app.model.declared import declare
from ray_app.model.errors import NotOffered, Transient
from ray_app.model.source import Page, Plan, Slice, Stream
from ray_app.model.symbols import Asset, Listing, Registry
from ray_app.model.timerange import TimeRange
from ray_app.sources.coingecko import SOURCE
from ray_app.store.store import Store

START = datetime(2026, 11, 23, 0, 0, tzinfo=UTC)  # when the node of the tests began
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
PAID = SOURCE.plan("paid")
REACH = 3 * DAY


def coin(name: str, symbol: str, title: str, **more: Any) -> Asset:
    return Asset(
        name,
        symbol,
        title,
        listings=(Listing("coingecko", name),),
        tracked_from=datetime(2020, 1, 1, tzinfo=UTC),
        **more,
    )


REGISTRY = Registry(
    [
        coin("bitcoin", "BTC", "Bitcoin"),
        coin("ethereum", "ETH", "Ethereum"),
        coin("solana", "SOL", "Solana"),
        coin("one-thing", "DUP", "One Thing"),
        coin("other-thing", "DUP", "Other Thing"),
        Asset("batcat", "BTC", "Bitcoin cat, not tracked", tracked_to=datetime(2021, 1, 1, tzinfo=UTC)),
    ]
)
COINS = ("bitcoin", "ethereum", "solana")


def stream(name: str, plan: Plan = PAID) -> Stream:
    return next(one for one in plan.streams if one.name == name)


def page(name: str, path: str, body: Any, at: datetime, **params: str) -> Page:
    text = body if isinstance(body, bytes) else json.dumps(body, default=str).encode()
    return Page(
        source="coingecko",
        stream=name,
        path=path,
        params=params,
        status=200,
        headers={"content-type": "application/json"},
        body=text,
        asked_at=at - timedelta(milliseconds=300),
        received_at=at,
    )


def market(
    name: str,
    price: str | None,
    updated_at: datetime,
    change: str | None = "-1.5",
    cap: str | None = "1000000",
) -> dict[str, Any]:
    """A row of /coins/markets; the numbers as texts, see as_body."""
    return {
        "id": name,
        "current_price": price,
        "market_cap": cap,
        "total_volume": None,
        "price_change_24h": change,
        "price_change_percentage_24h": None if change is None else "-0.25",
        "last_updated": updated_at.isoformat().replace("+00:00", "Z"),
    }


def as_body(rows: Sequence[Mapping[str, Any]]) -> bytes:
    """JSON in which what looks like a number is one: json.dumps of a float would lose digits."""
    numbers = {
        "current_price",
        "market_cap",
        "total_volume",
        "price_change_24h",
        "price_change_percentage_24h",
    }
    parts = []
    for row in rows:
        fields = [f'"{k}":{v if k in numbers and v is not None else json.dumps(v)}' for k, v in row.items()]
        parts.append("{" + ",".join(fields) + "}")
    return ("[" + ",".join(parts) + "]").encode()


class Filler:
    """Commits into one store under one lease."""

    def __init__(self, store: Store, lease: Lease) -> None:
        self.store, self.lease = store, lease

    async def declare(
        self,
        at: datetime = START,
        names: Sequence[str] = ("prices", "exchange_rates", "bars_1h"),
        partitions: Sequence[str] = COINS,
        missing: str = "",
        plan: Plan = PAID,
    ) -> None:
        lines = {}
        for name in names:
            mine = ("usd", "eur", "btc", "jpy") if name == "exchange_rates" else tuple(partitions)
            lines[f"coingecko.{name}"] = declare(
                SOURCE, plan, stream(name, plan), mine, REACH, missing=missing
            )
        await self.store.catalog.declare(lines, at)

    async def commit(self, *collected: Collected) -> None:
        for one in collected:
            for kept in one.pages:
                await self.store.raw.keep(kept)
        await self.store.commit(collected, self.lease)

    async def prices(
        self,
        slot: datetime,
        prices: Mapping[str, str | None],
        at: datetime | None = None,
        updated_at: datetime | None = None,
        asked: Sequence[str] = COINS,
        **more: Any,
    ) -> Collected:
        """One poll of /coins/markets, due at `slot`, answered at `at`."""
        at = at or slot + timedelta(seconds=1, microseconds=417_321)
        rows = [
            market(name, price, updated_at or slot - timedelta(seconds=20), **more)
            for name, price in prices.items()
        ]
        wanted = Slice(tuple(asked), TimeRange(slot, slot + 5 * MINUTE))
        answer = page("prices", "/coins/markets", as_body(rows), at, vs_currency="usd", ids=",".join(asked))
        collected = parsed(SOURCE, stream("prices"), wanted, [answer])
        await self.commit(collected)
        return collected

    async def rates(self, slot: datetime, per_btc: Mapping[str, str], at: datetime | None = None) -> None:
        inner = ",".join(
            f'"{name}":{{"name":"{name}","unit":"x","value":{value},"type":"fiat"}}'
            for name, value in per_btc.items()
        )
        wanted = Slice(("usd", "eur", "btc", "jpy"), TimeRange(slot, slot + HOUR))
        answer = page(
            "exchange_rates", "/exchange_rates", f'{{"rates":{{{inner}}}}}'.encode(), at or slot + MINUTE
        )
        await self.commit(parsed(SOURCE, stream("exchange_rates"), wanted, [answer]))

    async def bars(
        self, name: str, first: datetime, candles: Sequence[Sequence[str] | None], at: datetime
    ) -> Collected:
        """Hourly candles from `first` on, (open, high, low, close) each; None where the upstream has none."""
        rows = []
        for place, candle in enumerate(candles):
            if candle is not None:
                close = int((first + (place + 1) * HOUR).timestamp() * 1000)
                rows.append(f"[{close},{','.join(candle)}]")
        wanted = Slice((name,), TimeRange(first, first + len(candles) * HOUR))
        answer = page(
            "bars_1h", f"/coins/{name}/ohlc/range", f"[{','.join(rows)}]".encode(), at, vs_currency="usd"
        )
        collected = parsed(SOURCE, stream("bars_1h"), wanted, [answer])
        await self.commit(collected)
        return collected

    async def failed(
        self, name: str, partitions: Sequence[str], over: TimeRange, at: datetime, detail: str = "HTTP 503"
    ) -> None:
        error = Transient("coingecko", detail)
        await self.commit(failure(SOURCE, stream(name), Slice(tuple(partitions), over), error, at))

    async def not_offered(self, name: str, partitions: Sequence[str], over: TimeRange, at: datetime) -> None:
        error = NotOffered("coingecko", "delisted")
        await self.commit(failure(SOURCE, stream(name), Slice(tuple(partitions), over), error, at))


def flat(price: str) -> tuple[str, str, str, str]:
    """A candle that did not move."""
    return (price, price, price, price)


def ohlc(number: int) -> tuple[str, str, str, str]:
    """A candle that tells which hour it is from."""
    base = Decimal(100 + number)
    return (str(base), str(base + Decimal("0.75")), str(base - Decimal("0.5")), str(base + Decimal("0.25")))
