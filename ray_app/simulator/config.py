"""What a simulator is started with."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Literal

from ray_app.simulator.coins import Listing
from ray_app.simulator.plans import ALIASES, PLANS

RetryAfter = Literal["always", "never", "sometimes"]


@dataclass(frozen=True)
class SimulatorConfig:
    """Defaults are those of the command line. ValueError: a plan or a number that makes no sense.

    `keys` maps each valid key to its plan; a plan named `keyless` needs none, and calls without a
    key are always answered on the public host. `listings` replaces the node's registry of coins.
    """

    plan: str = "analyst"
    keys: Mapping[str, str] = field(default_factory=dict)
    start: datetime | None = None  # None: the machine's present
    speed: float = 1.0
    frozen: bool = False
    seed: int = 7
    coins: int = 100  # the registry, and some made-up ones
    data: Sequence[Path] = ()
    faults: Literal["none", "weather"] = "none"
    retry_after: RetryAfter = "sometimes"
    limits: bool = True
    listings: Sequence[Listing] | None = None
    # Upstream says "31 days (744 candles)" a call, not which end is left out of the 745 in between.
    ohlc_end_included: bool = True

    # How often a stream's server pings and how long it waits for the pong, in real time: Binance's numbers.
    ws_ping_seconds: float = 20.0
    ws_pong_seconds: float = 60.0

    def __post_init__(self) -> None:
        for plan in (self.plan, *self.keys.values()):
            if ALIASES.get(plan, plan) not in PLANS:
                raise ValueError(f"no plan {plan!r}: choose from {', '.join(PLANS)}")
        if self.coins < 1:
            raise ValueError("at least one coin")
        if self.start is not None and self.start.tzinfo is None:
            raise ValueError("the start needs a time zone")

    def plan_of_keys(self) -> dict[str, str]:
        """Each key's plan under its name in PLANS; `sim-key` where none was given and the plan has keys."""
        keys = dict(self.keys) or ({} if self.plan == "keyless" else {"sim-key": self.plan})
        return {key: ALIASES.get(plan, plan) for key, plan in keys.items()}
