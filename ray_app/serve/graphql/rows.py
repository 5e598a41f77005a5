"""The types of the GraphQL schema: the rows of the answers, which are mappings, with their types.

What surprises: a resolver gives the row itself, typed as what the schema calls it; `read` takes the fields from it.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Generic, NewType, TypeVar, cast

import strawberry

from ray_app.serve.problems import invalid

N = TypeVar("N")
F = TypeVar("F", bound=Callable[..., Any])
Weight = int | Callable[[Mapping[str, Any]], int]
Time = NewType("Time", str)
Number = NewType("Number", float)


def _moment(value: object) -> str:
    if not isinstance(value, str):
        raise invalid("a time is a text: RFC 3339, like 2026-11-23T01:05:00Z")
    return value


def _no_input(value: object) -> Any:
    raise invalid(f"{value!r:.40} cannot be given here")


TIME = strawberry.scalar(
    name="Time",
    description="RFC 3339; told in UTC with milliseconds: 2026-11-23T01:05:00.000Z",
    serialize=lambda value: value,  # the writer of JSON knows it
    parse_value=_moment,
)
NUMBER = strawberry.scalar(
    name="Number",
    description="A JSON number with every digit that is stored",
    serialize=lambda value: value,
    parse_value=_no_input,
)


def field(description: str, *, size: Weight = 1, counts: Weight = 0) -> Callable[[F], F]:
    """A field with a resolver. `size`: how many rows it tells; `counts`: what it weighs besides, in values."""
    made = strawberry.field(description=description, metadata={"size": size, "counts": counts})
    return cast("Callable[[F], F]", made)


def many(size: int) -> Any:
    """A field of a row that is a list, usually of so many values."""
    return strawberry.field(metadata={"size": size})


class Told(dict[str, Any]):
    """A row with the way to its `meta`, which is worked out only if it is asked for."""

    def __init__(self, row: Mapping[str, Any], meta: Callable[[], Awaitable[Mapping[str, Any]]]) -> None:
        super().__init__(row)
        self.tell_meta = meta


def read(row: Any, name: str) -> Any:
    """The field of a row; `from_` is the column "from"."""
    return row.get(name.rstrip("_")) if isinstance(row, Mapping) else getattr(row, name)


@strawberry.type(description="A run of intervals in one state, and why")
class Gap:
    dataset: str
    series: str
    from_: Time = strawberry.field(name="from")
    to: Time
    state: str
    reason: str | None
    intervals: int


@strawberry.type(description="A series that this key may not have")
class LeftOut:
    dataset: str
    series: str
    licence: str


@strawberry.type(description="When and from what an answer was made, and how well that is collected")
class Meta:
    as_of: Time = strawberry.field(description="asking again with asOf set to it gives the same answer")
    known_by: Time | None
    generated_at: Time
    age_seconds: float | None = strawberry.field(description="of the newest observation used")
    condition: str = strawberry.field(description="available, degraded, pending or missing")
    reasons: list[str]
    source: str | None
    dataset: str | None
    attribution: str | None
    simulated: bool
    gaps: list[Gap] = strawberry.field(description="what is missing in the range, or since the last candle")
    left_out: list[LeftOut]
    left_out_features: list[str]


async def meta_of(root: Any) -> Meta:
    return cast("Meta", await root.tell_meta())


def meta() -> Any:
    """The field `meta`."""
    return strawberry.field(resolver=meta_of, description="how this answer came about")


@strawberry.type(description="A price in one currency; the change is known in usd only")
class Quote:
    currency: str
    price: Number | None
    market_cap: Number | None
    volume_24h: Number | None
    price_change_24h: Number | None
    price_change_percentage_24h: Number | None


@strawberry.type(description="What a coin costs")
class Price:
    id: str
    symbol: str
    name: str
    quotes: list[Quote]
    last_updated: Time | None
    data_source: str
    record_id: str
    meta: Meta = meta()


@strawberry.type
class Candle:
    timestamp: Time = strawberry.field(description="its start")
    end: Time
    open: Number
    high: Number
    low: Number
    close: Number
    volume: Number | None
    complete: bool


@strawberry.type
class NamedValue:
    name: str
    value: float | None


@strawberry.type(description="Why a value is null; `lacking`: how many candles are, during the warm-up")
class NoValue:
    reason: str
    name: str
    lacking: int | None


@strawberry.type
class Thresholds:
    oversold: float
    overbought: float


@strawberry.type
class Rsi:
    value: float | None
    signal: str | None
    thresholds: Thresholds
    period: int


@strawberry.type
class Macd:
    line: float | None
    signal_line: float | None
    histogram: float | None
    crossover: str | None


@strawberry.type
class BollingerBands:
    upper: float | None
    middle: float | None
    lower: float | None
    position: str | None
    percent: float | None
    bandwidth: float | None
    squeeze: bool | None


@strawberry.type
class OverallSignal:
    direction: str | None
    strength: float | None
    confidence: float | None


@strawberry.type(description="The indicators of the last complete candle")
class Technical:
    id: str
    symbol: str
    name: str
    timeframe: str
    vs_currency: str
    candle: Candle
    rsi: Rsi | None
    macd: Macd | None
    bollinger_bands: BollingerBands | None
    moving_averages: list[NamedValue] = many(12)
    indicators: list[NamedValue] = many(60)
    overall_signal: OverallSignal | None
    nulls: list[NoValue] = many(20)
    meta: Meta = meta()


@strawberry.type
class FeatureValue:
    name: str
    group: str
    value: float | None


@strawberry.type(description="The features of one hour")
class Features:
    timestamp: Time = strawberry.field(description="the end of the hour")
    values: list[FeatureValue] = many(200)
    data_quality_score: float | None
    candles: str
    inputs_as_of: Time
    made_at: Time


@strawberry.type(description="The features of the newest hour of a coin")
class NewestFeatures(Features):
    id: str
    symbol: str
    name: str
    feature_version: str
    feature_count: int
    meta: Meta = meta()


@strawberry.type
class PageInfo:
    has_next_page: bool
    end_cursor: str | None = strawberry.field(description="`after` of the next page; null on the last one")


@strawberry.type
class Edge(Generic[N]):
    node: N
    cursor: str | None = strawberry.field(description="`after` of the page that begins behind this row")


@strawberry.type(description="A page of rows; it stays as it is while new rows arrive")
class Connection(Generic[N]):
    nodes: list[N]
    edges: list[Edge[N]]
    page_info: PageInfo
    total: int | None = strawberry.field(description="rows on all pages, where that is known")
    meta: Meta = meta()


@strawberry.type(
    description="Candles, oldest first; one that was not observed is absent and stands in meta.gaps"
)
class Candles(Connection[Candle]):
    id: str
    symbol: str
    name: str
    interval: str
    vs_currency: str


@strawberry.type(description="Rows of features, oldest first")
class FeatureRows(Connection[Features]):
    id: str
    symbol: str
    name: str
    feature_version: str
    feature_count: int
