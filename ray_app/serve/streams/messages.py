"""The messages that clients are sent, as documented and tested.

They are written without these models, once for all who get the same (`items`). The AsyncAPI document is made of the
models, and the tests hold every message that a client receives against them.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

Time = Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$", description="RFC 3339, UTC")]
LARGEST_CURSOR = 2**63 - 1
Cursor = Annotated[int, Field(ge=0, le=LARGEST_CURSOR, description="place in the stream: only ever grows")]


class Told(BaseModel):
    """A message of ours. Numbers keep every digit; what is not known is null."""

    model_config = ConfigDict(extra="forbid")


class Ack(Told):
    """A message was understood. `symbols`: what is subscribed to now, null: all of them."""

    type: Literal["ack"]
    action: Literal["auth", "subscribe", "unsubscribe", "ping"]
    id: str | int | None = None
    symbols: list[str] | None = None
    channels: list[str] | None = None
    fields: list[str] | None = None
    left_out: list[dict[str, str]] | None = Field(
        None, description="series that this key may not have, by their licence"
    )
    cursor: Cursor | None = None
    timestamp: Time


class Refusal(Told):
    code: str = Field(description="one of those of the REST interface")
    message: str
    details: dict[str, Any]
    timestamp: Time
    request_id: str | None


class Error(Told):
    """What was wrong. Where it ends the connection, a close with 4000 + the code's HTTP status follows."""

    type: Literal["error"]
    id: str | int | None = None
    error: Refusal


class SlowClient(Told):
    """Half of the queue is full because the client does not read; when it is full the socket is closed with 4408."""

    type: Literal["warning"]
    code: Literal["SLOW_CLIENT"]
    message: str
    timestamp: Time


class Heartbeat(Told):
    """Every 15 seconds. All events up to `cursor` that concern the client came before it."""

    type: Literal["heartbeat"]
    timestamp: Time
    cursor: Cursor | None


class PriceData(Told):
    price_usd: float | None = None
    volume_24h: float | None = None
    market_cap: float | None = None
    change_24h: float | None = Field(None, description="US dollars")
    change_percent_24h: float | None = None


class PriceEntry(Told):
    symbol: str | None = Field(description="the ticker; null for a coin that is not tracked any more")
    id: str
    data: PriceData
    timestamp: Time = Field(description="the upstream's own time of the price")
    slot: Time = Field(description="the poll that it belongs to")
    received_at: Time
    source: str
    revision: int = Field(description="0; more where a stored price was corrected")
    record_id: str = Field(description="for /api/v1/lineage")


class PriceUpdate(PriceEntry):
    """A collected price."""

    type: Literal["price_update"]
    cursor: Cursor


class Mention(Told):
    symbol: str
    asset: str
    kind: Literal["coin", "stock"]
    confidence: float


class NewsData(Told):
    kind: Literal["article", "post"] | None = None
    source: str | None = None
    feed: str | None = None
    outlet: str | None = None
    url: str | None = None
    title: str | None = None
    summary: str | None = None
    published_at: Time | None = None
    updated_at: Time | None = None
    language: str | None = None
    author: str | None = None
    topics: str | None = None
    mentions: list[Mention] | None = Field(None, description="by the same rules as those of the REST routes")
    licence: str | None = None
    llm_allowed: bool | None = None
    likes: int | None = None
    replies: int | None = None
    shares: int | None = None
    views: int | None = None


class NewsEntry(Told):
    id: str = Field(description="of the text, in all its revisions; `delete` names it")
    data: NewsData
    timestamp: Time = Field(description="when it was published, or found")
    received_at: Time
    revision: int
    record_id: str


class NewsUpdate(NewsEntry):
    """An article or a post, or one that changed (its words, its likes)."""

    type: Literal["news_update"]
    cursor: Cursor


class Score(Told):
    score: float | None
    label: Literal["bullish", "bearish", "neutral"] | None
    confidence: float | None
    reason: Literal["no_texts", "not_scored", "few_texts"] | None


class Part(Score):
    count: int
    stories: int
    unscored: int


class SentimentData(Told):
    overall_sentiment: Score | None = None
    sample_size: int | None = Field(None, description="stories with a score")
    effective_sample_size: float | None = None
    texts: int | None = None
    unscored: int | None = None
    breakdown: dict[Literal["news", "reddit", "twitter"], Part] | None = None


class SentimentEntry(Told):
    symbol: str
    id: str
    kind: Literal["coin", "stock"]
    timeframe: Literal["24h"]
    data: SentimentData
    timestamp: Time = Field(description="the minute that it speaks of: as_of for /api/v1/sentiment")
    received_at: Time


class SentimentUpdate(SentimentEntry):
    """What is said of an asset, when texts about it came or were scored, and each quarter of an hour."""

    type: Literal["sentiment_update"]
    cursor: Cursor


class Snapshot(Told):
    """How things stand at `cursor`: the newest price or sentiment of each symbol, the last texts."""

    type: Literal["snapshot"]
    data: list[PriceEntry | NewsEntry | SentimentEntry]
    cursor: Cursor
    timestamp: Time


class Ended(Told):
    """`series`: the data set; `members`: the coins or feeds of it that were asked for together."""

    series: str
    members: list[str]
    from_: Time = Field(alias="from")
    to: Time
    cursor: Cursor


class IntervalComplete(Ended):
    """All that the upstream had of this interval has been told."""

    type: Literal["interval_complete"]


class Gap(Told):
    """What is not there: an interval that was not collected, or events older than what is kept.

    `failed` may still be filled (an `interval_complete` follows), `lost` and `not_offered` may not; `retention`: the
    cursor was older than the 24 hours that are kept, and `series` is the stream.
    """

    type: Literal["gap"]
    series: str
    members: list[str] | None = None
    from_: Time | None = Field(alias="from")
    to: Time | None
    outcome: Literal["failed", "not_offered", "lost", "retention"]
    reason: str
    cursor: Cursor


class Delete(Told):
    """A text was deleted upstream: drop it. `id` is that of its `news_update`."""

    type: Literal["delete"]
    id: str
    reason: str
    cursor: Cursor


class Tick(Told):
    symbol: str | None
    pair: str
    source: str
    price: float
    volume_24h: float | None
    timestamp: Time


class Ticks(Told):
    """The exchange's newest prices, at most one message in 100 ms; not stored, so without a cursor."""

    type: Literal["ticks"]
    data: list[Tick]


ServerMessage = (
    Ack | Error | SlowClient | Heartbeat | Snapshot | PriceUpdate | NewsUpdate | SentimentUpdate
    | IntervalComplete | Gap | Delete | Ticks
)  # fmt: skip
SERVER: TypeAdapter[ServerMessage] = TypeAdapter(Annotated[ServerMessage, Field(discriminator="type")])
