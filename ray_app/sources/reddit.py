"""Reddit: the posts of subreddits, newest first, through the Data API of an approved app.

What surprises: a listing ends after about 1000 posts however one pages. A deleted post stays in it, with
"[deleted]" or "[removed]" for its text. `created` was once eight hours off; only `created_utc` counts. A
quarantined subreddit is a bare 403, one that does not exist a redirect to the search, and a 403 in HTML comes
from the gate before the API. `before` a post that is gone gives nothing at all, so we page by `after` only.
"""

import json
from collections.abc import AsyncIterator, Container, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

from ray_app.model.errors import Malformed, NotOffered, RateLimited, Refused, Transient
from ray_app.model.plaintext import canonical_url, tidied
from ray_app.model.source import (
    About,
    Api,
    ClientCredentials,
    Page,
    Plan,
    Quota,
    Recheck,
    Slice,
    Source,
    Stream,
)
from ray_app.model.texts import Post
from ray_app.model.unixtime import from_seconds

MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
SUBREDDITS = {
    "CryptoCurrency": "crypto", "Bitcoin": "crypto", "ethereum": "crypto", "CryptoMarkets": "crypto",
    "ethtrader": "crypto", "BitcoinMarkets": "crypto", "dogecoin": "crypto", "solana": "crypto",
    "cardano": "crypto", "Ripple": "crypto", "altcoin": "crypto",
    "wallstreetbets": "stocks",  # restricts talk of crypto: never a signal for it
    "stocks": "stocks", "StockMarket": "stocks", "investing": "stocks", "options": "stocks",
    "finance": "stocks", "Economics": "stocks",
}  # fmt: skip
PAGE, MOST_PAGES = 100, 12
WHOLE = 900  # a listing that ends with fewer posts than this has told all that there is
GONE = ("[deleted]", "[removed]")
CLOSED = ("private", "gated", "quarantined", "gold_only", "banned")


def judge(page: Page) -> None:
    """What the status alone does not tell: an error in a 200, a closed subreddit, the gate before the API."""
    if page.status in (301, 302, 303, 307, 308):
        raise NotOffered("reddit", f"HTTP {page.status}: no such subreddit")
    if page.status == 451:
        raise NotOffered("reddit", "HTTP 451: blocked for legal reasons")
    if page.status not in (200, 403, 404, 429):
        return
    if page.status == 200 and b'"error"' not in page.body[:300]:
        return
    told = _told(page.body)
    if page.status == 429:
        raise RateLimited("reddit", "HTTP 429", _seconds_to_reset(page.headers))
    if page.status == 403 and told is None:
        raise Transient("reddit", f"HTTP 403 from the gate before the API, {len(page.body)} bytes")
    if told is None:
        return
    error, reason = told.get("error"), str(told.get("reason", ""))
    if page.status == 200 and error == 429:
        raise RateLimited("reddit", "429 in a 200", _seconds_to_reset(page.headers))
    if page.status == 200 and error is not None:
        known = isinstance(error, int) or str(error).isidentifier()  # a code, not a sentence
        raise Refused("reddit", f"error in a 200: {error}" if known else "error in a 200")
    if reason in CLOSED:
        raise NotOffered("reddit", f"HTTP {page.status}: {reason}")
    if page.status == 403 and told.get("message") == "Forbidden" and page.path.startswith("/r/"):
        raise NotOffered("reddit", "HTTP 403: Forbidden, as a quarantined subreddit says")


def _told(body: bytes) -> Mapping[str, Any] | None:
    try:
        told = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return told if isinstance(told, dict) else None


def _seconds_to_reset(headers: Mapping[str, str]) -> float | None:
    told = headers.get("retry-after", headers.get("x-ratelimit-reset", "")).strip()
    return float(told) if told.isdecimal() and len(told) < 9 else None


async def fetch(api: Api, wanted: Slice) -> AsyncIterator[Page]:
    """Pages of /new from now back to the slice's start, or to where the listing ends."""
    path, asked, seen = f"/r/{wanted.partition}/new", dict[str, str](), set[str]()
    for _ in range(MOST_PAGES):
        page = await api.get(path, limit=PAGE, raw_json=1, **asked)
        yield page
        if not asked and not listed(page):  # a subreddit without any post is not among ours
            raise Transient("reddit", "an empty listing of the newest posts")
        times, after = times_of(page), page.json()["data"].get("after")
        if after is None or (times and times[-1] < wanted.range.start):
            return
        if not isinstance(after, str) or after in seen:
            shown = after if isinstance(after, str) and after in seen else type(after).__name__
            raise Malformed("reddit", f"a listing that goes on at {shown!r} for ever")
        seen.add(after)
        asked = {"after": after}
    raise Malformed("reddit", f"a listing of more than {MOST_PAGES} pages, where there are about 10")


def listed(page: Page) -> list[Any]:
    """{"kind": "Listing", "data": {"children": [{"kind": "t3", "data": {...}}], "after": "t3_x" or null}}"""
    body = page.json()
    try:
        if body["kind"] == "Listing" and isinstance(body["data"]["children"], list):
            return list(body["data"]["children"])
    except (TypeError, KeyError):
        pass
    raise Malformed("reddit", f"expected a listing, found {page.body[:80]!r}")


def reached(pages: Sequence[Page], wanted: Slice) -> datetime:
    """Where the listing of about 1000 posts ended; the slice's start if it told all that was asked."""
    times = [at for page in pages for at in times_of(page)]
    return max(min(times), wanted.range.start) if len(times) >= WHOLE else wanted.range.start


def times_of(page: Page) -> list[datetime]:
    """When its posts were written, of those that say so; newest first, as they come."""
    times = []
    for row in listed(page):
        with suppress(ValueError, TypeError, LookupError, ArithmeticError):
            times.append(written(row["data"]))
    return times


def written(post: Mapping[str, Any]) -> datetime:
    return from_seconds(post["created_utc"])


def is_gone(post: Mapping[str, Any]) -> bool:
    """Deleted by its author or removed: then nothing of it may be kept. An author who is gone is none yet."""
    if post.get("redacted") is True or post.get("selftext") in GONE or post.get("removed_by_category"):
        return True
    # Without a text there is nothing to say so, and old answers have no category: what may be deleted is.
    return post.get("author") == GONE[0] and not post.get("selftext") and "removed_by_category" not in post


def parse(row: Any, wanted: Slice) -> Post:
    """One post. `edited` is false, a time, or true for an edit of long ago; the permalink is the post's address."""
    if row["kind"] != "t3":
        raise ValueError(f"expected a post (t3), found {row['kind']}")
    post = row["data"]
    feed = {name.lower(): name for name in wanted.partitions}.get(
        post["subreddit"].lower(), post["subreddit"]
    )
    if not post["name"].startswith("t3_"):
        raise ValueError(f"{post['name']!r} is no id of a post")
    if is_gone(post):
        return Post(feed=feed, item=post["name"], at=written(post), deleted=True)
    if not post["permalink"].startswith("/"):
        raise ValueError(f"{post['permalink']!r} is no permalink")
    return Post(
        feed=feed,
        item=post["name"],
        at=written(post),
        edited=None if post.get("edited") in (None, True, False) else from_seconds(post["edited"]),
        title=tidied(post["title"]),
        body=tidied(post["selftext"]) or None if post.get("selftext") else None,
        url=canonical_url(f"https://www.reddit.com{post['permalink']}"),
        author=None if post.get("author") in (None, *GONE) else post["author"],
        topics=post.get("link_flair_text") or None,
        likes=post.get("score"),
        replies=post.get("num_comments"),
        shares=post.get("num_crossposts"),
        like_ratio=post.get("upvote_ratio"),
    )


async def ask_again(api: Api, ids: Sequence[str]) -> AsyncIterator[Page]:
    yield await api.get("/api/info", id=",".join(ids), raw_json=1)


def present(page: Page) -> Iterable[str]:
    """Those that are still there in full. One whose author is gone is not: her name must go, so all of it goes."""
    for row in listed(page):
        try:
            post = row["data"]
            if not is_gone(post) and post.get("author") not in (None, *GONE):
                yield post["name"]
        except (TypeError, LookupError, AttributeError) as e:
            raise Malformed("reddit", f"expected a post, found {str(row)[:80]}") from e


STAYS = ("id", "name", "subreddit", "created_utc")


def redact(body: bytes, gone: Container[str]) -> bytes:
    """The listing without what these posts say, and without the posts that others quote as their crosspost."""

    def cut(post: Any) -> Any:
        if not isinstance(post, dict):
            return post
        if post.get("name") in gone:
            return {name: post[name] for name in STAYS if name in post} | {"redacted": True}
        return {name: value for name, value in post.items() if name != "crosspost_parent_list"}

    def left(row: Any) -> Any:
        if not isinstance(row, dict) or "data" not in row:
            return row
        post = cut(row["data"])
        return (
            row | {"data": post}
            if post == row["data"] or "redacted" not in post
            else {"kind": row.get("kind"), "data": post}
        )

    told = json.loads(body)
    data = told["data"]
    after = told | {"data": data | {"children": [left(row) for row in data["children"]]}}
    return body if after == told else json.dumps(after, separators=(",", ":")).encode()


POSTS = Stream(
    name="posts",
    describes="new posts of subreddits on crypto and stocks",
    record=Post,
    partitions=lambda _: tuple(SUBREDDITS),
    fetch=fetch,
    rows=listed,
    parse=parse,
    reached=reached,
    every=30 * MINUTE,
    grain=30 * MINUTE,
    longest_slice=DAY,
    offers=2
    * DAY,  # what 1000 posts hold in the busiest of them; older days would page through all newer ones
    settle=5 * MINUTE,  # listings are cached for a while
    patience=60 * MINUTE,  # at times for longer: a half-hour without posts is looked at again
    independent=True,
    largest=8 * 2**20,
    about={name: About(title=f"r/{name} ({kind})") for name, kind in SUBREDDITS.items()},
    recheck=Recheck(fetch=ask_again, present=present, redact=redact, batch=100),
    quiet=2 * DAY,
    required=False,
    unit="posts",
    topic="news",
    parser="new/1",
)
SOURCE = Source(
    name="reddit",
    docs="https://www.reddit.com/dev/api",
    licence="no_redistribution",
    attribution="Posts from Reddit; what is deleted there is deleted here",
    headers={"User-Agent": "server:crypto-data-node:0.1 (by {contact})"},
    judge=judge,
    plans=(
        Plan(
            name="free",
            base_url="https://oauth.reddit.com",
            simulated_at="/reddit",
            elsewhere={"https://www.reddit.com": "/reddit-www"},
            quota=Quota(90, MINUTE),  # 100 a minute for each client id, told over ten minutes
            auth=ClientCredentials(
                "reddit_id", "reddit_secret", "https://www.reddit.com/api/v1/access_token"
            ),
            streams=(POSTS,),
        ),
    ),
)
