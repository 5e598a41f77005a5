"""What features are worth, worked out by hand; and what is null where it is not known."""

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ray_app.process.features.catalogue import CATALOGUE, FEATURES, compute
from ray_app.process.features.inputs import LABELS, Inputs, Shared
from ray_app.process.features.technical import indicator_of
from ray_app.process.features.training import labels, training_set
from ray_app.process.indicators.catalogue import CATALOGUE as INDICATORS
from ray_app.process.indicators.catalogue import compute as indicators
from ray_app.process.indicators.grid import NUMBERS
from tests.process.feature_inputs import told
from tests.process.indicator_bars import HOUR, T0, frame, walk

DAY = timedelta(days=1)


def bars_of(*closes: float, volume: float = 1.0) -> pl.DataFrame:
    return frame(np.array([[close, close, close, close, volume] for close in closes], dtype=float))


def shared_over(hours: int, **frames: Any) -> Shared:
    return Shared(T0, T0 + hours * HOUR, **frames)


def column(inputs: Inputs, name: str) -> list[float | None]:
    return compute(inputs, [name])[name].to_list()


def point(hour: int, cap: float | None, volume: float | None = None) -> pl.DataFrame:
    at = T0 + hour * HOUR
    return pl.DataFrame({"at": [at], "known_at": [at], "market_cap": [cap], "volume_24h": [volume]},
                        schema_overrides={"market_cap": pl.Float64, "volume_24h": pl.Float64})  # fmt: skip


def test_price():
    closes = [100.0] * 23 + [80.0, 100.0, 110.0, 99.0]
    one = Inputs("SOL", shared_over(27), bars=bars_of(*closes))
    assert column(one, "price_usd") == closes
    assert column(one, "price_change_1h")[-3:] == pytest.approx([25, 10, -10], rel=1e-12)
    assert column(one, "price_change_24h") == [None] * 24 + [pytest.approx(x, abs=1e-12) for x in (0, 10, -1)]
    # 24 hourly returns, of which four are not zero.
    moves = [0.0] * 20 + [-0.2, 0.25, 0.1, -0.1]
    assert column(one, "price_volatility_24h")[-1] == pytest.approx(100 * np.std(moves), rel=1e-12)
    assert column(one, "price_position_24h")[-2:] == pytest.approx([1, 19 / 30], rel=1e-12)
    assert column(one, "rising_share_24h")[-1] == pytest.approx(2 / 24)


def test_capitalisation_and_rank():
    points = {"BTC": point(1, 900.0), "ETH": point(1, 400.0), "SOL": point(2, 500.0), "OLD": point(1, None)}
    shared = shared_over(6, points=points)
    one = Inputs("SOL", shared, points=points["SOL"])
    assert column(one, "market_cap_usd") == [None, 500, 500, 500, 500, None]  # three hours are the limit
    # An hour before, that of the others is as old as it may be.
    assert column(one, "market_cap_rank") == [None, 2, 2, 2, 1, None]
    less = Inputs("SOL", shared, points=point(2, 450.0))  # it is not behind itself
    assert column(less, "market_cap_rank") == [None, 2, 2, 2, 1, None]
    assert column(Inputs("ETH", shared, points=points["ETH"]), "market_cap_rank") == [2, 3, 3, 3, None, None]


def test_technical():
    rising = Inputs("SOL", shared_over(30), bars=bars_of(*range(1, 31)))
    assert column(rising, "sma_20_distance")[18:20] == [
        None,
        pytest.approx(100 * (20 - 10.5) / 10.5, rel=1e-12),
    ]
    assert column(rising, "bb_position")[-1] == pytest.approx(
        0.5 + 9.5 / (4 * np.std(np.arange(20))), rel=1e-12
    )


def test_an_indicator_that_remembers_is_that_of_all_of_history():
    bars, start = walk(5000), T0 + 700 * HOUR
    whole = indicators(bars, whole=True)
    one = Inputs("SOL", Shared(start, T0 + 5000 * HOUR), bars=bars)
    remembers = [
        f for f in FEATURES if f.function is indicator_of and INDICATORS[str(f.parameters[0])].recursive
    ]
    assert len(remembers) >= 9
    for feature in remembers:
        found, wanted = column(one, feature.name), whole[str(feature.parameters[0])][700:].to_list()
        first = next(i for i, value in enumerate(found) if value is not None)
        assert first == feature.hours == INDICATORS[str(feature.parameters[0])].reach
        assert found[first:] == pytest.approx(wanted[first:], rel=1e-9, abs=1e-9)


def test_a_young_symbol_has_it_as_soon_as_it_is_warm():
    listed = T0 + 100 * HOUR
    bars = walk(1500)[100:]
    found = column(Inputs("NEW", Shared(T0, T0 + 1500 * HOUR), bars=bars, listed=listed), "rsi_14")
    assert found[:114] == [None] * 114
    assert found[114:] == pytest.approx(
        indicators(bars, ["rsi_14"], whole=True)["rsi_14"][14:].to_list(), rel=1e-9
    )
    shorter = Shared(T0 + 50 * HOUR, T0 + 1500 * HOUR)
    assert column(Inputs("NEW", shorter, bars=bars, listed=listed), "rsi_14") == found[50:]
    assert column(Inputs("NEW", shorter, bars=bars), "rsi_14")[:200] == [None] * 200


def aggregate(
    kind: str, hour: int, score: float | None, count: int, known: int | None = None, window: str = "24h"
) -> tuple[Any, ...]:
    at = T0 + hour * HOUR
    return window, kind, at, T0 + (known or hour) * HOUR, score, 0.9, count, 1


def test_sentiment():
    sentiment = pl.DataFrame(
        [
            aggregate("all", 1, 0.2, 10), aggregate("reddit", 1, 0.5, 3), aggregate("twitter", 1, -1.0, 1),
            aggregate("all", 2, None, 0), aggregate("all", 3, 0.4, 2, known=4), aggregate("news", 3, 0.4, 2, known=4),
        ],
        schema=["window", "kind", "at", "known_at", "score", "confidence", "count", "unscored"], orient="row",
    )  # fmt: skip
    one = Inputs("SOL", shared_over(5), sentiment=sentiment)
    assert column(one, "sentiment_24h") == [0.2, None, None, 0.4, 0.4]
    assert column(one, "social_sentiment_24h") == [pytest.approx((0.5 * 3 - 1) / 4), None, None, None, None]
    assert column(one, "news_sentiment_24h") == [None, None, None, 0.4, 0.4]
    assert column(one, "social_volume_24h") == [6, 0, 0, 0, 0]  # with one unscored text of each kind
    assert column(one, "news_volume_24h") == [0, 0, 0, 3, 3]


def test_texts_may_come_in_any_order_and_as_labels():
    rows = [
        aggregate(kind, hour, hour / 10, hour) for hour in (1, 2, 3) for kind in ("news", "all", "reddit")
    ]
    rows += [("24h", "telegram", *rows[0][2:]), ("9h", "all", *rows[1][2:]), (None, "all", *rows[1][2:])]
    names = ["window", "kind", "at", "known_at", "score", "confidence", "count", "unscored"]
    texts = pl.DataFrame(rows, schema=names, orient="row")
    labelled = texts[:9].with_columns(pl.col(name).cast(words) for name, words in LABELS.items())
    for made in (
        texts,
        texts[::-1],
        texts.sort("kind", "at"),
        labelled,
        labelled.sort("kind", descending=True),
    ):
        one = Inputs("SOL", shared_over(4), sentiment=made)
        assert column(one, "sentiment_24h") == [0.1, 0.2, 0.3, 0.3]
        assert column(one, "news_volume_24h") == [2, 3, 4, 4]
        assert column(one, "social_volume_24h") == [2, 3, 4, 4]
        assert column(one, "sentiment_4h") == [None] * 4


def test_onchain():
    days = [T0 + i * DAY for i in range(8)]
    metrics = pl.concat([
        told("eth.AdrActCnt", [(day, day + 30 * HOUR, 100.0 + i) for i, day in enumerate(days)], "metric", "at"),
        told("eth.FlowInExNtv", [(day, day + 30 * HOUR, 30.0) for day in days], "metric", "at"),
        told("eth.FlowOutExNtv", [(day, day + 30 * HOUR, 10.0) for day in days if day != days[5]], "metric", "at"),
        told("eth.SplyCur", [(day, day + 30 * HOUR, 1000.0) for day in days], "metric", "at"),
    ])  # fmt: skip
    shared = shared_over(24 * 14, metrics=metrics)
    one = compute(
        Inputs("ETH", shared),
        ["active_addresses", "active_addresses_change_7d", "exchange_netflow_1d", "exchange_netflow_7d"],
    )
    at = dict(zip(one["at"], one.drop("symbol", "at", "quality").rows(), strict=True))
    assert at[days[7] + 29 * HOUR] == (106, None, 2, None)
    assert at[days[7] + 30 * HOUR] == (107, pytest.approx(7), 2, None)  # a day of the seven is not there
    assert at[days[7] + 4 * DAY][0] == 107
    assert at[days[7] + 4 * DAY + HOUR][0] is None
    assert column(Inputs("SOL", shared), "active_addresses") == [None] * 24 * 14


def test_macro_holds_the_vintage_of_the_moment():
    month = [
        datetime(2018, 12, 1, tzinfo=UTC),
        datetime(2019, 11, 1, tzinfo=UTC),
        datetime(2019, 12, 1, tzinfo=UTC),
    ]
    cpi = told("CPIAUCSL", [
        (month[2], T0 + 10 * HOUR, 106.0), (month[0], T0 - 300 * DAY, 100.0), (month[1], T0 - 20 * DAY, 104.0),
        (month[0], T0 + 12 * HOUR, 101.0), (month[2], T0 + 14 * HOUR, 107.0), (month[1], T0 + 16 * HOUR, 1.0),
    ])  # fmt: skip
    found = column(Inputs("SOL", shared_over(18, observations=cpi)), "cpi_yoy")
    assert found[:9] == [None] * 9  # the newest is of November, and that of November before is not there
    assert found[9:] == pytest.approx(
        [6, 6, *[100 * (106 / 101 - 1)] * 2, *[100 * (107 / 101 - 1)] * 5], rel=1e-12
    )


def test_market():
    base = walk(200)
    twice = 100 * np.cumprod(1 + 2 * np.append(0, np.diff(base["close"]) / base["close"][:-1].to_numpy()))
    shared = shared_over(200, bars={"BTC": base, "SOL": bars_of(*twice), "FLAT": bars_of(*[5.0] * 200)})
    one = Inputs("SOL", shared, bars=bars_of(*twice))
    assert column(one, "beta_btc_7d")[-1] == pytest.approx(2, rel=1e-9)
    assert column(one, "correlation_btc_7d")[-1] == pytest.approx(1, rel=1e-9)
    assert column(Inputs("FLAT", shared, bars=bars_of(*[5.0] * 200)), "correlation_btc_7d")[-1] is None
    rose = base["close"][-1] > base["close"][-25]
    assert column(one, "breadth_rising_24h")[-1] == (int(rose) + int(twice[-1] > twice[-25])) / 3


@pytest.mark.parametrize(("holes", "known"), [(16, True), (18, False)])
def test_a_window_with_gaps_takes_what_both_have_while_that_is_nine_in_ten(holes: int, known: bool):
    bars, other = walk(169), walk(169, seed=2)
    at = np.arange(1, 169, 2)[: holes // 2] + 10  # each lost bar costs two returns
    lost = bars.with_columns(pl.when(~pl.int_range(pl.len()).is_in(at)).then("close").alias("close"))
    one = Inputs("SOL", shared_over(169, bars={"BTC": other}), bars=lost)
    found = compute(one, ["correlation_btc_7d", "beta_btc_7d"])[-1].row(0)[2:4]
    x, y = lost["close"].to_numpy(), other["close"].to_numpy()
    x, y = np.diff(x) / x[:-1], np.diff(y) / y[:-1]
    both = np.cov(x[np.isfinite(x)], y[np.isfinite(x)], ddof=0)
    assert np.isfinite(x).sum() == 168 - holes
    wanted = (
        (both[0, 1] / np.sqrt(both[0, 0] * both[1, 1]), both[0, 1] / both[1, 1]) if known else (None, None)
    )
    assert found == (pytest.approx(wanted, rel=1e-9) if known else wanted)


@pytest.mark.parametrize(("holes", "known"), [(1, True), (2, False)])
def test_the_way_of_a_trend_is_known_in_nine_of_ten_hours(holes: int, known: bool):
    close = 100 + np.arange(25.0)
    close[3 : 3 + 3 * holes : 3] = np.nan  # each costs two returns of 24
    one = Inputs("SOL", shared_over(25), bars=bars_of(*close))
    moves = np.diff(close) / close[:-1]
    wanted = pytest.approx(0.24 / np.nansum(moves), rel=1e-12) if known else None
    assert column(one, "trend_strength_24h")[-1] == wanted


def test_stocks_and_the_symbol_over_the_same_days():
    days = [T0 + i * DAY for i in range(60) if (T0 + i * DAY).weekday() < 5]
    stock = dict(zip(days, walk(len(days), seed=3)["close"].to_list(), strict=True))
    index = told("SP500", [(day, day + 30 * HOUR, value) for day, value in stock.items()])
    close = np.full(24 * 61, 50.0)
    for (
        day,
        value,
    ) in stock.items():  # worth half the index at 21:00 of each trading day, something else at other times
        close[(day - T0) // HOUR + 20] = value / 2
    one = Inputs("SOL", shared_over(24 * 61, observations=index), bars=bars_of(*close))
    found = compute(one, ["correlation_sp500_30d"]).drop_nulls()
    assert found["correlation_sp500_30d"].to_list() == pytest.approx([1] * found.height, rel=1e-9)
    assert found["at"][0] == days[27] + 30 * HOUR  # 27 of 30 changes are known


def test_the_calendar():
    names = ["hour_sine", "weekend", "us_session", "hours_to_funding", "month_day", "week_cosine"]
    shared = Shared(datetime(2024, 3, 8, tzinfo=UTC), datetime(2024, 3, 12, tzinfo=UTC))
    found = compute(Inputs("SOL", shared), names)
    at = dict(zip(found["at"], found.select(names).rows(), strict=True))
    assert at[datetime(2024, 3, 9, 6, tzinfo=UTC)] == (
        1,
        1,
        0,
        2,
        8 / 31,
        pytest.approx(np.cos(2 * np.pi * 126 / 168)),
    )
    assert at[datetime(2024, 3, 11, tzinfo=UTC)] == (0, 0, 0, 0, 10 / 31, 1)
    session = [t for t, row in at.items() if row[2]]
    # Clocks in New York go forward on the 10th: on Friday it opens at 14:30 UTC, on Monday at 13:30.
    assert session == [
        datetime(2024, 3, day, hour, tzinfo=UTC)
        for day, first in ((8, 15), (11, 14))
        for hour in range(first, first + 6)
    ]


def test_funding_is_known_until_it_should_have_been_told_again():
    paid = T0 + 2 * HOUR
    funding = pl.DataFrame({"at": [paid], "known_at": [paid], "rate": [0.0001]})
    assert column(Inputs("SOL", shared_over(13), funding=funding), "funding_rate") == [
        None,
        *[0.01] * 10,
        None,
        None,
    ]


def test_labels_are_the_future_and_no_features():
    one = Inputs("SOL", shared_over(5), bars=bars_of(100.0, 110.0, 99.0, 99.0, 198.0))
    assert labels(one, [1, 3]).drop("symbol", "at").to_dict(as_series=False) == {
        "future_return_1h": [pytest.approx(0.1), pytest.approx(-0.1), 0, 1, None],
        "future_return_3h": [pytest.approx(-0.01), pytest.approx(0.8), None, None, None],
    }
    assert [name for name in CATALOGUE if name.startswith("future")] == []
    with pytest.raises(ValueError, match="not by 0"):
        labels(one, [0])


def test_a_training_set_has_what_was_known_by_each_row():
    shared = shared_over(4)
    ones = [
        Inputs(name, shared, bars=bars_of(*closes))
        for name, closes in (("A", (1.0, 2.0, 4.0, 8.0)), ("B", (3.0,) * 4))
    ]
    wanted = pl.DataFrame({
        "symbol": ["B", "A", "A", "A"],
        "known_by": [T0 + 2 * HOUR, T0 + 150 * timedelta(minutes=1), T0 + 10 * HOUR, T0 + 30 * timedelta(minutes=1)],
    })  # fmt: skip
    found = training_set(ones, ["price_usd"], [1], wanted)
    assert found.columns == ["symbol", "known_by", "at", "price_usd", "quality", "future_return_1h"]
    assert found.rows() == [
        ("A", T0 + timedelta(minutes=30), None, None, None, None),
        ("A", T0 + timedelta(minutes=150), T0 + 2 * HOUR, 2.0, 1.0, 1.0),
        ("A", T0 + 10 * HOUR, None, None, None, None),
        ("B", T0 + 2 * HOUR, T0 + 2 * HOUR, 3.0, 1.0, 0.0),
    ]
    every = training_set(ones, ["price_usd"], [2])
    assert every.height == 8
    assert every.filter(pl.col("at") != pl.col("known_by")).height == 0
    assert every["future_return_2h"].to_list() == [3, 3, None, None, 0, 0, None, None]
    with pytest.raises(ValueError, match="no inputs of B"):
        training_set(ones[:1], ["price_usd"], [1], wanted)
    for wrong in ([], [ones[0], ones[0]]):
        with pytest.raises(ValueError, match="each symbol once"):
            training_set(wrong, ["price_usd"])


def test_a_symbol_that_was_delisted_keeps_its_rows():
    vix = told("VIXCLS", [(T0, T0 + 30 * HOUR, 15.0)])
    found = compute(
        Inputs("OLD", shared_over(60, observations=vix), bars=walk(40)),
        ["price_usd", "price_change_1h", "vix"],
    )
    assert found["price_usd"].is_null().to_list() == [False] * 40 + [True] * 20
    assert found["vix"].to_list() == [None] * 29 + [15.0] * 31
    assert found["quality"].to_list() == pytest.approx([1 / 3, *[2 / 3] * 28, *[1] * 11, *[1 / 3] * 20])


@pytest.mark.parametrize("bars", [None, walk(1)[:0], walk(1), walk(1).with_columns(volume=pl.lit(0.0))])
def test_hardly_anything(bars: pl.DataFrame | None):
    found = compute(Inputs("NEW", shared_over(3, bars={} if bars is None else {"NEW": bars}), bars=bars))
    clock = {
        "hour_sine",
        "hour_cosine",
        "week_sine",
        "week_cosine",
        "weekend",
        "us_session",
        "month_day",
        "hours_to_funding",
    }
    known = {name for name in CATALOGUE if found[name].null_count() < 3}
    assert known - clock == (set() if bars is None or bars.is_empty() else {"price_usd"})


def test_bars_that_cannot_be_told_apart_are_none():
    bars = bars_of(1.0, 2.0, 3.0, 4.0)
    again = bars[[1]].with_columns(close=pl.lit(2.5), high=pl.lit(2.5))
    off = bars[[2]].with_columns(start=pl.col("start") + timedelta(minutes=5), close=pl.lit(99.0))
    made = pl.concat(
        [bars, again, bars[[3]], off, bars[[0]].with_columns(start=pl.lit(None, pl.Datetime("us", "UTC")))]
    )
    assert column(Inputs("SOL", shared_over(4), bars=made), "price_usd") == [1.0, None, 3.0, 4.0]


def test_what_lacks_a_column_is_refused():
    with pytest.raises(ValueError, match="lacks the columns volume"):
        compute(Inputs("SOL", shared_over(4), bars=walk(4).drop("volume")), ["price_usd"])
    with pytest.raises(ValueError, match="lacks the columns known_at"):
        compute(
            Inputs("SOL", shared_over(4), funding=pl.DataFrame({"at": [T0], "rate": [1.0]})), ["funding_rate"]
        )
    with pytest.raises(ValueError, match="no range of whole hours"):
        Shared(T0 + timedelta(minutes=1), T0 + DAY)


ODD = st.sampled_from([None, float("nan"), float("inf"), 0.0, -1.0, 1e-300, 1e308, 5.0, 7.0])
FEW_HOURS = st.integers(-2, 50)
TOLD = st.lists(st.tuples(FEW_HOURS, FEW_HOURS, *[ODD] * 4), max_size=25)
HOSTILE = st.lists(st.tuples(FEW_HOURS, *[ODD] * 5), max_size=50)


def odd_frame(rows: list[tuple[Any, ...]], period: str, names: tuple[str, ...], **same: str) -> pl.DataFrame:
    moments = [(T0 + p * HOUR, T0 + k * HOUR) for p, k, *_ in rows]
    numbers = {
        name: pl.Series([row[2 + i] for row in rows], dtype=pl.Float64) for i, name in enumerate(names)
    }
    times = {period: [p for p, _ in moments], "known_at": [k for _, k in moments]}
    made = pl.DataFrame({**times, **numbers}, schema_overrides=dict.fromkeys(times, pl.Datetime("us", "UTC")))
    return made.with_columns(pl.lit(value).alias(name) for name, value in same.items())


@settings(max_examples=25, deadline=None)
@given(HOSTILE, TOLD, TOLD, TOLD, TOLD)
def test_whatever_comes_in_there_is_a_number_or_nothing(
    bars: list[tuple[Any, ...]], points: list[Any], observed: list[Any], texts: list[Any], totals: list[Any]
):
    made = pl.DataFrame(
        [(T0 + hour * HOUR, *numbers) for hour, *numbers in bars], orient="row",
        schema={"start": pl.Datetime("us", "UTC"), **dict.fromkeys(NUMBERS, pl.Float64)},
    )  # fmt: skip

    value, totals_of = ("value",), ("market_cap", "volume_24h", "btc_dominance", "eth_dominance")
    texts_of = ("score", "confidence", "count", "unscored")

    def series(period: str, key: str, *names: str) -> pl.DataFrame:
        return pl.concat(odd_frame(observed, period, value, **{key: name}) for name in names)

    def features(turn: int) -> pl.DataFrame:
        caps, start = odd_frame(points, "at", ("market_cap", "volume_24h"))[::turn], made[::turn]
        kinds = [
            odd_frame(texts, "at", texts_of, window="24h", kind=kind) for kind in ("all", "news", "reddit")
        ]
        shared = shared_over(
            48,
            bars={"BTC": start},
            points={"BTC": caps},
            observations=series("period", "series", "VIXCLS", "CPIAUCSL", "SP500")[::turn],
            metrics=series("at", "metric", "btc.AdrActCnt", "eth.gas_proposed")[::turn],
            mood=odd_frame(observed, "day", value)[::turn],
            totals=odd_frame(totals, "slot", totals_of)[::turn],
        )
        one = Inputs(
            "BTC",
            shared,
            bars=start,
            points=caps,
            funding=odd_frame(totals, "at", ("rate",))[::turn],
            open_interest=odd_frame(totals, "at", ("worth",))[::turn],
            sentiment=pl.concat(kinds)[::turn],
            listed=T0,
        )
        return compute(one)

    found = features(1)
    assert found.height == 48
    assert all(found[name].is_finite().all() for name in CATALOGUE)
    assert found.equals(features(-1))  # the order of the rows says nothing
