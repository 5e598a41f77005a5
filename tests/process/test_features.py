from dataclasses import replace
from datetime import timedelta

import numpy as np
import polars as pl
import pytest

from ray_app.process.features import catalogue
from ray_app.process.features.catalogue import (
    CATALOGUE,
    FEATURES,
    GROUPS,
    compute,
    compute_many,
    feature_set_hash,
    features,
    hours_before,
    lookback,
)
from ray_app.process.features.inputs import Inputs, Shared
from ray_app.process.features.symbols import Symbols
from ray_app.process.indicators.grid import Array
from ray_app.process.indicators.windows import prior
from tests.process.feature_inputs import (
    END,
    HOUR,
    HOURS,
    SYMBOLS,
    T0,
    moved_by_the_future,
    moved_by_the_past,
    planted,
    same,
    world,
)

WORLD = world()
PROMISED = """
price_usd price_change_1h price_change_24h price_change_7d price_volatility_24h volume_usd_24h volume_change_24h
market_cap_usd market_cap_rank rsi_14 macd_signal bb_position sma_20_distance sma_50_distance ema_12_slope atr_14
volume_sma_ratio news_sentiment_24h social_sentiment_24h sentiment_change_6h sentiment_volatility news_volume_24h
social_volume_24h fear_greed_index crypto_correlation_score
"""


def test_the_catalogue_has_a_hundred_features_and_those_that_were_promised():
    assert len(CATALOGUE) == len(FEATURES) >= 100
    assert set(PROMISED.split()) <= set(CATALOGUE)
    assert set(GROUPS) == {"price", "technical", "sentiment", "onchain", "macro", "market"}
    for one in FEATURES:
        assert one.formula
        assert one.unit
        words = {source.split()[0] for source in one.inputs}
        # What is joined by when it was known has a limit of its age.
        assert (one.limit is None) == (words <= {"bars"}), one.name


def test_every_feature_has_values_in_a_world_that_has_everything():
    found = compute(WORLD.inputs(WORLD.shared(T0, END)))
    assert found.columns == ["symbol", "at", *CATALOGUE, "quality"]
    assert set(found.dtypes[2:]) == {pl.Float64}
    assert found["at"].to_list() == [T0 + (i + 1) * HOUR for i in range(HOURS)]
    late = found.tail(2500)
    assert {name: late[name].null_count() for name in CATALOGUE if late[name].null_count() > 2000} == {}
    told = [sum(value is not None for value in row[2:-1]) for row in found.tail(20).iter_rows()]
    assert found["quality"].tail(20).to_list() == [count / len(CATALOGUE) for count in told]


def test_the_future_moves_no_value():
    minutes = np.random.default_rng(7).integers(2600 * 60, HOURS * 60, 6)
    moments = [T0 + timedelta(minutes=int(minute)) for minute in minutes]
    assert moved_by_the_future(WORLD, list(FEATURES), moments) == set()


def test_how_much_history_was_loaded_moves_no_value():
    for moment in (T0 + 5000 * HOUR, T0 + 5700 * HOUR):
        start = moment - (hours_before() + 1) * HOUR
        part = WORLD.known_by(moment).since(start, lookback())
        online = compute(part.inputs(part.shared(start, moment)), at=[moment])
        batch = compute(WORLD.inputs(WORLD.shared(T0, END)), at=[moment])
        assert online.equals(batch)
        assert batch["quality"][0] > 0.9


def test_many_symbols_at_once_are_each_of_them_alone():
    """One of them is young, one old, one has no bars, one is in no frame at all; each has holes of its own."""
    shared, listed = WORLD.shared(T0, END), T0 + 3500 * HOUR
    inputs = [WORLD.inputs(shared, symbol) for symbol in SYMBOLS]
    assert inputs[3].bars is not None
    young = inputs[3].bars.filter(pl.col("start") >= listed)
    inputs[1:] = [replace(inputs[1], listed=None), replace(inputs[2], bars=None),
                  replace(inputs[3], bars=young, listed=listed), Inputs("NONE", shared)]  # fmt: skip
    many = compute_many(inputs)
    assert many.equals(pl.concat([compute(one) for one in inputs]))
    first = {symbol: many.filter(symbol=symbol)["rsi_14"].is_not_null().arg_max() for symbol in SYMBOLS}
    assert first == {"BTC": 14, "ETH": CATALOGUE["rsi_14"].hours, "SOL": 0, "ADA": 3500 + 14}
    # Features that need less are worked out from fewer rows, and are the same.
    few = [T0 + hours * HOUR for hours in (300, 4000, 4001, 5990)]
    for at in (few, few[1:2], few[3:]):
        rows = many.filter(pl.col("at").is_in(at))
        assert rows.height == len(at) * len(inputs)
        assert same(compute_many(inputs, at=at), rows) == set()
        assert same(compute(inputs[1], at=at), rows.filter(symbol="ETH")) == set()
    assert compute_many(inputs, ["rsi_14"], [T0 - HOUR]).height == 0
    assert compute_many(inputs[:1], [])["quality"].to_list() == [0] * HOURS


def test_symbols_that_share_nothing_are_refused():
    for inputs in ([], [WORLD.inputs(WORLD.shared(T0, END)) for _ in range(2)]):
        with pytest.raises(ValueError, match="inputs of one Shared"):
            compute_many(inputs, ["price_usd"])


def test_each_feature_needs_no_more_than_it_says():
    assert moved_by_the_past(WORLD, list(FEATURES), [T0 + 4321 * HOUR]) == set()


def next_close(one: Symbols) -> Array:
    return prior(one.own.close[:, ::-1])[:, ::-1]


def by_the_mean_of_all(one: Symbols) -> Array:
    return one.own.close - np.nanmean(one.own.close)


def by_period(shared: Shared) -> Array:
    """Joined by what a macro value speaks of instead of by when it was released: the leak of old."""
    assert shared.observations is not None
    cpi = shared.observations.filter(series="CPIAUCSL").with_columns(known_at="period")
    return (
        Shared(shared.start, shared.end, observations=cpi).series("CPIAUCSL").newest("value", timedelta(900))
    )


@pytest.mark.parametrize(
    ("function", "shared"), [(next_close, False), (by_the_mean_of_all, False), (by_period, True)]
)
def test_a_leak_would_be_seen(function: object, shared: bool):
    moments = [T0 + timedelta(hours=h) for h in (3100, 4200, 5300)]
    assert moved_by_the_future(WORLD, [planted(function, shared=shared)], moments) == {"planted"}


def since_the_first(one: Symbols) -> Array:
    return np.nancumsum(one.own.volume, axis=-1)


def test_a_history_that_is_understated_would_be_seen():
    assert moved_by_the_past(WORLD, [planted(since_the_first, 100)], [T0 + 4000 * HOUR]) == {"planted"}


def test_a_set_has_a_hash_of_what_it_is(monkeypatch: pytest.MonkeyPatch):
    some = ["rsi_14", "vix"]
    assert feature_set_hash(some) == feature_set_hash(reversed(some)) != feature_set_hash(["rsi_14"])
    assert len(feature_set_hash()) == 16
    before = feature_set_hash(some)
    monkeypatch.setattr(catalogue, "ARITHMETIC", catalogue.ARITHMETIC + 1)
    assert feature_set_hash(some) != before
    with pytest.raises(ValueError, match="no feature 'rsi'"):
        features(["rsi"])
    with pytest.raises(ValueError, match="asked for twice"):
        features(["vix", "vix"])
