"""Everything that one running simulator consists of."""

from collections.abc import Awaitable, Callable
from datetime import datetime

from ray_app.simulator.clock import VirtualClock
from ray_app.simulator.coingecko.query import World
from ray_app.simulator.coins import former, registry, universe
from ray_app.simulator.config import SimulatorConfig
from ray_app.simulator.currencies import quotes
from ray_app.simulator.faults import WEATHER, Faults
from ray_app.simulator.history import find
from ray_app.simulator.ledger import Ledger
from ray_app.simulator.plans import Limits
from ray_app.simulator.truth import Truth


class Simulation:
    """`wall` is the machine's present: the virtual present too, unless the config names a start."""

    def __init__(self, config: SimulatorConfig, wall: datetime) -> None:
        self.config = config
        self.clock = VirtualClock(config.start or wall, wall, config.speed, config.frozen)
        listings = registry() if config.listings is None else config.listings
        coins = universe(listings, config.coins, config.seed)
        truth = Truth(coins, find(config.data) if config.data else None)
        self.world = World(truth, quotes(truth), config.ohlc_end_included)
        for name, (coin, end) in former().items():
            if coin in truth.index:
                self.world.former[name] = truth.index[coin], round(end.timestamp() * 1000)
        self.keys = config.plan_of_keys()
        self.limits = Limits(config.limits)
        self.ledger = Ledger(self.clock)
        self.faults = Faults(config.seed)
        self.beat: Callable[[], Awaitable[None]] | None = None  # between looks of streams at the clock
        if config.faults == "weather":
            for rule in WEATHER:
                self.faults.add(rule)
