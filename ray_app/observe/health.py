"""Judge a data set by what is in the store: its condition, why, and whether its collector lives.

Nothing here looks anything up. A data set without its key is missing, never healthy; a part that is dead
counts as dead.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

from ray_app.model.declared import lives
from ray_app.model.timerange import Coverage

Condition = Literal["available", "degraded", "pending", "missing"]
WORSE: tuple[str, ...] = ("available", "pending", "degraded", "missing", "dead")  # from good to bad
LEAST_SLACK = timedelta(minutes=1)  # an answer takes a moment to arrive and to be written
NAMED = 20  # series that are named; the others are counted


def allowed_age(declared: Mapping[str, Any]) -> timedelta:
    """How old the newest observation of a series may be while all is well."""
    every = timedelta(seconds=declared["every_seconds"])
    only_present = declared["offers_seconds"] is None and declared["offers_since"] is None
    settle = timedelta(seconds=declared["settle_seconds"])
    length = timedelta(0) if only_present else timedelta(seconds=declared["grain_seconds"]) + settle
    return length + every + max(LEAST_SLACK, every / 2)


def observed_at(declared: Mapping[str, Any], cursor: datetime) -> datetime:
    """The time that an observation speaks of: a poll's own, or the end of what a bar or an hour spans."""
    only_present = declared["offers_seconds"] is None and declared["offers_since"] is None
    return cursor if only_present else cursor + timedelta(seconds=declared["grain_seconds"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A data set's state. Ages are seconds; None when there is no observation."""

    condition: Condition
    reasons: tuple[str, ...]
    newest: datetime | None
    age_seconds: float | None
    series: int  # expected
    fresh: int
    stale: tuple[str, ...] = field(default=())  # the first NAMED of them


def judge(
    declared: Mapping[str, Any],
    newest: Mapping[str, datetime],
    not_offered: Collection[str],
    now: datetime,
    told: Mapping[str, datetime] | None = None,
) -> Judged:
    """`newest`: when each series was last observed; `not_offered`: series that the upstream lacks.

    `told`: when a series that may be quiet last had something new; too long a silence is no health either.
    """
    allowed = allowed_age(declared)
    other = {p for p, life in lives(declared).items() if not _grown(life, now, allowed)}
    wanted = [p for p in declared["partitions"] if p not in not_offered and p not in other]
    stale = [p for p in wanted if p not in newest or now - newest[p] > allowed]
    last = max((at for p, at in newest.items() if p not in other), default=None)
    condition: Condition = "available"
    reasons = []
    if setting := declared["not_configured"]:
        condition, reasons = "missing", [f"not configured: set {setting}"]
    elif last is None:
        young = now - declared["declared_at"] <= allowed
        condition = "pending" if young else "missing"
        reasons = ["nothing was collected yet"]
    elif now - last > allowed:
        condition = "degraded"
        seconds, normal = (now - last).total_seconds(), allowed.total_seconds()
        reasons = [f"the newest observation is {seconds:.0f} s old; up to {normal:.0f} s is normal"]
    elif stale:
        young = now - declared["declared_at"] <= allowed
        condition = "pending" if young and not any(p in newest for p in stale) else "degraded"
        reasons = [f"{len(stale)} of {len(wanted)} series are late"]
    if condition == "available" and (silent := _silent(declared, wanted, told or {}, now)):
        condition = "degraded"
        days = declared["quiet_seconds"] / 86_400
        named = ", ".join(silent[:NAMED])
        reasons = [f"{len(silent)} of {len(wanted)} series had nothing new for {days:g} days: {named}"]
    return Judged(
        condition=condition,
        reasons=tuple(reasons),
        newest=last,
        age_seconds=None if last is None else (now - last).total_seconds(),
        series=len(wanted),
        fresh=len(wanted) - len(stale),
        stale=tuple(stale[:NAMED]),
    )


def _grown(life: Coverage, now: datetime, allowed: timedelta) -> bool:
    """Whether it lives now, and has for so long that something of it must be here."""
    return any(one.start <= now - allowed and now < one.end for one in life.ranges)


def _silent(
    declared: Mapping[str, Any], wanted: Collection[str], told: Mapping[str, datetime], now: datetime
) -> list[str]:
    """The series that have been quiet for longer than they may be."""
    if (quiet := declared.get("quiet_seconds")) is None:
        return []
    since = now - timedelta(seconds=quiet)
    return [p for p in wanted if told.get(p, declared["declared_at"]) < since]


def collector_state(declared: Mapping[str, Any], row: Mapping[str, Any] | None, now: datetime) -> str:
    """As reported (waiting, collecting, refused), or not_started, or dead: it missed its own run."""
    every = timedelta(seconds=declared["every_seconds"])
    grace = max(timedelta(minutes=2), every / 2)
    if row is None:
        return "not_started" if now - declared["declared_at"] <= grace else "dead"
    state = str(row["state"])
    if state == "waiting" and row["next_run"] is not None and now > row["next_run"] + grace:
        return "dead"
    if (
        state == "collecting"
        and row["last_run"] is not None
        and now > row["last_run"] + 6 * timedelta(hours=1) + 3 * every
    ):
        return "dead"  # no cycle takes that long; its actor is gone
    return state


def worst(conditions: Iterable[str]) -> str:
    """The worst of them; `available` when there are none."""
    return max(conditions, key=WORSE.index, default="available")


def of_collector(state: str) -> str:
    """What a collector's state means for its data set."""
    return {"dead": "dead", "refused": "dead", "not_started": "pending"}.get(state, "available")
