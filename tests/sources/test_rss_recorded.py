"""The recorded feeds of the world, RSS and Atom: every entry becomes an article; some compared value for value."""

from datetime import UTC, datetime
from pathlib import Path
from xml.etree import ElementTree

import pytest

from ray_app.collect.validate import Read, read
from ray_app.model.texts import Article
from ray_app.sources.rss import ARTICLES
from tests.sources.replies import over, page

READ_AT = datetime(2026, 6, 1, 12, tzinfo=UTC)
ENTRIES = {
    "489.rss": 10, "DaringFireball.atom": 48, "KatieFloyd.rss": 20, "atp.rss": 100, "cloudblog.rss": 20,
    "manton.rss": 10, "monkeydom.rss": 13, "natasha.xml": 10, "phpxml.rss": 20, "scriptingNews.rss": 50,
    "theomnishow.rss": 4,
}  # fmt: skip


def found(folder: Path, name: str) -> Read:
    body = (folder / "http/rss" / name).read_bytes()
    return read(
        ARTICLES, page(body, path="https://example.com/feed", at=READ_AT), over(ARTICLES, "crypto/decrypt")
    )


def articles(got: Read) -> list[Article]:
    return [record for record in got.records if isinstance(record, Article)]


@pytest.mark.parametrize("name", ENTRIES)
def test_every_entry_is_an_article(shared_data: Path, name: str):
    got = found(shared_data, name)
    twice = [aside.reason for aside in got.set_aside]
    assert got.rows == ENTRIES[name]
    assert twice == ["said twice in one answer with different values"] * (
        2 if name == "scriptingNews.rss" else 0
    )
    for article in articles(got):
        assert article.published is not None
        assert article.at == article.published < READ_AT
        assert article.title or article.summary
        assert article.body is None
        for text in (article.title, article.summary):
            assert text is None or not any(
                mark in text for mark in ("</", "<p>", "&amp;", "&#8217;", "&nbsp;")
            )
        assert article.url is not None
        assert "utm_" not in article.url


def test_a_feed_on_crypto(shared_data: Path):
    """489.rss: an exchange's blog on Medium; only bodies, so there are no summaries."""
    first = articles(found(shared_data, "489.rss"))[0]
    assert first == Article(
        feed="crypto/decrypt",
        item="https://medium.com/p/417d97952d42",
        at=datetime(2018, 11, 19, 8, 10, 26, tzinfo=UTC),
        published=datetime(2018, 11, 19, 8, 10, 26, tzinfo=UTC),
        updated=datetime(2018, 11, 19, 8, 42, 59, tzinfo=UTC),
        title="Hodl Hodl closes funding round",
        url="https://medium.com/@hodlhodl/hodl-hodl-closes-funding-round-417d97952d42?source=rss-b1f3d322dadf------2",
        author="Hodl Hodl",
        language="en",
        topics="bitcoin; funding",
    )


@pytest.mark.parametrize(
    "name", ["KatieFloyd.rss", "atp.rss", "cloudblog.rss", "monkeydom.rss", "natasha.xml"]
)
def test_titles_and_ids_are_those_of_the_xml(shared_data: Path, name: str):
    tree = ElementTree.fromstring((shared_data / "http/rss" / name).read_bytes())
    told = [(item.findtext("guid"), item.findtext("title")) for item in tree.iter("item")]
    ours = {article.item: article.title for article in articles(found(shared_data, name))}
    assert len(told) == len(ours)
    for guid, title in told:
        assert guid is not None
        assert title is not None
        assert ours[guid.strip()] == " ".join(title.split())
