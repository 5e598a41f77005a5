"""Trains the head of the embedded model and says how good it is, from files of labelled texts.

`SHIPPED` names what the head in this package was trained on: sets whose licence allows it, and texts written for
this project. Settings were chosen by cross-validation on these alone.
"""

import csv
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import as_file
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ray_app.process.sentiment import head
from ray_app.process.sentiment.embedded import Features
from ray_app.process.sentiment.errors import BadModel
from ray_app.process.sentiment.golden import WRITTEN
from ray_app.process.sentiment.head import Array, Head, Part
from ray_app.process.sentiment.readable import cleaned, unreadable
from ray_app.process.sentiment.scores import LABELS

PENALTY = 3e-4
WEIGHT_OF_WRITTEN = 3.0  # of a text written for the purpose, where a collected one weighs 1
FOLDS = 5
SHIPPED = {"surge/crypto_sentiment.csv": "MIT", "surge/stock_sentiment.csv": "MIT"}  # file -> licence

_TEXT = ("text", "Comment Text", "Tweet Text")
_LABEL = ("label", "Sentiment")
_MEANS = {"bearish": 0, "negative": 0, "neutral": 1, "bullish": 2, "positive": 2}


@dataclass(frozen=True)
class Labelled:
    """One set of texts with what a human said of them: `labels` are places in LABELS."""

    part: Part
    texts: tuple[str, ...]
    labels: tuple[int, ...]


@dataclass(frozen=True)
class Quality:
    """How a model did on labelled texts. `confusion`: rows are true, columns said; both in the order of LABELS."""

    name: str
    confusion: Array

    @property
    def texts(self) -> int:
        return int(self.confusion.sum())

    @property
    def accuracy(self) -> float:
        return float(np.trace(self.confusion) / self.confusion.sum())

    @property
    def macro_f1(self) -> float:
        """The mean of F1 over the labels that the set has."""
        right, true, said = np.diag(self.confusion), self.confusion.sum(axis=1), self.confusion.sum(axis=0)
        return float(np.mean([2 * r / (t + s) for r, t, s in zip(right, true, said, strict=True) if t]))

    def __str__(self) -> str:
        rows = "; ".join(
            f"{label}: {' '.join(str(int(n)) for n in row)}"
            for label, row in zip(LABELS, self.confusion, strict=True)
        )
        said = f"accuracy {self.accuracy:.3f}, macro-F1 {self.macro_f1:.3f}"
        return f"{self.name}: {self.texts} texts, {said}\n  said {' '.join(LABELS)} where true {rows}"


def read(path: Path, licence: str, name: str = "", weight: float = 1.0) -> Labelled:
    """A CSV file with a text and a label column, or lines of `text@label` as in the Financial PhraseBank.

    Texts that no model reads are left out. Raises BadModel for a file that holds neither.
    """
    raw = path.read_bytes()
    try:
        content = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        content = raw.decode("latin-1")
    rows = _csv_rows(content) if path.suffix == ".csv" else _marked_rows(content)
    try:
        pairs = [(cleaned(text), _MEANS[label.strip().lower()]) for text, label in rows]
    except KeyError as e:
        raise BadModel(str(path), f"label {e} is none of {', '.join(_MEANS)}") from e
    kept = [(text, label) for text, label in pairs if unreadable(text) is None]
    if not kept:
        raise BadModel(
            str(path), "no labelled text: a CSV with the columns text and label, or lines of text@label"
        )
    texts, labels = zip(*kept, strict=True)
    part = Part(name or path.name, licence, hashlib.sha256(raw).hexdigest(), len(kept), weight)
    return Labelled(part, texts, labels)


def written() -> Labelled:
    """The texts written for this project: the only ones that show the head what neutral is."""
    with as_file(WRITTEN) as path:
        return read(path, "MIT", "texts written for this project", WEIGHT_OF_WRITTEN)


def fit(features: Features, sets: Sequence[Labelled], penalty: float = PENALTY) -> Head:
    return _fit([_matrix(features, part) for part in sets], sets, penalty)


def cross_validated(features: Features, sets: Sequence[Labelled], seed: int = 0) -> list[Quality]:
    """Each set by heads that have not seen the text: a fifth of every set is left out at a time.

    A set without neutral texts is judged by the sign of the score: its readers had no such choice either.
    """
    matrices = [_matrix(features, part) for part in sets]
    order = [np.random.default_rng(seed).permutation(len(part.texts)) for part in sets]
    counts = [np.zeros((3, 3)) for _ in sets]
    for fold in range(FOLDS):
        out = [some[fold::FOLDS] for some in order]
        rest = [np.setdiff1d(some, left) for some, left in zip(order, out, strict=True)]
        kept = [_some(part, rows) for part, rows in zip(sets, rest, strict=True)]
        trained = _fit([matrix[rows] for matrix, rows in zip(matrices, rest, strict=True)], kept, PENALTY)
        for n, (matrix, part, left) in enumerate(zip(matrices, sets, out, strict=True)):
            counts[n] += _confusion(trained, matrix[left], _some(part, left))
    return [Quality(part.part.name, count) for part, count in zip(sets, counts, strict=True)]


def evaluated(features: Features, trained: Head, part: Labelled) -> Quality:
    """A set by a head that was trained on others."""
    return Quality(part.part.name, _confusion(trained, _matrix(features, part), part))


def _fit(matrices: Sequence[Array], sets: Sequence[Labelled], penalty: float) -> Head:
    labels = [label for part in sets for label in part.labels]
    weights = [part.part.weight for part in sets for _ in part.labels]
    choices = [_choices(part) for part in sets for _ in part.labels]
    slopes, bias = head.train(np.vstack(matrices), labels, choices, weights, penalty)
    return Head(slopes, bias, Features.version, penalty, tuple(part.part for part in sets))


def _matrix(features: Features, part: Labelled) -> Array:
    """Features of every text; one that the tokenizer knows nothing of is a mistake of the set."""
    rows = features.of(part.texts)
    unknown = [text for text, row in zip(part.texts, rows, strict=True) if row is None]
    if unknown:
        raise BadModel(part.part.name, f"texts without a known word: {unknown[:3]!r}")
    return np.array(rows, dtype=np.float64)


def _choices(part: Labelled) -> list[bool]:
    """Which labels the readers of a set could give: those that it has."""
    return [place in part.labels for place in range(len(LABELS))]


def _some(part: Labelled, rows: NDArray[np.signedinteger[Any]]) -> Labelled:
    return Labelled(part.part, tuple(part.texts[n] for n in rows), tuple(part.labels[n] for n in rows))


def _confusion(trained: Head, matrix: Array, part: Labelled) -> Array:
    said = (trained.probabilities(matrix) * _choices(part)).argmax(axis=1)
    counts = np.zeros((3, 3))
    np.add.at(counts, (np.asarray(part.labels), said), 1)
    return counts


def _csv_rows(content: str) -> list[tuple[str, str]]:
    rows = list(csv.DictReader(content.splitlines(keepends=True)))
    if not rows:
        return []
    text = next((name for name in _TEXT if name in rows[0]), None)
    label = next((name for name in _LABEL if name in rows[0]), None)
    return [(row[text], row[label]) for row in rows] if text and label else []


def _marked_rows(content: str) -> list[tuple[str, str]]:
    lines = [line.rpartition("@") for line in content.splitlines() if line.strip()]
    return [(text, label) for text, mark, label in lines if mark]
