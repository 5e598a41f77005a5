"""What a chat model is asked and what comes back, whatever the server: the words between connect and process."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from ray_app.model.money import Usage


@dataclass(frozen=True, slots=True)
class Completion:
    """One answer. `content` is what the model wrote: words of a stranger, to be read by a schema and never kept."""

    content: str | None
    refused: bool  # by the model itself, or by a filter
    whole: bool  # it came to an end by itself: not cut, no call of a tool
    model: str  # as the server names it, dated where it dates its models
    usage: Usage | None  # None: the server counts none


class Asks(Protocol):
    """A chat model behind its manners: pace, money, keys, retries."""

    async def ask(self, question: Mapping[str, Any], most: int) -> Completion:
        """The answer to the body of a request, of at most `most` tokens.

        Raises RateLimited (wait), Unpaid (no money), NotOffered (too large: ask for less), Malformed (no
        answer, or a question that the server does not take), Refused (key, model, address) and Transient.
        """
        ...
