"""The linear head of the embedded model: multinomial logistic regression, trained here, kept as a small JSON file.

The file says what it was trained on: name, licence, digest and number of texts of each part.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ray_app.process.sentiment.errors import BadModel
from ray_app.process.sentiment.scores import LABELS

Array = NDArray[np.float64]

_DIGITS = 5  # of a weight, after the point
_ROUNDS = 400  # of the descent; the loss then changes in its ninth digit


@dataclass(frozen=True, slots=True)
class Part:
    """One set of labelled texts that a head was trained on."""

    name: str
    licence: str
    sha256: str  # of its file
    texts: int
    weight: float  # of each of its texts


@dataclass(frozen=True)
class Head:
    weights: Array  # features x 3, in the order of LABELS
    bias: Array  # 3
    features: str  # which features it reads, by version
    penalty: float
    parts: tuple[Part, ...]

    def probabilities(self, features: Array) -> Array:
        """Rows of three that sum to 1, one per row of features."""
        return _softmax(features @ self.weights + self.bias)

    def as_json(self) -> str:
        """The file: one feature a line, so that a change can be read."""
        told = {
            "labels": list(LABELS),
            "features": self.features,
            "penalty": self.penalty,
            "trained_on": [asdict(part) for part in self.parts],
            "bias": _rounded(self.bias),
        }
        rows = ",\n".join(json.dumps(_rounded(row)) for row in self.weights)
        return json.dumps(told, indent=1)[:-2] + ',\n "weights": [\n' + rows + "\n]}\n"


def train(
    features: Array,
    labels: Sequence[int],
    choices: Sequence[Sequence[bool]],
    weights: Sequence[float],
    penalty: float,
) -> tuple[Array, Array]:
    """Weights and bias that minimise the weighted log loss plus `penalty` / 2 times the squared weights.

    `labels`: places in LABELS. `choices`: for each text, which labels its reader could give. Where neutral was no
    choice, a text says only which of the other two it is, and nothing about neutral. Deterministic: a fixed number
    of accelerated steps from zero.
    """
    rows = np.hstack([features, np.ones((len(features), 1))])
    share = np.asarray(weights, dtype=np.float64)[:, None]
    share = share / share.sum()
    wanted = np.eye(len(LABELS))[np.asarray(labels)]
    barred = np.where(np.asarray(choices), 0.0, -np.inf)
    shrink = np.full((rows.shape[1], 1), penalty)
    shrink[-1] = 0.0  # the bias is free
    steepest = 0.5 * float(np.linalg.eigvalsh((rows * share).T @ rows)[-1]) + penalty
    at = ahead = np.zeros((rows.shape[1], len(LABELS)))
    speed = 1.0
    for _ in range(_ROUNDS):
        slope = rows.T @ ((_softmax(rows @ ahead + barred) - wanted) * share) + shrink * ahead
        step = ahead - slope / steepest
        faster = (1 + float(np.sqrt(1 + 4 * speed * speed))) / 2
        ahead = step + (speed - 1) / faster * (step - at)
        at, speed = step, faster
    return at[:-1], at[-1]


def load(path: Path, features: str) -> Head:
    """The head in a file. BadModel: not such a file, other labels, or trained on other features."""
    try:
        told: Mapping[str, Any] = json.loads(path.read_text("utf-8"))
        weights = np.array(told["weights"], dtype=np.float64)
        bias = np.array(told["bias"], dtype=np.float64)
        parts = tuple(Part(**part) for part in told["trained_on"])
        labels, written, penalty = told["labels"], told["features"], float(told["penalty"])
    except (OSError, ValueError, KeyError, TypeError) as e:
        raise BadModel(str(path), f"no head: {type(e).__name__}: {e}") from e
    if labels != list(LABELS):
        raise BadModel(str(path), f"labels {labels}, expected {list(LABELS)}")
    if written != features:
        raise BadModel(
            str(path), f"trained on features {written!r}, this node has {features!r}: train it anew"
        )
    if weights.ndim != 2 or weights.shape[1:] != (3,) or bias.shape != (3,) or not np.isfinite(weights).all():
        raise BadModel(
            str(path), f"weights of shape {weights.shape}, bias of {bias.shape}, or not all numbers"
        )
    return Head(weights, bias, written, penalty, parts)


def _softmax(scores: Array) -> Array:
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    shares: Array = powers / powers.sum(axis=1, keepdims=True)
    return shares


def _rounded(values: Array) -> list[float]:
    return [round(float(value), _DIGITS) for value in values]
