"""Prove before the first request that a month's schedule fits what an upstream allows.

The worst case counts: 31 days, every due call with all its attempts, and a reserve for repairs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from math import ceil

from ray_app.model.source import Plan, Source, Stream

MONTH = timedelta(days=31)
DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Line:
    """One stream's calls: due in a month, and at worst with every attempt."""

    stream: str
    partitions: int
    every: timedelta
    attempts: int
    base: int
    worst: int


@dataclass(frozen=True, slots=True)
class Proof:
    """A plan's schedule against its allowance. `refusals` is empty when it fits."""

    source: str
    plan: str
    lines: tuple[Line, ...]
    reserve: int  # calls a month kept for repairs
    per_month: int | None  # the stated allowance; None: only the rate limits
    most_in_month: int  # what the rate alone allows in 31 days
    dollars_per_call: Decimal  # at worst; 0 where the upstream charges nothing
    refusals: tuple[str, ...]

    @property
    def total(self) -> int:
        return sum(line.worst for line in self.lines) + self.reserve

    @property
    def dollars(self) -> Decimal:
        """What 31 days cost at worst, in US dollars."""
        return self.total * self.dollars_per_call

    @property
    def live_per_day(self) -> float:
        """Calls a day that live collection may need, every attempt counted."""
        return sum(line.worst for line in self.lines) / (MONTH / DAY)


def prove(source: Source, plan: Plan, partitions: Mapping[str, Sequence[str]]) -> Proof:
    """What the plan's streams cost for these partitions (by stream name)."""
    lines = tuple(_line(stream, len(partitions[stream.name])) for stream in plan.streams)
    most = int(plan.quota.calls * (MONTH / plan.quota.per))
    allowed = plan.quota.per_month
    reserve = int((allowed if allowed is not None else most) * plan.repair_reserve)
    worst = sum(line.worst for line in lines)
    refusals = []
    if allowed is not None and worst + reserve > allowed:
        refusals.append(_too_many(source, plan, lines, worst, reserve, allowed, "calls a month"))
    if worst + reserve > most:
        refusals.append(
            _too_many(
                source,
                plan,
                lines,
                worst,
                reserve,
                most,
                f"calls that {plan.quota.calls} per {plan.quota.per} allow in 31 days",
            )
        )
    return Proof(
        source.name, plan.name, lines, reserve, allowed, most, plan.dollars_per_call, tuple(refusals)
    )


def _line(stream: Stream, partitions: int) -> Line:
    calls = ceil(partitions / stream.batch)
    base = ceil(MONTH / stream.every) * calls
    worst = base * stream.attempts * stream.pages
    return Line(stream.name, partitions, stream.every, stream.attempts, base, worst)


def _too_many(
    source: Source, plan: Plan, lines: Sequence[Line], worst: int, reserve: int, limit: int, what: str
) -> str:
    dearest = max(lines, key=lambda line: line.worst)
    return (
        f"{source.name} on plan {plan.name}: {worst:,} calls at worst + {reserve:,} kept for repairs "
        f"= {worst + reserve:,}, more than {limit:,} {what}. "
        f"The most come from {dearest.stream}: {dearest.base:,} calls x {dearest.attempts} attempts "
        f"for {dearest.partitions} partitions every {dearest.every}. "
        f"Ask less often, ask for more partitions in one call, track fewer coins, or take a larger plan"
    )
