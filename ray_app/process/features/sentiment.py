"""Features of what texts say of the symbol, and of the market's mood."""

import numpy as np

from ray_app.process.features.feature import HOURS, Feature, Formula
from ray_app.process.features.inputs import Shared
from ray_app.process.features.moments import pair
from ray_app.process.features.symbols import Symbols
from ray_app.process.indicators.grid import Array
from ray_app.process.indicators.windows import change, growth, ratio, total

STALE = 3 * HOURS  # of an aggregate: it is worked out every hour
MOOD_STALE = 49 * HOURS  # of a daily index
SOCIAL = ("reddit", "twitter")
NOT_KNOWN = "null where no text has a score"


def aggregate_of(one: Symbols, window: str, kind: str, number: str) -> Array:
    """Of one kind of texts only from the newest aggregate as a whole: a kind without texts is not in it."""
    return one.mood(window, kind).newest_with(one.mood(window, "all"), number, STALE)


def social_of(one: Symbols, window: str) -> Array:
    """The kinds that have scored texts, each by how many."""
    weighed, count = np.zeros(1), np.zeros(1)
    for kind in SOCIAL:
        score = one.find(aggregate_of, window, kind, "score")
        texts = one.find(aggregate_of, window, kind, "count")
        there = np.isfinite(score) & (texts > 0)
        weighed = weighed + np.where(there, score * np.where(there, texts, 0.0), 0.0)
        count = count + np.where(there, texts, 0.0)
    return ratio(weighed, count)


def texts_of(one: Symbols, window: str, *kinds: str) -> Array:
    """With and without a score. 0 where the aggregate of all kinds was made and these kinds had none."""
    made = one.find(aggregate_of, window, "all", "count")
    found = np.where(np.isfinite(made), 0.0, np.nan)
    for kind in kinds:
        texts = one.find(aggregate_of, window, kind, "count") + one.find(
            aggregate_of, window, kind, "unscored"
        )
        found = found + np.where(np.isfinite(texts), texts, 0.0)
    return found


def busyness_of(one: Symbols, *kinds: str) -> Array:
    return ratio(one.find(texts_of, "24h", *kinds), one.find(texts_of, "7d", *kinds) / 7)


def change_of(one: Symbols, hours: int) -> Array:
    return change(one.find(aggregate_of, "24h", "all", "score"), hours)


def volatility_of(one: Symbols, hours: int) -> Array:
    return one.rolling(aggregate_of, "24h", "all", "score").deviation(hours)


def momentum_of(one: Symbols) -> Array:
    return one.find(aggregate_of, "4h", "all", "score") - one.find(aggregate_of, "7d", "all", "score")


def gap_of(one: Symbols) -> Array:
    return one.find(aggregate_of, "24h", "news", "score") - one.find(social_of, "24h")


def unscored_of(one: Symbols) -> Array:
    texts = one.find(texts_of, "24h", "all")
    return ratio(one.find(aggregate_of, "24h", "all", "unscored"), texts)


def index_of(shared: Shared) -> Array:
    return shared.mood_index().newest("value", MOOD_STALE)


def index_change_of(shared: Shared, hours: int) -> Array:
    return change(shared.find(index_of), hours)


def index_mean_of(shared: Shared, hours: int) -> Array:
    return total(shared.find(index_of), hours) / hours


def crowd_of(shared: Shared) -> Array:
    """The mean hourly return of the tracked symbols, of those that are known."""
    sums, count = np.zeros(len(shared.at)), np.zeros(len(shared.at))
    for symbol in sorted(shared.bars):
        moves = growth(shared.bars_of(symbol).close, 1)
        there = np.isfinite(moves)
        sums += np.where(there, moves, 0.0)
        count += there
    return ratio(sums, count)


def correlation_of(one: Symbols, hours: int) -> Array:
    return pair(one.moves(), one.shared.rolling(crowd_of), hours).correlation


def _texts(
    name: str, formula: str, unit: str, function: Formula, *parameters: object, back: int = 0
) -> Feature:
    return Feature(name, "sentiment", formula, ("sentiment",), unit, back, function, parameters, STALE)


def _mood(name: str, formula: str, function: Formula, hours: int) -> Feature:
    parameters = (hours,) if hours else ()
    return Feature(name, "sentiment", formula, ("mood",), "0 to 100" if function is not index_change_of else "points",
                   hours, function, parameters, MOOD_STALE, shared=True)  # fmt: skip


FEATURES: tuple[Feature, ...] = (
    *(
        _texts(f"sentiment_{window}", f"score of all texts of {window} (docs/sentiment.md), {NOT_KNOWN}", "-1 to 1",
               aggregate_of, window, "all", "score")
        for window in ("1h", "4h", "24h", "7d")
    ),
    _texts("news_sentiment_24h", f"score of the news of 24 hours, {NOT_KNOWN}", "-1 to 1", aggregate_of, "24h",
           "news", "score"),
    _texts("social_sentiment_24h",
           f"mean of the scores of Reddit and X over 24 hours by their numbers of scored texts, "
           f"{NOT_KNOWN}", "-1 to 1", social_of, "24h"),
    _texts("sentiment_change_6h", "sentiment_24h less its value 6 rows before", "-2 to 2", change_of, 6,
           back=6),
    _texts("sentiment_volatility", "standard deviation of sentiment_24h over 24 rows, of which 9 in 10 must be known",
           "0 to 1", volatility_of, 24, back=24),
    _texts("news_volume_24h", "news of 24 hours, with and without a score", "texts", texts_of, "24h", "news"),
    _texts("social_volume_24h", "posts of Reddit and X of 24 hours, with and without a score", "texts", texts_of,
           "24h", *SOCIAL),
    _texts("news_busyness", "news_volume_24h / (news of 7 days / 7)", "ratio", busyness_of, "news"),
    _texts("social_busyness", "social_volume_24h / (posts of 7 days / 7)", "ratio", busyness_of, *SOCIAL),
    _texts("sentiment_momentum", "sentiment_4h - sentiment_7d", "-2 to 2", momentum_of),
    _texts("news_social_gap", "news_sentiment_24h - social_sentiment_24h", "-2 to 2", gap_of),
    _texts("sentiment_confidence_24h", f"confidence of sentiment_24h, {NOT_KNOWN}", "0 to 1", aggregate_of, "24h",
           "all",
           "confidence"),
    _texts("unscored_share_24h", "texts of 24 hours without a score / all texts of 24 hours", "0 to 1", unscored_of),
    _mood("fear_greed_index", "newest value of the fear and greed index", index_of, 0),
    _mood("fear_greed_change_7d", "fear_greed_index less its value 168 rows before", index_change_of, 168),
    _mood("fear_greed_mean_30d", "mean of fear_greed_index over 720 rows", index_mean_of, 720),
    Feature("crypto_correlation_score", "sentiment", "correlation of the symbol's hourly returns with the mean of "
            "those of all tracked symbols, over 168 hours of which 9 in 10 must be known", ("bars", "bars of all"),
            "-1 to 1", 168, correlation_of, (168,)),
)  # fmt: skip
