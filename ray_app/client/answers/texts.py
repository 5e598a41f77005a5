"""Answers about news, posts and sentiment."""

from datetime import datetime

from pydantic import Field

from ray_app.client.answers.answer import Answer, Rows, Told
from ray_app.client.answers.market import Known


class Model(Told):
    """Which model said it; `digest` is of its weights."""

    id: str
    digest: str


class Verdict(Told):
    """`score` is from -1 (bearish) to 1 (bullish)."""

    score: float | None
    label: str | None
    confidence: float | None
    model: Model | None = None


class Mention(Told):
    symbol: str
    asset: str
    kind: str
    confidence: float


class Text(Known):
    """An article or a post (with likes and so on). Texts of one `story` tell the same."""

    source: str
    feed: str
    outlet: str | None
    url: str | None
    title: str | None
    summary: str | None
    published_at: datetime | None
    updated_at: datetime | None
    first_seen_at: datetime
    language: str | None
    author: str | None
    topics: str | None
    story: str | None
    mentions: list[Mention]
    sentiment: Verdict | None
    sentiment_reason: str | None
    advanced_sentiment: Verdict | None
    advanced_sentiment_reason: str | None
    licence: str
    llm_allowed: bool
    likes: int | None = None
    replies: int | None = None
    shares: int | None = None
    views: int | None = None
    like_ratio: float | None = None


class Texts(Rows[Text]):
    data: list[Text]


class Mood(Told):
    """A score, or the reason for none."""

    score: float | None
    label: str | None
    confidence: float | None
    reason: str | None


class SourceMood(Mood):
    count: int
    stories: int
    unscored: int
    model: Model | None = None


class PastMood(Mood):
    end: datetime
    sample_size: int


class Overall(Told):
    timeframe: str
    start: datetime
    end: datetime
    overall_sentiment: Mood
    sample_size: int
    effective_sample_size: float | None
    texts: int
    unscored: int
    truncated: bool


class Sentiment(Overall, Answer):
    symbol: str
    id: str
    name: str | None
    breakdown: dict[str, SourceMood] = Field(default_factory=dict)
    history: list[PastMood]
    formula: str


class FearAndGreed(Told):
    value: float | None
    label: str | None
    day: datetime | None
    reason: str | None


class Appetite(Told):
    score: float | None
    label: str | None
    reason: str | None
    formula: str


class MarketSentiment(Answer):
    timeframe: str
    crypto: Overall
    stock: Overall
    crypto_minus_stock: float | None
    fear_and_greed: FearAndGreed
    risk_appetite: Appetite
    formula: str


class ScoredText(Told):
    """What a model says of one of your texts; all None with a `reason` where it says nothing."""

    label: str | None
    score: float | None
    confidence: float | None
    probabilities: dict[str, float] | None
    model: Model
    reason: str | None


class Scores(Answer):
    data: list[ScoredText]
