"""X: both vocabularies, money, errors by their type, and what goes when a post is gone."""

import json
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from ray_app.collect.collector import collect
from ray_app.collect.kept import kept
from ray_app.collect.validate import read
from ray_app.connect.judge import judge
from ray_app.model.errors import Malformed, NotOffered, RateLimited, Refused, Transient, UpstreamError
from ray_app.model.source import Page
from ray_app.model.texts import Post
from ray_app.model.unread import reason_of
from ray_app.sources.x import FULL, QUERIES, SAMPLE, SOURCE, found, present, reached, redact, understood
from tests.sources.replies import NOON, Replies, over, page, recordings

HALF = timedelta(minutes=30)
OLD = {"tweet.fields": "created_at,lang,public_metrics,entities,author_id,note_tweet"}
NEW = {"post.fields": "created_at,lang,public_metrics,entities,note_post"}
COUNTS = {"reply_count": 0, "like_count": 0, "quote_count": 0}


def old(name: str, minutes: int, **more: Any) -> dict[str, Any]:
    at = NOON + timedelta(minutes=minutes)
    told = {
        "id": name,
        "text": f"text {name}",
        "edit_history_tweet_ids": [name],
        "created_at": f"{at:%Y-%m-%dT%H:%M:%S}.000Z",
    }
    return told | {"author_id": "7", "lang": "en", "public_metrics": COUNTS | {"retweet_count": 1}} | more


def new(name: str, minutes: int) -> dict[str, Any]:
    told = old(name, minutes, edit_history_post_ids=[name], public_metrics=COUNTS | {"repost_count": 2})
    return {key: value for key, value in told.items() if key not in ("edit_history_tweet_ids", "author_id")}


def bare(name: str) -> dict[str, Any]:
    """What comes when the server does not know the names of the fields."""
    return {"id": name, "text": f"text {name}", "edit_history_post_ids": [name]}


def answer(*posts: dict[str, Any], token: str | None = None) -> Page:
    meta = {"result_count": len(posts)} | ({"next_token": token} if token else {})
    return page({"data": list(posts), "meta": meta} if posts else {"meta": meta}, at=NOON + HALF)


async def test_it_asks_by_the_old_names_first():
    api = Replies([answer(old("11", 9), old("10", 5))])
    collected = await collect(SOURCE, FULL, over(FULL, "macro"), api)
    assert [record.key for record, _ in collected.records] == ["11", "10"]
    told = {
        "query": QUERIES["macro"],
        "start_time": "2026-06-01T12:00:00Z",
        "end_time": "2026-06-01T12:30:00Z",
        "max_results": "100",
    }
    assert api.asked == [("/2/tweets/search/recent", told | OLD)]


@pytest.mark.parametrize(
    "first", [answer(bare("11")), NotOffered("x", "HTTP 400: the old names of fields are gone")]
)
async def test_it_asks_by_the_new_names_when_the_old_ones_bring_nothing(first: Page | UpstreamError):
    api = Replies([first, answer(new("11", 9), token="t"), answer(new("10", 5))])
    collected = await collect(SOURCE, FULL, over(FULL, "macro"), api)
    assert [{n: a.get(n) for n in ("tweet.fields", "post.fields", "next_token")} for _, a in api.asked] == [
        {"tweet.fields": OLD["tweet.fields"], "post.fields": None, "next_token": None},
        {"tweet.fields": None, "post.fields": NEW["post.fields"], "next_token": None},
        {"tweet.fields": None, "post.fields": NEW["post.fields"], "next_token": "t"},
    ]
    assert all("expansions" not in asked for _, asked in api.asked)  # users are billed too
    posts = [record for record, _ in collected.records if isinstance(record, Post)]
    assert [(post.item, post.shares, post.author) for post in posts] == [("11", 2, None), ("10", 2, None)]
    assert len(collected.pages) == 2


async def test_neither_vocabulary_is_an_alarm():
    api = Replies([answer(bare("11")), answer(bare("11"))])
    with pytest.raises(Malformed, match="neither the old nor the new names"):
        await collect(SOURCE, FULL, over(FULL, "macro"), api)


async def test_no_match_is_an_answer():
    collected = await collect(SOURCE, FULL, over(FULL, "macro"), Replies([answer()]))
    assert collected.records == ()


@pytest.mark.parametrize(
    "body", [{}, {"errors": [{"title": "x"}]}, {"meta": {"result_count": 3}}, {"data": {}}, []]
)
def test_an_answer_without_posts_that_does_not_say_so_is_none(body: Any):
    with pytest.raises(Malformed):
        found(page(body))


async def test_what_the_budget_does_not_reach_is_not_told():
    pages = [answer(old(f"{99 - n}", 29 - n), token=f"t{n}") for n in range(5)]
    api = Replies(pages)
    collected = await collect(SOURCE, FULL, over(FULL, "macro"), api)
    assert len(api.asked) == 5
    assert reached(pages, over(FULL, "macro")) == NOON + timedelta(minutes=25)
    assert collected.slice.range.start == NOON + timedelta(minutes=25)
    assert reached([answer(old("1", 9))], over(FULL, "macro")) == NOON
    assert reached([answer()], over(FULL, "macro")) == NOON


async def test_a_sample_is_ten_posts_and_one_call():
    api = Replies([answer(old("11", 9), token="more")])
    collected = await collect(SOURCE, SAMPLE, over(SAMPLE, "macro"), api)
    assert [asked["max_results"] for _, asked in api.asked] == ["10"]
    assert collected.slice == over(SAMPLE, "macro")


def test_the_sample_fits_a_hundred_dollars_a_month():
    plan = SOURCE.plan("sample")
    looks = 31 * (timedelta(days=1) // SAMPLE.every) * len(QUERIES) * SAMPLE.attempts
    assert (plan.dollars_per_call, looks * plan.dollars_per_call) == (Decimal("0.050"), Decimal("74.400"))
    assert looks * plan.dollars_per_call <= 100 * (1 - plan.repair_reserve)
    assert SOURCE.plan("full").dollars_per_call == Decimal("0.500")
    assert all(len(query) <= 512 for query in QUERIES.values())
    assert SAMPLE.recheck is not None
    assert SAMPLE.recheck.keep < min(
        SAMPLE.recheck.every, timedelta(days=1)
    )  # no second look is ever paid for


CREDITS = {"title": "CreditsDepleted", "type": "https://api.twitter.com/2/problems/credits", "account_id": 1}
CAPPED = {
    "title": "UsageCapExceeded",
    "type": "https://api.twitter.com/2/problems/usage-capped",
    "period": "Monthly",
}
RATE = {"title": "Too Many Requests", "detail": "Too Many Requests", "type": "about:blank", "status": 429}
UNKNOWN = {
    "errors": [
        {"parameters": {"tweet.fields": ["x"]}, "message": "The query parameter [tweet.fields] is not one of"}
    ]
}


@pytest.mark.parametrize(
    ("told", "reaction"),
    [
        (page(CREDITS, 402), Refused),
        (page({"status": 402, "type": "https://api.x.com/2/problems/credits-depleted"}, 402), Refused),
        (page(CAPPED, 429), Refused),
        (page({"title": "UsageCapExceeded", "period": "Monthly"}, 429), Refused),
        (page({"type": "https://api.x.com/2/problems/usage-capped"}, 429), Refused),
        (page(RATE, 429), RateLimited),
        (page(UNKNOWN, 400), NotOffered),
        (
            page({"errors": [{"parameters": {"max_results": ["5"]}}], "title": "Invalid Request"}, 400),
            Refused,
        ),
        (page({"title": "Unauthorized", "status": 401}, 401), Refused),
        (page({"type": "https://api.x.com/2/problems/client-forbidden"}, 403), Refused),
        (page(b"", 503), Transient),
    ],
)
def test_errors_have_their_reactions(told: Page, reaction: type[UpstreamError]):
    with pytest.raises(UpstreamError) as error:
        judge(SOURCE, told)
    assert type(error.value) is reaction


def test_a_pause_lasts_until_the_window_ends():
    reset = str(int(NOON.timestamp()) + 90)
    told_by: list[tuple[dict[str, str], float | None]] = [
        ({"x-rate-limit-reset": reset}, 90.0),
        ({"x-rate-limit-reset": "1"}, 0.0),
        ({}, None),
    ]
    for headers, seconds in told_by:
        with pytest.raises(RateLimited) as told:
            judge(SOURCE, page(RATE, 429, headers=headers))
        assert told.value.retry_after == seconds


async def test_posts_are_looked_up_by_their_ids():
    assert SAMPLE.recheck is not None
    gone = {"resource_id": "12", "type": "https://api.x.com/2/problems/resource-not-found"}
    api = Replies([page({"data": [{"id": "13", "edit_history_tweet_ids": ["11", "13"]}], "errors": [gone]})])
    pages = [p async for p in SAMPLE.recheck.fetch(api, ["11", "12"])]
    assert api.asked == [("/2/tweets", {"ids": "11,12"})]
    assert set(SAMPLE.recheck.present(pages[0])) == {"11", "13"}
    assert list(present(page({"errors": [gone]}))) == []


@pytest.mark.parametrize(
    "body", [{}, {"data": "x"}, {"data": [1]}, {"data": [{"id": 5}]}, [], {"title": "x"}]
)
def test_an_answer_that_cannot_be_read_does_not_say_that_all_are_gone(body: Any):
    with pytest.raises(Malformed):
        list(present(page(body)))


def test_what_is_gone_is_cut_out_of_the_page():
    told = {
        "data": [
            old("11", 9),
            old("13", 5, text="SECRET", edit_history_tweet_ids=["12", "13"], author_id="SECRET"),
        ],
        "includes": {"users": [{"id": "7", "name": "SECRET"}], "tweets": [old("12", 4, text="SECRET")]},
        "meta": {"result_count": 2},
    }
    body = redact(json.dumps(told).encode(), frozenset({"12"}))
    assert b"SECRET" not in body
    after = json.loads(body)
    assert after["data"][0] == told["data"][0]  # type: ignore[index]  # a dict of many shapes
    assert after["data"][1] == {
        "id": "13", "edit_history_tweet_ids": ["12", "13"], "created_at": "2026-06-01T12:05:00.000Z", "redacted": True,
    }  # fmt: skip
    assert redact(body, frozenset({"12"})) == body
    posts = {
        r.key: r.model_dump(exclude_defaults=True)
        for r in read(FULL, page(body, at=NOON + HALF), over(FULL, "macro")).records
    }
    assert posts["12"] == {"feed": "macro", "item": "12", "at": NOON + timedelta(minutes=5), "deleted": True}
    assert posts["11"]["body"] == "text 11"


def test_every_recorded_answer_is_understood_or_says_why_not(shared_data: Path):
    """They were asked without fields, so what tells a wrong vocabulary must show in each: no `created_at`."""
    posts = 0
    for recording in recordings(shared_data / "http/x_tweepy"):
        told = recording.page
        if recording.method != "GET" or not told.path.startswith("/2/"):
            continue
        judge(SOURCE, told)
        try:
            rows = found(told)
        except Malformed:
            body = json.loads(told.body)
            assert not isinstance(body.get("data"), list)
            continue
        if not any("edit_history_tweet_ids" in row for row in rows):
            continue
        got = read(FULL, told, over(FULL, "macro"))
        assert [aside.reason for aside in got.set_aside] == ["KeyError: 'created_at'"] * len(rows)
        names = set(present(told))
        assert names == {row["id"] for row in rows} | {row["edit_history_tweet_ids"][0] for row in rows}
        assert redact(told.body, frozenset(names)).count(b'"redacted":true') >= len(rows)
        posts += len(rows)
    assert posts > 100


def test_a_row_that_cannot_be_read_is_cut_and_does_not_look_like_other_names_of_fields():
    """To ask once more by the new names would cost what the first look did."""
    odd = old("12", 4, text="SECRET", public_metrics={"like_count": "many"})
    told = {
        "data": [old("11", 5), odd],
        "includes": {"users": [{"name": "SECRET"}]},
        "meta": {"result_count": 2},
    }
    left = kept(FULL, over(FULL, "macro", start=NOON - timedelta(minutes=30)), page(told))
    assert b"SECRET" not in left.body
    assert understood(left)
    assert [reason_of(row) is None for row in found(left)] == [True, False]
    gone = page({"data": [{"id": "11", "text": "SECRET"}], "meta": {"result_count": 1}})
    left = kept(FULL, over(FULL, "macro", start=NOON - timedelta(minutes=30)), gone)
    assert b"SECRET" not in left.body
    assert not understood(left)  # the old names bring nothing any more
