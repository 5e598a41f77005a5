"""The one way to a score, for Serve's batches, Ray Data and a direct call alike.

A `Classifier` turns readable texts into probabilities; everything that is the same for every model is here:
what is not read, equal texts once, a failure that stays with its text.
"""

import math
from collections.abc import Sequence
from typing import Protocol

from ray_app.process.sentiment.readable import cleaned, unreadable
from ray_app.process.sentiment.scores import Identity, Probabilities, Reason, Score, scored, unscored

__all__ = ["Classifier", "SentimentModel"]

_WHOLE = 1e-3  # how far probabilities may be from summing to 1


class Classifier(Protocol):
    """A loaded model. Its answer for a text does not depend on the other texts of the call."""

    @property
    def identity(self) -> Identity: ...

    @property
    def at_once(self) -> int:
        """Tokens in a call that is as fast as it can be; with more a text only waits longer."""
        ...

    def tokens(self, texts: Sequence[str]) -> Sequence[int]:
        """How many tokens of each text are read, marks counted. May be asked while `probabilities` works."""
        ...

    def probabilities(self, texts: Sequence[str]) -> Sequence[Probabilities | Reason]:
        """One answer per text, in their order; a reason where the model cannot say. Texts are clean, not empty."""
        ...


class SentimentModel:
    """Scores texts with one model. Safe to call from several threads if its classifier is."""

    def __init__(self, classifier: Classifier) -> None:
        self._classifier = classifier
        self.identity = classifier.identity

    @property
    def id(self) -> str:
        return self.identity.id

    @property
    def digest(self) -> str:
        return self.identity.digest

    @property
    def at_once(self) -> int:
        """Tokens worth gathering for one call of `score`."""
        return self._classifier.at_once

    def tokens(self, texts: Sequence[str]) -> list[int]:
        """What each text costs: the tokens of it that are read; 0 for one that no model reads."""
        clean = [cleaned(text) for text in texts]
        asked = [text for text in dict.fromkeys(clean) if unreadable(text) is None]
        counts = dict(zip(asked, self._classifier.tokens(asked), strict=True)) if asked else {}
        return [counts.get(text, 0) for text in clean]

    def score(self, texts: Sequence[str]) -> list[Score]:
        """One score per text, in their order. Never raises for a text; equal texts are scored once."""
        clean = [cleaned(text) for text in texts]
        reasons = {text: unreadable(text) for text in dict.fromkeys(clean)}
        asked = [text for text, reason in reasons.items() if reason is None]
        said = dict(zip(asked, self._ask(asked), strict=True))
        answers: dict[str, Probabilities | Reason] = {
            text: said[text] if reason is None else reason for text, reason in reasons.items()
        }
        return [self._score(answers[text]) for text in clean]

    def _ask(self, texts: Sequence[str]) -> Sequence[Probabilities | Reason]:
        if not texts:
            return []
        try:
            return self._classifier.probabilities(texts)
        except MemoryError:
            raise
        except Exception:  # noqa: BLE001  # a text on which the model fails must not take the others along
            if len(texts) == 1:
                return ["model_failed"]
            half = len(texts) // 2
            return [*self._ask(texts[:half]), *self._ask(texts[half:])]

    def _score(self, answer: Probabilities | Reason) -> Score:
        if isinstance(answer, str):
            return unscored(answer, self.identity)
        if not all(0.0 <= p <= 1.0 for p in answer) or not math.isclose(sum(answer), 1.0, abs_tol=_WHOLE):
            return unscored("model_failed", self.identity)
        return scored(answer, self.identity)
