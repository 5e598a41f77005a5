"""Messages as the document shows them. A test sends those of clients to a server, and holds ours against the models."""

from typing import Any

NOW = "2026-11-23T01:05:02.417Z"
CLIENT: dict[str, Any] = {
    "auth": {"action": "auth", "api_key": "cdk_…"},
    "subscribe": {
        "action": "subscribe",
        "id": "first",
        "symbols": ["BTC", "ETH"],
        "fields": None,
        "after": None,
    },
    "unsubscribe": {"action": "unsubscribe", "symbols": ["ETH"]},
    "ping": {"action": "ping", "id": 2},
}
PRICE: dict[str, Any] = {
    "symbol": "BTC",
    "id": "bitcoin",
    "data": {
        "price_usd": 91234.5,
        "volume_24h": 31234567890.12,
        "market_cap": 1812345678901,
        "change_24h": -512.25,
        "change_percent_24h": -0.558,
    },
    "timestamp": "2026-11-23T01:04:41.000Z",
    "slot": "2026-11-23T01:05:00.000Z",
    "received_at": NOW,
    "source": "coingecko",
    "revision": 0,
    "record_id": "coingecko.prices:bitcoin:2026-11-23T01:05:00+00:00:0",
}
SCORE = {"score": 0.31, "label": "bullish", "confidence": 0.82, "reason": None}
ENDED: dict[str, Any] = {
    "series": "coingecko.prices",
    "members": ["bitcoin", "ethereum"],
    "from": "2026-11-23T01:05:00.000Z",
    "to": "2026-11-23T01:10:00.000Z",
}
SERVER: dict[str, Any] = {
    "ack": {
        "type": "ack",
        "action": "subscribe",
        "id": "first",
        "symbols": ["BTC", "ETH"],
        "channels": [],
        "fields": None,
        "cursor": 48121,
        "timestamp": NOW,
    },
    "error": {
        "type": "error",
        "id": 3,
        "error": {
            "code": "INVALID_SYMBOL",
            "message": "unknown symbol 'BTX'; nearest: BTC, BTT, STX",
            "details": {"symbol": "BTX", "nearest": ["BTC", "BTT", "STX"]},
            "timestamp": NOW,
            "request_id": "b65a5700229a5c4adb3ab9d9",
        },
    },
    "warning": {
        "type": "warning",
        "code": "SLOW_CLIENT",
        "message": "you read too slowly: half of your queue is full; when it is full you are closed with 4408",
        "timestamp": NOW,
    },
    "heartbeat": {"type": "heartbeat", "timestamp": NOW, "cursor": 48121},
    "snapshot": {"type": "snapshot", "data": [PRICE], "cursor": 48121, "timestamp": NOW},
    "price_update": {"type": "price_update", **PRICE, "cursor": 48122},
    "news_update": {
        "type": "news_update",
        "id": "edgar.filings:8-K:0001679788-26-000123",
        "data": {
            "kind": "article",
            "source": "edgar",
            "feed": "8-K",
            "outlet": "SEC EDGAR, 8-K",
            "url": "https://www.sec.gov/Archives/edgar/data/1679788/000167978826000123/0001679788-26-000123-index.htm",
            "title": "8-K - Coinbase Global, Inc.",
            "summary": None,
            "published_at": "2026-11-23T01:03:12.000Z",
            "updated_at": None,
            "language": "en",
            "author": None,
            "topics": "8-K",
            "mentions": [{"symbol": "COIN", "asset": "COIN", "kind": "stock", "confidence": 0.97}],
            "licence": "public_domain",
            "llm_allowed": True,
        },
        "timestamp": "2026-11-23T01:03:12.000Z",
        "received_at": NOW,
        "revision": 0,
        "record_id": "edgar.filings:8-K:0001679788-26-000123:0",
        "cursor": 917,
    },
    "sentiment_update": {
        "type": "sentiment_update",
        "symbol": "BTC",
        "id": "bitcoin",
        "kind": "coin",
        "timeframe": "24h",
        "data": {
            "overall_sentiment": SCORE,
            "sample_size": 41,
            "effective_sample_size": 17.25,
            "texts": 58,
            "unscored": 2,
            "breakdown": {"news": SCORE | {"count": 58, "stories": 41, "unscored": 2}},
        },
        "timestamp": "2026-11-23T01:05:00.000Z",
        "received_at": NOW,
        "cursor": 5120,
    },
    "interval_complete": {"type": "interval_complete", **ENDED, "cursor": 48192},
    "gap": {
        "type": "gap",
        **ENDED,
        "outcome": "failed",
        "reason": "Transient: HTTP 503",
        "cursor": 48193,
    },
    "delete": {
        "type": "delete",
        "id": "reddit.posts:CryptoCurrency:t3_1p3xq2k",
        "reason": "gone upstream",
        "cursor": 918,
    },
    "ticks": {
        "type": "ticks",
        "data": [
            {
                "symbol": "BTC",
                "pair": "BTCUSDT",
                "source": "binance",
                "price": 91240.01,
                "volume_24h": 18234.77,
                "timestamp": NOW,
            }
        ],
    },
}
_CUT = {"__typename": "PriceUpdate", "symbol": "BTC", "cursor": 48122, "data": {"priceUsd": 91234.5}}
OPERATIONS: dict[str, Any] = {
    "graphql_connection_init": {"type": "connection_init", "payload": {"Authorization": "Bearer cdk_…"}},
    "graphql_connection_ack": {"type": "connection_ack"},
    "graphql_subscribe": {
        "type": "subscribe",
        "id": "1",
        "payload": {
            "query": 'subscription($after: Cursor) { prices(symbols: ["BTC"], after: $after) { __typename'
            " ... on PriceUpdate { symbol cursor data { priceUsd } } ... on StreamGap { from to reason cursor } } }",
            "variables": {"after": None},
        },
    },
    "graphql_next": {"type": "next", "id": "1", "payload": {"data": {"prices": _CUT}}},
    "graphql_error": {
        "type": "error",
        "id": "1",
        "payload": [
            {
                "message": "this cursor is ahead of the stream; it is not one of ours",
                "extensions": {
                    "code": "CURSOR_INVALID",
                    "details": {},
                    "timestamp": NOW,
                    "request_id": "b65a5700229a5c4adb3ab9d9",
                },
            }
        ],
    },
    "graphql_complete": {"type": "complete", "id": "1"},
    "graphql_ping": {"type": "ping"},
    "graphql_pong": {"type": "pong"},
}
