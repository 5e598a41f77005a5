"""The examples of the OpenAPI document. They show shapes; the numbers are not data."""

from typing import Any

META: dict[str, Any] = {
    "as_of": "2026-11-23T01:05:02.417Z",
    "known_by": None,
    "condition": "available",
    "reasons": [],
    "source": "coingecko",
    "attribution": "Data provided by CoinGecko",
    "simulated": False,
    "generated_at": "2026-11-23T01:05:31.004Z",
    "age_seconds": 47.004,
}
CURRENT: dict[str, Any] = {
    "symbol": "BTC",
    "id": "bitcoin",
    "name": "Bitcoin",
    "current_price": {"usd": 1.5},
    "market_cap": {"usd": 3},
    "volume_24h": {"usd": None},
    "price_change_24h": {"usd": -0.25},
    "price_change_percentage_24h": {"usd": -14.2857},
    "last_updated": "2026-11-23T01:04:44.000Z",
    "data_source": "coingecko",
    "record_id": "coingecko.prices:bitcoin:2026-11-23T01:05:00+00:00:0",
    "meta": META,
}
GAP: dict[str, Any] = {
    "dataset": "coingecko.bars_1h",
    "series": "bitcoin",
    "from": "2026-11-22T23:00:00.000Z",
    "to": "2026-11-23T00:00:00.000Z",
    "state": "failed",
    "reason": "Transient: HTTP 503",
    "intervals": 1,
}
HISTORICAL: dict[str, Any] = {
    "symbol": "BTC",
    "id": "bitcoin",
    "name": "Bitcoin",
    "interval": "1h",
    "vs_currency": "usd",
    "units": {"price": "USD", "volume": "BTC"},
    "data": [
        {
            "timestamp": "2026-11-23T00:00:00.000Z",
            "end": "2026-11-23T01:00:00.000Z",
            "open": 1.5,
            "high": 1.75,
            "low": 1.25,
            "close": 1.5,
            "volume": None,
            "complete": True,
        }
    ],
    "total_points": 1,
    "meta": {**META, "gaps": [GAP], "cursor": None},
}
TECHNICAL: dict[str, Any] = {
    "symbol": "BTC",
    "id": "bitcoin",
    "name": "Bitcoin",
    "timeframe": "1h",
    "vs_currency": "usd",
    "candle": HISTORICAL["data"][0],
    "rsi": {
        "value": 72.5,
        "signal": "overbought",
        "thresholds": {"oversold": 30, "overbought": 70},
        "period": 14,
    },
    "macd": {"line": 0.5, "signal_line": 0.25, "histogram": 0.25, "crossover": "bullish"},
    "bollinger_bands": {
        "upper": 1.75,
        "middle": 1.5,
        "lower": 1.25,
        "position": "upper_half",
        "percent": 0.5,
        "bandwidth": 33.25,
        "squeeze": False,
    },
    "moving_averages": {"sma_20": 1.5, "ema_200": None},
    "indicators": {"atr_14": 0.125, "obv_200": None},
    "overall_signal": {"direction": "bullish", "strength": 0.2, "confidence": 0.6},
    "meta": {
        **META,
        "reasons": ["candles of coingecko have no volume; there is with venue=coinbase or kraken"],
        "dataset": "coingecko.bars_1h",
        "instrument": "bitcoin",
        "candles": {
            "from": "2026-10-24T01:00:00.000Z",
            "to": "2026-11-23T01:00:00.000Z",
            "count": 720,
            "missing": 0,
            "whole_history": False,
        },
        "nulls": {"warming_up": {"ema_200": 2474}, "no_volume": {"obv_200": None}},
        "gaps": [],
    },
}
_KNOWN: dict[str, Any] = {
    "known_at": "2026-10-30T06:00:00.000Z",
    "received_at": "2026-10-29T13:05:02.417Z",
}
_SERIES_META: dict[str, Any] = {**META, "cursor": None}
MACRO: dict[str, Any] = {
    "dataset": "fred.macro",
    "series": "GDP",
    "provider": "fred",
    "title": "Gross domestic product",
    "unit": "billions of USD a year",
    "frequency": "quarterly",
    "licence": "public_domain",
    "attribution": "as the source wants it",
    "data": [
        {
            "period": "2026-07-01T00:00:00.000Z",
            "value": 1.5,
            "vintage": "2026-10-29T00:00:00.000Z",
            **_KNOWN,
            "record_id": "fred.macro:GDP:2026-07-01T00:00:00+00:00:2026102900",
        }
    ],
    "meta": {**_SERIES_META, "source": "fred"},
}
ONCHAIN: dict[str, Any] = {
    "symbol": "BTC",
    "id": "bitcoin",
    "name": "Bitcoin",
    "metrics": [
        {
            "metric": "mempool_tx",
            "dataset": "mempool.waiting",
            "series": "btc.mempool_tx",
            "provider": "mempool",
            "title": "Transactions that wait",
            "unit": "transactions",
            "frequency": None,
            "licence": "attribution",
            "attribution": "mempool.space",
        }
    ],
    "data": [
        {
            "metric": "mempool_tx",
            "provider": "mempool",
            "time": "2026-11-23T01:00:00.000Z",
            "value": 3,
            "unit": "transactions",
            **_KNOWN,
            "record_id": "mempool.waiting:btc.mempool_tx:2026-11-23T01:00:00+00:00:0",
        }
    ],
    "meta": {**_SERIES_META, "source": "mempool", "left_out": []},
}
DERIVATIVES: dict[str, Any] = {
    "symbol": "BTC",
    "id": "bitcoin",
    "name": "Bitcoin",
    "data": [
        {
            "venue": "binance_futures",
            "contract": "BTCUSDT",
            "time": "2026-11-23T00:00:00.000Z",
            "kind": "funding_rate",
            "rate": 0.25,
            "mark_price": 1.5,
            **_KNOWN,
            "record_id": "binance_futures.funding:BTCUSDT:2026-11-23T00:00:00+00:00:0",
        }
    ],
    "meta": {**_SERIES_META, "source": "binance_futures"},
}
SERIES: dict[str, Any] = {
    "dataset": "fred.market_closes",
    "series": "SP500",
    "title": "S&P 500, close",
    "unit": "index",
    "life": [{"from": None, "to": None}],
    "frequency": "daily",
    "every_seconds": 3600.0,
    "licence": "no_redistribution",
    "restricted": True,
    "attribution": "as the source wants it",
    "llm_allowed": False,
}
_OF_INDICATORS: dict[str, Any] = {
    "group": "technical",
    "inputs": ["close"],
    "limit_seconds": None,
    "version": 1,
}
FEATURES: list[dict[str, Any]] = [
    {
        "name": "sma_20",
        "kind": "indicator",
        "family": "moving averages",
        "formula": "mean of the last 20 closes",
        "unit": "price",
        "values": None,
        "lookback": 19,
        "memory": 19,
        "days": 0,
        **_OF_INDICATORS,
    },
    {
        "name": "bollinger_squeeze",
        "kind": "signal",
        "family": None,
        "formula": "whether bb_squeeze_20_2_120 is 1",
        "unit": None,
        "values": "true, false",
        "lookback": None,
        "memory": None,
        "days": None,
        **_OF_INDICATORS,
        "inputs": ["bb_squeeze_20_2_120"],
    },
]
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
    "data": [{**_TEXT, **_KNOWN, "record_id": "rss.articles:crypto/coindesk:story:0"}],
    "meta": {**_SERIES_META, "source": "rss", "left_out": []},
}
_NUMBERS = {"likes": 1, "replies": 0, "shares": None, "views": None, "like_ratio": None}
_KEPT_HERE = {"llm_allowed": False, "advanced_sentiment_reason": "not_allowed"}
_OF_REDDIT = {"source": "reddit", "feed": "Bitcoin", "outlet": None, **_KEPT_HERE}
SOCIAL: dict[str, Any] = {
    "data": [{**_TEXT, **_OF_REDDIT, **_NUMBERS, **_KNOWN, "record_id": "reddit.posts:Bitcoin:t3_a:0"}],
    "meta": {**_SERIES_META, "source": "reddit", "left_out": []},
}
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
    "breakdown": {
        "news": {**_SCORE, "reason": None, "count": 4, "stories": 3, "unscored": 1, "model": _MODEL},
        "reddit": {**_NONE, "count": 0, "stories": 0, "unscored": 0, "model": _MODEL},
        "twitter": {**_NONE, "count": 0, "stories": 0, "unscored": 0, "model": _MODEL},
    },
    "history": [{"end": "2026-11-23T01:05:00.000Z", **_SCORE, "reason": None, "sample_size": 3}],
    "formula": "in words",
    "meta": {**_SERIES_META, "source": "guardian, reddit, rss, x"},
}
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
        **_KNOWN,
        "record_id": "alternative.fear_greed:fear_greed:2026-11-23T00:00:00+00:00:0",
    },
    "risk_appetite": {"score": 0.1, "label": "neutral", "reason": None, "formula": "in words"},
    "formula": "in words",
    "meta": {**_SERIES_META, "source": "alternative, guardian, reddit, rss, x"},
}
