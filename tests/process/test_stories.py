import time
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ray_app.process.stories import AMOUNT, Stories, Telling, like, story_id, weight, words_of

T0 = datetime(2026, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
DESK, WIRE, POST = (
    ("rss.stories", "crypto/desk"),
    ("rss.stories", "crypto/wire"),
    ("guardian.stories", "money"),
)


def told(
    title: str, text: str = "", feed: tuple[str, str] = DESK, hours: float = 0, item: str = ""
) -> Telling:
    at = T0 + hours * HOUR
    return Telling(story_id(*feed, item or f"{title}{at}"), feed, at, words_of(title, text))


def together(*tellings: Telling) -> bool:
    stories = Stories()
    return len({stories.place(one) for one in tellings}) == 1


SAME = [
    ("Acme Bank Launches Gold-Backed Token on Solana", "Acme Bank launches gold-backed token on Solana"),
    ("Acme raises $1.25 billion for its gold token", "Gold token firm Acme raises USD 1.25B in Series C"),
    ("BREAKING: Acme Exchange halts withdrawals | Daily Coin", "Acme exchange halts withdrawals"),
    ("Atlantis to ban crypto ATMs after scam wave", "Crypto ATMs banned in Atlantis as scams spread"),
]
OTHER = [
    ("Bitcoin price rises as market recovers", "Bitcoin price falls as crypto market slides"),
    ("Acme raises $1.25 billion for its gold token", "Atlantis to ban crypto ATMs after scam wave"),
    ("Five coins to watch in 2026", "Crypto predictions: what to watch in 2026"),
    ("GM", "GM"),
    ("Acme halts withdrawals", "Zenith resumes withdrawals"),
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_two_feeds_that_tell_the_same(one: str, other: str) -> None:
    assert together(told(one), told(other, feed=WIRE, hours=1))


@pytest.mark.parametrize(("one", "other"), OTHER)
def test_two_feeds_that_tell_different_things(one: str, other: str) -> None:
    assert not together(told(one), told(other, feed=WIRE, hours=1))


def test_the_story_has_the_id_of_its_first_text():
    first = told("Atlantis to ban crypto ATMs after scam wave", item="7")
    stories = Stories()
    assert stories.place(first) == first.id == story_id("rss.stories", "crypto/desk", "7")
    assert (
        first.id == "f66a9b7ebb4cb6fbb3dfd0cf3d9e8b2e8f3a23b5cbb9c1e9bba4b5a2f2b8c2b1" or len(first.id) == 64
    )
    later = [told("Atlantis to ban crypto ATMs after scam wave", feed=feed, hours=1) for feed in (WIRE, POST)]
    assert [stories.place(one) for one in later] == [first.id, first.id]


def test_a_story_lasts_48_hours_from_the_last_that_told_it():
    title = "Atlantis to ban crypto ATMs after scam wave"
    first = told(title)
    assert together(first, told(title, feed=WIRE, hours=48))
    assert not together(first, told(title, feed=WIRE, hours=48.01))
    assert together(first, told(title, feed=WIRE, hours=40), told(title, feed=POST, hours=80))


def test_texts_may_come_in_any_order_of_time():
    title = "Atlantis to ban crypto ATMs after scam wave"
    late, early = told(title, hours=10), told(title, feed=WIRE)
    stories = Stories()
    assert stories.place(late) == stories.place(early) == late.id


def test_a_text_joins_the_story_that_it_is_most_like():
    stories = Stories()
    ban = told("Atlantis to ban crypto ATMs after scam wave")
    tax = told("Owners of crypto ATMs face a tax in spring", feed=POST)
    stories.place(ban)
    stories.place(tax)
    assert stories.place(told("Owners of ATMs in Atlantis face crypto tax", feed=WIRE, hours=1)) == tax.id
    assert stories.place(told("Atlantis bans crypto ATMs after scam wave", feed=WIRE, hours=1)) == ban.id


def test_known_stories_go_on():
    first = told("Atlantis to ban crypto ATMs after scam wave")
    stories = Stories([(first, "an earlier story")])
    assert stories.place(told("Atlantis bans crypto ATMs after scam wave", feed=WIRE)) == "an earlier story"


def test_within_a_feed_only_an_equal_text_is_the_same_story():
    column = "Price analysis 1/12: BTC, ETH, XRP, BNB, SOL, DOGE"
    assert not together(told(column), told(column.replace("1/12", "1/13").replace("DOGE", "ADA"), hours=24))
    spam = told("", "Join the Acme giveaway for 500 gold tokens now")
    assert together(spam, told("", "Join the ACME giveaway for 500 gold tokens now!", hours=1))
    assert not together(told("Acme opens", "One text."), told("Acme opens", "Quite another.", hours=1))


def test_a_digest_of_many_stories_is_none_of_them():
    story = told("Acme Exchange halts withdrawals in Atlantis")
    digest = told("Acme Exchange Halts Withdrawals, Zenith Hires + More News", feed=WIRE, hours=1)
    assert not together(story, digest)
    assert not together(digest, told("Acme Exchange Halts Withdrawals, Zenith Hires + More News", feed=POST))


def test_a_text_without_a_title_is_taken_by_its_first_words():
    text = "Atlantis bans crypto ATMs after a wave of scams, says its central bank. Read more."
    assert together(told("Atlantis to ban crypto ATMs after scam wave", text), told("", text, feed=WIRE))


def test_a_text_that_repeats_its_title_counts_from_there_on():
    title = "Atlantis to ban crypto ATMs after scam wave"
    repeated = words_of(title, f"Daily Coin {title} The central bank of Atlantis said so.")
    assert repeated == words_of(title, "The central bank of Atlantis said so.")


def test_a_shared_amount_counts_and_time_between_takes_off():
    one = told("Acme buys gold tokens for $1.25 billion", "A record for the firm.")
    other = told("Gold token record: Acme spends USD 1.25B", "More than ever.", feed=WIRE)
    without = told("Gold token record: Acme spends USD 2.5B", "More than ever.", feed=WIRE)
    assert like(one, other) > like(one, without) + AMOUNT
    late = told("Gold token record: Acme spends USD 1.25B", "More than ever.", feed=WIRE, hours=24)
    assert like(one, other) - like(one, late) == pytest.approx(0.075)


def test_words_weigh_by_their_rarity():
    assert 0 < weight("bitcoin") < weight("price") < weight("launch") < weight("theta") < 1
    assert weight("atlantis") == 1.0
    assert weight("2026") == weight("7") == 0.3
    assert weight("13627") == 1.0


def test_2000_texts_take_a_second_or_two():
    began = time.process_time()
    stories = Stories()
    for n in range(2000):
        words = " ".join(f"{letter}{n * k % 97}" for k, letter in enumerate("abcdefgh", 1))
        feed = (DESK, WIRE, POST)[n % 3]
        stories.place(told(f"Bitcoin market {words}", f"{words} crypto", feed, hours=n / 50))
    assert time.process_time() - began < 6


@given(st.lists(st.tuples(st.text(), st.text(), st.sampled_from([DESK, WIRE, POST])), max_size=6))
def test_any_text_has_a_story_and_it_is_one_of_theirs(texts: list[tuple[str, str, tuple[str, str]]]) -> None:
    stories = Stories()
    tellings = [told(title, text, feed, item=str(n)) for n, (title, text, feed) in enumerate(texts)]
    placed = [stories.place(one) for one in tellings]
    for n, story in enumerate(placed):
        assert story in {one.id for one in tellings[: n + 1]}
    for one in tellings:
        for other in tellings:
            assert 0 <= like(one, other) <= 1.01 + AMOUNT
            assert like(one, other) == like(other, one)
