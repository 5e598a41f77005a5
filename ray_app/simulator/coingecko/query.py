"""One question to the simulated CoinGecko: its parameters, read the way each host reads them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property

import numpy as np

from ray_app.simulator.coingecko.answers import missing, plain_error, too_old
from ray_app.simulator.plans import Plan
from ray_app.simulator.truth import STEP_MS, Indices, Quote, Truth

DAY_MS = 86_400_000
HOUR_MS = 3_600_000
ISO_TIME = re.compile(r"\d{4}-\d{2}-\d{2}(T\d{2}:\d{2})?")
PRECISIONS = frozenset({"full", *(str(n) for n in range(19))})
TRUTHY = frozenset({"true", "1"})


@dataclass
class World:
    """What can be asked about: the market, its currencies, and the last ranking of its coins."""

    truth: Truth
    quotes: Mapping[str, Quote]
    ohlc_end_included: bool = True
    ranks: dict[int, Indices] = field(default_factory=dict)
    former: dict[str, tuple[int, int]] = field(
        default_factory=dict
    )  # ids given up: the coin, until when (ms)

    @cached_property
    def listed_steps(self) -> Indices:
        """The first step of each coin."""
        return np.array([self.truth.listed(i) for i in range(len(self.truth.coins))], dtype=np.int64)


@dataclass(frozen=True)
class Ask:
    """A question at a virtual moment. Its methods raise Rejection for what cannot be answered."""

    world: World
    plan: Plan
    paid: bool  # asked on the pro host
    params: Mapping[str, str]
    now_ms: int

    @property
    def step(self) -> int:
        return self.now_ms // STEP_MS

    def need(self, name: str) -> str:
        value = self.params.get(name, "")
        if not value:
            raise missing(name)
        return value

    def names(self, name: str) -> list[str]:
        """A list with commas, in lower case, each once."""
        parts = (part.strip().lower() for part in self.params.get(name, "").split(","))
        return list(dict.fromkeys(part for part in parts if part))

    def flag(self, name: str) -> bool:
        return self.params.get(name, "").lower() in TRUTHY

    def integer(self, name: str, default: int) -> int:
        try:
            return int(self.params.get(name, default))
        except ValueError:
            return default

    def quote(self) -> Quote:
        """The currency asked for; `vs_currency` is one code, in any case."""
        code = self.need("vs_currency").strip().lower()
        if code not in self.world.quotes:
            raise plain_error(400, "invalid vs_currency")
        return self.world.quotes[code]

    def precision(self) -> str | None:
        value = self.params.get("precision")
        if value is not None and value not in PRECISIONS:
            raise plain_error(400, "invalid precision")
        return value

    def coin(self, name: str) -> int:
        """The index of a coin that is listed by now."""
        found = self.world.truth.index.get(name)
        if found is None or self.world.listed_steps[found] > self.step:
            raise plain_error(404, "coin not found")
        return found

    def past(self, name: str) -> tuple[int, int]:
        """A coin for a question about the past, and until when (ms) the id tells of it.

        An id that was given up is known to the routes of ranges alone, with its history.
        """
        if name in self.world.former:
            found, until_ms = self.world.former[name]
            if until_ms <= self.now_ms:
                return found, until_ms
        return self.coin(name), self.now_ms + DAY_MS

    def moment_ms(self, name: str) -> int:
        """A time: whole seconds, and on the pro host also `YYYY-MM-DD` or `YYYY-MM-DDTHH:MM`."""
        value = self.need(name)
        if re.fullmatch(r"-?\d{1,12}", value):
            return int(value) * 1000
        if self.paid and ISO_TIME.fullmatch(value):
            try:
                return int(datetime.fromisoformat(value).replace(tzinfo=UTC).timestamp()) * 1000
            except ValueError:
                pass
        raise plain_error(400, f"invalid parameter {name}")

    def days(self) -> int | None:
        """The parameter `days`; None is `max`."""
        value = self.need("days").strip().lower()
        if value == "max":
            return None
        if not value.isdigit() or int(value) < 1:
            raise plain_error(400, "invalid parameter days")
        return int(value)

    def check_wall(self, from_ms: int) -> None:
        """Raise Rejection where the plan does not reach back so far."""
        days = self.plan.history_days
        if days is not None and from_ms < self.now_ms - timedelta(days=days) // timedelta(milliseconds=1):
            raise too_old(days, self.now_ms)
