"""What a formula is given of the symbols that it is worked out for: arrays of (symbols, rows)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ray_app.process.features.inputs import SENTIMENT, Inputs, Rows, Shared
from ray_app.process.features.joined import Joined, Stacked, nothing
from ray_app.process.features.moments import Rolling
from ray_app.process.indicators.grid import Array, Bars
from ray_app.process.indicators.windows import growth


@dataclass(frozen=True, eq=False)
class Symbols(Rows):
    """Symbols over the rows of their Shared. What all share is (rows,) and goes with each of them."""

    inputs: Sequence[Inputs]
    shared: Shared

    def since(self, row: int) -> "Symbols":
        """The rows from that one on."""
        if not row:
            return self
        shared = self.shared.since(row)
        return self.keep(("since", row), lambda: Symbols(self.inputs, shared, whole=self, skipped=row))

    @property
    def own(self) -> Bars:
        return self.from_whole(("bars",), lambda whole: Bars.beside([one.own() for one in whole.inputs]))

    def returns(self, hours: int = 1) -> Array:
        """The close by the close so many hours before, less 1."""
        return self.find(returns_of, hours)

    def moves(self) -> Rolling:
        """The hourly returns."""
        return self.rolling(returns_of, 1)

    def point(self) -> Stacked:
        return self._stack("points", Inputs.point)

    def funded(self) -> Stacked:
        return self._stack("funding", Inputs.funded)

    def interest(self) -> Stacked:
        return self._stack("interest", Inputs.interest)

    def mood(self, window: str, kind: str) -> Stacked:
        def made(whole: Symbols) -> Stacked:
            texts, at = whole.keep(("texts",), lambda: [one.texts() for one in whole.inputs]), whole.shared.at
            return Stacked(
                [nothing(SENTIMENT, at) if one is None else one.join(at, window, kind) for one in texts]
            )

        return self.from_whole(("mood", window, kind), made)

    def each(self, find: Callable[[str], Array]) -> Array:
        """What is found under each symbol's name."""
        return np.stack([find(one.symbol) for one in self.inputs])

    def settled(self, reach: int) -> Array:
        """1 where so many rows come before in the frame, or all that there ever were; else NaN."""
        early = np.arange(len(self.shared.at)) < reach
        young = np.array([one.young for one in self.inputs])
        return np.where(early & ~young[:, None], np.nan, 1.0)

    def _stack(self, name: str, read: Callable[[Inputs], Joined]) -> Stacked:
        return self.from_whole((name,), lambda whole: Stacked([read(one) for one in whole.inputs]))


def returns_of(one: Symbols, hours: int) -> Array:
    return growth(one.own.close, hours)
