"""Posts in the two dialects of the API, and its problems.

The old dialect speaks of tweets, the new one of posts. A field that the dialect in force does not know
is ignored: the answer is good, and what was meant is missing.
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from ray_app.simulator.clock import iso
from ray_app.simulator.texts.tweets import LONG_TEXT, Tweet
from ray_app.simulator.wire import JSON, Rejection

Dialect = Literal["legacy", "posts", "both"]
OLD = "https://api.twitter.com/2/problems"
NEW = "https://api.x.com/2/problems"
OPTIONAL = (
    "created_at", "lang", "conversation_id", "public_metrics", "entities", "possibly_sensitive", "source",
    "reply_settings",
)  # fmt: skip
LEGACY_ONLY = ("author_id", "in_reply_to_user_id", "referenced_tweets")
WORDS = {  # what the same thing is called
    "legacy": {"history": "edit_history_tweet_ids", "note": "note_tweet", "count": "retweet_count",
               "refs": "referenced_tweets", "inside": "tweets", "by_user": "tweet_count"},
    "posts": {"history": "edit_history_post_ids", "note": "note_post", "count": "repost_count",
              "refs": "referenced_posts", "inside": "posts", "by_user": "post_count"},
}  # fmt: skip


class Wish:
    """Which fields and expansions were asked for, in the dialect that the call was written in."""

    def __init__(self, params: Mapping[str, str], dialect: Dialect) -> None:
        legacy, posts = "tweet.fields" in params, "post.fields" in params
        expansions = set(filter(None, params.get("expansions", "").split(",")))
        if dialect == "both":
            asked_new = posts or "referenced_posts" in expansions
            self.dialect: Literal["legacy", "posts"] = "posts" if asked_new and not legacy else "legacy"
        else:
            self.dialect = dialect
        self.words = WORDS[self.dialect]
        told = params.get("post.fields" if self.dialect == "posts" else "tweet.fields", "")
        known = (*OPTIONAL, self.words["note"], *(LEGACY_ONLY if self.dialect == "legacy" else ()))
        self.fields = {name for name in told.split(",") if name in known}
        refs = "referenced_posts" if self.dialect == "posts" else "referenced_tweets.id"
        self.users = "author_id" in expansions
        self.refs = refs in expansions
        self.answered = "in_reply_to_user_id" in expansions
        self.user_fields = set(filter(None, params.get("user.fields", "").split(",")))


def told(tweet: Tweet, version: int, wish: Wish, now_ms: int) -> dict[str, Any]:
    """A post as it stands in this version; optional fields as wished."""
    made_ms, id_, text = tweet.versions[version]
    words, fields, short = wish.words, wish.fields, text
    if len(text) > LONG_TEXT:
        short = f"{text[: LONG_TEXT - 1]}…"
    data: dict[str, Any] = {
        "id": id_,
        "text": short,
        words["history"]: [known for _, known, _ in tweet.versions[: version + 1]],
    }
    by_expansion = wish.dialect == "posts"
    if "author_id" in fields or wish.users:
        data["author_id"] = tweet.author.id
    if "created_at" in fields:
        data["created_at"] = iso(made_ms)
    if "lang" in fields:
        data["lang"] = tweet.lang
    if "conversation_id" in fields:
        data["conversation_id"] = tweet.replies_to or tweet.versions[0][1]
    if "possibly_sensitive" in fields:
        data["possibly_sensitive"] = False
    if "public_metrics" in fields:
        data["public_metrics"] = _metrics(tweet, words["count"], now_ms)
    if "entities" in fields:
        data["entities"] = _entities(short, tweet)
    if words["note"] in fields and len(text) > LONG_TEXT:
        data[words["note"]] = {"text": text}
    refs = [("replied_to", tweet.replies_to), ("quoted", tweet.quotes)]
    known = [{"type": kind, "id": other} for kind, other in refs if other is not None]
    if known and (wish.refs if by_expansion else words["refs"] in fields or wish.refs):
        data[words["refs"]] = known
    return data


def users(tweets: Sequence[Tweet], wish: Wish) -> list[dict[str, Any]]:
    """Each author once."""
    rows = {}
    for author in {tweet.author.id: tweet.author for tweet in tweets}.values():
        row: dict[str, Any] = {"id": author.id, "name": author.name, "username": author.username}
        if "public_metrics" in wish.user_fields:
            counts = {"followers_count": author.followers, "following_count": 100, "listed_count": 0}
            row["public_metrics"] = {**counts, wish.words["by_user"]: author.followers % 900}
        if "verified" in wish.user_fields:
            row["verified"] = author.followers > 5_000
        rows[author.id] = row
    return list(rows.values())


def _metrics(tweet: Tweet, reposts: str, now_ms: int) -> dict[str, int]:
    """Half of the likes come within two hours."""
    age = max(0, now_ms - tweet.at_ms) / 1000
    likes = round(tweet.likes * age / (age + 7_200))
    return {
        reposts: likes // 10,
        "reply_count": likes // 40,
        "like_count": likes,
        "quote_count": likes // 60,
        "bookmark_count": likes // 50,
        "impression_count": likes * 30 + 12,
    }


def _entities(shown: str, tweet: Tweet) -> dict[str, Any]:
    found: dict[str, Any] = {
        "cashtags": [
            {"start": one.start(), "end": one.end(), "tag": one[1]}
            for one in re.finditer(r"\$([A-Za-z]\w*)", shown)
        ],
        "hashtags": [
            {"start": one.start(), "end": one.end(), "tag": one[1]} for one in re.finditer(r"#(\w+)", shown)
        ],
        "urls": [
            {
                "start": one.start(),
                "end": one.end(),
                "url": one[0],
                "expanded_url": f"https://example.com/{tweet.about}/{tweet.span}",
                "display_url": f"example.com/{tweet.about}",
            }
            for one in re.finditer(r"https://t\.co/\w+", shown)
        ],
    }
    return {name: rows for name, rows in found.items() if rows}


def referenced(page: Sequence[tuple[Tweet, int]]) -> list[str]:
    """Ids of the posts that these answer or quote, each once."""
    found = (other for tweet, _ in page for other in (tweet.replies_to, tweet.quotes) if other is not None)
    return list(dict.fromkeys(found))


def missing(id_: str, parameter: str = "ids") -> dict[str, str]:
    """An entry of `errors` for a post that is not there (any more)."""
    return {
        "value": id_,
        "detail": f"Could not find tweet with ids: [{id_}].",
        "title": "Not Found Error",
        "resource_type": "tweet",
        "parameter": parameter,
        "resource_id": id_,
        "type": f"{NEW}/resource-not-found",
    }


def invalid(parameter: str, value: str, message: str) -> Rejection:
    body = {
        "errors": [{"parameters": {parameter: [value]}, "message": message}],
        "title": "Invalid Request",
        "detail": "One or more parameters to your request was invalid.",
        "type": f"{OLD}/invalid-request",
    }
    return problem(400, body)


def unauthorized() -> Rejection:
    return problem(
        401, {"title": "Unauthorized", "type": "about:blank", "status": 401, "detail": "Unauthorized"}
    )


def no_credits(newer: bool) -> Rejection:
    """The empty wallet, in the form of before or after July 2026."""
    if newer:
        body: dict[str, Any] = {
            "detail": "credits depleted", "status": 402, "title": "Payment Required", "type": f"{NEW}/credits-depleted",
        }  # fmt: skip
        return problem(402, body)
    detail = "Your enrolled account [1] does not have any credits to fulfill this request."
    return problem(
        402, {"title": "CreditsDepleted", "detail": detail, "type": f"{OLD}/credits", "account_id": 1}
    )


def too_many(coded: bool) -> Rejection:
    """429 in its two forms."""
    if coded:
        body: dict[str, Any] = {
            "errors": [{"message": "Rate limit exceeded", "code": 88}],
            "title": "Rate Limit Exceeded",
            "detail": "Rate limit exceeded",
            "type": f"{NEW}/rate-limit-exceeded",
        }
        return problem(429, body)
    text = "Too Many Requests"
    return problem(429, {"title": text, "detail": text, "type": "about:blank", "status": 429})


def capped() -> Rejection:
    """The month's cap of posts: trying again is pointless."""
    body = {
        "account_id": 1,
        "product_name": "pay-per-use",
        "title": "UsageCapExceeded",
        "period": "Monthly",
        "scope": "Product",
        "detail": "Usage cap exceeded: Monthly Product cap",
        "type": f"{OLD}/usage-capped",
    }
    return problem(429, body)


def problem(status: int, body: Mapping[str, Any]) -> Rejection:
    return Rejection(status, json.dumps(body, separators=(",", ":")), JSON)
