"""Golden texts: for the embedded model always, for the transformers where their weights are.

`CRYPTO_DATA_TEST_MODELS` names a folder with the folders `cryptobert` and `finbert`, as their authors publish them.
"""

import os
from pathlib import Path

import pytest

from ray_app.process.sentiment import embedded, transformer
from ray_app.process.sentiment.golden import disagreements, golden_texts
from ray_app.process.sentiment.model import SentimentModel
from ray_app.process.sentiment.scores import LABELS
from ray_app.process.sentiment.weights import CRYPTOBERT, FINBERT, Declared
from tests.process.sentiment import tiny


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
