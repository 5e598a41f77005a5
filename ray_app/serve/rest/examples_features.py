"""The examples of rows of features. They show shapes; the numbers are not data."""

from typing import Any

from ray_app.serve.rest.examples import LEFT_OUT, META
from ray_app.serve.shapes import Named

ML_FEATURES: dict[str, Any] = {
    "symbol": "BTC",
    "id": "bitcoin",
    "name": "Bitcoin",
    "timestamp": "2026-11-23T01:00:00.000Z",
    "features": Named(
        {"price": Named({"price_usd": 1.5, "price_change_1h": None}), "technical": Named({"rsi_14": 51.25})}
    ),
    "data_quality_score": 0.66,
    "candles": "coinbase.bars_1h",
    "inputs_as_of": "2026-11-23T01:00:07.114Z",
    "made_at": "2026-11-23T01:00:09.204Z",
    "feature_version": "0123456789abcdef",
    "feature_count": 3,
    "meta": {**META, "source": "features", "cursor": None},
}
_NAMES = ["price_usd", "price_change_1h", "rsi_14"]
_HEAD = ("symbol", "id", "name", "feature_version", "feature_count")
_ROW = ("timestamp", "features", "data_quality_score", "candles", "inputs_as_of", "made_at")
_LESS = {"meta": {**ML_FEATURES["meta"], "left_out": LEFT_OUT, "left_out_features": ["price_usd"]}}
_FLAT: dict[str, Any] = {"features": Named({"price_usd": 1.5, "price_change_1h": None, "rsi_14": 51.25})}
_ARRAY: dict[str, Any] = {"features": [1.5, None, 51.25]}


def _range(features: dict[str, Any], **more: Any) -> dict[str, Any]:
    row = {name: ML_FEATURES[name] for name in _ROW} | features
    return {
        **{name: ML_FEATURES[name] for name in _HEAD},
        "data": [row],
        "total_points": 1,
        **more,
        "meta": ML_FEATURES["meta"],
    }


def _many(features: dict[str, Any], **more: Any) -> dict[str, Any]:
    row = {name: ML_FEATURES[name] for name in ("symbol", "id", "name", *_ROW)} | features
    head = {name: ML_FEATURES[name] for name in ("feature_version", "feature_count")}
    return {"data": [row], "missing": ["ETH"], **head, **more, "meta": ML_FEATURES["meta"]}


ML_OTHERS = (  # the other forms, a range of hours in each, and what a key may not have left out
    ML_FEATURES | _FLAT,
    ML_FEATURES | _ARRAY | {"names": _NAMES},
    _range({}),
    _range(_FLAT),
    _range(_ARRAY, names=_NAMES),
    ML_FEATURES | _LESS,
)
ML_MANY = _many({})
ML_MANY_OTHERS = (_many(_FLAT), _many(_ARRAY, names=_NAMES), ML_MANY | _LESS)
