"""Series of numbers and texts: when each could be known, what tells two apart, and what is no record at all."""

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from pydantic import ValidationError

from ray_app.model.records import Bar, Record
from ray_app.model.series import (
    FundingRate,
    MarketTotals,
    Metric,
    MoodIndex,
    Observation,
    OpenInterest,
    Trending,
)
from ray_app.model.texts import Article, Post

T0 = datetime(2026, 3, 1, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
TOLD: dict[type[Record], dict[str, Any]] = {
    Observation: {"series": "GDP", "period": T0 - 90 * DAY, "vintage": T0, "value": Decimal("1.5")},
    Metric: {"metric": "hash-rate", "at": T0, "published": T0 + 2 * DAY, "value": Decimal(-7)},
    MoodIndex: {"index": "fear-and-greed", "day": T0, "value": Decimal(40), "label": "Fear"},
    FundingRate: {"symbol": "BTCUSDT", "at": T0, "rate": Decimal("-0.0001")},
    OpenInterest: {"symbol": "BTCUSDT", "at": T0, "amount": Decimal("10.5")},
    MarketTotals: {
        "market": "crypto", "slot": T0, "updated_at": T0 - HOUR, "market_cap": Decimal(10), "volume_24h": Decimal(1),
        "btc_dominance": Decimal(50),
    },
    Trending: {"rank": "1", "slot": T0, "coin": "bitcoin"},
    Article: {"feed": "crypto/decrypt", "item": "guid-1", "at": T0, "title": "Up"},
    Post: {"feed": "bitcoin", "item": "t3_1", "at": T0, "title": "Up"},
}  # fmt: skip


def made(kind: type[Record], **changes: Any) -> Record:
    return kind(**(TOLD[kind] | changes))


@pytest.mark.parametrize(
    ("kind", "changes", "known_at"),
    [
        (Observation, {}, T0 + 30 * HOUR),  # the day of the vintage is over everywhere in the United States
        (Metric, {}, T0 + 2 * DAY),
        (MoodIndex, {}, T0),
        (FundingRate, {}, T0),
        (OpenInterest, {}, T0),
        (MarketTotals, {}, T0),
        (MarketTotals, {"updated_at": T0 + HOUR}, T0 + HOUR),
        (Trending, {}, T0),
        (Article, {}, T0),
        (Article, {"published": T0 + HOUR}, T0 + HOUR),
        (Article, {"published": T0 - HOUR}, T0),  # found at T0: nobody shows that it was there before
        (Article, {"updated": T0 + HOUR}, T0 + HOUR),
        (Post, {}, T0),
        (Post, {"edited": T0 + HOUR}, T0),
    ],
)
def test_when_a_fact_could_be_known(kind: type[Record], changes: dict[str, Any], known_at: datetime):
    assert made(kind, **changes).known_at == known_at


@pytest.mark.parametrize(
    ("kind", "partition", "key", "cursor", "timed_by"),
    [
        (Observation, "GDP", T0 - 90 * DAY, T0, "period"),
        (Metric, "hash-rate", T0, T0, "at"),
        (MoodIndex, "fear-and-greed", T0, T0, "day"),
        (FundingRate, "BTCUSDT", T0, T0, "at"),
        (OpenInterest, "BTCUSDT", T0, T0, "at"),
        (MarketTotals, "crypto", T0, T0, "slot"),
        (Trending, "1", T0, T0, "slot"),
        (Article, "crypto/decrypt", "guid-1", T0, "at"),
        (Post, "bitcoin", "t3_1", T0, "at"),
    ],
)
def test_what_tells_a_fact_from_the_others(
    kind: type[Record], partition: str, key: datetime | str, cursor: datetime, timed_by: str
):
    record = made(kind)
    assert (record.partition, record.key, record.cursor) == (partition, key, cursor)
    assert kind.timed_by() == timed_by
    assert getattr(record, kind.keyed_by()) == key


def test_only_vintages_number_their_revisions():
    assert made(Observation, vintage=datetime(2026, 3, 7, tzinfo=UTC)).number == 20260307
    assert made(Observation, vintage=datetime(1996, 12, 31, tzinfo=UTC)).number == 19961231
    assert [kind.__name__ for kind in TOLD if made(kind).number is not None] == ["Observation"]


def test_what_is_known_at_the_latest_is_said_by_the_kind():
    assert [kind.__name__ for kind in TOLD if kind.known_at_latest] == ["Observation", "Metric"]


def test_times_are_utc():
    new_york = timezone(-5 * HOUR)
    article = made(Article, at=datetime(2026, 3, 1, 7, tzinfo=new_york))
    assert article.cursor == datetime(2026, 3, 1, 12, tzinfo=UTC)
    assert article.cursor.tzinfo is UTC


@pytest.mark.parametrize("kind", TOLD)
def test_every_field_but_the_stated_ones_may_be_missing_and_stays_none(kind: type[Record]):
    record = made(kind)
    silent = {name for name in kind.model_fields if name not in TOLD[kind] and name != "deleted"}
    assert {name: getattr(record, name) for name in silent} == dict.fromkeys(silent)


@pytest.mark.parametrize("kind", TOLD)
@pytest.mark.parametrize(
    "bad",
    ["half a surrogate: \ud800", "NUL: \0", "x" * 191],
    ids=["surrogate", "NUL", "too long"],
)
def test_a_name_that_no_database_keeps_is_refused(kind: type[Record], bad: str):
    for field in {kind.partition_field, *(["item"] if kind.key_field == "item" else [])}:
        with pytest.raises(ValidationError):
            made(kind, **{field: bad})
    longest = "ä" * 190
    assert made(kind, **{kind.partition_field: longest}).partition == longest


@pytest.mark.parametrize("kind", [Article, Post])
@pytest.mark.parametrize("bad", ["\ud83d", "a\0b", "x" * 2_000_001], ids=["surrogate", "NUL", "too long"])
@pytest.mark.parametrize("field", ["title", "body", "url", "author", "topics"])
def test_a_text_that_no_database_keeps_is_refused(kind: type[Record], field: str, bad: str):
    with pytest.raises(ValidationError):
        made(kind, **{field: bad})


@pytest.mark.parametrize("kind", [Article, Post])
@pytest.mark.parametrize("item", ["", "   "])
def test_a_text_without_an_id_is_none(kind: type[Record], item: str):
    """All such texts of a feed would be one."""
    with pytest.raises(ValidationError):
        made(kind, item=item)


def test_an_id_has_no_space_around_it():
    """MariaDB takes `guid-1` and `guid-1 ` for one key, SQLite for two."""
    assert made(Article, item=" guid-1 \n").key == "guid-1"


def test_a_whole_emoji_and_two_million_letters_are_a_text():
    assert made(Post, title="\U0001f680").model_dump()["title"] == "\U0001f680"
    assert len(made(Post, body="ä" * 2_000_000).model_dump()["body"]) == 2_000_000


NUMBERS = [
    (Observation, "value"), (Metric, "value"), (MoodIndex, "value"), (FundingRate, "rate"),
    (FundingRate, "mark_price"), (OpenInterest, "amount"), (OpenInterest, "worth"), (MarketTotals, "market_cap"),
    (MarketTotals, "volume_24h"), (MarketTotals, "btc_dominance"), (MarketTotals, "eth_dominance"),
    (MarketTotals, "market_cap_change_percent_24h"), (Post, "like_ratio"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "field"), NUMBERS)
@pytest.mark.parametrize("bad", ["NaN", "sNaN", "Infinity", "-Infinity", "1E36", "1E-31", "a word"])
def test_what_no_database_keeps_digit_by_digit_is_no_number(kind: type[Record], field: str, bad: str):
    with pytest.raises(ValidationError):
        made(kind, **{field: Decimal(bad) if bad != "a word" else bad})
    with pytest.raises(ValidationError):
        made(kind, **{field: float("nan")})


NOT_NEGATIVE = [
    (MoodIndex, "value"), (OpenInterest, "amount"), (OpenInterest, "worth"), (MarketTotals, "volume_24h"),
    (MarketTotals, "btc_dominance"), (MarketTotals, "eth_dominance"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "field"), NOT_NEGATIVE)
def test_what_counts_something_is_not_negative(kind: type[Record], field: str):
    assert getattr(made(kind, **{field: Decimal(0)}), field) == 0
    with pytest.raises(ValidationError):
        made(kind, **{field: Decimal("-0.001")})


@pytest.mark.parametrize(("kind", "field"), [(FundingRate, "mark_price"), (MarketTotals, "market_cap")])
def test_what_a_price_is_made_of_is_positive(kind: type[Record], field: str):
    for bad in (Decimal(0), Decimal(-1)):
        with pytest.raises(ValidationError):
            made(kind, **{field: bad})


def test_the_smallest_and_the_largest_number_that_are_kept_exactly():
    for told in ("1E-30", "-1E-30", "9" * 35 + "." + "9" * 30):
        assert made(Metric, value=Decimal(told)).model_dump()["value"] == Decimal(told)


def test_a_vintage_can_withdraw_a_value_and_nothing_else_can():
    assert made(Observation, value=None).model_dump()["value"] is None
    with pytest.raises(ValidationError):
        Observation(
            **{k: v for k, v in TOLD[Observation].items() if k != "value"}
        )  # forgotten is not withdrawn
    with pytest.raises(ValidationError):
        made(Metric, value=None)


COUNTS = [(Post, f) for f in ("likes", "replies", "shares", "views")] + [
    (MarketTotals, "coins"),
    (MarketTotals, "markets"),
]


@pytest.mark.parametrize(("kind", "field"), COUNTS)
def test_a_count_fits_into_its_column(kind: type[Record], field: str):
    assert getattr(made(kind, **{field: 2**63 - 1}), field) == 2**63 - 1
    for bad in (2**63, -(2**63) - 1, 1.5, "many"):
        with pytest.raises(ValidationError):
            made(kind, **{field: bad})


def test_a_score_can_be_below_zero():
    assert made(Post, likes=-12).model_dump()["likes"] == -12


def test_what_an_exchange_tells_of_a_bar_besides():
    told: dict[str, Any] = {"symbol": "BTCUSDT", "interval": "1h", "start": T0, "end": T0 + HOUR}
    told |= {"open": Decimal(2), "high": Decimal(4), "low": Decimal(1), "close": Decimal(3)}
    more: dict[str, Any] = {"trades": 2**63 - 1, "quote_volume": Decimal(9), "taker_buy_volume": Decimal(0)}
    assert {name: getattr(Bar(**told, **more), name) for name in more} == more
    for field, bad in (("trades", 2**63), ("taker_buy_volume", -1), ("quote_volume", Decimal("NaN"))):
        with pytest.raises(ValidationError):
            Bar(**told | {field: bad})


@pytest.mark.parametrize("kind", TOLD)
def test_a_time_without_a_zone_and_an_unknown_field_are_refused(kind: type[Record]):
    times = [name for name, value in TOLD[kind].items() if isinstance(value, datetime)]
    for name in times:
        with pytest.raises(ValidationError):
            made(kind, **{name: TOLD[kind][name].replace(tzinfo=None)})
    with pytest.raises(ValidationError):
        made(kind, invented=1)
