"""The examples of texts and of what they say together. They show shapes; the numbers are not data."""

from typing import Any

from ray_app.serve.rest.examples import KNOWN, LEFT_OUT, SERIES_META
from ray_app.serve.shapes import Named

_MODEL: dict[str, Any] = {"id": "minilm-market-words", "digest": "2c4f"}
_SCORE: dict[str, Any] = {"score": 0.25, "label": "bullish", "confidence": 0.5}
_TEXT: dict[str, Any] = {
    "source": "rss",
    "feed": "crypto/coindesk",
    "outlet": "CoinDesk",
    "url": "example.com/story",
    "title": "A headline",
    "summary": "What it says in short",
    "published_at": "2026-11-23T01:00:00.000Z",
    "updated_at": None,
    "first_seen_at": "2026-11-23T01:05:02.417Z",
    "language": "en",
    "author": None,
    "topics": None,
    "story": "0d1f",
    "mentions": [{"symbol": "BTC", "asset": "bitcoin", "kind": "coin", "confidence": 0.97}],
    "sentiment": {**_SCORE, "model": _MODEL},
    "sentiment_reason": None,
    "advanced_sentiment": None,
    "advanced_sentiment_reason": "not_asked",
    "licence": "no_redistribution",
    "llm_allowed": True,
}
NEWS: dict[str, Any] = {
    "data": [{**_TEXT, **KNOWN, "record_id": "rss.articles:crypto/coindesk:story:0"}],
    "meta": {**SERIES_META, "source": "rss"},
}
NEWS_LESS: dict[str, Any] = NEWS | {"meta": {**NEWS["meta"], "left_out": LEFT_OUT}}
_OPINION: dict[str, Any] = {**_SCORE, "model": _MODEL}
NEWS_UNSCORED: dict[str, Any] = {
    "data": [{**NEWS["data"][0], "sentiment": None, "advanced_sentiment": _OPINION, "topics": "Markets"}],
    "meta": NEWS["meta"],
}
_NUMBERS = {"likes": 1, "replies": 0, "shares": None, "views": None, "like_ratio": None}
_KEPT_HERE = {"llm_allowed": False, "advanced_sentiment_reason": "not_allowed"}
_OF_REDDIT = {"source": "reddit", "feed": "Bitcoin", "outlet": None, **_KEPT_HERE}
SOCIAL: dict[str, Any] = {
    "data": [{**_TEXT, **_OF_REDDIT, **_NUMBERS, **KNOWN, "record_id": "reddit.posts:Bitcoin:t3_a:0"}],
    "meta": {**SERIES_META, "source": "reddit"},
}
SOCIAL_LESS: dict[str, Any] = {
    "data": [{**SOCIAL["data"][0], "sentiment": None}], "meta": {**SOCIAL["meta"], "left_out": LEFT_OUT},
}  # fmt: skip
_OVERALL: dict[str, Any] = {
    "timeframe": "24h",
    "start": "2026-11-22T01:05:00.000Z",
    "end": "2026-11-23T01:05:00.000Z",
    "overall_sentiment": {**_SCORE, "reason": None},
    "sample_size": 3,
    "effective_sample_size": 2.5,
    "texts": 4,
    "unscored": 1,
    "truncated": False,
}
_NONE: dict[str, Any] = {"score": None, "label": None, "confidence": None, "reason": "no_texts"}
SENTIMENT: dict[str, Any] = {
    "symbol": "BTC",
    "id": "bitcoin",
    "name": "Bitcoin",
    **_OVERALL,
    "breakdown": Named(
        {
            "news": {**_SCORE, "reason": None, "count": 4, "stories": 3, "unscored": 1, "model": _MODEL},
            "reddit": {**_NONE, "count": 0, "stories": 0, "unscored": 0, "model": _MODEL},
            "twitter": {**_NONE, "count": 0, "stories": 0, "unscored": 0, "model": None},
        }
    ),
    "history": [{"end": "2026-11-23T01:05:00.000Z", **_SCORE, "reason": None, "sample_size": 3}],
    "formula": "in words",
    "meta": {**SERIES_META, "source": "guardian, reddit, rss, x"},
}
SENTIMENT_WHOLE: dict[str, Any] = {name: one for name, one in SENTIMENT.items() if name != "breakdown"}
MARKET: dict[str, Any] = {
    "timeframe": "24h",
    "crypto": _OVERALL,
    "stock": _OVERALL,
    "crypto_minus_stock": 0,
    "fear_and_greed": {
        "value": 40,
        "label": "Fear",
        "day": "2026-11-23T00:00:00.000Z",
        "reason": None,
        **KNOWN,
        "record_id": "alternative.fear_greed:fear_greed:2026-11-23T00:00:00+00:00:0",
    },
    "risk_appetite": {"score": 0.1, "label": "neutral", "reason": None, "formula": "in words"},
    "formula": "in words",
    "meta": {**SERIES_META, "source": "alternative, guardian, reddit, rss, x"},
}
