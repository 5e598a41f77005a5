"""How good the embedded model is, on human labels that it was not trained on; and that its head is what it says.

Financial PhraseBank (CC BY-NC-SA) is only measured on. The figures of `-s` are those of docs/sentiment.md.
"""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from ray_app.process.sentiment import embedded, head
from ray_app.process.sentiment.embedded import Features
from ray_app.process.sentiment.errors import BadModel
from ray_app.process.sentiment.head import Array
from ray_app.process.sentiment.training import (
    SHIPPED,
    Labelled,
    cross_validated,
    evaluated,
    fit,
    read,
    written,
)

REPO = Path(__file__).parents[3]
LEAST_PHRASEBANK, LEAST_CRYPTO = 0.66, 0.82


class Remembered(Features):
    """Each text goes through the network once for all tests of this file."""

    def __init__(self) -> None:
        super().__init__(threads=2)
        self._rows: dict[str, Array | None] = {}

    def of(self, texts: Sequence[str]) -> list[Array | None]:
        new = [text for text in dict.fromkeys(texts) if text not in self._rows]
        self._rows |= dict(zip(new, super().of(new), strict=True))
        return [self._rows[text] for text in texts]


@pytest.fixture(scope="module")
def features() -> Features:
    return Remembered()


@pytest.fixture(scope="module")
def sets(shared_data: Path) -> list[Labelled]:
    folder = shared_data / "sentiment"
    if not folder.is_dir():
        pytest.skip(f"no labelled texts: {folder} does not exist")
    return [*(read(folder / name, licence) for name, licence in SHIPPED.items()), written()]


@pytest.mark.slow
def test_crypto_comments_by_cross_validation(features: Features, sets: list[Labelled]):
    qualities = cross_validated(features, sets)
    for quality in qualities:
        sys.stdout.write(f"cross-validated, {quality}\n")
    crypto = qualities[0]
    assert crypto.name == "crypto_sentiment.csv"
    assert crypto.accuracy >= LEAST_CRYPTO


@pytest.mark.slow
def test_financial_phrasebank(features: Features, sets: list[Labelled], shared_data: Path):
    trained = head.load(Path(str(embedded.HEAD)), Features.version)
    folder = shared_data / "sentiment" / "phrasebank"
    if not folder.is_dir():
        pytest.skip(f"no labelled texts: {folder} does not exist")
    qualities = {
        split: evaluated(features, trained, read(folder / f"Sentences_{split}.txt", "CC BY-NC-SA 3.0"))
        for split in ("50Agree", "66Agree", "75Agree", "AllAgree")
    }
    for quality in qualities.values():
        sys.stdout.write(f"not trained on, {quality}\n")
    assert qualities["50Agree"].accuracy >= LEAST_PHRASEBANK


@pytest.mark.slow
def test_the_shipped_head_comes_out_again(features: Features, sets: list[Labelled]):
    shipped = head.load(Path(str(embedded.HEAD)), Features.version)
    if {part.part.sha256 for part in sets} != {part.sha256 for part in shipped.parts}:
        pytest.skip("the labelled texts here are others than those that the head was trained on")
    again = fit(features, sets)
    assert again.parts == shipped.parts
    # Products differ a little between processors; on one they are equal to the last digit.
    assert np.abs(again.weights - shipped.weights).max() < 0.05
    assert np.abs(again.bias - shipped.bias).max() < 0.05


def test_the_shipped_head_says_what_it_was_trained_on():
    told = json.loads(embedded.HEAD.read_text("utf-8"))
    assert {part["licence"] for part in told["trained_on"]} == {"MIT"}
    assert [part["name"] for part in told["trained_on"]] == [
        *(Path(name).name for name in SHIPPED),
        "texts written for this project",
    ]
    assert told["trained_on"][-1]["sha256"] == written().part.sha256
    assert len(embedded.HEAD.read_bytes()) < 100_000


def test_training_separates_what_can_be_separated():
    rng = np.random.default_rng(0)
    centres = np.eye(3)
    labels = rng.integers(0, 3, 300)
    rows = centres[labels] * 3 + rng.normal(size=(300, 3))
    weights, bias = head.train(rows, labels.tolist(), [[True] * 3] * 300, [1.0] * 300, 1e-3)
    trained = head.Head(weights, bias, "", 1e-3, ())
    assert np.mean(trained.probabilities(rows).argmax(1) == labels) > 0.9
    assert trained.probabilities(rows).sum(axis=1) == pytest.approx(1.0)


def test_a_text_whose_reader_could_not_say_neutral_teaches_nothing_about_it():
    """With one such text and no other, neutral keeps the weights it began with: none."""
    weights, _ = head.train(np.eye(2), [0, 2], [[True, False, True]] * 2, [1.0, 1.0], 1e-2)
    assert weights[:, 1] == pytest.approx(0.0)
    assert weights[0, 0] > 0.1 > weights[0, 2]


@pytest.mark.parametrize(
    ("name", "content", "texts", "labels"),
    [
        ("a.csv", b'text,label\n"It rose, again",bullish\nIt fell,NEGATIVE\n', ("It rose, again", "It fell"), (2, 0)),
        ("b.csv", "\ufeffComment Text,Sentiment,URL\nIt rose,Positive,u\n".encode(), ("It rose",), (2,)),
        ("c.txt", b"5 \xa3 @ noon @neutral\n\nIt fell@negative\r\n", ("5 £ @ noon", "It fell"), (1, 0)),
        ("d.csv", "text,label\n🚀,bullish\nIt rose,bullish\n".encode(), ("It rose",), (2,)),
    ],
)  # fmt: skip
def test_labelled_files(
    name: str, content: bytes, texts: tuple[str, ...], labels: tuple[int, ...], tmp_path: Path
):
    (tmp_path / name).write_bytes(content)
    part = read(tmp_path / name, "MIT")
    assert (part.texts, part.labels) == (texts, labels)
    assert (part.part.name, part.part.texts) == (name, len(texts))


@pytest.mark.parametrize("content", ["", "a,b\n1,2\n", "text,label\nIt rose,great\n", "text,label\n"])
def test_files_without_labels_are_refused(content: str, tmp_path: Path):
    (tmp_path / "a.csv").write_text(content)
    with pytest.raises(BadModel):
        read(tmp_path / "a.csv", "MIT")


@pytest.mark.slow
def test_the_job_trains_a_head_from_labelled_files(tmp_path: Path):
    texts = tmp_path / "mine.csv"
    texts.write_text(
        "text,label\n"
        + "".join(f"The price rose {n} times,bullish\nIt fell {n} times,bearish\n" for n in range(9))
    )
    job = [sys.executable, str(REPO / "jobs" / "train_sentiment.py"), "--out", str(tmp_path / "head.json")]
    done = run(*job, f"{texts}=CC0", "--evaluate", str(texts))
    assert done.returncode == 0, done.stderr
    assert "not trained on, mine.csv: 18 texts, accuracy 1.000" in done.stdout
    trained = head.load(tmp_path / "head.json", Features.version)
    assert (trained.parts[0].name, trained.parts[0].licence, trained.parts[0].texts) == (
        "mine.csv",
        "CC0",
        18,
    )
    assert embedded.load(tmp_path / "head.json").score(["The price rose"])[0].label == "bullish"

    refused = run(*job, str(tmp_path / "none.csv"))
    assert (refused.returncode, "none.csv" in refused.stderr) == (1, True)


def run(*command: str) -> subprocess.CompletedProcess[str]:
    here = os.environ | {"PYTHONPATH": str(REPO)}
    return subprocess.run(command, cwd=REPO, env=here, capture_output=True, text=True, check=False)
