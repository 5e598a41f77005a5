"""Numbers that belong to a name: the same name gives the same numbers, whatever was asked before."""

from collections.abc import Sequence
from typing import TypeVar

from ray_app.simulator.noise import fraction, key

Item = TypeVar("Item")


class Draw:
    """All that is drawn for one thing; `what` tells its draws apart."""

    __slots__ = ("_name", "_seed")

    def __init__(self, seed: int, *name: object) -> None:
        self._seed, self._name = seed, name

    def share(self, what: str) -> float:
        """In [0, 1)."""
        return fraction(self._seed, *self._name, what)

    def chance(self, what: str, share: float) -> bool:
        return self.share(what) < share

    def whole(self, what: str, low: int, high: int) -> int:
        """From `low` to `high`, both possible."""
        return low + int(self.share(what) * (high - low + 1))

    def pick(self, what: str, items: Sequence[Item]) -> Item:
        return items[int(self.share(what) * len(items))]

    def token(self, what: str) -> int:
        """A 64-bit number, for ids."""
        return key(self._seed, *self._name, what)


BASE36 = "0123456789abcdefghijklmnopqrstuvwxyz"


def base36(number: int) -> str:
    digits = ""
    while number:
        number, digit = divmod(number, 36)
        digits = BASE36[digit] + digits
    return digits or "0"


def uuid(first: int, second: int) -> str:
    """A UUID of version 4 from two 64-bit numbers."""
    text = f"{first:016x}{second:016x}"
    return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-{'89ab'[second >> 62]}{text[17:20]}-{text[20:32]}"
