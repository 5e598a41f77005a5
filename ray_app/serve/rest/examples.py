"""The examples of the OpenAPI document. They show shapes; the numbers are not data."""

from typing import Any

from ray_app.serve.shapes import Named

META: dict[str, Any] = {
    "as_of": "2026-11-23T01:05:02.417Z",
    "known_by": None,
    "condition": "available",
    "source": "coingecko",
    "simulated": False,
    "generated_at": "2026-11-23T01:05:31.004Z",
    "age_seconds": 47.004,
}
_OF_COINGECKO: dict[str, Any] = {"attribution": "Data provided by CoinGecko"}
CURRENT: dict[str, Any] = {
    "symbol": "BTC",
    "id": "bitcoin",
    "name": "Bitcoin",
    "current_price": Named({"usd": 1.5}),
    "market_cap": Named({"usd": 3}),
    "volume_24h": Named({"usd": None}),
    "price_change_24h": Named({"usd": -0.25}),
    "price_change_percentage_24h": Named({"usd": -14.2857}),
    "last_updated": "2026-11-23T01:04:44.000Z",
    "data_source": "coingecko",
    "record_id": "coingecko.prices:bitcoin:2026-11-23T01:05:00+00:00:0",
    "meta": {**META, "reasons": [], **_OF_COINGECKO},
}
_RATE = {"time": "2026-11-23T01:00:00.000Z", "base": "usd"}
CONVERTED: dict[str, Any] = {  # without what may be left out, and with what another currency adds
    **{name: value for name, value in CURRENT.items() if name != "market_cap" and "change" not in name},
    "meta": {
        **CURRENT["meta"],
        "reasons": ["bitcoin: not collected since 2026-11-23T00:50Z"],
        "exchange_rates": Named({"eur": _RATE}),
        "notes": ["the 24 h change is known in usd only; in other currencies it is null"],
    },
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
    "meta": {
        **META,
        **_OF_COINGECKO,
        "dataset": "coingecko.bars_1h",
        "instrument": "bitcoin",
        "instruments": [
            {
                "instrument": "bitcoin",
                "from": "2026-11-22T01:00:00.000Z",
                "to": "2026-11-23T01:00:00.000Z",
            }
        ],
        "start": "2026-11-22T01:00:00.000Z",
        "end": "2026-11-23T01:00:00.000Z",
        "gaps": [GAP],
        "cursor": None,
    },
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
    "moving_averages": Named({"sma_20": 1.5, "ema_200": None}),
    "indicators": Named({"atr_14": 0.125, "obv_200": None}),
    "overall_signal": {"direction": "bullish", "strength": 0.2, "confidence": 0.6},
    "meta": {
        **META,
        **_OF_COINGECKO,
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
        "nulls": Named({"warming_up": Named({"ema_200": 2474}), "no_volume": Named({"obv_200": None})}),
        "gaps": [],
    },
}
_SOME = ("rsi", "macd", "bollinger_bands", "moving_averages", "indicators", "overall_signal")
TECHNICAL_SOME = {
    name: value for name, value in TECHNICAL.items() if name not in _SOME
}  # `indicators` chooses
KNOWN: dict[str, Any] = {
    "known_at": "2026-10-30T06:00:00.000Z",
    "received_at": "2026-10-29T13:05:02.417Z",
}
SERIES_META: dict[str, Any] = {**META, **_OF_COINGECKO, "reasons": ["in words"], "cursor": None}
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
            **KNOWN,
            "record_id": "fred.macro:GDP:2026-07-01T00:00:00+00:00:2026102900",
        }
    ],
    "meta": {**SERIES_META, "source": "fred"},
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
            **KNOWN,
            "record_id": "mempool.waiting:btc.mempool_tx:2026-11-23T01:00:00+00:00:0",
        }
    ],
    "meta": {**SERIES_META, "source": "mempool"},
}
LEFT_OUT = [{"dataset": "coinmetrics.metrics", "series": "btc.TxCnt", "licence": "non_commercial"}]
ONCHAIN_LESS: dict[str, Any] = ONCHAIN | {"meta": {**ONCHAIN["meta"], "left_out": LEFT_OUT}}
_CONTRACT: dict[str, Any] = {
    "venue": "binance_futures",
    "contract": "BTCUSDT",
    "time": "2026-11-23T00:00:00.000Z",
    **KNOWN,
}
DERIVATIVES: dict[str, Any] = {
    "symbol": "BTC",
    "id": "bitcoin",
    "name": "Bitcoin",
    "data": [
        {
            **_CONTRACT,
            "kind": "funding_rate",
            "rate": 0.25,
            "mark_price": 1.5,
            "record_id": "binance_futures.funding:BTCUSDT:2026-11-23T00:00:00+00:00:0",
        },
        {
            **_CONTRACT,
            "kind": "open_interest",
            "amount": 3,
            "worth": 4.5,
            "units": {"amount": "BTC", "worth": "USDT"},
            "record_id": "binance_futures.open_interest:BTCUSDT:2026-11-23T00:00:00+00:00:0",
        },
    ],
    "meta": {**SERIES_META, "source": "binance_futures"},
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
    {
        "name": "price_change_1h",
        "kind": "feature",
        "family": None,
        "formula": "(close / close 1 hour before - 1) x 100",
        "unit": "percent",
        "values": None,
        "lookback": 1,
        "memory": None,
        "days": 0,
        **_OF_INDICATORS,
        "group": "price",
        "limit_seconds": 7200.0,
        "version": "0123456789abcdef",
    },
]
