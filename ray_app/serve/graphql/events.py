"""The types of GraphQL subscriptions: the messages of the streams, under the same names.

An event is the root of its own answer: the field of the subscription gives it back, and the selection cuts it.
"""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, NewType

import strawberry

from ray_app.serve.graphql.rows import LeftOut, Number, Time, field
from ray_app.serve.graphql.rows_texts import Mention, Score
from ray_app.serve.problems import invalid
from ray_app.serve.streams.messages import LARGEST_CURSOR

MOST_IN_SNAPSHOT = 250  # coins and stocks, about; what they cost before it is known how many there are
Cursor = NewType("Cursor", int)


def _place(value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= LARGEST_CURSOR:
        return value
    raise invalid("a cursor of a stream is a whole number, as its events have it")


CURSOR = strawberry.scalar(
    name="Cursor",
    description="Place in a stream: a whole number that only grows, above the range of Int",
    serialize=lambda value: value,
    parse_value=_place,
)


class Event:
    """What comes as a message of a stream; `told_as` is the `type` of that message."""

    told_as: ClassVar[str]

    @classmethod
    def is_type_of(cls, row: Any, _: Any) -> bool:
        return isinstance(row, Mapping) and row.get("type") == cls.told_as


@strawberry.type(description="The first event: what is subscribed to, and which series this key may not have")
class Subscribed(Event):
    told_as = "ack"
    symbols: list[str] | None = strawberry.field(description="null: all of them")
    left_out: list[LeftOut] | None = strawberry.field(description="null: none")
    cursor: Cursor
    timestamp: Time


@strawberry.type(description="Every 15 seconds: all events up to the cursor that concern you came before it")
class Heartbeat(Event):
    told_as = "heartbeat"
    timestamp: Time
    cursor: Cursor


@strawberry.type(
    description="Half of what may wait for this socket waits; when it is full it is closed with 4408"
)
class SlowClient(Event):
    told_as = "warning"
    code: str
    message: str
    timestamp: Time


@strawberry.type
class Interval:
    """What is told of one. The fields of both kinds have one type, else no selection could hold both."""

    series: str
    members: list[str] | None
    from_: Time | None = strawberry.field(name="from")
    to: Time | None
    cursor: Cursor


@strawberry.type(
    description="All that the upstream had of this interval has been told; nothing of it is null"
)
class IntervalComplete(Event, Interval):
    told_as = "interval_complete"


@strawberry.type(
    description="An interval that was not collected (failed, not_offered, lost), or events older than what is kept "
    "(retention: the cursor was too old, and the series is the stream)"
)
class StreamGap(Event, Interval):
    told_as = "gap"
    outcome: str
    reason: str


@strawberry.type(description="A text was deleted upstream: drop it")
class TextDeleted(Event):
    told_as = "delete"
    id: str
    reason: str
    cursor: Cursor


@strawberry.type
class PriceData:
    price_usd: Number | None
    volume_24h: Number | None
    market_cap: Number | None
    change_24h: Number | None = strawberry.field(description="US dollars")
    change_percent_24h: Number | None


@strawberry.type
class PriceEntry:
    symbol: str | None = strawberry.field(description="null for a coin that is not tracked any more")
    id: str
    data: PriceData
    timestamp: Time = strawberry.field(description="the upstream's own time of the price")
    slot: Time = strawberry.field(description="the poll that it belongs to")
    received_at: Time
    source: str
    revision: int
    record_id: str


@strawberry.type(description="A collected price")
class PriceUpdate(Event, PriceEntry):
    told_as = "price_update"
    cursor: Cursor


@strawberry.type(description="The newest price of each symbol at the cursor")
class PriceSnapshot(Event):
    told_as = "snapshot"
    data: list[PriceEntry] = strawberry.field(name="prices", metadata={"size": MOST_IN_SNAPSHOT})
    cursor: Cursor
    timestamp: Time


@strawberry.type
class NewsData:
    kind: str
    source: str
    feed: str
    outlet: str | None
    url: str | None
    title: str | None
    summary: str | None
    published_at: Time | None
    updated_at: Time | None
    language: str | None
    author: str | None
    topics: str | None
    mentions: list[Mention]
    licence: str
    llm_allowed: bool
    likes: int | None
    replies: int | None
    shares: int | None
    views: int | None


@strawberry.type
class NewsEntry:
    id: str = strawberry.field(description="of the text, in all its revisions; TextDeleted names it")
    data: NewsData
    timestamp: Time = strawberry.field(description="when it was published, or found")
    received_at: Time
    revision: int
    record_id: str


@strawberry.type(description="An article or a post, or one that changed")
class NewsUpdate(Event, NewsEntry):
    told_as = "news_update"
    cursor: Cursor


@strawberry.type(description="The last texts at the cursor")
class NewsSnapshot(Event):
    told_as = "snapshot"
    data: list[NewsEntry] = strawberry.field(name="texts", metadata={"size": 20})
    cursor: Cursor
    timestamp: Time


@strawberry.type
class SentimentPart(Score):
    count: int
    stories: int
    unscored: int


@strawberry.type
class SentimentBreakdown:
    news: SentimentPart | None
    reddit: SentimentPart | None
    twitter: SentimentPart | None


@strawberry.type
class SentimentData:
    overall_sentiment: Score
    sample_size: int = strawberry.field(description="stories with a score")
    effective_sample_size: float | None
    texts: int
    unscored: int
    breakdown: SentimentBreakdown


@strawberry.type
class SentimentEntry:
    symbol: str
    id: str
    kind: str
    timeframe: str
    data: SentimentData
    timestamp: Time = strawberry.field(description="the minute that it speaks of")
    received_at: Time


@strawberry.type(description="What is said of an asset over 24 hours")
class SentimentUpdate(Event, SentimentEntry):
    told_as = "sentiment_update"
    cursor: Cursor


@strawberry.type(description="The newest word on each symbol at the cursor")
class SentimentSnapshot(Event):
    told_as = "snapshot"
    data: list[SentimentEntry] = strawberry.field(name="sentiments", metadata={"size": MOST_IN_SNAPSHOT})
    cursor: Cursor
    timestamp: Time


PriceEvent = Annotated[
    PriceUpdate | IntervalComplete | StreamGap | Heartbeat | PriceSnapshot | Subscribed | SlowClient,
    strawberry.union("PriceEvent", description="What the stream of prices tells"),
]
NewsEvent = Annotated[
    NewsUpdate
    | TextDeleted
    | IntervalComplete
    | StreamGap
    | Heartbeat
    | NewsSnapshot
    | Subscribed
    | SlowClient,
    strawberry.union("NewsEvent", description="What the stream of texts tells"),
]
SentimentEvent = Annotated[
    SentimentUpdate | IntervalComplete | StreamGap | Heartbeat | SentimentSnapshot | Subscribed | SlowClient,
    strawberry.union("SentimentEvent", description="What the stream of sentiment tells"),
]
Symbols = Annotated[
    list[str] | None, strawberry.argument(description="coins and stocks, up to 250; null: all of them")
]
Resume = Annotated[
    Cursor | None,
    strawberry.argument(description="first what came after this cursor; without it a snapshot comes first"),
]


@strawberry.type
class Subscription:
    """What can be followed, over graphql-transport-ws at /ws/graphql; one field at a time."""

    @field("Collected prices, as they are committed. Scope: read:prices")
    def prices(self, symbols: Symbols = None, after: Resume = None) -> PriceEvent:  # noqa: ARG002 - read before
        return self  # type: ignore[return-value]  # the root is the event

    @field("Articles and posts, as they are committed. Scope: read:news")
    def news(self, symbols: Symbols = None, after: Resume = None) -> NewsEvent:  # noqa: ARG002 - read before
        return self  # type: ignore[return-value]  # the root is the event

    @field("What many texts say, when it changes. Scope: read:sentiment")
    def sentiment(self, symbols: Symbols = None, after: Resume = None) -> SentimentEvent:  # noqa: ARG002 - read before
        return self  # type: ignore[return-value]  # the root is the event
