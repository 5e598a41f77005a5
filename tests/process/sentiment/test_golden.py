"""Golden texts: for the embedded model always, for the transformers where their weights are.

`CRYPTO_DATA_TEST_MODELS` names a folder with the folders `cryptobert` and `finbert`, as their authors publish them.
"""

import csv
import os
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import pytest

from ray_app.process.sentiment import embedded, transformer
from ray_app.process.sentiment.golden import WRITTEN, changed, disagreements, golden_texts
from ray_app.process.sentiment.model import SentimentModel
from ray_app.process.sentiment.scores import LABELS, Identity, Probabilities, Score, scored
from ray_app.process.sentiment.weights import CRYPTOBERT, FINBERT, Declared
from tests.process.sentiment import tiny

WRITTEN_TEXTS = [row["text"] for row in csv.DictReader(WRITTEN.read_text("utf-8").splitlines())]


def told(model: SentimentModel) -> list[str]:
    wrong = disagreements(model)
    return [f"{golden.text}: {score.label or score.reason}, not {golden.label}" for golden, score in wrong]


def test_the_embedded_model():
    assert told(embedded.load()) == []


@pytest.mark.parametrize("declared", [CRYPTOBERT, FINBERT], ids=lambda declared: declared.id)
def test_a_transformer_in_the_type_of_this_machine_and_exactly(declared: Declared):
    folder = os.environ.get("CRYPTO_DATA_TEST_MODELS")
    if not folder or not (Path(folder) / declared.id).is_dir():
        pytest.skip(f"no weights: CRYPTO_DATA_TEST_MODELS has no folder {declared.id}")
    for numbers in {"float32", transformer.fastest("cpu")}:
        assert (
            told(transformer.load(declared, Path(folder) / declared.id, device="cpu", numbers=numbers)) == []
        )


def test_random_weights_do_not_pass(tmp_path: Path):
    tiny.bert(tmp_path)
    wrong = disagreements(transformer.load(FINBERT, tmp_path, device="cpu", numbers="float32"))
    assert wrong
    assert all(score.label in LABELS and score.label != golden.label for golden, score in wrong)


class Saying:
    """A model that says bullish, but bearish of those texts."""

    id = "cryptobert"

    def __init__(self, *bearish: str) -> None:
        self._bearish = bearish

    def score(self, texts: Sequence[str]) -> list[Score]:
        told: dict[bool, Probabilities] = {True: (0.9, 0.05, 0.05), False: (0.05, 0.05, 0.9)}
        return [scored(told[text in self._bearish], IDENTITY) for text in texts]


IDENTITY = Identity("cryptobert", "", "", "", "", "")
GOLDEN = [golden.text for golden in golden_texts() if golden.model == "cryptobert"]


@pytest.mark.parametrize(
    ("other", "lost"),
    [
        ((), ""),
        (WRITTEN_TEXTS[:1], "of 0 of 8 golden texts, 1 of 190 others"),
        (GOLDEN[3:4], "of 1 of 8 golden texts, 0 of 190 others"),
        ((*GOLDEN[3:5], *WRITTEN_TEXTS[:7]), "of 2 of 8 golden texts, 7 of 190 others"),
    ],
)
def test_a_type_of_number_that_changes_labels_is_told(other: Sequence[str], lost: str):
    exact, rough = (cast(SentimentModel, Saying(*bearish)) for bearish in ((), other))
    assert changed(exact, rough) == lost


def test_every_model_has_texts_of_its_labels():
    labels = {
        model: {golden.label for golden in golden_texts() if golden.model == model}
        for model in {golden.model for golden in golden_texts()}
    }
    assert labels == {
        "cryptobert": {
            "bearish",
            "bullish",
        },  # its neutral is what people did not label: nothing is beyond doubt
        "finbert": set(LABELS),
        "minilm-market-words": set(LABELS),
    }
