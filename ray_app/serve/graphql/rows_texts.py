"""The types of texts, of their sentiment, and of series."""

import strawberry

from ray_app.serve.graphql.rows import Connection, Gap, Meta, Number, Time, meta


@strawberry.type
class Model:
    id: str
    digest: str


@strawberry.type(description="What a model says of one text")
class TextSentiment:
    score: Number
    label: str
    confidence: Number
    model: Model | None


@strawberry.type
class Mention:
    symbol: str
    asset: str
    kind: str
    confidence: Number


@strawberry.type(description="What was written")
class Article:
    source: str
    feed: str
    outlet: str | None
    url: str | None
    title: str | None
    summary: str | None
    published_at: Time | None
    updated_at: Time | None
    first_seen_at: Time
    language: str | None
    author: str | None
    topics: str | None
    story: str | None = strawberry.field(description="texts that tell the same share it")
    mentions: list[Mention]
    sentiment: TextSentiment | None
    sentiment_reason: str | None
    advanced_sentiment: TextSentiment | None
    advanced_sentiment_reason: str | None
    licence: str
    llm_allowed: bool
    known_at: Time
    received_at: Time
    record_id: str


@strawberry.type(description="A post of a social network; what is deleted there is gone")
class Post(Article):
    likes: int | None
    replies: int | None
    shares: int | None
    views: int | None
    like_ratio: Number | None


@strawberry.type(description="Score from -1 to 1, or the reason for none")
class Score:
    score: float | None
    label: str | None
    confidence: float | None
    reason: str | None


@strawberry.type
class SourceSentiment(Score):
    source: str
    count: int
    stories: int
    unscored: int
    model: Model | None


@strawberry.type
class SentimentPoint(Score):
    end: Time
    sample_size: int


@strawberry.type(description="What many texts say")
class SentimentSide:
    timeframe: str
    start: Time
    end: Time
    overall_sentiment: Score
    sample_size: int
    effective_sample_size: float | None
    texts: int
    unscored: int
    truncated: bool


@strawberry.type
class FearAndGreed:
    value: Number | None
    label: str | None
    day: Time | None
    reason: str | None


@strawberry.type
class RiskAppetite:
    score: float | None
    label: str | None
    reason: str | None
    formula: str


@strawberry.type(description="What is said of coins against what is said of stocks")
class MarketSentiment:
    timeframe: str
    crypto: SentimentSide
    stock: SentimentSide
    crypto_minus_stock: float | None
    fear_and_greed: FearAndGreed
    risk_appetite: RiskAppetite
    formula: str
    meta: Meta = meta()


@strawberry.type(description="One value of a macro series")
class MacroValue:
    period: Time
    value: Number | None
    vintage: Time = strawberry.field(description="the day from which it held")
    known_at: Time
    received_at: Time
    record_id: str


@strawberry.type(description="A macro series, newest period first")
class MacroSeries(Connection[MacroValue]):
    series: str
    provider: str
    title: str
    unit: str
    frequency: str | None
    licence: str


@strawberry.type(description="One value of an on-chain metric")
class OnchainValue:
    metric: str
    provider: str
    time: Time
    value: Number | None
    unit: str
    known_at: Time
    received_at: Time
    record_id: str


@strawberry.type
class OnchainMetric:
    metric: str
    dataset: str
    series: str
    provider: str
    title: str
    unit: str
    frequency: str | None
    licence: str


@strawberry.type(description="On-chain metrics of an asset: the newest of each, or a range, newest first")
class Onchain(Connection[OnchainValue]):
    id: str
    symbol: str | None
    name: str
    metrics: list[OnchainMetric]


@strawberry.type
class StateShare:
    state: str
    intervals: int
    percent: float


@strawberry.type(description="The state of every due interval of a series; the states add up to 100 %")
class SeriesCoverage:
    dataset: str
    series: str
    start: Time
    end: Time
    states: list[StateShare]
    spans: list[Gap]
