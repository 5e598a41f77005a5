"""Reddit: paging, the ceiling of a listing, what errors mean, and what goes when a post is gone."""

import json
from datetime import timedelta
from typing import Any

import pytest

from ray_app.collect.collector import collect
from ray_app.collect.validate import read
from ray_app.connect.judge import judge
from ray_app.model.errors import Malformed, NotOffered, RateLimited, Refused, Transient, UpstreamError
from ray_app.model.source import Page
from ray_app.sources.reddit import POSTS, SOURCE, SUBREDDITS, present, reached, redact
from tests.sources.replies import NOON, Replies, over, page

MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)


def post(name: str, minutes_ago: float, **more: Any) -> dict[str, Any]:
    at = (NOON - minutes_ago * MINUTE).timestamp()
    data = {
        "id": name, "name": f"t3_{name}", "subreddit": "Bitcoin", "author": "somebody", "title": f"title {name}",
        "selftext": f"text {name}", "permalink": f"/r/Bitcoin/comments/{name}/x/", "created_utc": at,
        "edited": False, "score": 1, "removed_by_category": None,
    }  # fmt: skip
    return {"kind": "t3", "data": data | more}


def listing(*posts: dict[str, Any], after: Any = None) -> Page:
    return page({"kind": "Listing", "data": {"children": list(posts), "after": after}})


async def test_it_pages_back_to_the_start_of_the_slice():
    api = Replies(
        [
            listing(post("e", 1), post("d", 20), after="t3_d"),
            listing(post("c", 40), post("b", 70), after="t3_b"),
            listing(post("never", 90)),
        ]
    )
    wanted = over(POSTS, "Bitcoin", start=NOON - 60 * MINUTE, length=60 * MINUTE)
    collected = await collect(SOURCE, POSTS, wanted, api)
    assert api.asked == [
        ("/r/Bitcoin/new", {"limit": "100", "raw_json": "1"}),
        ("/r/Bitcoin/new", {"limit": "100", "raw_json": "1", "after": "t3_d"}),
    ]
    assert [(r.item, n) for r, n in collected.records if r.partition == "Bitcoin"] == [  # type: ignore[attr-defined]  # a Post
        ("t3_e", 0),
        ("t3_d", 0),
        ("t3_c", 1),
    ]
    assert collected.slice == wanted


async def test_a_listing_that_goes_in_circles_is_no_answer():
    api = Replies([listing(post("a", 1), after="t3_a"), listing(post("b", 2), after="t3_a")])
    with pytest.raises(Malformed, match="goes on at 't3_a' for ever"):
        await collect(SOURCE, POSTS, over(POSTS, "Bitcoin", start=NOON - DAY, length=DAY), api)


async def test_a_listing_without_end_is_no_answer():
    pages = (listing(post(f"a{n}", n), after=f"t3_a{n}") for n in range(100))
    api = Replies(pages)
    with pytest.raises(Malformed, match="more than 12 pages"):
        await collect(SOURCE, POSTS, over(POSTS, "Bitcoin", start=NOON - DAY, length=DAY), api)
    assert len(api.asked) == 12


def test_what_lies_before_the_ceiling_of_a_listing_is_not_told():
    wanted = over(POSTS, "Bitcoin", start=NOON - DAY, length=DAY)
    posts = [post(f"{n}", n / 2) for n in range(1000)]
    pages = [listing(*posts[n : n + 100]) for n in range(0, 1000, 100)]
    assert reached(pages, wanted) == NOON - 999 / 2 * MINUTE
    assert reached(pages[:8], wanted) == wanted.range.start  # so few are all that there ever were
    long_ago = [listing(*(post(f"{n}", 3 * n) for n in range(1000)))]
    assert reached(long_ago, wanted) == wanted.range.start
    assert reached([listing()], wanted) == wanted.range.start


@pytest.mark.parametrize(
    ("answer", "reaction", "text"),
    [
        (page({"message": "Too Many Requests", "error": 429}, 429), RateLimited, "HTTP 429"),
        (page(b"<!doctype html><title>whoa there, pardner!", 429), RateLimited, "HTTP 429"),
        (page({"error": "invalid_grant"}), Refused, "error in a 200: invalid_grant"),
        (page({"error": 429, "message": "Too Many Requests"}), RateLimited, "429 in a 200"),
        (page(b"<html>whoa</html>", 403), Transient, "HTTP 403 from the gate before the API"),
        (page({"reason": "private", "message": "Forbidden", "error": 403}, 403), NotOffered, "HTTP 403: private"),
        (page({"reason": "banned", "message": "Not Found", "error": 404}, 404), NotOffered, "HTTP 404: banned"),
        (page({"message": "Not Found", "error": 404}, 404), NotOffered, "HTTP 404: Not Found"),
        (page({"message": "Forbidden", "error": 403}, 403, "/r/x/new"), NotOffered, "HTTP 403: Forbidden, as a"),
        (page({"error": 403}, 403, "/r/x/new"), Refused, "HTTP 403: "),
        (page({"message": "Unauthorized", "error": 401}, 401), Refused, "HTTP 401: Unauthorized"),
        (page(b"", 302, headers={"location": "/subreddits/search?q=x"}), NotOffered, "HTTP 302: no such"),
        (page(b"", 451), NotOffered, "HTTP 451"),
        (page(b"", 503), Transient, "HTTP 503"),
        (page(b"<html>", 520), Transient, "HTTP 520"),
    ],
)  # fmt: skip
def test_errors_have_their_reactions(answer: Page, reaction: type[UpstreamError], text: str):
    with pytest.raises(UpstreamError) as told:
        judge(SOURCE, answer)
    assert type(told.value) is reaction
    assert told.value.detail.startswith(text)


def test_a_pause_is_as_long_as_told():
    told_by: list[tuple[dict[str, str], float | None]] = [
        ({"x-ratelimit-reset": "247"}, 247.0),
        ({"retry-after": "4"}, 4.0),
        ({}, None),
    ]
    for headers, seconds in told_by:
        with pytest.raises(RateLimited) as told:
            judge(SOURCE, page({"message": "Too Many Requests", "error": 429}, 429, headers=headers))
        assert told.value.retry_after == seconds


def test_a_listing_that_speaks_of_errors_is_none():
    judge(SOURCE, listing(post("a", 1, title='{"error": 1}')))
    judge(SOURCE, page({"kind": "Listing", "error": None, "data": {"children": []}}))


RECHECK = POSTS.recheck


async def test_posts_are_asked_for_again_by_their_ids():
    assert RECHECK is not None
    assert RECHECK.batch == 100
    assert RECHECK.every <= timedelta(hours=24)
    answer = listing(
        post("here", 1),
        post("deleted", 2, author="[deleted]", selftext="[deleted]"),
        post("removed", 3, selftext="[removed]", removed_by_category="moderator"),
        post("removed-by-whom", 3, selftext="[removed]"),
        post("author-gone", 4, author="[deleted]"),
    )
    api = Replies([answer])
    pages = [page async for page in RECHECK.fetch(api, ["t3_here", "t3_deleted", "t3_missing"])]
    assert api.asked == [("/api/info", {"id": "t3_here,t3_deleted,t3_missing", "raw_json": "1"})]
    assert list(RECHECK.present(pages[0])) == ["t3_here"]


@pytest.mark.parametrize(
    "body", [{"kind": "t2", "data": {}}, {"kind": "Listing", "data": {"children": [1]}}, []]
)
def test_an_answer_that_cannot_be_read_does_not_say_that_all_are_gone(body: Any):
    with pytest.raises(Malformed):
        list(present(page(body)))


def test_what_is_gone_is_cut_out_of_the_page():
    secret = {
        "title": "SECRET",
        "selftext": "SECRET",
        "author": "SECRET",
        "url": "SECRET",
        "media": {"x": "SECRET"},
    }
    told = listing(
        post("kept", 1, score=0.94),
        post("gone", 2, **secret),
        post("quotes", 3, crosspost_parent_list=[post("gone", 2, **secret)["data"]]),
    )
    body = redact(told.body, frozenset({"t3_gone"}))
    assert b"SECRET" not in body
    children = json.loads(body)["data"]["children"]
    assert children[0] == json.loads(told.body)["data"]["children"][0]
    stays = {
        "id": "gone",
        "name": "t3_gone",
        "subreddit": "Bitcoin",
        "created_utc": children[1]["data"]["created_utc"],
    }
    assert children[1] == {"kind": "t3", "data": stays | {"redacted": True}}
    assert children[2]["data"]["name"] == "t3_quotes"
    assert (
        "crosspost_parent_list" not in children[2]["data"]
    )  # nobody looks whether what it quotes is deleted
    assert redact(body, frozenset({"t3_gone"})) == body

    wanted = over(POSTS, "Bitcoin", start=NOON - 60 * MINUTE, length=60 * MINUTE)
    before, after = read(POSTS, told, wanted), read(POSTS, page(body), wanted)
    assert [r.model_dump() for r in after.records if r.key != "t3_gone"] == [
        r.model_dump() for r in before.records if r.key != "t3_gone"
    ]
    (gone,) = (r.model_dump(exclude_defaults=True) for r in after.records if r.key == "t3_gone")
    assert gone == {"feed": "Bitcoin", "item": "t3_gone", "at": NOON - 2 * MINUTE, "deleted": True}


def test_wallstreetbets_is_no_signal_for_crypto():
    assert SUBREDDITS["wallstreetbets"] == "stocks"
    assert list(SUBREDDITS.values()).count("crypto") == 11
