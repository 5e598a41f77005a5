"""Texts whose label is beyond doubt, per model: a model that gets one wrong, or no longer right, is not to be used.

They are written for this project and plain on purpose. They say that labels, tokenizer and weights belong together,
not how good a model is. With the sentences that the embedded model was trained on beside them, they also say whether a
faster type of number changes what a model says.
"""

import csv
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources

from ray_app.process.sentiment.model import SentimentModel
from ray_app.process.sentiment.scores import LABELS, Label, Score

_FILE = resources.files(__package__) / "golden_texts.csv"
WRITTEN = resources.files(__package__) / "written_texts.csv"


@dataclass(frozen=True, slots=True)
class Golden:
    model: str  # its id
    label: Label
    text: str


@lru_cache(maxsize=1)
def golden_texts() -> tuple[Golden, ...]:
    known = {str(label): label for label in LABELS}
    rows = csv.DictReader(_FILE.read_text("utf-8").splitlines())
    return tuple(Golden(row["model"], known[row["label"]], row["text"]) for row in rows)


def disagreements(model: SentimentModel) -> list[tuple[Golden, Score]]:
    """The golden texts of a model that it does not label as it must. ValueError: there are none for it."""
    golden = [one for one in golden_texts() if one.model == model.id]
    if not golden:
        raise ValueError(f"no golden texts for {model.id}")
    scores = model.score([one.text for one in golden])
    return [(one, score) for one, score in zip(golden, scores, strict=True) if score.label != one.label]


def changed(exact: SentimentModel, rough: SentimentModel) -> str:
    """How many golden texts and written sentences get another label in another type of number; empty: none."""
    golden = [one.text for one in golden_texts() if one.model == exact.id]
    written = [row["text"] for row in csv.DictReader(WRITTEN.read_text("utf-8").splitlines())]
    one, other = ([score.label for score in model.score(golden + written)] for model in (exact, rough))
    differ = [text for text, a, b in zip(golden + written, one, other, strict=True) if a != b]
    lost = sum(text in golden for text in differ)
    told = f"of {lost} of {len(golden)} golden texts, {len(differ) - lost} of {len(written)} others"
    return told if differ else ""
