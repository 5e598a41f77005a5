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
