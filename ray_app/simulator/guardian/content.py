"""An article as the Content API tells it. Every value inside `fields` is a string."""

import html
import re
from typing import Any

from ray_app.simulator.clock import instant
from ray_app.simulator.texts.articles import Article, Outlet, Told
from ray_app.simulator.texts.draw import base36

GUARDIAN = Outlet("The Guardian", 0.15, 0.35)
WEB, API = "https://www.theguardian.com", "https://content.guardianapis.com"
SECTIONS = {"technology": "Technology", "business": "Business", "money": "Money"}
TAGS = {
    "technology/bitcoin": "Bitcoin",
    "technology/cryptocurrencies": "Cryptocurrencies",
    "business/stock-markets": "Stock markets",
    "business/business": "Business",
    "money/money": "Money",
}
FIELDS = (
    "headline", "standfirst", "trailText", "byline", "body", "bodyText", "wordcount", "charCount",
    "firstPublicationDate", "lastModified", "commentable", "productionOffice", "lang", "shortUrl",
)  # fmt: skip


def section(article: Article) -> str:
    if article.topic == "crypto":
        return "technology"
    return "money" if article.number % 5 == 0 else "business"


def tags(article: Article) -> list[str]:
    if article.topic == "crypto":
        found = ["technology/cryptocurrencies"]
        return [*found, "technology/bitcoin"] if article.about == "bitcoin" else found
    return ["money/money"] if section(article) == "money" else ["business/business", "business/stock-markets"]


def kind(article: Article) -> str:
    return "liveblog" if article.number % 25 == 0 else "article"


def id_of(article: Article) -> str:
    day = instant(article.published * 1000)
    return f"{section(article)}/{day.year}/{day:%b}/{day:%d}/{article.slug}".lower()


def plain(told: Told) -> str:
    """What a search looks through."""
    return " ".join((told.title, told.article.summary, _text(told.article)))


def content(told: Told, fields: tuple[str, ...] = (), show_tags: bool = False) -> dict[str, Any]:
    article = told.article
    id_, name = id_of(article), section(article)
    item: dict[str, Any] = {
        "id": id_,
        "type": kind(article),
        "sectionId": name,
        "sectionName": SECTIONS[name],
        "webPublicationDate": iso(told.date),
        "webTitle": told.title,
        "webUrl": f"{WEB}/{id_}",
        "apiUrl": f"{API}/{id_}",
    }
    if fields:
        known = _fields(told)
        item["fields"] = known if "all" in fields else {name: known[name] for name in fields if name in known}
    if show_tags:
        item["tags"] = [tag(one) for one in tags(article)]
    return {**item, "isHosted": False, "pillarId": "pillar/news", "pillarName": "News"}


def tag(id_: str) -> dict[str, Any]:
    name = id_.partition("/")[0]
    return {
        "id": id_,
        "type": "keyword",
        "sectionId": name,
        "sectionName": SECTIONS[name],
        "webTitle": TAGS[id_],
        "webUrl": f"{WEB}/{id_}",
        "apiUrl": f"{API}/{id_}",
        "references": [],
    }


def _fields(told: Told) -> dict[str, str]:
    """Keys vary: some articles have no byline, and some no short URL."""
    article, text = told.article, _text(told.article)
    body = "".join(f"<p>{part.replace('&', '&amp;')}</p>" for part in article.paragraphs)
    figure = '<figure class="element element-image" data-media-id="0"><img src="https://media.example.com/0"></figure>'
    known = {
        "headline": told.title,
        "standfirst": f"<p>{html.escape(article.summary, quote=False)}</p>",
        "trailText": f"<p>{html.escape(article.summary, quote=False)}</p>",
        "byline": " and ".join(article.authors),
        "body": f"{figure}{body}",
        "bodyText": text,
        "wordcount": str(len(text.split())),
        "charCount": str(len(text)),
        "firstPublicationDate": iso(article.published),
        "lastModified": iso(told.changed),
        "commentable": str(article.number % 2 == 0).lower(),
        "productionOffice": ("UK", "US", "AUS")[article.number % 3],
        "lang": "en",
        "shortUrl": f"{WEB}/p/{base36(article.number)}",
    }
    if article.number % 17 == 0:
        del known["byline"]
    if article.number % 13 == 0:
        del known["shortUrl"]
    return known


def _text(article: Article) -> str:
    return " ".join(re.sub(r"<[^>]*>", "", part) for part in article.paragraphs)


def iso(seconds: int) -> str:
    return f"{instant(seconds * 1000):%Y-%m-%dT%H:%M:%SZ}"
