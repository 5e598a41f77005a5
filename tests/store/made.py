"""Facts and pages made for tests, each value said in the test or here."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from ray_app.model.collected import Collected, Outcome, SetAside
from ray_app.model.records import Bar, Price, Record
from ray_app.model.source import Page, Slice
from ray_app.model.timerange import TimeRange
from ray_app.store.reading import NOW, Fact, Point
from ray_app.store.store import Store

T0 = datetime(2026, 3, 1, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
SLOT = 5 * MINUTE
PRICES, BARS = "coingecko.prices", "coingecko.bars_1h"


def page(
    body: bytes = b"[]", at: datetime = T0, stream: str = "prices", path: str = "/coins/markets", **more: Any
) -> Page:
    """An answer that was asked for and received at `at`."""
    told: dict[str, Any] = {
        "params": {"vs_currency": "usd"}, "status": 200, "headers": {"date": "then"}
    } | more  # fmt: skip
    return Page(source="coingecko", stream=stream, path=path, body=body, asked_at=at, received_at=at, **told)


ALWAYS = TimeRange(T0 - 1000 * DAY, T0 + 1000 * DAY)


def price(coin: str, amount: str, slot: datetime = T0, **more: Any) -> Price:
    return Price(coin=coin, slot=slot, updated_at=slot, price=Decimal(amount), **more)


def bar(start: datetime, close: str = "2", coin: str = "bitcoin") -> Bar:
    prices: dict[str, Any] = {
        "open": Decimal(2),
        "high": Decimal(10**15),
        "low": Decimal("1E-12"),
        "close": Decimal(close),
    }
    return Bar(symbol=coin, interval="1h", start=start, end=start + HOUR, **prices)


def collected(
    records: Sequence[Record] = (),
    *,
    over: TimeRange | None = None,
    partitions: Sequence[str] | None = None,
    at: datetime = T0,
    body: bytes | None = None,
    outcome: Outcome = "covered",
    reason: str = "",
    set_aside: Sequence[SetAside] = (),
    topic: str | None = "prices",
    stream: str = "prices",
) -> Collected:
    """One slice of one page that was received at `at`; range and partitions are those of the records."""
    body = body if body is not None else repr(records).encode()
    pages = (page(body, at, stream),) if outcome == "covered" else ()
    if over is None:
        times = [record.cursor for record in records]
        over = TimeRange(min(times), max(times) + (SLOT if stream == "prices" else HOUR))
    return Collected(
        source="coingecko",
        stream=stream,
        parser="1",
        slice=Slice(tuple(partitions or sorted({r.partition for r in records})), over),
        outcome=outcome,
        received_at=at,
        reason=reason,
        pages=pages,
        records=tuple((record, 0) for record in records),
        set_aside=tuple((row, 0) for row in set_aside),
        topic=topic,
    )


async def prices(store: Store, at: Point = NOW, *coins: str) -> list[Fact]:
    """The stored prices of bitcoin and ethereum, or of the coins named."""
    return await store.reading.between(Price, PRICES, coins or ("bitcoin", "ethereum"), ALWAYS, at)


def told(facts: list[Fact]) -> list[tuple[str, int, Decimal]]:
    """(coin, revision, price) of each."""
    return [(fact.partition, fact.revision, fact.values["price"]) for fact in facts]
