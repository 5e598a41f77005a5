"""Which feeds there are: where they live, who writes them, how much they hold and how they are cached.

Some servers offer both validators, some one, some none. An edge means that the ETag differs between
the nodes in front of the server, although the bytes do not.
"""

from dataclasses import dataclass
from typing import Literal

from ray_app.simulator.texts.articles import Outlet

Dialect = Literal[
    "coindesk", "cointelegraph", "decrypt", "theblock", "wordpress", "cnbc", "marketwatch", "yahoo", "fed"
]
Validators = Literal["both", "etag", "modified", "none"]


@dataclass(frozen=True, slots=True)
class Feed:
    """`paths` without the final slash; where one ends with `*` the rest of it names a coin (a tag feed)."""

    host: str
    paths: tuple[str, ...]
    outlet: Outlet
    dialect: Dialect
    items: int
    validators: Validators = "both"
    age: int = 0  # seconds for which the server repeats a copy
    edges: int = 1
    browsers_only: bool = False  # others get 403 and a page


def _wordpress(host: str, path: str, name: str, crypto: float, items: int = 25, closed: bool = False) -> Feed:
    return Feed(host, (path,), Outlet(name, crypto, 0.02), "wordpress", items, browsers_only=closed)


_DOW_JONES = ("mw_topstories", "mw_realtimeheadlines", "mw_bulletins", "mw_marketpulse")
_CNBC = {"100003114": ("Top News", 0.4), "10000664": ("Markets", 0.3), "20910258": ("Economy", 0.2)}
FEDERAL_RESERVE = Outlet("Federal Reserve", 0.0, 0.1, ("rates",))
COINTELEGRAPH = Outlet("Cointelegraph", 0.28, 0.03)

FEEDS = (
    Feed("www.coindesk.com", ("/arc/outboundfeeds/rss",), Outlet("CoinDesk", 0.25, 0.05), "coindesk", 25, age=60),
    Feed("cointelegraph.com", ("/rss", "/rss/tag/*"), COINTELEGRAPH, "cointelegraph", 30, "etag", 14_400, 3),
    Feed("decrypt.co", ("/feed",), Outlet("Decrypt", 0.2, 0.03), "decrypt", 40, "etag", 10),
    Feed("www.theblock.co", ("/rss.xml",), Outlet("The Block", 0.22, 0.04), "theblock", 20, "modified", 60),
    _wordpress("bitcoinmagazine.com", "/feed", "Bitcoin Magazine", 0.1, closed=True),
    _wordpress("thedefiant.io", "/feed", "The Defiant", 0.1),
    _wordpress("blockworks.co", "/feed", "Blockworks", 0.12),
    _wordpress("crypto.news", "/feed", "crypto.news", 0.25, 50),
    _wordpress("cryptoslate.com", "/feed", "CryptoSlate", 0.15),
    _wordpress("www.newsbtc.com", "/feed", "NewsBTC", 0.2),
    _wordpress("bitcoinist.com", "/feed", "Bitcoinist.com", 0.2),
    _wordpress("ambcrypto.com", "/feed", "AMBCrypto", 0.2),
    _wordpress("u.today", "/rss", "U.Today", 0.25, 50),
    _wordpress("beincrypto.com", "/feed", "BeInCrypto", 0.25),
    *(
        Feed("search.cnbc.com", (f"/rs/search/combinedcms/view.xml?id={id_}",), Outlet(f"CNBC {name}", 0.02, share),
             "cnbc", 30, "none")
        for id_, (name, share) in _CNBC.items()
    ),
    *(
        Feed("www.cnbc.com", (f"/id/{id_}/device/rss/rss.html",), Outlet(f"CNBC {name}", 0.02, share),
             "cnbc", 30, "none")
        for id_, (name, share) in _CNBC.items()
    ),
    *(
        Feed("feeds.content.dowjones.io", (f"/public/rss/{name}",), Outlet(f"MarketWatch {name}", 0.03, 0.25),
             "marketwatch", 10 + 10 * (name == "mw_realtimeheadlines"), "none")
        for name in _DOW_JONES
    ),
    Feed("finance.yahoo.com", ("/news/rssindex",), Outlet("Yahoo Finance", 0.06, 0.6), "yahoo", 45, "etag", 300),
    Feed("feeds.finance.yahoo.com", ("/rss/2.0/headline",), Outlet("Yahoo Finance", 0.06, 0.6), "yahoo", 20, "none"),
    Feed("www.federalreserve.gov", ("/feeds/press_monetary.xml",), FEDERAL_RESERVE, "fed", 15),
)  # fmt: skip


def find(host: str, path: str, id_: str = "", symbol: str = "") -> tuple[Feed, str | None] | None:
    """The feed at a host and path, and the one coin or ticker that it is about; None: no such feed.

    `id_` and `symbol` are the query parameters `id` and `s` of the two feeds that have them.
    """
    path = path.rstrip("/") or "/"
    for feed in FEEDS:
        if feed.host != host:
            continue
        for known in feed.paths:
            if known.endswith("*") and path.startswith(known[:-1]) and path != known[:-1]:
                return feed, path.removeprefix(known[:-1])
            if "?" in known and f"{path}?id={id_}" == known:
                return feed, None
            if path == known:
                return feed, symbol or None
    return None
