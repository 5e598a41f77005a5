"""News feeds, RSS and Atom, each the service of its own outlet: what they publish now, nothing older.

What surprises: the same story comes again under its guid with another title or date. Links carry trackers. A
date may be garbage or ahead of the clock; then the poll that found the story says when. A 200 may hold HTML
from the gate before the site. The charset that the header names is often wrong. Bodies stay with the outlet:
their licence is not told.

Only `feedparser` reads the XML, and only after the text is known to declare no entities; it never fetches.
"""

import re
import zlib
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import AsyncIterator, Iterable
from datetime import UTC, datetime, timedelta
from io import BytesIO
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urljoin, urlsplit

from ray_app.model.errors import Malformed, Refused
from ray_app.model.plaintext import canonical_url, html_to_text, one_line, short_id
from ray_app.model.source import About, Api, Page, Plan, Quota, Slice, Source, Stream
from ray_app.model.texts import Article

MINUTE = timedelta(minutes=1)
QUARTER = 15 * MINUTE
LARGEST = 5 * 2**20
MOST_TAGS, LONGEST_TAG = 100_000, 20_000  # real feeds: 8,000 and 1,000; feedparser reads 30,000 tags a second
AHEAD = 5 * MINUTE  # a clock may run ahead of ours by this much
FIRST = datetime(1995, 1, 1, tzinfo=UTC)  # no article of a feed is older


class Feed(NamedTuple):
    """A line of the table; `language` is what the outlet writes in, told where the feed itself does not."""

    title: str
    url: str
    language: str = "en"


CNBC = "https://search.cnbc.com/rs/search/combinedcms/view.xml?partnerId=wrss01&id="
YAHOO = "https://feeds.finance.yahoo.com/rss/2.0/headline?region=US&lang=en-US&s="
FEEDS = {
    "crypto/coindesk": Feed("CoinDesk", "https://www.coindesk.com/arc/outboundfeeds/rss/"),
    "crypto/cointelegraph": Feed("Cointelegraph", "https://cointelegraph.com/rss"),
    "crypto/decrypt": Feed("Decrypt", "https://decrypt.co/feed"),
    "crypto/theblock": Feed("The Block", "https://www.theblock.co/rss.xml"),
    "crypto/bitcoinmagazine": Feed("Bitcoin Magazine", "https://bitcoinmagazine.com/feed"),  # 403 as a rule
    "crypto/thedefiant": Feed("The Defiant", "https://thedefiant.io/feed"),
    "crypto/blockworks": Feed("Blockworks", "https://blockworks.co/feed"),
    "crypto/cryptonews": Feed("crypto.news", "https://crypto.news/feed/"),
    "crypto/cryptoslate": Feed("CryptoSlate", "https://cryptoslate.com/feed/"),
    "crypto/newsbtc": Feed("NewsBTC", "https://www.newsbtc.com/feed/"),
    "crypto/bitcoinist": Feed("Bitcoinist", "https://bitcoinist.com/feed/"),
    "crypto/ambcrypto": Feed("AMBCrypto", "https://ambcrypto.com/feed/"),
    "crypto/utoday": Feed("U.Today", "https://u.today/rss"),
    "crypto/beincrypto": Feed("BeInCrypto", "https://beincrypto.com/feed/"),
    "stock/cnbc-top": Feed("CNBC, top news", f"{CNBC}100003114"),
    "stock/cnbc-markets": Feed("CNBC, markets", f"{CNBC}10000664"),
    "stock/cnbc-economy": Feed("CNBC, economy", f"{CNBC}20910258"),
    "stock/fed": Feed("Federal Reserve", "https://www.federalreserve.gov/feeds/press_monetary.xml"),
    "stock/marketwatch": Feed("MarketWatch", "https://feeds.content.dowjones.io/public/rss/mw_topstories"),
    "stock/yahoo": Feed("Yahoo Finance", "https://finance.yahoo.com/news/rssindex"),
    **{
        f"stock/yahoo-{ticker.lower()}": Feed(f"Yahoo Finance on {ticker}", f"{YAHOO}{ticker}")
        for ticker in ("COIN", "MSTR", "MARA", "RIOT", "HOOD", "NVDA", "TSLA")
    },
}
SPONSORED = ("sponsored", "sponsored content", "sponsored post", "partner content")

_BEFORE_ROOT = re.compile(r"(?:\s++|<!--.*?-->|<\?.*?\?>)*+", re.DOTALL)
_DECLARED = re.compile(rb"<\?xml[^>]{0,200}?encoding\s*=\s*[\"']([A-Za-z0-9._-]{1,40})")
_ROOT = re.compile(r"<(?:[a-z]+:)?(rss|feed|rdf)\b", re.IGNORECASE)
_TAG, _LONG_TAG = re.compile("<[A-Za-z]"), re.compile(rf"<[A-Za-z][^<>]{{{LONGEST_TAG}}}")
_NO_WORD = re.compile(r"[A-Za-z0-9_.+-]{1000}")
_TRAILER = re.compile(
    r"\s{0,9}The post .{1,500} (?:appeared first on|first appeared on) .{1,100}\Z"
)  # WordPress
LOST = "\ufffd"  # what stands for bytes that are none of the encoding


def judge(page: Page) -> None:
    """One outlet's refusal is its own: it is asked less and less often, and the others go on."""
    if page.status in (401, 403, 405, 406, 429, 999) or (page.status == 503 and b"<" in page.body[:200]):
        raise Refused("rss", f"HTTP {page.status}: {page.body[:80]!r}")


async def fetch(api: Api, wanted: Slice) -> AsyncIterator[Page]:
    parts = urlsplit(FEEDS[wanted.partition].url)
    query: dict[str, str | int] = dict(parse_qsl(parts.query))
    yield await api.get(f"https://{parts.netloc}{parts.path}", **query)


def stories(page: Page) -> Iterable[Any]:
    """The entries as plain dicts; `read_at` is when we had them, `feed_language` what the feed states."""
    text, whole = decoded(page)
    check(text, page)
    import feedparser  # 50 ms

    headers = {"content-type": "application/xml; charset=utf-8"}
    # From memory, not by name: it would open a file or an address that a body names.
    read = feedparser.parse(
        BytesIO(text.encode()), response_headers=headers, sanitize_html=False, resolve_relative_uris=False
    )
    if not read.version and not read.entries:
        raise Malformed("rss", f"no feed that can be read: {read.get('bozo_exception')}")
    told = {
        "read_at": page.received_at.isoformat(),
        "language": read.feed.get("language"),
        "base": page.path if page.path.startswith("https://") else None,
        "whole": whole,
    }
    for entry in read.entries:
        yield told | {"entry": plain(entry)}


def decoded(page: Page) -> tuple[str, bool]:
    """The body as text, and whether all of it is in one encoding.

    What is valid UTF-8 is UTF-8, whatever the header says; else the XML's own word counts, then the header's.
    """
    body = unpacked(page.body)
    if body.startswith((BOM_UTF16_LE, BOM_UTF16_BE)):
        names = ["utf-16"]
    else:
        body = body.removeprefix(BOM_UTF8)
        declared = _DECLARED.match(body[:300])
        header = re.search(r"charset=\"?([\w.-]{1,40})", page.headers.get("content-type", ""), re.IGNORECASE)
        names = ["utf-8", *([declared[1].decode()] if declared else []), *([header[1]] if header else [])]
    for name in names:
        try:
            if name.lower().replace("_", "-") in ENCODINGS:
                return body.decode(name), True
        except (UnicodeError, LookupError):
            continue
    return body.decode("utf-8", "replace"), False


def unpacked(body: bytes) -> bytes:
    """The body without a gzip that no header announced; no more of it than a feed may have."""
    if not body.startswith(b"\x1f\x8b"):
        return body
    try:
        return zlib.decompressobj(wbits=31).decompress(body, LARGEST + 1)
    except zlib.error as e:
        raise Malformed("rss", f"neither text nor gzip: {body[:20]!r}") from e


ENCODINGS = {
    "utf-8", "utf8", "utf-16", "us-ascii", "iso-8859-1", "iso-8859-15", "windows-1252", "cp1252",
    "iso-8859-2", "windows-1250", "windows-1251", "koi8-r", "shift-jis", "euc-jp", "euc-kr", "gb2312", "gbk",
    "big5",
}  # fmt: skip


def check(text: str, page: Page) -> None:
    """Raise Malformed for what is no feed, is cut off, or declares entities (a text can be made to explode)."""
    found = _BEFORE_ROOT.match(text)
    start = text[found.end() if found else 0 :][:300]
    if max(len(page.body), len(text)) > LARGEST:
        raise Malformed("rss", f"a feed has at most {LARGEST} bytes, this one {len(page.body)}")
    if start[:9].upper() == "<!DOCTYPE" and re.search(r"<!ENTITY", text, re.IGNORECASE):
        raise Malformed("rss", "a feed that declares entities is not read")
    root = _ROOT.search(text[:5000]) if start[:9].upper() == "<!DOCTYPE" else _ROOT.match(start)
    if not root or re.match(r"(?:<!DOCTYPE\s+html\b|<html\b)", start, re.IGNORECASE):
        raise Malformed("rss", f"no feed but {start[:80]!r}")
    if _NO_WORD.search(
        text
    ):  # feedparser looks for an address in each author, in time that grows with its square
        raise Malformed("rss", "a word of more than 1000 letters")
    if _LONG_TAG.search(text) or sum(1 for _ in _TAG.finditer(text)) > MOST_TAGS:
        raise Malformed("rss", f"more than {MOST_TAGS} tags, or one of more than {LONGEST_TAG} letters")
    if not re.search(rf"</(?:[a-z]+:)?{root[1]}\s*>", text[-5000:], re.IGNORECASE):
        raise Malformed("rss", "a feed that is cut off: its last tag is missing")


def plain(entry: dict[str, Any]) -> dict[str, Any]:
    """What we read of an entry, as JSON types. By `dict.get`: its own takes one field for another, with a warning."""
    out: dict[str, Any] = {name: dict.get(entry, name) for name in ("id", "link", "title", "summary")}
    for name in ("published", "updated"):
        parsed = dict.get(entry, f"{name}_parsed")
        out[name] = list(parsed[:6]) if parsed else None
    content = [part.get("value") for part in dict.get(entry, "content") or ()]
    out["summary"] = None if out["summary"] in content else out["summary"]
    out["authors"] = [author.get("name") for author in dict.get(entry, "authors") or ()]
    out["tags"] = [tag.get("term") for tag in dict.get(entry, "tags") or ()]
    out["sponsored"] = dict.get(entry, "metadata_sponsored")
    return out


def parse(row: Any, wanted: Slice) -> Article | None:
    """One story; None for what the feed itself marks as paid for."""
    entry, read_at = row["entry"], datetime.fromisoformat(row["read_at"])
    tags = list(dict.fromkeys(one_line(tag) for tag in entry["tags"] if tag))
    if str(entry["sponsored"]).lower() == "true" or any(tag.lower() in SPONSORED for tag in tags):
        return None
    if not row["whole"] and LOST in f"{entry['title']}{entry['summary']}":
        raise ValueError("a text that is not in the encoding of its feed")
    title = one_line(entry["title"] or "") or None
    summary = _TRAILER.sub("", html_to_text(entry["summary"] or "")) or None
    if title is None and summary is None:
        raise ValueError("no title and no text")
    url = canonical_url(urljoin(row["base"] or "", entry["link"])) if entry["link"] else None
    published = credible(entry["published"], read_at)
    updated = credible(entry["updated"], read_at)
    authors = dict.fromkeys(one_line(name) for name in entry["authors"] if name)
    feed = FEEDS.get(wanted.partition)
    return Article(
        feed=wanted.partition,
        item=short_id(entry["id"] or url or ""),
        at=published or wanted.range.start,
        published=published,
        updated=updated,
        title=title,
        summary=summary,
        url=url,
        author=", ".join(filter(None, authors)) or None,
        language=(row["language"] or (feed.language if feed else "")).strip().lower()[:35] or None,
        topics="; ".join(filter(None, tags)) or None,
    )


def credible(told: list[int] | None, read_at: datetime) -> datetime | None:
    """The time (UTC, year to second) that a feed states, unless it cannot be: too early, or still to come."""
    if told is None:
        return None
    try:
        year, month, day, hour, minute, second = told
        at = datetime(year, month, day, hour, minute, min(second, 59), tzinfo=UTC)  # there are seconds 60
    except ValueError:
        return None
    return at if FIRST <= at <= read_at + AHEAD else None


ARTICLES = Stream(
    name="articles",
    describes="headlines and summaries of news feeds on crypto and stocks",
    record=Article,
    partitions=lambda _: tuple(FEEDS),
    fetch=fetch,
    rows=stories,
    parse=parse,
    every=QUARTER,
    grain=QUARTER,
    longest_slice=QUARTER,
    offers=None,
    attempts=2,
    independent=True,
    conditional=True,
    largest=LARGEST,
    about={name: About(title=feed.title) for name, feed in FEEDS.items()},
    quiet=timedelta(days=4),
    required=False,
    unit="articles",
    topic="news",
    parser="feed/1",
)
SOURCE = Source(
    name="rss",
    docs="https://www.rssboard.org/rss-specification",
    licence="no_redistribution",
    attribution="Headlines and summaries belong to the outlet named with each",
    llm_allowed=True,
    headers={
        "User-Agent": "crypto-data-node/0.1 (feed reader; {contact})",
        "Accept": "application/rss+xml, application/atom+xml, application/xml;q=0.9, text/xml;q=0.8, */*;q=0.5",
    },
    follows=True,
    judge=judge,
    plans=(
        Plan(
            name="feeds",
            base_url="https://www.coindesk.com",  # each feed names its own host
            simulated_at="/web/www.coindesk.com",
            quota=Quota(60, MINUTE),  # ours: a turn a second over all outlets
            streams=(ARTICLES,),
        ),
    ),
)
