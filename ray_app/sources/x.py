"""X recent search: posts on crypto, stocks and macro, within a budget of money.

What surprises: each post that is read costs, again when it is looked at another day. A field that the server
does not know is ignored in a 200: what was asked for is missing, and billed. The fields were renamed in
2026-08, so we ask by the old names and, when those bring nothing, by the new ones; both are read. An edit is
a post with a new id: the first id of its history stays the same. A month's cap is a 429 that no wait helps.
The author is only told by the old names: by the new ones each would be billed as a user.
"""

import json
from collections.abc import AsyncIterator, Container, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from ray_app.model.errors import Malformed, NotOffered, RateLimited, Refused
from ray_app.model.plaintext import tidied
from ray_app.model.source import About, Api, ApiKey, Page, Plan, Quota, Recheck, Slice, Source, Stream
from ray_app.model.texts import Post
from ray_app.model.unread import shape_of

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
QUERIES = {
    "crypto-cashtags": "($BTC OR $ETH OR $SOL OR $XRP OR $BNB OR $DOGE OR $ADA OR $AVAX OR $LINK) lang:en",
    "crypto-words": '(bitcoin OR ethereum OR "crypto market" OR stablecoin OR altcoins) lang:en -is:reply',
    "stocks": "($COIN OR $MSTR OR $MARA OR $RIOT OR $HOOD OR $NVDA OR $TSLA OR $SPY OR $QQQ) lang:en",
    "macro": '("federal reserve" OR FOMC OR CPI OR "rate cut" OR "rate hike" OR inflation) lang:en -is:reply',
}
READ = Decimal("0.005")  # dollars for each post in an answer
OLD, NEW = "tweet", "post"
WANTED = "created_at,lang,public_metrics,entities"
MOST_PAGES = 5


def fields(dialect: str) -> dict[str, str]:
    told = f"{WANTED},author_id,note_tweet" if dialect == OLD else f"{WANTED},note_post"
    return {f"{dialect}.fields": told}


def judge(page: Page) -> None:
    """No credit and a month's cap call for a human. The type of a problem is known by its last part only."""
    if page.status == 402:
        raise Refused("x", "HTTP 402: no credit left")
    if page.status == 429:
        if b"UsageCapExceeded" in page.body or b"/usage-capped" in page.body:
            raise Refused("x", "HTTP 429: the month's cap of posts is reached")
        raise RateLimited("x", "HTTP 429", seconds_to_reset(page))
    if page.status == 400 and b"tweet.fields" in page.body:
        raise NotOffered("x", "HTTP 400: the old names of fields are gone")


def seconds_to_reset(page: Page) -> float | None:
    """`x-rate-limit-reset` is a time in seconds since 1970."""
    told = page.headers.get("x-rate-limit-reset", "").strip()
    return max(0.0, int(told) - page.received_at.timestamp()) if told.isdecimal() and len(told) < 13 else None


def search(size: int, pages: int) -> Any:
    """The fetch that takes at most `pages` pages of `size` posts (10 to 100), newest first."""

    async def fetch(api: Api, wanted: Slice) -> AsyncIterator[Page]:
        asked: dict[str, str | int] = {
            "query": QUERIES[wanted.partition],
            "start_time": f"{wanted.range.start:%Y-%m-%dT%H:%M:%SZ}",
            "end_time": f"{wanted.range.end:%Y-%m-%dT%H:%M:%SZ}",
            "max_results": size,
        }
        dialect = OLD
        page = await first(api, asked)
        if page is None:
            dialect = NEW
            page = await api.get("/2/tweets/search/recent", **asked, **fields(dialect))
            if not understood(page):
                raise Malformed("x", "neither the old nor the new names of fields bring what is asked for")
        yield page
        for _ in range(pages - 1):
            after = meta(page).get("next_token")
            if not isinstance(after, str):
                return
            page = await api.get("/2/tweets/search/recent", **asked, **fields(dialect), next_token=after)
            yield page

    return fetch


async def first(api: Api, asked: Mapping[str, str | int]) -> Page | None:
    """The first page by the old names; None when the server no longer knows them."""
    try:
        page = await api.get("/2/tweets/search/recent", **asked, **fields(OLD))
    except NotOffered:
        return None
    return page if understood(page) else None


def understood(page: Page) -> bool:
    """Whether the posts of an answer bring the fields that were asked for; what was cut out of it says nothing."""
    whole = [shape_of(p) for p in found(page) if not (isinstance(p, dict) and p.get("redacted") is True)]
    return all(isinstance(p, dict) and "created_at" in p and "public_metrics" in p for p in whole)


def found(page: Page) -> list[Any]:
    """{"data": [...], "meta": {...}}; without a match there is no `data`, and `meta` says that it is so."""
    body = page.json()
    if isinstance(body, dict) and isinstance(body.get("data"), list):
        return list(body["data"])
    if isinstance(body, dict) and "data" not in body and meta(page).get("result_count") == 0:
        return []
    raise Malformed("x", f"expected posts, found {page.body[:80]!r}")


def meta(page: Page) -> Mapping[str, Any]:
    told = page.json()
    told = told.get("meta") if isinstance(told, dict) else None
    return told if isinstance(told, dict) else {}


def reached(pages: Sequence[Page], wanted: Slice) -> datetime:
    """Where the last page that the budget allowed ends, if there were more."""
    if "next_token" not in meta(pages[-1]):
        return wanted.range.start
    times = [wanted.range.end]
    for post in found(pages[-1]):
        with suppress(ValueError, TypeError, LookupError):
            times.append(written(post))
    return max(min(times), wanted.range.start)


def written(post: Mapping[str, Any]) -> datetime:
    at = datetime.fromisoformat(post["created_at"])
    if at.tzinfo is None:
        raise ValueError(f"{post['created_at']!r} has no time zone")
    return at


def first_id(post: Mapping[str, Any]) -> str:
    """The id that all edits of a post share."""
    history = post.get("edit_history_tweet_ids") or post.get("edit_history_post_ids") or [post["id"]]
    if not isinstance(history[0], str) or not history[0].isdecimal():
        raise ValueError(f"{history[0]!r} is no id of a post")
    return history[0]


def parse(row: Any, wanted: Slice) -> Post:
    """One post. Long ones go on in `note_tweet` or `note_post`; links in the text are t.co and are expanded."""
    at = written(row)
    item = first_id(row)
    if row.get("redacted") is True:
        return Post(feed=wanted.partition, item=item, at=at, deleted=True)
    counts = row["public_metrics"]
    entities = row.get("entities") or {}
    note = row.get("note_tweet") or row.get("note_post") or {}
    text = note.get("text") or row["text"]
    for link in entities.get("urls") or ():
        if link.get("expanded_url") and link.get("url"):
            text = text.replace(link["url"], link["expanded_url"])
    marks = [f"${tag['tag'].upper()}" for tag in entities.get("cashtags") or ()]
    marks += [f"#{tag['tag']}" for tag in entities.get("hashtags") or ()]
    return Post(
        feed=wanted.partition,
        item=item,
        at=at,
        edited=at if item != row["id"] else None,
        body=tidied(text),
        url=f"https://x.com/i/web/status/{item}",
        author=row.get("author_id"),
        language=row.get("lang"),
        topics="; ".join(dict.fromkeys(marks)) or None,
        likes=counts["like_count"],
        replies=counts["reply_count"],
        shares=counts["retweet_count"] if "retweet_count" in counts else counts["repost_count"],
        views=counts.get("impression_count"),
    )


async def ask_again(api: Api, ids: Sequence[str]) -> AsyncIterator[Page]:
    yield await api.get("/2/tweets", ids=",".join(ids))


def present(page: Page) -> Iterable[str]:
    """Those in `data`; those in `errors` are gone. An answer with neither says nothing."""
    body = page.json()
    posts = body.get("data", []) if isinstance(body, dict) else None
    if not isinstance(posts, list) or not ("data" in body or "errors" in body):
        raise Malformed("x", f"expected posts, found {page.body[:80]!r}")
    try:
        return [name for post in posts for name in {first_id({"id": post["id"]}), first_id(post)}]
    except (TypeError, LookupError, ValueError, AttributeError) as e:
        raise Malformed("x", f"expected posts, found {page.body[:80]!r}") from e


STAYS = ("id", "edit_history_tweet_ids", "edit_history_post_ids", "created_at")


def redact(body: bytes, gone: Container[str]) -> bytes:
    """The answer without what these posts say, and without the users and the quoted posts that it includes."""

    def cut(post: Any) -> Any:
        if not isinstance(post, dict) or not (
            "id" in post and (post["id"] in gone or first_id(post) in gone)
        ):
            return post
        return {name: post[name] for name in STAYS if name in post} | {"redacted": True}

    told = json.loads(body)
    after = {name: value for name, value in told.items() if name != "includes"}
    if isinstance(after.get("data"), list):
        after["data"] = [cut(post) for post in after["data"]]
    return body if after == told else json.dumps(after, separators=(",", ":")).encode()


SAMPLE = Stream(
    name="posts",
    describes="the newest ten posts of each search at each look: a sample, not all",
    record=Post,
    partitions=lambda _: tuple(QUERIES),
    fetch=search(10, 1),
    rows=found,
    parse=parse,
    every=2 * HOUR,
    grain=2 * HOUR,
    longest_slice=2 * HOUR,
    offers=7 * DAY - 2 * HOUR,  # an older start_time is refused
    attempts=1,
    settle=MINUTE,  # end_time must be some seconds old
    largest=8 * 2**20,
    about={name: About(title=f"X, search for {query}") for name, query in QUERIES.items()},
    # A second look costs what the first did. So texts go before one is due; that there was one stays.
    recheck=Recheck(fetch=ask_again, present=present, redact=redact, batch=10, every=DAY, keep=20 * HOUR),
    quiet=2 * DAY,
    required=False,
    unit="posts",
    topic="news",
    parser="search/1",
)
FULL = replace(
    SAMPLE,
    describes="the newest 500 posts of each search in each half-hour",
    fetch=search(100, MOST_PAGES),
    pages=MOST_PAGES,
    reached=reached,
    every=30 * MINUTE,
    grain=30 * MINUTE,
    longest_slice=30 * MINUTE,
    recheck=Recheck(fetch=ask_again, present=present, redact=redact, batch=100, every=DAY, keep=20 * HOUR),
)
TOKEN = ApiKey("x_token", header="authorization", prefix="Bearer ")
QUOTA = Quota(300, 15 * MINUTE)  # of 450 for search and 3500 for look-ups

SOURCE = Source(
    name="x",
    docs="https://docs.x.com/x-api/posts/search/introduction",
    licence="no_redistribution",
    attribution="Posts from X; what is deleted there is deleted here",
    judge=judge,
    plans=(
        Plan(
            name="sample",  # 4 searches, 12 times a day, 10 posts: 75 dollars in 31 days
            base_url="https://api.x.com",
            simulated_at="/x",
            quota=QUOTA,
            auth=TOKEN,
            dollars_per_call=10 * READ,
            streams=(SAMPLE,),
        ),
        Plan(
            name="full",  # up to 96 dollars a day for each page
            base_url="https://api.x.com",
            simulated_at="/x",
            quota=QUOTA,
            auth=TOKEN,
            dollars_per_call=100 * READ,
            streams=(FULL,),
        ),
    ),
)
