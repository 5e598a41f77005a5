"""Answers about prices, candles, indicators, features and series of numbers."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from pydantic import Field

from ray_app.client.answers.answer import Answer, JsonObject, Meta, Row, Rows, Told


class CurrentRow(Row):
    """What a coin costs, by currency. Left out is what was not asked for; None is what is not known."""

    symbol: str
    id: str
    name: str
    current_price: dict[str, Decimal | None]
    market_cap: dict[str, Decimal | None] | None = None
    volume_24h: dict[str, Decimal | None]
    price_change_24h: dict[str, Decimal | None] | None = None
    price_change_percentage_24h: dict[str, Decimal | None] | None = None
    last_updated: datetime | None
    data_source: str
    record_id: str | None


class Current(CurrentRow):
    meta: Meta


class CurrentPrices(Rows[CurrentRow]):
    data: list[CurrentRow]


class Candle(Row):
    """`timestamp` is its start. It is known at its `end`. `complete`: made of every part that it should have."""

    timestamp: datetime
    end: datetime
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal | None
    complete: bool


class Candles(Rows[Candle]):
    """`meta.gaps` names the candles that are not there."""

    symbol: str
    id: str
    name: str
    interval: str
    vs_currency: str
    units: dict[str, str | None]
    data: list[Candle]
    total_points: int


class Rsi(Told):
    value: float | None
    signal: str | None
    thresholds: dict[str, float]
    period: int


class Macd(Told):
    line: float | None
    signal_line: float | None
    histogram: float | None
    crossover: str | None


class BollingerBands(Told):
    upper: float | None
    middle: float | None
    lower: float | None
    position: str | None
    percent: float | None
    bandwidth: float | None
    squeeze: bool | None


class OverallSignal(Told):
    direction: str | None
    strength: float | None
    confidence: float | None


class Technical(Answer):
    """What was not asked for is None. `meta.nulls` (under `model_extra`) says why a value is None."""

    symbol: str
    id: str
    name: str
    timeframe: str
    vs_currency: str
    candle: Candle
    rsi: Rsi | None = None
    macd: Macd | None = None
    bollinger_bands: BollingerBands | None = None
    moving_averages: dict[str, float | None] = Field(default_factory=dict)
    indicators: dict[str, float | None] = Field(default_factory=dict)
    overall_signal: OverallSignal | None = None


class FeatureRow(Row):
    """The features of the hour that ends at `timestamp`, known at its end."""

    timestamp: datetime
    features: dict[str, float | None]
    data_quality_score: float | None
    candles: str
    made_at: datetime
    inputs_as_of: datetime


class NamedFeatureRow(FeatureRow):
    symbol: str
    id: str
    name: str


class Features(NamedFeatureRow):
    """One coin's newest row."""

    feature_version: str
    feature_count: int
    meta: Meta


class FeaturesOfMany(Rows[NamedFeatureRow]):
    """`missing`: symbols that have no row."""

    data: list[NamedFeatureRow]
    missing: list[str]
    feature_version: str
    feature_count: int


class FeatureRows(Rows[FeatureRow]):
    """One coin's rows, oldest first."""

    symbol: str
    id: str
    name: str
    data: list[FeatureRow]
    total_points: int
    feature_version: str
    feature_count: int


class Known(Row):
    """A line with when it could be known, when this node had it, and where it came from."""

    known_at: datetime
    received_at: datetime
    record_id: str


class ContractRow(Known):
    """`kind` is `funding_rate` (rate, mark_price) or `open_interest` (amount, worth, units)."""

    venue: str
    contract: str
    time: datetime
    kind: str
    rate: Decimal | None = None
    mark_price: Decimal | None = None
    amount: Decimal | None = None
    worth: Decimal | None = None
    units: dict[str, str | None] | None = None


class Derivatives(Rows[ContractRow]):
    symbol: str
    id: str
    name: str
    data: list[ContractRow]


class Observation(Known):
    """A value of a macro series. `vintage`: the day from which it held; `value` is None where it was withdrawn."""

    period: datetime
    value: Decimal | None
    vintage: datetime


class Series(Told):
    """What a series is."""

    dataset: str
    series: str
    provider: str
    title: str | None
    unit: str | None
    frequency: str | None
    licence: str
    attribution: str


class Observations(Rows[Observation], Series):
    data: list[Observation]


class MetricValue(Known):
    metric: str
    provider: str
    time: datetime
    value: Decimal | None
    unit: str | None


class MetricOf(Series):
    metric: str


class Onchain(Rows[MetricValue]):
    symbol: str | None
    id: str
    name: str
    metrics: list[MetricOf]
    data: list[MetricValue]


class FieldError(Told):
    """Why a field has no answer; `extensions` has the code and details of the error envelope."""

    message: str
    path: list[Any] | None = None
    extensions: JsonObject = Field(default_factory=dict)


class Queried(Told):
    """What a query of GraphQL found; a field without an answer is None and stands in `errors`."""

    data: JsonObject | None
    errors: list[FieldError] = Field(default_factory=list)
