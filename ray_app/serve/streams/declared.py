"""The streams there are: which topic, which scope, what may be asked for. Routes and documents follow from this."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from ray_app.model.records import Price, Record
from ray_app.model.texts import Article, Post
from ray_app.serve.streams.making import PRICE_DATA
from ray_app.serve.streams.messages import NewsData, SentimentData

WS, SSE, GRAPHQL = "/ws/", "/api/v1/stream/", "/ws/graphql"
CLOSES: Mapping[int, str] = {
    1009: "a message of the client's is larger than 64 KiB",
    1012: "the replica restarts: come back after the time that the reason names, with the last cursor",
    4400: "CURSOR_INVALID or AMBIGUOUS_SYMBOL in the address; at `/ws/graphql` a message of no known form",
    4401: "no key within 5 seconds, a wrong one, or one that has ended meanwhile; at `/ws/graphql` also a subscription "
    "before the key",
    4403: "the key lacks the scope, or may have nothing of the stream by its licence",
    4404: "no such stream, or an unknown symbol in the address",
    4406: "at `/ws/graphql`: the client does not offer graphql-transport-ws",
    4408: "the client read too slowly: resume after the last cursor that it has; at `/ws/graphql` also no "
    "`connection_init` within 5 seconds",
    4409: "at `/ws/graphql`: a subscription of that id is open already",
    4422: "a parameter in the address is wrong",
    4429: "too many requests, connections of the key, or messages; the error names the limit; at `/ws/graphql` also a "
    "second `connection_init`",
    4500: "our fault; the request id of the error leads to the log line",
    4503: "the replica has all the connections that it takes, or the store does not answer: try again",
}


@dataclass(frozen=True, slots=True)
class Stream:
    """One stream, at WS + name and at SSE + name. `fields`: the names by which a client may ask for parts of `data`."""

    name: str
    scope: str
    describes: str
    update: str  # the type of its events
    records: tuple[type[Record], ...]  # whose licences bound it
    fields: Mapping[str, str]
    channels: tuple[str, ...] = ()
    texts: int = 0  # of a snapshot, how many of the last; 0: the newest word on each asset
    stocks: bool = field(default=True)  # whether symbols can be stocks


PRICES = Stream(
    name="prices",
    scope="read:prices",
    describes="collected prices; with the channel `ticks` those of the exchange too",
    update="price_update",
    records=(Price,),
    fields={
        **{name: name for name in PRICE_DATA},
        "price": "price_usd",
        "volume": "volume_24h",
        "change": "change_24h",
        "change_percent": "change_percent_24h",
    },
    channels=("ticks",),
    stocks=False,
)
NEWS = Stream(
    name="news",
    scope="read:news",
    describes="articles, filings and posts; symbols are those that a text mentions",
    update="news_update",
    records=(Article, Post),
    fields={name: name for name in NewsData.model_fields},
    texts=20,
)
SENTIMENT = Stream(
    name="sentiment",
    scope="read:sentiment",
    describes="what many texts say of a coin or a stock, over 24 hours",
    update="sentiment_update",
    records=(),
    fields={name: name for name in SentimentData.model_fields},
)
STREAMS: Mapping[str, Stream] = {one.name: one for one in (PRICES, NEWS, SENTIMENT)}
