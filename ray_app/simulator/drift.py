"""Made-up quantities that wander: a level, its yearly growth, its swings, all of it hanging on the seed."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ray_app.simulator.noise import STEP_SECONDS, STEPS_PER_YEAR, Floats, key, wander

DAY_SECONDS = 86_400
LEVEL_STEP = 1_735_689_600 // STEP_SECONDS  # 2025-01-01, when a quantity is at its level


@dataclass(frozen=True, slots=True)
class Drift:
    """`level` at the start of 2025; `growth` and `swing` are shares of it (a year, and as a deviation)."""

    level: float
    growth: float = 0.0
    swing: float = 0.2

    def at(self, seed: int, name: object, seconds: Sequence[int]) -> Floats:
        """The quantity in force at each of these times (seconds since 1970), for each five minutes one."""
        steps = np.array(seconds, dtype=np.int64) // STEP_SECONDS
        walk = wander(np.array([key(seed, "drift", name)], dtype=np.uint64), steps)[0]
        years = (steps - LEVEL_STEP) / STEPS_PER_YEAR
        return np.asarray(self.level * np.exp(self.growth * years + self.swing * walk))

    def once(self, seed: int, name: object, seconds: int) -> float:
        return float(self.at(seed, name, [seconds])[0])


def midnight(seconds: int) -> int:
    """The UTC midnight at or before this time."""
    return seconds - seconds % DAY_SECONDS
