"""The models that score a client's own texts, as the routes and health see them; where they run is not known here."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from ray_app.model.errors import NodeError
from ray_app.process.sentiment.scores import Score

MODELS = ("cryptobert", "finbert")  # by route; the score says which model it really was


@dataclass(frozen=True, slots=True)
class ModelState:
    """How a model does: a condition of `observe.health`, and why where there is something to say."""

    condition: str
    reason: str | None = None


class NoAnswer(NodeError):
    """A model gave no scores. `told` is for the client; `reason` may name folders and is for the operator."""

    def __init__(self, told: str, reason: str | None = None) -> None:
        Exception.__init__(self, told, reason)
        self.told, self.reason = told, reason

    def __str__(self) -> str:
        return self.reason or self.told


class Models(Protocol):
    async def score(self, model: str, texts: Sequence[str]) -> Sequence[Score]:
        """One score per text, in their order, from one of MODELS. Raises NoAnswer."""
        ...

    async def states(self) -> Mapping[str, ModelState]:
        """Of each of MODELS; wakes none that sleeps, and takes no longer than a health check may."""
        ...
