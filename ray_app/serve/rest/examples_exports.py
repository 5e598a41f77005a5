"""The examples of exports. They show shapes; the numbers are not data."""

from typing import Any

from ray_app.serve.rest.examples import LEFT_OUT, META
from ray_app.serve.shapes import Named

ASKED: dict[str, Any] = {
    "what": "bars",
    "symbols": ["BTC", "ETH"],
    "interval": "1h",
    "start": "2026-10-01T00:00:00Z",
    "end": "2026-11-01T00:00:00Z",
}
_META = META | {"source": "coinbase", "attribution": "Coinbase"}
_STATE: dict[str, Any] = {
    "id": "5f0c1d2e3a4b5c6d7e8f9a0b",
    "state": "queued",
    "reason": None,
    "what": "bars",
    "asked": Named(ASKED),
    "as_of": "2026-11-23T01:05:02.417Z",
    "known_by": None,
    "start": "2026-10-01T00:00:00.000Z",
    "end": "2026-11-01T00:00:00.000Z",
    "rows_counted": None,
    "pieces": None,
    "pieces_done": 0,
    "created_at": "2026-11-23T01:05:04.420Z",
    "started_at": None,
    "finished_at": None,
    "expires_at": None,
}
_DONE = _STATE | {
    "state": "done",
    "rows_counted": 1488,
    "pieces": 1,
    "pieces_done": 1,
    "started_at": "2026-11-23T01:05:05.100Z",
    "finished_at": "2026-11-23T01:05:06.300Z",
    "expires_at": "2026-11-30T01:05:06.300Z",
}
QUEUED = _STATE | {"meta": _META | {"condition": "pending"}}
QUEUED_LESS = QUEUED | {"meta": {**QUEUED["meta"], "source": None, "left_out": LEFT_OUT}}
_OF_EXPORTS = {name: value for name, value in META.items() if name != "known_by"}
EXPORTS = {"data": [_DONE], "meta": _OF_EXPORTS | {"source": "exports", "cursor": None}}
EXPORT = _DONE | {
    "manifest": {
        "export": "5f0c1d2e3a4b5c6d7e8f9a0b",
        "what": "bars",
        "asked": Named(ASKED),
        "as_of": "2026-11-23T01:05:02.417Z",
        "known_by": None,
        "start": "2026-10-01T00:00:00.000Z",
        "end": "2026-11-01T00:00:00.000Z",
        "made_at": "2026-11-23T01:05:06.300Z",
        "expires_at": "2026-11-30T01:05:06.300Z",
        "release": "dev",
        "simulated": False,
        "rows": 1488,
        "rows_counted": 1488,
        "bytes": 48_213,
        "schema": [
            {"name": "dataset", "type": "string", "decimal": False},
            {"name": "symbol", "type": "string", "decimal": False},
            {"name": "start", "type": "timestamp[us, tz=UTC]", "decimal": False},
            {"name": "close", "type": "string", "decimal": True},
        ],
        "note": "columns of type string with decimal: true hold numbers with all their digits; times are UTC",
        "feature_set": None,
        "terms": [
            {"dataset": "coinbase.bars_1h", "source": "coinbase", "licence": "own_use", "attribution": "Coinbase"}
        ],
        "left_out": LEFT_OUT,
        "files": [
            {
                "name": "00000.coinbase.bars_1h.parquet",
                "dataset": "coinbase.bars_1h",
                "series": ["BTC-USD", "ETH-USD"],
                "start": "2026-10-01T00:00:00.000Z",
                "end": "2026-10-31T23:00:00.000Z",
                "rows": 1488,
                "bytes": 48_213,
                "sha256": "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
            }
        ],
    },
    "meta": _META,
}  # fmt: skip
EXPORT_WAITS = EXPORT | {"manifest": None, "meta": _META | {"left_out": LEFT_OUT}}
