"""Feeds: what is no feed, what is dangerous, what encodings lie about, and each feed as the contract shows it."""

import gzip
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ray_app.collect.validate import Read, read
from ray_app.connect.judge import judge
from ray_app.model.errors import Malformed, NotOffered, Refused, Transient
from ray_app.model.source import Page
from ray_app.model.texts import Article
from ray_app.sources.rss import ARTICLES, FEEDS, LARGEST, SOURCE
from tests.sources.replies import NOON, Replies, over, page

ITEM = "<item><title>A title</title><guid>a</guid><link>https://example.com/a</link></item>"
TOLD = Article(
    feed="crypto/decrypt", item="a", at=NOON, title="A title", url="https://example.com/a", language="en"
)


def feed(
    items: str = ITEM, before: str = '<?xml version="1.0" encoding="UTF-8"?>', language: str = ""
) -> str:
    return f'{before}<rss version="2.0"><channel><title>T</title>{language}{items}</channel></rss>'


def found(body: str | bytes, name: str = "crypto/decrypt", content_type: str = "text/xml") -> Read:
    told = body if isinstance(body, bytes) else body.encode()
    return read(
        ARTICLES,
        page(
            told, path=FEEDS[name].url, at=NOON + timedelta(seconds=4), headers={"content-type": content_type}
        ),
        over(ARTICLES, name),
    )


def test_the_least_that_is_a_story():
    assert found(feed()).records == [TOLD]


@pytest.mark.parametrize(
    "body",
    [
        "\ufeff" + feed(),
        feed(before=""),
        feed(before="<!-- made by nobody -->\n\n"),
        feed(before='<?phpxml version="1.0"?>'),
        feed(before='<?xml version="1.0"?><?xml-stylesheet href="a.css"?><!-- x -->'),
        feed(before='<?xml version="1.0"?><!DOCTYPE rss PUBLIC "-//N//DTD RSS 0.91//EN" "https://example.com/r.dtd">'),
        feed() + "\n<!-- cached by a plugin -->\n",
        feed(ITEM.replace("<guid>", "<odd:thing>x</odd:thing><guid>")),  # a prefix that nobody declared
        feed(ITEM.replace("A title", "<![CDATA[A title]]>")),
        feed(ITEM.replace("https://example.com/a", "<![CDATA[ https://example.com/a?utm_source=rss ]]>")),
        feed().encode("utf-16"),
        gzip.compress(feed().encode(), mtime=0),
        feed().replace("UTF-8", "ISO-8859-1"),
    ],
)  # fmt: skip
def test_the_same_story_in_odd_clothes(body: str | bytes):
    assert found(body).records == [TOLD]


def test_atom():
    body = (
        '<feed xmlns="http://www.w3.org/2005/Atom" xml:lang="en-GB"><title>T</title><entry>'
        '<id>tag:example.com,2026:1</id><title type="html">A &amp;amp; B</title><link href="https://example.com/1"/>'
        "<published>2026-06-01T10:00:00+02:00</published><updated>2026-06-01T08:30:00Z</updated>"
        '<author><name>A Writer</name></author><category term="Markets"/><summary>Short</summary>'
        '<content type="html">&lt;p&gt;Long&lt;/p&gt;</content></entry></feed>'
    )
    (article,) = found(body).records
    assert article == Article(
        feed="crypto/decrypt",
        item="tag:example.com,2026:1",
        at=datetime(2026, 6, 1, 8, tzinfo=UTC),
        published=datetime(2026, 6, 1, 8, tzinfo=UTC),
        updated=datetime(2026, 6, 1, 8, 30, tzinfo=UTC),
        title="A & B",
        summary="Short",
        url="https://example.com/1",
        author="A Writer",
        language="en-gb",
        topics="Markets",
    )


BOMB = '<!DOCTYPE rss [<!ENTITY a "x"><!ENTITY b "&a;&a;&a;">]>'


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("<!DOCTYPE html><html><head><title>Just a moment...</title></head></html>", "no feed but '<!DOCTYPE html>"),
        ("<html><body>403 <rss></rss></body></html>", "no feed but '<html>"),
        ("", "no feed but ''"),
        ("%PDF-1.7", "no feed"),
        ('{"rss": "<rss></rss>"}', "no feed"),
        ('<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>', "no feed but '<Error>"),
        (feed()[:-20], "cut off"),
        (feed(before=BOMB), "declares entities"),
        (feed(before=f"<!-- <rss> -->{BOMB}"), "declares entities"),
        (feed(before=f'<?xml version="1.0" encoding="utf-16"?>{BOMB.lower()}').encode("utf-16"), "declares entities"),
        (feed(before='<!DOCTYPE rss SYSTEM "x.dtd" [<!ENTITY % x SYSTEM "file:///etc/passwd">]>'), "entities"),
        (feed(ITEM.replace("A title", "x" * LARGEST)), "a feed has at most"),
        (feed(f"<item><title>a</title><author>{'a.' * 50_000}</author></item>"), "a word of more than"),
        (gzip.compress(feed(" " * 6 * LARGEST).encode(), mtime=0), "a feed has at most"),
        (b"\x1f\x8bnothing", "neither text nor gzip"),
        ("/etc/passwd", "no feed"),
        ("https://example.com/rss", "no feed"),
    ],
)  # fmt: skip
def test_what_is_no_feed_is_no_answer(body: str | bytes, reason: str):
    with pytest.raises(Malformed, match=reason):
        found(body)


def test_an_empty_feed_is_an_answer():
    assert found(feed("")).rows == 0


def test_utf_8_is_utf_8_whatever_the_header_says():
    body = feed(ITEM.replace("A title", "Zürich’s ₿ title"))
    for header in ("text/xml; charset=ISO-8859-1", 'text/xml; charset="utf-7"', "text/xml"):
        (article,) = found(body, content_type=header).records
        assert isinstance(article, Article)
        assert article.title == "Zürich’s ₿ title"


def test_the_xml_names_its_encoding():
    body = feed(ITEM.replace("A title", "Zürich"), before='<?xml version="1.0" encoding="windows-1252"?>')
    (article,) = found(body.encode("windows-1252"), content_type="text/xml; charset=utf-16").records
    assert isinstance(article, Article)
    assert article.title == "Zürich"


def test_a_feed_that_changes_its_encoding_keeps_what_is_whole():
    items = [
        f"<item><title>{title}</title><guid>{n}</guid></item>" for n, title in enumerate(("Zürich", "plain"))
    ]
    body = feed("".join(items)).encode()
    body = body.replace("Zürich".encode(), "Zürich".encode("latin-1"))
    got = found(body)
    assert [article.key for article in got.records] == ["1"]
    assert ["not in the encoding" in aside.reason for aside in got.set_aside] == [True]


def test_what_cnbc_marks_as_paid_for_is_left_out():
    marks = "<metadata:type>cnbcnewsstory</metadata:type><metadata:sponsored>{}</metadata:sponsored>"
    items = "".join(
        f'<item><link>https://www.cnbc.com/{n}</link><guid isPermaLink="false">{n}</guid>{marks.format(paid)}'
        f"<title>Story {n}</title><pubDate>Mon, 01 Jun 2026 11:59:00 GMT</pubDate></item>"
        for n, paid in enumerate(("false", "true", "TRUE"))
    )
    declared = feed(items).replace(
        "<rss ", '<rss xmlns:metadata="http://search.cnbc.com/rss/2.0/modules/siteContentMetadata" '
    )
    for body in (declared, feed(items)):
        got = found(body, "stock/cnbc-top")
        assert ([article.key for article in got.records], got.without_value) == (["0"], 2)


@pytest.mark.parametrize(
    ("told", "published"),
    [
        ("Mon, 01 Jun 2026 11:00:00 GMT", datetime(2026, 6, 1, 11, tzinfo=UTC)),
        ("Mon, 01 Jun 2026 11:00:00 +0000", datetime(2026, 6, 1, 11, tzinfo=UTC)),
        ("Mon, 01 Jun 2026 06:00:00 EST", datetime(2026, 6, 1, 11, tzinfo=UTC)),
        ("01 Jun 26 11:00 GMT", datetime(2026, 6, 1, 11, tzinfo=UTC)),
        ("2026-06-01T13:00:00+02:00", datetime(2026, 6, 1, 11, tzinfo=UTC)),
        ("2026-06-01T11:00:00.123Z", datetime(2026, 6, 1, 11, tzinfo=UTC)),
        ("Mon, 01 Jun 2026 12:04:00 GMT", datetime(2026, 6, 1, 12, 4, tzinfo=UTC)),  # a clock a little ahead
        ("Mon, 01 Jun 2026 12:06:00 GMT", None),
        ("Thu, 01 Jan 1970 00:00:00 GMT", None),
        ("yesterday", None),
        ("", None),
        ("99999999999999999999", None),
    ],
)
def test_a_date_is_read_or_the_poll_says_when(told: str, published: datetime | None):
    (article,) = found(feed(ITEM.replace("</item>", f"<pubDate>{told}</pubDate></item>"))).records
    assert isinstance(article, Article)
    assert (article.published, article.at) == (published, published or NOON)


def test_one_outlets_refusal_pauses_only_that_outlet():
    for status in (403, 429, 999):
        with pytest.raises(Refused):
            judge(SOURCE, page(b"<!DOCTYPE html><title>Attention Required!</title>", status))
    with pytest.raises(Refused):
        judge(SOURCE, page(b"<html>", 503))
    for status, reaction in ((503, Transient), (404, NotOffered), (410, NotOffered)):
        with pytest.raises(reaction):
            judge(SOURCE, page(b"", status))
    assert ARTICLES.independent


async def test_the_query_of_a_feed_is_told_as_parameters():
    api = Replies([page(feed().encode()), page(feed().encode())])
    for name in ("stock/cnbc-top", "stock/yahoo-coin"):
        assert [p.status async for p in ARTICLES.fetch(api, over(ARTICLES, name))] == [200]
    assert api.asked == [
        (
            "https://search.cnbc.com/rs/search/combinedcms/view.xml",
            {"partnerId": "wrss01", "id": "100003114"},
        ),
        (
            "https://feeds.finance.yahoo.com/rss/2.0/headline",
            {"region": "US", "lang": "en-US", "s": "COIN"},
        ),
    ]


def test_feeds_are_asked_whether_they_changed_and_never_for_long_bodies():
    assert ARTICLES.conditional
    assert ARTICLES.largest == LARGEST == 5 * 2**20
    kinds: dict[str, Any] = {name.partition("/")[0]: feed for name, feed in FEEDS.items()}
    assert kinds.keys() == {"crypto", "stock"}
    assert all(feed.url.startswith("https://") for feed in FEEDS.values())


def test_what_wordpress_adds_to_each_summary_is_left_out():
    added = '<p>The post <a href="https://example.com/a">A title</a> appeared first on <a href="/">Example</a>.</p>'
    items = ITEM.replace(
        "</item>", f"<description><![CDATA[<p>The story [&#8230;]</p>\n{added}]]></description></item>"
    )
    (article,) = found(feed(items)).records
    assert isinstance(article, Article)
    assert article.summary == "The story […]"


def test_a_304_has_no_rows():
    assert read(ARTICLES, page(b"", 304), over(ARTICLES, "crypto/decrypt")).rows == 0


def test_the_page_is_read_in_little_time():
    """4,000 items that never close: the loose reader's worst case for its size."""
    body: Page = page(feed("<item>" * 4_000).encode())
    got = read(ARTICLES, body, over(ARTICLES, "crypto/decrypt"))
    assert (len(got.records), got.rows) == (0, len(got.set_aside))
