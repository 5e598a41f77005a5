"""The Guardian: windows and pages, errors in two forms, and recorded answers of its own templates."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ray_app.collect.collector import collect
from ray_app.collect.validate import read
from ray_app.connect.judge import judge
from ray_app.model.errors import Malformed, NotOffered, RateLimited, Refused, Transient, UpstreamError
from ray_app.model.source import Page
from ray_app.model.texts import Article
from ray_app.sources.guardian import ARTICLES, SOURCE
from tests.sources.replies import NOON, Replies, over, page


def article(name: str, minute: int) -> dict[str, Any]:
    at = NOON + timedelta(minutes=minute)
    return {
        "id": name,
        "webPublicationDate": f"{at:%Y-%m-%dT%H:%M:%SZ}",
        "webTitle": name,
        "webUrl": f"https://g.example/{name}",
    }


def answered(*articles: dict[str, Any], number: int = 1, pages: Any = 1) -> Page:
    told = {"status": "ok", "total": 3, "currentPage": number, "pages": pages, "results": list(articles)}
    return page({"response": told}, at=NOON + timedelta(minutes=20))


async def test_every_page_of_a_window_is_asked_for_oldest_first():
    api = Replies(
        [answered(article("a", 1), article("b", 2), pages=2), answered(article("c", 3), number=2, pages=2)]
    )
    collected = await collect(SOURCE, ARTICLES, over(ARTICLES, "business"), api)
    assert [record.key for record, _ in collected.records] == ["a", "b", "c"]
    told = {
        "section": "business",
        "from-date": "2026-06-01T12:00:00Z",
        "to-date": "2026-06-01T12:15:00Z",
        "order-by": "oldest",
        "page-size": "200",
        "show-fields": "headline,trailText,byline,firstPublicationDate,lastModified,lang",
        "show-tags": "keyword",
    }
    assert api.asked == [("/search", told | {"page": "1"}), ("/search", told | {"page": "2"})]


async def test_an_empty_window_is_an_answer():
    api = Replies([answered(pages=0)])
    collected = await collect(SOURCE, ARTICLES, over(ARTICLES, "crypto"), api)
    assert (collected.records, len(api.asked)) == ((), 1)


async def test_pages_without_end_are_no_answer():
    api = Replies(answered(article(f"a{n}", 1), number=n, pages=1000) for n in range(1, 100))
    with pytest.raises(Malformed, match="1000 pages"):
        await collect(SOURCE, ARTICLES, over(ARTICLES, "crypto"), api)
    assert len(api.asked) == 25


def error(message: str) -> dict[str, Any]:
    return {"response": {"status": "error", "message": message}}


@pytest.mark.parametrize(
    ("answer", "reaction"),
    [
        (page(error("requested page is beyond the number of available pages"), 400), Transient),
        (
            page(
                error("Content API does not support paging this far. Please change page or page-size."), 400
            ),
            Refused,
        ),
        (page({"message": "Unauthorized"}, 401), Refused),
        (page(error("The requested resource could not be found."), 404), NotOffered),
        (page(error("The requested resource has expired for rights reason."), 410), NotOffered),
        (page({"message": "API rate limit exceeded"}, 429), RateLimited),
        (page(b"", 504), Transient),
    ],
)
def test_errors_have_their_reactions(answer: Page, reaction: type[UpstreamError]):
    with pytest.raises(UpstreamError) as told:
        judge(SOURCE, answer)
    assert type(told.value) is reaction


@pytest.mark.parametrize("body", [error("x"), {"response": {"status": "ok"}}, {"response": []}, [], None])
def test_an_error_in_a_200_is_no_answer(body: Any):
    with pytest.raises(Malformed):
        read(ARTICLES, page(body), over(ARTICLES, "crypto"))


def test_an_update_moves_the_article_and_keeps_its_id():
    first = article("a", 1) | {"fields": {"headline": "One", "firstPublicationDate": "2026-06-01T12:01:00Z"}}
    later = article("a", 20) | {"fields": {"headline": "Two", "firstPublicationDate": "2026-06-01T12:01:00Z"}}
    quarter = timedelta(minutes=15)
    (one,) = read(ARTICLES, answered(first), over(ARTICLES, "crypto")).records
    (two,) = read(ARTICLES, answered(later), over(ARTICLES, "crypto", start=NOON + quarter)).records
    assert isinstance(one, Article)
    assert isinstance(two, Article)
    assert one.key == two.key
    assert one.published == two.published
    assert (one.title, two.title) == ("One", "Two")
    assert (one.known_at, two.known_at) == (NOON + timedelta(minutes=1), NOON + timedelta(minutes=20))


def recorded(folder: Path, name: str) -> Page:
    body = (folder / "http/guardian" / f"{name}.json").read_bytes()
    return page(body, at=datetime(2026, 6, 1, tzinfo=UTC))


EVER = over(ARTICLES, "business", start=datetime(1999, 1, 1, tzinfo=UTC), length=timedelta(days=10_000))


def test_the_recorded_search(shared_data: Path):
    """search.json, of 10 September 2014: no fields were asked for."""
    told = recorded(shared_data, "search")
    got = read(ARTICLES, told, EVER)
    assert got.set_aside == []
    assert got.records[1] == Article(
        feed="business",
        item="business/2014/sep/10/thorntons-60-per-cent-profits-rise-despite-closures",
        at=datetime(2014, 9, 10, 16, 7, 16, tzinfo=UTC),
        published=datetime(2014, 9, 10, 16, 7, 16, tzinfo=UTC),
        title="Thorntons reports 60% profits rise despite store closures",
        url="http://www.theguardian.com/business/2014/sep/10/thorntons-60-per-cent-profits-rise-despite-closures",
    )
    rows = json.loads(told.body)["response"]["results"]
    assert [record.key for record in got.records] == [row["id"] for row in rows]
    assert [record.cursor for record in got.records] == [
        datetime.fromisoformat(r["webPublicationDate"]) for r in rows
    ]


ARTICLES_IN = {
    "search": 10,
    "search-response": 1,
}  # ten times the same; the others hold tags, sections, ids or one item


def test_every_recorded_answer_is_read_set_aside_or_refused(shared_data: Path):
    for path in sorted((shared_data / "http/guardian").glob("*.json")):
        told = recorded(shared_data, path.stem)
        try:
            got = read(ARTICLES, told, EVER)
        except Malformed:
            body = json.loads(told.body)
            assert not isinstance(body.get("response", {}).get("results"), list), path.name
            continue
        assert got.rows == len(got.records) + len(got.set_aside) + got.left_out, path.name
        assert len(got.records) == ARTICLES_IN.get(path.stem, 0), path.name
