from time import perf_counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ray_app.model.plaintext import canonical_url, html_to_text, one_line, same_title, short_id, tidied


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("plain", "plain"),
        ("", ""),
        ("<p>one <b>two</b>&nbsp;three</p><p>four<br/>five</p>", "one two three\n\nfour\nfive"),
        ("<li>a</li><li>b</li>", "a\n\nb"),
        ("5 < 6 &amp; 7 > 3, <3", "5 < 6 & 7 > 3, <3"),
        ("AT&amp;amp;T &amp;#39;s", "AT&T 's"),
        ('<img alt="a > b" src=x>after', "after"),
        ("<a href='x>y'>link</a>", "link"),
        ("<a title=it's href=x>ok</a> it's", "ok it's"),
        ("a<!-- <b>hidden</b> -->b", "ab"),
        ("a<!-- never closed <b>", "a"),
        ("<style>p{}</style>a<SCRIPT type=x>if (1<2) {}</script >b", "ab"),
        ("a<script>never closed", "a"),
        ("a<b", "a"),
        ("<!DOCTYPE html><?xml?>a<![CDATA[x]]>b", "ab"),
        ("a\r\n\r\n\r\n\r\nb\rc \t d", "a\n\nb\nc d"),
        ("zero\u200bwidth\x00\x07 &#8203;marks\ufeff", "zerowidth marks"),
        ("👩\u200d💻 ok", "👩\u200d💻 ok"),
        ("&#xD800; &#0; &#x110000;", "\ufffd \ufffd \ufffd"),
    ],
)
def test_html_becomes_text(html: str, text: str):
    assert html_to_text(html) == text


def test_a_title_is_one_line():
    assert one_line(" <p>Bitcoin</p>\n<p>falls &amp; rises</p> ") == "Bitcoin falls & rises"


def test_markdown_stays_as_it_is():
    assert tidied("**a** &amp; <b>\n\n\n\n- c&#x200B;") == "**a** & <b>\n\n- c"


@given(st.text())
def test_any_text_becomes_text_without_marks_that_no_database_keeps(html: str):
    text = html_to_text(html)
    assert "\0" not in text
    assert text == "\n".join(line.strip() for line in text.split("\n"))
    assert "\n\n\n" not in text


PIECES = [
    "<!--", "<a ", "<", '<a ="', "<a '", "<script>", "</script", "<!", "&amp", "&#", "<a = ", "\n", " ", "x - ",
    "&amp;amp;", "= ", "<p>", "'",
]  # fmt: skip


@pytest.mark.parametrize("piece", PIECES)
def test_time_grows_with_the_length_only(piece: str):
    """Two hundred thousand characters of what makes parsers go back; with their square this takes minutes."""
    text = piece * (200_000 // len(piece))
    started = perf_counter()
    html_to_text(text)
    same_title(text)
    canonical_url(f"https://example.com/{text}")
    assert perf_counter() - started < 5


@pytest.mark.parametrize(
    ("url", "canonical"),
    [
        ("https://example.com/a/b", "https://example.com/a/b"),
        (
            " HTTPS://User:pass@WWW.Example.com:443/A/b/?utm_source=x&id=1&UTM_Medium=y#top ",
            "https://www.example.com/A/b?id=1",
        ),
        ("https://example.com/", "https://example.com"),
        ("http://example.com:80/x", "http://example.com/x"),
        ("http://example.com:8080/x/?b=2&a=1", "http://example.com:8080/x?b=2&a=1"),
        ("https://finance.yahoo.com/news/x.html?.tsrc=rss", "https://finance.yahoo.com/news/x.html"),
        ("https://example.com/?a=&&fbclid=1&b", "https://example.com?a=&b"),
        ("https://example.com./a?q=%C3%A9", "https://example.com/a?q=%C3%A9"),
        ("https://[2001:DB8::1]:8443/", "https://[2001:db8::1]:8443"),
        ("javascript:alert(1)", None),
        ("ftp://example.com/x", None),
        ("//example.com/x", None),
        ("/relative", None),
        ("https://", None),
        ("https://example.com:99999/", None),
        ("https://exa mple.com/", None),
        ("https://[::1/", None),
        ("", None),
    ],
)
def test_an_address_has_one_form(url: str, canonical: str | None):
    assert canonical_url(url) == canonical


@given(st.text())
def test_the_canonical_form_of_a_canonical_address_is_itself(text: str):
    first = canonical_url(f"https://example.com/{text}")
    assert first is None or canonical_url(first) == first
    canonical_url(text)


def test_an_id_that_is_too_long_for_a_key_is_its_hash():
    assert short_id(" t3_1abcdf ") == "t3_1abcdf"
    assert short_id("x" * 190) == "x" * 190
    assert short_id("x" * 191) == "a4fd143dcb7cb51d322c1e2252027afce63f54209921b670a1991a535d5c17db"
    with pytest.raises(ValueError, match="empty"):
        short_id("  ")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Bitcoin hits $100,000 - CoinDesk", "BITCOIN hits $100000!"),
        ("Ether falls 3.5% as funds leave | The Block", "Ether falls 3.5% as funds leave"),
        ("Saylor’s Strategy buys more bitcoin", "Saylor's Strategy Buys More “Bitcoin”"),
        ("ＢＴＣ up &amp; away again", "btc up away again"),
    ],
)
def test_the_same_story_has_the_same_title(one: str, other: str):
    assert same_title(one) == same_title(other) != ""


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Bitcoin hits $100,000", "Bitcoin hits $110,000"),
        ("Bitcoin falls 3.5%", "Bitcoin falls 35%"),
        ("Fed holds - Powell speaks", "Fed holds - markets fall"),
        ("比特币 上涨", "以太币 上涨"),
    ],
)
def test_different_stories_have_different_titles(one: str, other: str):
    assert same_title(one) != same_title(other)
