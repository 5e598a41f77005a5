"""What a stream tells, as typed events. `cursor` is an event's place in its stream; it only grows.

A type that this client does not know is an Event with its fields in `model_extra`.
"""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from pydantic import Field

from ray_app.client.answers.answer import JsonObject, Told
from ray_app.client.answers.texts import Mention, Mood


class Event(Told):
    type: str
    cursor: int | None = None
    timestamp: datetime | None = None


class PriceData(Told):
    """Left out is what was not asked for; None is what is not known."""

    price_usd: Decimal | None = None
    volume_24h: Decimal | None = None
    market_cap: Decimal | None = None
    change_24h: Decimal | None = None
    change_percent_24h: Decimal | None = None


class PriceEntry(Told):
    """`timestamp` is the upstream's own time of the price, `slot` the poll that it belongs to."""

    symbol: str | None
    id: str
    data: PriceData
    timestamp: datetime
    slot: datetime
    received_at: datetime
    source: str
    revision: int
    record_id: str


class NewsData(Told):
    kind: str | None = None
    source: str | None = None
    feed: str | None = None
    outlet: str | None = None
    url: str | None = None
    title: str | None = None
    summary: str | None = None
    published_at: datetime | None = None
    updated_at: datetime | None = None
    language: str | None = None
    author: str | None = None
    topics: str | None = None
    mentions: list[Mention] | None = None
    licence: str | None = None
    llm_allowed: bool | None = None
    likes: int | None = None
    replies: int | None = None
    shares: int | None = None
    views: int | None = None


class NewsEntry(Told):
    """`id` is the text's, in all its revisions."""

    id: str
    data: NewsData
    timestamp: datetime
    received_at: datetime
    revision: int
    record_id: str


class SentimentData(Told):
    overall_sentiment: Mood | None = None
    sample_size: int | None = None
    effective_sample_size: float | None = None
    texts: int | None = None
    unscored: int | None = None
    breakdown: dict[str, Mood] | None = None


class SentimentEntry(Told):
    """`timestamp` is the minute that it speaks of: as_of for the routes of sentiment."""

    symbol: str
    id: str
    kind: str
    timeframe: str
    data: SentimentData
    timestamp: datetime
    received_at: datetime


class PriceUpdate(Event, PriceEntry):
    """A collected price, or a corrected one (`revision` above 0)."""

    timestamp: datetime


class NewsUpdate(Event, NewsEntry):
    """An article or a post, or one that changed."""

    timestamp: datetime


class SentimentUpdate(Event, SentimentEntry):
    """What is said of a coin or a stock now."""

    timestamp: datetime


class PriceSnapshot(Event):
    """How things stood at `cursor`, when the stream began: the newest price of each symbol."""

    data: list[PriceEntry]


class NewsSnapshot(Event):
    """The last texts when the stream began."""

    data: list[NewsEntry]


class SentimentSnapshot(Event):
    """The newest sentiment of each symbol when the stream began."""

    data: list[SentimentEntry]


class IntervalComplete(Event):
    """All that the upstream had of this interval has been told."""

    series: str
    members: list[str]
    from_: datetime = Field(alias="from")
    to: datetime


class IntervalGap(Event):
    """What is not there. `outcome`: failed (can still come), lost, not_offered, or retention.

    `retention`: events between the cursor that the stream resumed from and `cursor` are not kept any more.
    """

    series: str
    members: list[str] | None = None
    from_: datetime | None = Field(None, alias="from")
    to: datetime | None = None
    outcome: str
    reason: str


class Delete(Event):
    """A text was deleted upstream: drop it."""

    id: str
    reason: str


class Tick(Told):
    symbol: str | None
    pair: str
    source: str
    price: Decimal
    volume_24h: Decimal | None
    timestamp: datetime


class Ticks(Event):
    """The exchange's newest prices; not stored, without a cursor, and not told again after a break."""

    data: list[Tick]


class SlowClient(Event):
    """Half of the queue is full since this client reads too slowly; when it is full the stream breaks and resumes."""

    code: str
    message: str


class Ack(Event):
    """What the stream tells. `left_out`: series that the key may not have, by their licence."""

    symbols: list[str] | None = None
    channels: list[str] | None = None
    fields: list[str] | None = None
    left_out: list[JsonObject] | None = None


OF_ALL: Mapping[str, type[Event]] = {
    "ack": Ack,
    "interval_complete": IntervalComplete,
    "gap": IntervalGap,
    "delete": Delete,
    "ticks": Ticks,
    "warning": SlowClient,
}
OF_STREAM: Mapping[str, Mapping[str, type[Event]]] = {
    "prices": {**OF_ALL, "price_update": PriceUpdate, "snapshot": PriceSnapshot},
    "news": {**OF_ALL, "news_update": NewsUpdate, "snapshot": NewsSnapshot},
    "sentiment": {**OF_ALL, "sentiment_update": SentimentUpdate, "snapshot": SentimentSnapshot},
}
PriceEvent = PriceUpdate | PriceSnapshot | IntervalComplete | IntervalGap | Ticks | SlowClient | Event
NewsEvent = NewsUpdate | NewsSnapshot | Delete | IntervalComplete | IntervalGap | SlowClient | Event
SentimentEvent = SentimentUpdate | SentimentSnapshot | IntervalComplete | IntervalGap | SlowClient | Event


def event_of(stream: str, told: Any) -> Event:
    """A message as its type. Raises pydantic's ValidationError."""
    kind = told.get("type") if isinstance(told, dict) else None
    return OF_STREAM[stream].get(str(kind), Event).model_validate(told)
