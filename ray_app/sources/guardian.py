"""The Guardian's Content API: headlines, trail texts and tags, back to 1999.

What surprises: an article's `webPublicationDate` moves forward when it is updated, so one id comes again later.
Every value within `fields` is a text, numbers too, and any of them may be missing. A page beyond the last one
is a 400. A wrong key is refused by the gateway, in another form than everything else. Bodies are not asked
for: what we could not confirm of the terms may forbid keeping them for more than a day.
"""

from collections.abc import AsyncIterator, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from ray_app.model.errors import Malformed, Transient
from ray_app.model.plaintext import canonical_url, html_to_text, one_line, short_id
from ray_app.model.source import About, Api, ApiKey, Page, Plan, Quota, Slice, Source, Stream
from ray_app.model.texts import Article

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
QUARTER = 15 * MINUTE
FIRST = datetime(1999, 1, 1, tzinfo=UTC)
PAGE, MOST_PAGES = 200, 25
FEEDS = {
    "crypto": {"q": "cryptocurrency OR cryptocurrencies OR bitcoin OR ethereum OR stablecoin"},
    "business": {"section": "business"},
}
FIELDS = "headline,trailText,byline,firstPublicationDate,lastModified,lang"
BEYOND = "beyond the number of available pages"


def judge(page: Page) -> None:
    """Articles can be withdrawn while one pages; then the last page is a 400 and the window is asked again."""
    if page.status == 400 and BEYOND.encode() in page.body:
        raise Transient("guardian", BEYOND)


async def fetch(api: Api, wanted: Slice) -> AsyncIterator[Page]:
    """Every page of the window, oldest first: the server's own order would change while one pages."""
    asked: dict[str, str | int] = {
        **FEEDS[wanted.partition],
        "from-date": f"{wanted.range.start:%Y-%m-%dT%H:%M:%SZ}",
        "to-date": f"{wanted.range.end:%Y-%m-%dT%H:%M:%SZ}",
        "order-by": "oldest",
        "page-size": PAGE,
        "show-fields": FIELDS,
        "show-tags": "keyword",
    }
    pages = 1
    for number in range(1, MOST_PAGES + 1):
        page = await api.get("/search", **asked, page=number)
        yield page
        pages = answer(page).get("pages", 0)
        if not isinstance(pages, int) or number >= pages:
            return
    raise Malformed("guardian", f"{pages} pages for {wanted.range.length}, where {MOST_PAGES} are the most")


def answer(page: Page) -> dict[str, Any]:
    """{"response": {"status": "ok", "total": 3, "pages": 2, "results": [...]}}"""
    try:
        told = page.json()["response"]
    except (TypeError, LookupError) as e:
        raise Malformed("guardian", f"expected a response, found {page.body[:80]!r}") from e
    if not isinstance(told, dict) or told.get("status") != "ok" or not isinstance(told.get("results"), list):
        raise Malformed("guardian", f"expected results, found {page.body[:80]!r}")
    return told


def results(page: Page) -> Iterable[Any]:
    return list(answer(page)["results"])


def parse(row: Any, wanted: Slice) -> Article:
    """One article. It is placed by `webPublicationDate`, which is what windows are asked by."""
    fields = row.get("fields", {})
    at = datetime.fromisoformat(row["webPublicationDate"])
    title = one_line(fields.get("headline") or row["webTitle"])
    if not title:
        raise ValueError("an article without a headline")
    tags = dict.fromkeys(one_line(tag["webTitle"]) for tag in row.get("tags", ()))
    return Article(
        feed=wanted.partition,
        item=short_id(row["id"]),
        at=at,
        published=stated(fields.get("firstPublicationDate")) or at,
        updated=stated(fields.get("lastModified")),
        title=title,
        summary=html_to_text(fields.get("trailText") or "") or None,
        url=canonical_url(row["webUrl"]),
        author=one_line(fields.get("byline") or "") or None,
        language=fields.get("lang"),
        topics="; ".join(filter(None, tags)) or None,
    )


def stated(told: Any) -> datetime | None:
    return datetime.fromisoformat(told) if told else None


ARTICLES = Stream(
    name="articles",
    describes="headlines and trail texts of the Guardian on cryptocurrencies and business",
    record=Article,
    partitions=lambda _: tuple(FEEDS),
    fetch=fetch,
    rows=results,
    parse=parse,
    every=QUARTER,
    grain=QUARTER,
    longest_slice=7 * DAY,  # some 700 articles of the business section: how deep one may page is not told
    offers=FIRST,
    attempts=2,
    settle=5 * MINUTE,
    patience=HOUR,
    largest=8 * 2**20,
    about={
        "crypto": About(title="The Guardian on cryptocurrencies"),
        "business": About(title="The Guardian, business section"),
    },
    quiet=7 * DAY,
    required=False,
    unit="articles",
    topic="news",
    parser="search/1",
)
SOURCE = Source(
    name="guardian",
    docs="https://open-platform.theguardian.com/documentation/",
    licence="non_commercial",
    attribution="Headlines by the Guardian",
    judge=judge,
    plans=(
        Plan(
            name="developer",
            base_url="https://content.guardianapis.com",
            simulated_at="/guardian",
            quota=Quota(20, HOUR),  # 500 a day, told as an even pace: 480, which also keeps to 1 a second
            auth=ApiKey("guardian_key", param="api-key"),
            streams=(ARTICLES,),
        ),
    ),
)
