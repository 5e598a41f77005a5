"""Feeds: what is in them, how each outlet writes, validators, caches and every quirk."""

import gzip
import re
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from xml.etree import ElementTree

import pytest

from ray_app.simulator.rss.feeds import FEEDS
from ray_app.simulator.rss.quirks import QUIRKS
from tests.simulator.texting import START, simulated

COINDESK = "/web/www.coindesk.com/arc/outboundfeeds/rss/"
BROWSER = {"User-Agent": "Mozilla/5.0 (X11; Linux x86_64)"}
CREATOR = "{http://purl.org/dc/elements/1.1/}creator"


@pytest.fixture(scope="module")
def sim():
    with simulated() as started:
        yield started


def items(answer):
    assert answer.status_code == 200, answer.text
    return ElementTree.fromstring(answer.content).findall("channel/item")


def texts(answer, name):
    return [item.findtext(name) for item in items(answer)]


def expected(sim, feed, count, now, **params):
    """The newest articles at `now` by the truth: (title, date), newest first."""
    rows = sim.truth(
        "web", feed=feed, from_=(now - timedelta(days=20)).isoformat(), to=now.isoformat(), **params
    )
    told = []
    for row in rows:
        updated = row["updated"] and datetime.fromisoformat(row["updated"]) <= now
        if row["taken_down"] and datetime.fromisoformat(row["taken_down"]) <= now:
            continue
        date = row["updated"] if updated and row["redated"] else row["published"]
        told.append(
            (datetime.fromisoformat(date), row["later_title"] if updated else row["title"], row["link"])
        )
    return sorted(told, key=lambda one: one[0], reverse=True)[:count]


def test_a_feed_holds_the_newest_articles_as_they_stand_now(sim):
    answer = sim.get(COINDESK)
    wanted = expected(sim, "www.coindesk.com/arc/outboundfeeds/rss", 25, START.replace(second=0))
    assert len(wanted) == 25
    assert texts(answer, "title") == [title for _, title, _ in wanted]
    assert texts(answer, "link") == [link for _, _, link in wanted]
    assert [parsedate_to_datetime(text) for text in texts(answer, "pubDate")] == [
        date for date, _, _ in wanted
    ]
    assert any(title.endswith("(updated)") for _, title, _ in expected(sim, "decrypt.co/feed", 400, START))


def test_every_feed_is_well_formed_and_has_its_window(sim):
    sizes = {}
    for feed in FEEDS:
        answer = sim.get(f"/web/{feed.host}{feed.paths[0]}", headers=BROWSER)
        sizes[feed.host, feed.paths[0]] = len(items(answer)) - feed.items
        guids = texts(answer, "guid")
        assert len(set(guids)) == len(guids), feed
    assert set(sizes.values()) == {0}


def first_with(answer, pattern):
    return next(
        found for item in answer.text.split("<item>")[1:] if (found := re.search(pattern, item, re.DOTALL))
    )


@pytest.mark.parametrize(
    ("feed", "pattern"),
    [
        (COINDESK, r"<title><!\[CDATA\[[^<]+\]\]></title><link>https://www\.coindesk\.com/\w+/2026/"),
        (COINDESK, r'<guid isPermaLink="false">[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}<'),
        (COINDESK, r"<pubDate>\w{3}, \d\d \w{3} 2026 \d\d:\d\d:\d\d \+0000</pubDate><description/>"),
        (COINDESK, r"<description><!\[CDATA\[[^<>]+\]\]></description><dc:creator>[^<]+</dc:creator><dc:creator>"),
        (COINDESK, r'<media:content url="[^"]+" type="image/\*" medium="image"/><content:encoded/>'),
        ("/web/cointelegraph.com/rss", r"<title>[^<\[]+</title><link><!\[CDATA\[[^<]+\?utm_source=rss_feed&utm_medium"),
        ("/web/cointelegraph.com/rss", r'<guid isPermaLink="true">https://cointelegraph\.com/news/[^?<]+</guid>'),
        ("/web/cointelegraph.com/rss", r'<description><!\[CDATA\[<p><img style="float:right'),
        ("/web/cointelegraph.com/rss", r"<dc:creator>Cointelegraph by [^<]+</dc:creator><enclosure url="),
        ("/web/decrypt.co/feed", r"<link>https://decrypt\.co/\d+/[^<]+</link>.*<description>[^<\[]+</description>"),
        ("/web/crypto.news/feed", r"<title>[^<]*&#8217;[^<]*</title>"),
        ("/web/crypto.news/feed", r'<guid isPermaLink="false">https://crypto\.news/\?p=\d+</guid>'),
        ("/web/crypto.news/feed", r"<content:encoded><!\[CDATA\[<p>.*appeared first on"),
        ("/web/search.cnbc.com/rs/search/combinedcms/view.xml?partnerId=wrss01&id=10000664", r"\d\d GMT</pubDate>"),
        ("/web/www.cnbc.com/id/10000664/device/rss/rss.html", r"<metadata:sponsored>false</metadata:sponsored>"),
        ("/web/feeds.content.dowjones.io/public/rss/mw_topstories", r"<link>[^<]+\?mod=mw_rss_topstories</link>"),
        ("/web/finance.yahoo.com/news/rssindex", r"\?\.tsrc=rss</link>.*<pubDate>2026-\d\d-\d\dT\d\d:\d\d:\d\dZ<"),
        ("/web/www.federalreserve.gov/feeds/press_monetary.xml", r"<guid isPermaLink=\"true\"><!\[CDATA\[https://www.fed"),
    ],
)  # fmt: skip
def test_outlets_write_in_their_own_ways(sim, feed, pattern):
    assert first_with(sim.get(feed), pattern)


def test_one_story_in_several_outlets(sim):
    window = {"from_": "2026-05-31", "to": "2026-06-01"}
    one, other = (
        {row["story"]: row["title"] for row in sim.truth("web", feed=feed, **window)}
        for feed in ("www.coindesk.com/arc/outboundfeeds/rss", "cointelegraph.com/rss")
    )
    both = set(one) & set(other)
    assert len(both) >= 5
    assert any(one[story] != other[story] for story in both)


def test_some_stories_are_syndicated_under_the_other_outlets_address(sim):
    window = {"from_": "2026-05-20", "to": "2026-06-01"}
    theirs = {row["link"] for row in sim.truth("web", feed="cointelegraph.com/rss", **window)}
    ours = [row["link"] for row in sim.truth("web", feed="decrypt.co/feed", **window)]
    taken_over = [link for link in ours if not link.startswith("https://decrypt.co/")]
    assert len(ours) // 50 < len(taken_over) < len(ours) // 5
    assert set(taken_over) <= theirs


def test_feeds_of_one_coin_or_ticker(sim):
    tagged = sim.get("/web/cointelegraph.com/rss/tag/bitcoin")
    rows = expected(sim, "cointelegraph.com/rss/tag/bitcoin", 30, datetime(2026, 6, 1, 8, tzinfo=UTC))
    assert texts(tagged, "title")[: len(rows)] == [title for _, title, _ in rows]
    ticker = texts(sim.get("/web/feeds.finance.yahoo.com/rss/2.0/headline?s=COIN"), "title")
    assert len(ticker) == 20
    assert sum("Coinbase" in title for title in ticker) > 10  # stories of rates name no company
    assert not any("Nvidia" in title or "Bitcoin" in title for title in ticker)


def test_validators_are_kept_verbatim_and_answered_with_304(sim):
    etag_only = sim.get("/web/decrypt.co/feed")
    assert "last-modified" not in etag_only.headers
    again = sim.get("/web/decrypt.co/feed", headers={"If-None-Match": etag_only.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    date_only = sim.get("/web/www.theblock.co/rss.xml")
    assert "etag" not in date_only.headers
    seen = {"If-Modified-Since": date_only.headers["last-modified"]}
    assert sim.get("/web/www.theblock.co/rss.xml", headers=seen).status_code == 304
    early = {"If-Modified-Since": "Mon, 01 Jun 2020 00:00:00 GMT"}
    assert sim.get("/web/www.theblock.co/rss.xml", headers=early).status_code == 200
    both = sim.get(COINDESK)
    stale = {"If-None-Match": '"another"', "If-Modified-Since": both.headers["last-modified"]}
    assert sim.get(COINDESK, headers=stale).status_code == 200  # the tag goes before the date
    neither = sim.get("/web/www.cnbc.com/id/10000664/device/rss/rss.html")
    assert not {"etag", "last-modified"} & set(neither.headers)


def test_edges_have_tags_of_their_own_for_the_same_bytes(sim):
    answers = [sim.get("/web/cointelegraph.com/rss") for _ in range(3)]
    assert len({answer.headers["etag"] for answer in answers}) == 3
    assert len({answer.content for answer in answers}) == 1
    tag = {"If-None-Match": answers[0].headers["etag"]}
    statuses = [sim.get("/web/cointelegraph.com/rss", headers=tag).status_code for _ in range(3)]
    assert sorted(statuses) == [200, 200, 304]


def test_a_copy_is_told_for_its_age():
    with simulated(start=datetime(2026, 6, 1, 8, 0, 1, tzinfo=UTC)) as sim:
        before = sim.get("/web/cointelegraph.com/rss")
        assert before.headers["cache-control"] == "public, max-age=14400"
        sim.advance(4 * 3600 - 10)
        assert sim.get("/web/cointelegraph.com/rss").content == before.content
        sim.advance(10)
        assert texts(sim.get("/web/cointelegraph.com/rss"), "title") != texts(before, "title")
        assert "max-age=10" in sim.get("/web/decrypt.co/feed").headers["cache-control"]


def test_an_update_keeps_the_guid():
    with simulated(start=datetime(2026, 6, 1, 0, 0, tzinfo=UTC)) as sim:
        rows = sim.truth("web", feed="decrypt.co/feed", from_="2026-05-31T21:00Z", to="2026-06-01")
        later = next(row for row in rows if row["updated"] and row["updated"] > "2026-06-01")
        wait = datetime.fromisoformat(later["updated"]) - sim.now()

        def told():
            return {item.findtext("guid"): item for item in items(sim.get("/web/decrypt.co/feed"))}[
                later["link"]
            ]

        before = told()
        sim.advance(wait.total_seconds() + 10)
        after = told()
        assert (before.findtext("title"), after.findtext("title")) == (later["title"], later["later_title"])
        moved = after.findtext("pubDate") != before.findtext("pubDate")
        assert moved == later["redated"]


def test_who_is_turned_away(sim):
    refused = sim.get("/web/bitcoinmagazine.com/feed")
    assert (refused.status_code, refused.headers["content-type"]) == (403, "text/html; charset=UTF-8")
    assert b"<rss" not in refused.content
    assert len(items(sim.get("/web/bitcoinmagazine.com/feed", headers=BROWSER))) == 25
    for unknown in ("/web/bitcoinmagazine.com/.rss/full/", "/web/nobody.example/feed", "/web/decrypt.co/"):
        assert sim.get(unknown).status_code == 404


DECRYPT = "/web/decrypt.co/feed"
YAHOO = "/web/finance.yahoo.com/news/rssindex"
# What a quirk leaves in the document; the plain document must not have it.
SEEN: dict[str, tuple[str, dict[str, object], str]] = {
    "R01": (DECRYPT, {}, r"<description/>"),
    "R02": (DECRYPT, {}, r"<title><!\[CDATA\["),
    "R03": (DECRYPT, {}, r"<title>[^<]*&#39;"),
    "R04": (DECRYPT, {}, r"<title>[^<]*&amp;amp;amp;"),
    "R05": (DECRYPT, {}, r"<link><!\[CDATA\[.*<guid[^>]*><!\[CDATA\[.*<pubDate><!\[CDATA\["),
    "R06": (DECRYPT, {}, r"<link>[^<]*\?utm_source=rss&amp;utm_medium=feed&amp;utm_campaign=x#top</link>"),
    "R10": (DECRYPT, {}, r"<pubDate>yesterday, half past ten</pubDate>"),
    "R17": (DECRYPT, {}, r"<title>[^<]* - Decrypt</title><link>https://decrypt"),
    "R18": (DECRYPT, {}, r"<item><title>Sponsored: "),
    "R19": (DECRYPT, {}, r"<geo:lat>"),
}  # fmt: skip


@pytest.mark.parametrize("quirk", SEEN)
def test_quirks_that_show_in_the_text(sim, quirk):
    path, parameters, pattern = SEEN[quirk]
    assert not re.search(pattern, sim.get(path).text, re.DOTALL)
    with sim.fault(quirk, **parameters):
        answer = sim.get(path)
    assert answer.status_code == 200
    assert re.search(pattern, answer.text, re.DOTALL)


DATES = {
    "gmt": r"\w{3}, \d\d \w{3} 2026 \d\d:\d\d:\d\d GMT",
    "est": r"\w{3}, \d\d \w{3} 2026 \d\d:\d\d:\d\d EST",
    "short": r"\d\d \w{3} 26 \d\d:\d\d:\d\d \+0000",
    "iso": r"2026-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00",
    "zoneless": r"2026-\d\d-\d\d \d\d:\d\d:\d\d",
}


@pytest.mark.parametrize("kind", DATES)
def test_forms_of_dates(sim, kind):
    right = [parsedate_to_datetime(text) for text in texts(sim.get(DECRYPT), "pubDate")]
    with sim.fault("R12", kind=kind):
        told = texts(sim.get(DECRYPT), "pubDate")
    assert all(re.fullmatch(DATES[kind], text) for text in told)
    if kind in ("gmt", "est", "short"):
        assert [parsedate_to_datetime(text) for text in told] == right


def test_quirks_that_leave_out_or_add(sim):
    plain = sim.get(DECRYPT)
    titles, links, dates = (texts(plain, name) for name in ("title", "link", "pubDate"))
    told = {}
    for quirk in ("R07", "R08", "R09", "R11", "R13", "R14", "R15", "R16", "R23", "R24"):
        with sim.fault(quirk):
            told[quirk] = sim.get(DECRYPT)
    assert [item.find("guid").attrib["isPermaLink"] for item in items(told["R07"])] == ["true"] * 40
    assert texts(told["R07"], "guid") == links
    assert texts(told["R08"], "guid") == [None] * 40
    assert texts(told["R09"], "pubDate") == [None] * 40
    later = [parsedate_to_datetime(text) + timedelta(hours=5) for text in dates]
    assert [parsedate_to_datetime(text) for text in texts(told["R11"], "pubDate")] == later
    assert later[0] > START
    assert texts(told["R13"], "title") != titles
    assert sorted(texts(told["R13"], "title")) == sorted(titles)
    assert texts(told["R14"], "title")[:2] == [titles[0], f"UPDATE: {titles[0]}"]
    assert len(texts(told["R14"], "guid")) == 80
    assert len(set(texts(told["R14"], "guid"))) == 40
    twice = [parsedate_to_datetime(text) for text in texts(told["R15"], "pubDate")[:2]]
    assert twice[1] - twice[0] == timedelta(minutes=90)
    assert texts(told["R16"], "link")[:2] == [links[0], f"{links[0]}/amp"]
    assert texts(told["R23"], "title") == titles[:1]
    assert texts(told["R24"], "title") == []


def test_second_urls(sim):
    first = texts(sim.get(DECRYPT), "link")[0]
    with sim.fault("R16", kind="language"):
        assert texts(sim.get(DECRYPT), "link")[1] == first.replace("decrypt.co/", "decrypt.co/es/")
    with sim.fault("R16", kind="syndication"):
        assert texts(sim.get(DECRYPT), "link")[1] == first.replace("decrypt.co", "syndicated.example.com")


def test_quirks_of_the_whole_document(sim):
    plain = sim.get(DECRYPT)
    with sim.fault("R20"), pytest.raises(ElementTree.ParseError):
        ElementTree.fromstring(sim.get(DECRYPT).content)
    with sim.fault("R19"), pytest.raises(ElementTree.ParseError):
        ElementTree.fromstring(sim.get(DECRYPT).content)
    with sim.fault("R21"):
        answer = sim.get(DECRYPT)
        assert answer.headers["content-type"] == "application/rss+xml; charset=ISO-8859-1"
        assert answer.content == plain.content
    with sim.fault("R22"):
        assert sim.get(DECRYPT).content == b"\xef\xbb\xbf" + plain.content
    with sim.fault("R25"):
        answer = sim.get(DECRYPT)
        assert (answer.status_code, answer.text[:15]) == (200, "<!DOCTYPE html>")
    with sim.fault("R26"):
        answer = sim.get(DECRYPT, headers={"Accept-Encoding": "identity"})
        assert "content-encoding" not in answer.headers
        assert gzip.decompress(answer.content) == plain.content
    with sim.fault("R27"):
        assert sim.get(DECRYPT).status_code == 304
    with sim.fault("R28"):
        answer = sim.get(DECRYPT)
        assert (answer.status_code, answer.headers["location"]) == (301, "https://moved.example.com/feed")
    with sim.fault("R29"):
        assert sim.get(DECRYPT).status_code == 410
    with sim.fault("R30"):
        text = sim.get(DECRYPT).text
        assert '<!ENTITY a9 "&a8;&a8;' in text
        assert "<item><title>&a9;" in text
        assert len(text) < 40_000
    with sim.fault("R30", kind="large"):
        assert len(sim.get(DECRYPT).content) > 6_000_000


def test_a_sponsored_item_is_marked_where_the_outlet_marks_them(sim):
    with sim.fault("R18"):
        first = items(sim.get("/web/www.cnbc.com/id/10000664/device/rss/rss.html"))[0]
    assert first.findtext("{http://search.cnbc.com/rss/2.0/modules/siteContentMetadata}sponsored") == "true"


def test_a_quirk_can_hit_a_share_of_the_items_again_and_again(sim):
    with sim.fault("R08", share=0.4):
        one, two = (texts(sim.get(DECRYPT), "guid") for _ in range(2))
    assert one == two
    assert 5 < one.count(None) < 30


def test_every_quirk_is_in_the_catalogue(sim):
    known = sim.get("/sim").json()["faults"]
    assert [quirk for quirk in QUIRKS if quirk not in known] == []
    assert list(QUIRKS) == [f"R{number:02d}" for number in range(1, 31)]


def test_faults_that_all_upstreams_have(sim):
    with sim.fault("F10", status=503, html=True):
        assert sim.get(DECRYPT).status_code == 503
    with sim.fault("F20", hours=6):
        stale = texts(sim.get(DECRYPT), "title")
    wanted = expected(sim, "decrypt.co/feed", 40, START.replace(second=20) - timedelta(hours=6))
    assert stale == [title for _, title, _ in wanted]


def test_the_same_seed_tells_the_same_news(sim):
    with simulated() as again, simulated(seed=8) as other:
        assert again.get(DECRYPT).content == sim.get(DECRYPT).content
        assert other.get(DECRYPT).content != sim.get(DECRYPT).content
