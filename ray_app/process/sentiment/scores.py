"""What a model says of a text, and exactly which model said it. A failure is a score of null with its reason.

The three labels are our words: `bearish` is what FinBERT calls negative, `bullish` what it calls positive.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

__all__ = [
    "LABELS",
    "Identity",
    "Label",
    "Probabilities",
    "Reason",
    "Score",
    "digest_of",
    "scored",
    "unscored",
]

Label = Literal["bearish", "neutral", "bullish"]
Probabilities = tuple[float, float, float]  # of LABELS, in their order; they sum to 1
Reason = Literal[
    "empty",  # nothing is left once what nobody sees is taken away
    "no_words",  # emoji, digits, addresses: no letter that says something
    "not_english",  # the models read English only
    "unknown_words",  # the tokenizer knows none of it
    "model_failed",  # the model gave up on this text, or gave no probabilities
    "refused",  # a language model, or the filter in front of it, would not speak of it
    "bad_answer",  # a language model answered something else than it was asked for
    "too_long",  # it does not fit into a question
]
LABELS: tuple[Label, Label, Label] = ("bearish", "neutral", "bullish")


@dataclass(frozen=True, slots=True)
class Identity:
    """Which model gives a score. Each digest is a SHA-256 in hex; `digest` covers everything that decides one."""

    id: str
    weights: str
    tokenizer: str
    label_map: str
    numbers: str  # the type it calculates in: "float32", "bfloat16", "float16", "int8 beside bfloat16"
    rule: str  # what is done with long texts, in words

    @property
    def digest(self) -> str:
        parts = (self.id, self.weights, self.tokenizer, self.label_map, self.numbers, self.rule)
        return digest_of(json.dumps(parts).encode())


@dataclass(frozen=True, slots=True)
class Score:
    """The answer for one text: either all of score, label, confidence and probabilities, or a reason."""

    score: float | None  # P(bullish) - P(bearish), -1 to 1
    label: Label | None  # the likeliest
    confidence: float | None  # its probability as the model gives it, 1/3 to 1; not calibrated
    probabilities: Mapping[Label, float] | None
    reason: Reason | None
    model: Identity


def scored(probabilities: Probabilities, model: Identity) -> Score:
    bearish, _, bullish = probabilities
    most = max(probabilities)
    return Score(
        score=bullish - bearish,
        label=LABELS[probabilities.index(most)],
        confidence=most,
        probabilities=dict(zip(LABELS, probabilities, strict=True)),
        reason=None,
        model=model,
    )


def unscored(reason: Reason, model: Identity) -> Score:
    return Score(None, None, None, None, reason, model)


def digest_of(*parts: bytes) -> str:
    """SHA-256 in hex over parts, each with its length, so that no two lists of parts are the same bytes."""
    whole = hashlib.sha256()
    for part in parts:
        whole.update(len(part).to_bytes(8, "big"))
        whole.update(part)
    return whole.hexdigest()
