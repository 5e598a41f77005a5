"""Every recorded answer of Reddit's API (2016 to 2026): the posts in listings, and what errors are taken for."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ray_app.collect.validate import read
from ray_app.connect.judge import judge
from ray_app.model.errors import Malformed, UpstreamError
from ray_app.model.source import Page
from ray_app.model.texts import Post
from ray_app.sources.reddit import POSTS, SOURCE, listed
from tests.sources.replies import Recording, over, recordings

FIRST = datetime(2000, 1, 1, tzinfo=UTC)
TEXTS = {"title", "body", "url", "author", "topics"}
OTHER_LISTINGS = (
    "expected a post (t3), found",
    "another unit than declared",
    "KeyError: 'kind'",
)  # wiki revisions


@pytest.fixture(scope="module")
def recorded(shared_data: Path) -> list[Recording]:
    return list(recordings(shared_data / "http/reddit_praw"))


def posts_of(page: Page) -> tuple[list[Post], list[str]]:
    """Every post of a listing, of whatever subreddits, and why the other rows are none."""
    names = {row["data"]["subreddit"] for row in listed(page) if row.get("kind") == "t3"} or {"Bitcoin"}
    found = read(POSTS, page, over(POSTS, *sorted(names), start=FIRST, length=timedelta(days=10_000)))
    posts = [record for record in found.records if isinstance(record, Post)]
    assert found.rows == len(posts) + len(found.set_aside)
    return posts, [aside.reason for aside in found.set_aside]


def test_every_row_of_every_listing_is_a_post_or_set_aside_with_the_reason(recorded: list[Recording]):
    reasons: Counter[str] = Counter()
    deleted = nameless = total = 0
    for recording in recorded:
        try:
            judge(SOURCE, recording.page)
            posts, aside = posts_of(recording.page)
        except UpstreamError:
            continue
        reasons.update(reason[:60] if "would be" not in reason else "a time before 2009" for reason in aside)
        assert [r for r in aside if not any(known in r for known in OTHER_LISTINGS)] == [], recording.name
        for post in posts:
            total += 1
            deleted += post.deleted
            nameless += post.author is None and not post.deleted
            told = {name: value for name, value in post if name in TEXTS and value is not None}
            assert bool(told) is not post.deleted
            assert post.author not in ("[deleted]", "[removed]")
            assert post.body not in ("[deleted]", "[removed]")
    assert total > 1000
    assert deleted > 10
    assert nameless > 10


def test_new_posts_of_2016(recorded: list[Recording]):
    (page,) = (r.page for r in recorded if r.name.startswith("TestSubredditListings.test_new."))
    posts, aside = posts_of(page)
    assert (len(posts), aside) == (100, [])
    assert posts[3] == Post(
        feed="AskReddit",
        item="t3_48fbg9",
        at=datetime(2016, 3, 1, 8, 35, 48, tzinfo=UTC),
        title="If you only can live with one thing/person for the rest of your life, who would it be ?",
        url="https://www.reddit.com/r/AskReddit/comments/48fbg9/if_you_only_can_live_with_one_thingperson_for_the",
        author="ravemyworld",
        likes=2,
        replies=2,
    )
    times = [post.at for post in posts]
    assert times == sorted(times, reverse=True)


def test_posts_that_were_deleted_or_lost_their_author(recorded: list[Recording]):
    """In one listing of 2016, compared with what its rows say."""
    (page,) = (r.page for r in recorded if r.name.startswith("TestSubredditListings.test_controversial."))
    posts = {post.item: post for post in posts_of(page)[0]}
    for row in listed(page):
        told, post = row["data"], posts[row["data"]["name"]]
        without = told["author"] == "[deleted]" and not told["selftext"]  # may be deleted: nothing tells
        assert post.deleted is (told["selftext"] in ("[deleted]", "[removed]") or without)
        if told["author"] == "[deleted]" and not post.deleted:
            assert (post.author, bool(post.title), bool(post.body)) == (None, True, True)
    assert sorted(item for item, post in posts.items() if post.deleted) == [
        "t3_3b25v5",
        "t3_h4grh",
        "t3_qijti",
    ]
    assert sum(post.author is None and not post.deleted for post in posts.values()) == 9


@pytest.mark.parametrize(
    ("start", "told"),
    [
        ("/r/ferguson/hot", "NotOffered: reddit: HTTP 403: Forbidden, as a quarantined subreddit says"),
        ("/user/spez/saved", "Refused: reddit: HTTP 403: {'error': 403}"),
        ("/r/redditdev/s/", "NotOffered: reddit: HTTP 301: no such subreddit"),
        ("/api/mod/notes", "Transient: reddit: HTTP 500: Internal Server Error"),
        ("/api/user_data_by_account_ids", "NotOffered: reddit: HTTP 404: Not Found"),
        ("/api/v1/me/friends/", "Refused: reddit: HTTP 400: Bad Request"),
    ],
)
def test_recorded_errors_have_their_reactions(recorded: list[Recording], start: str, told: str):
    reactions = set()
    for recording in recorded:
        if recording.page.path.startswith(start) and recording.page.status >= 300:
            with pytest.raises(UpstreamError) as error:
                judge(SOURCE, recording.page)
            reactions.add(f"{type(error.value).__name__}: {error.value}")
    assert told in reactions


def test_what_is_no_listing_is_malformed(recorded: list[Recording]):
    for recording in recorded:
        if recording.page.status == 200 and not recording.page.body.startswith(
            (b'{"kind": "Listing"', b'{"data"')
        ):
            with pytest.raises(Malformed):
                listed(recording.page)
