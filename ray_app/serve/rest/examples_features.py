"""The examples of rows of features. They show shapes; the numbers are not data."""

from typing import Any

from ray_app.serve.rest.examples import META

ML_FEATURES: dict[str, Any] = {
    "symbol": "BTC",
    "id": "bitcoin",
    "name": "Bitcoin",
    "timestamp": "2026-11-23T01:00:00.000Z",
    "features": {"price": {"price_usd": 1.5, "price_change_1h": None}, "technical": {"rsi_14": 51.25}},
    "data_quality_score": 0.66,
    "candles": "coinbase.bars_1h",
    "inputs_as_of": "2026-11-23T01:00:07.114Z",
    "made_at": "2026-11-23T01:00:09.204Z",
    "feature_version": "0123456789abcdef",
    "feature_count": 3,
    "meta": {**META, "source": "features", "cursor": None},
}
