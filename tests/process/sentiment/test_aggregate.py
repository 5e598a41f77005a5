import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from ray_app.process.sentiment.aggregate import (
    FORMULA,
    WINDOWS,
    Aggregate,
    Opinion,
    history,
    label_of,
    sentiment,
)

END = datetime(2026, 11, 23, 12, tzinfo=UTC)
NOW = Opinion("news", END, 1.0, 0.8, "finbert")


def test_half_a_life_ago_weighs_half():
    """24 h: half-life 6 h. Weights 0.8 and 0.5 * 0.8 = 0.4; score (0.8 - 0.2) / 1.2 = 0.5."""
    older = replace(NOW, at=END - timedelta(hours=6), score=-0.5)
    found = sentiment([NOW, older], "24h", END).overall
    assert found.score == pytest.approx(0.5)
    assert found.confidence == pytest.approx(0.8)
    assert found.effective == pytest.approx(1.2**2 / (0.8**2 + 0.4**2))  # 1.8
    assert (found.label, found.count, found.unscored, found.models) == ("bullish", 2, 0, ("finbert",))


def test_every_weight_counts():
    """Weights 0.8 * 0.5 * 0.25 = 0.1 and 0.5 * (1 + ln(1 + e - 1)) = 1.0 with engagement e - 1, here 2: 1 + ln 3."""
    doubtful = replace(NOW, source=0.5, link=0.25)
    post = Opinion("reddit", END, -1.0, 0.5, "cryptobert", engagement=2)
    found = sentiment([doubtful, post], "1h", END)
    heavy = 0.5 * 2.0986122886681098
    assert found.overall.score == pytest.approx((0.1 - heavy) / (0.1 + heavy))
    assert found.overall.confidence == pytest.approx((0.1 * 0.8 + heavy * 0.5) / (0.1 + heavy))
    assert found.overall.models == ("cryptobert", "finbert")
    assert found.breakdown["news"].score == pytest.approx(1.0)
    assert found.breakdown["reddit"] == Aggregate(-1.0, "bearish", 0.5, 1, 0, 1, 1.0, ("cryptobert",))
    assert "twitter" not in found.breakdown


def test_engagement_counts_for_posts_only_and_never_below_none():
    plain = [NOW, replace(NOW, score=0.0, at=END)]
    liked = [replace(NOW, engagement=1_000), plain[1]]
    assert sentiment(liked, "4h", END) == sentiment(plain, "4h", END)
    post = replace(NOW, kind="reddit")
    downvoted = [replace(post, engagement=-50), plain[1]]
    assert sentiment(downvoted, "4h", END).overall == sentiment([post, plain[1]], "4h", END).overall


def test_texts_without_a_score_are_counted_apart_and_are_not_neutral():
    unknown = replace(NOW, score=None, confidence=None)
    found = sentiment([NOW, unknown, unknown], "24h", END).overall
    assert (found.score, found.count, found.unscored) == (1.0, 1, 2)
    assert sentiment([unknown], "24h", END).overall == Aggregate(None, None, None, 0, 1, 0, 0.0, ())
    assert sentiment([], "24h", END).overall == Aggregate(None, None, None, 0, 0, 0, 0.0, ())
    assert sentiment([replace(NOW, link=0.0)], "24h", END).overall == Aggregate(
        None, None, None, 1, 0, 1, 0.0, ("finbert",)
    )


def test_texts_of_one_story_are_one_piece_of_evidence():
    """Five feeds tell one story: weights 0.8 and four times 0.4, scores 1 and 0: mean 0.8 / 2.4 = 1/3, weight 0.8.

    Beside one other text of -1 with 0.8: (0.8 / 3 - 0.8) / 1.6 = -1/3, two pieces of equal weight.
    """
    first = replace(NOW, story="a")
    again = replace(NOW, story="a", at=END - timedelta(hours=6), score=0.0)
    other = replace(NOW, score=-1.0, story="b")
    found = sentiment([first, again, again, again, again, other], "24h", END).overall
    assert found.score == pytest.approx(-1 / 3)
    assert found.effective == pytest.approx(2.0)
    assert (found.count, found.stories, found.label) == (6, 2, "bearish")
    apart = sentiment(
        [replace(one, story=None) for one in (first, again, again, again, again, other)], "24h", END
    )
    assert apart.overall.stories == 6
    assert apart.overall.score == pytest.approx((0.8 - 0.8) / 3.2)


def test_a_history_is_the_same_question_at_twelve_ends():
    texts = [replace(NOW, at=END - timedelta(minutes=13 * n), score=(n * n % 11 - 5) / 5) for n in range(200)]
    told = history(texts, "4h", END)
    assert [at for at, _ in told] == [END - timedelta(minutes=20) * n for n in range(11, -1, -1)]
    assert [one for _, one in told] == [sentiment(texts, "4h", at).overall for at, _ in told]
    assert told[0][1] != told[-1][1]


@pytest.mark.parametrize(("window", "length"), WINDOWS.items())
def test_the_window_ends_with_its_end_and_leaves_out_its_start(window: str, length: timedelta):
    second = timedelta(seconds=1)
    times = [END - length, END - length + second, END, END + second]
    found = sentiment([replace(NOW, at=at) for at in times], window, END)
    assert found.overall.count == 2
    assert (found.start, found.end) == (END - length, END)


def test_an_unknown_window_is_an_error():
    with pytest.raises(KeyError):
        sentiment([NOW], "2h", END)


def test_the_order_of_texts_does_not_matter():
    rng = random.Random(3)
    texts = [
        replace(
            NOW,
            at=END - timedelta(minutes=rng.randrange(240)),
            score=rng.uniform(-1, 1),
            confidence=rng.random(),
        )
        for _ in range(200)
    ]
    first = sentiment(texts, "4h", END)
    for _ in range(5):
        rng.shuffle(texts)
        assert sentiment(texts, "4h", END) == first


@pytest.mark.parametrize(
    ("score", "label"),
    [(1, "bullish"), (0.15, "bullish"), (0.1499, "neutral"), (-0.1499, "neutral"), (-0.15, "bearish")],
)
def test_labels(score: float, label: str):
    assert label_of(score) == label
    assert "0.15" in FORMULA
