"""What a plan allows, and the counting of it: requests in the last minute, credits in the month.

Every arrival counts, whatever it is answered: refused ones too, so a caller that hammers stays out.
The minute is a strict rolling window, not a bucket that allows a burst. All of it is in virtual time.
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace

from ray_app.simulator.clock import instant

MINUTE_MS = 60_000


@dataclass(frozen=True, slots=True)
class Plan:
    """One row of the price list; None is no limit."""

    name: str  # as /key tells it
    paid: bool  # paid plans live on the pro host
    per_minute: int | None
    credits: int | None  # a month
    history_days: int | None
    ohlc_range: bool = False
    enterprise: bool = False


PLANS: Mapping[str, Plan] = {
    "keyless": Plan("Keyless", paid=False, per_minute=5, credits=None, history_days=365),
    "demo": Plan("Demo", paid=False, per_minute=30, credits=10_000, history_days=365),
    "basic": Plan("Basic", paid=True, per_minute=250, credits=100_000, history_days=730),
    "analyst": Plan("Analyst", True, per_minute=500, credits=500_000, history_days=None, ohlc_range=True),
    "lite": Plan("Lite", True, per_minute=500, credits=2_000_000, history_days=None, ohlc_range=True),
    "enterprise": Plan("Enterprise", True, 1_000, None, None, ohlc_range=True, enterprise=True),
}
ALIASES = {"paid": "analyst"}


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks: the plan's name in PLANS, and a label for the ledger that does not tell the key."""

    plan: str
    label: str


@dataclass(frozen=True, slots=True)
class OverLimit:
    """A refusal: why, and the seconds until the next call would be answered (None: not this month)."""

    reason: str
    seconds: float | None


class Limits:
    """Counts the calls of every caller. `enforced=False` still counts, and lets everything pass.

    `told` is what a plan promises, `plan` what it really gives: an upstream may lower that in silence.
    """

    def __init__(self, enforced: bool = True) -> None:
        self.enforced = enforced
        self._real = dict(PLANS)
        self._recent: dict[str, deque[int]] = {}
        self._spent: dict[tuple[str, str], int] = {}

    def told(self, name: str) -> Plan:
        return PLANS[name]

    def plan(self, name: str) -> Plan:
        return self._real[name]

    def told_all(self) -> dict[str, dict[str, object]]:
        """What every plan really gives, for people."""
        return {name: asdict(plan) for name, plan in self._real.items()}

    def change(
        self,
        name: str,
        per_minute: int | None = None,
        credits_: int | None = None,
        history_days: int | None = None,
    ) -> Plan:
        """Lower (or raise) what a plan gives, without telling. KeyError: no such plan."""
        plan = self._real[ALIASES.get(name, name)]
        plan = replace(
            plan,
            per_minute=plan.per_minute if per_minute is None else per_minute,
            credits=plan.credits if credits_ is None else credits_,
            history_days=plan.history_days if history_days is None else history_days,
        )
        self._real[ALIASES.get(name, name)] = plan
        return plan

    def restore(self) -> None:
        """Give every plan what it promises again."""
        self._real = dict(PLANS)

    def arrive(self, caller: Caller, now_ms: int) -> OverLimit | None:
        """Count a call and say whether it is one too many."""
        recent = self._recent.setdefault(caller.label, deque())
        while recent and recent[0] <= now_ms - MINUTE_MS:
            recent.popleft()
        recent.append(now_ms)
        month = _month(now_ms)
        self._spent[caller.label, month] = self._spent.get((caller.label, month), 0) + 1
        if not self.enforced:
            return None
        plan = self.plan(caller.plan)
        if plan.credits is not None and self._spent[caller.label, month] > plan.credits:
            return OverLimit("month", None)
        if plan.per_minute is not None and len(recent) > plan.per_minute:
            # Room for one more once all but per_minute - 1 of the present ones are older than a minute.
            free = (
                recent[len(recent) - plan.per_minute] + MINUTE_MS if plan.per_minute else now_ms + MINUTE_MS
            )
            return OverLimit("minute", (free - now_ms) / 1000)
        return None

    def spent(self, label: str, now_ms: int) -> int:
        """Credits used this month (UTC) by one key."""
        return self._spent.get((label, _month(now_ms)), 0)

    def spend(self, label: str, credits_: int, now_ms: int) -> None:
        """Use up credits without a call: somebody else's work on the same key."""
        month = _month(now_ms)
        self._spent[label, month] = self._spent.get((label, month), 0) + credits_


def _month(now_ms: int) -> str:
    return instant(now_ms).strftime("%Y-%m")
