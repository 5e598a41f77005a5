"""Series of numbers as answers: pages of them, newest first, and how well they are collected.

What surprises: whether a series is well is told by when it was last looked at, not by its newest value: a
quarterly figure is months old and all right.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from ray_app.model.dataset import Dataset
from ray_app.model.timerange import TimeRange, floor
from ray_app.observe.health import allowed_age, worst
from ray_app.serve.datasets import left_out
from ray_app.serve.node import Node
from ray_app.serve.paging import Page
from ray_app.serve.points import EARLIEST, Standing, instant
from ray_app.serve.problems import invalid
from ray_app.serve.wire import MILLISECOND, Answer
from ray_app.store.reading import Fact

FURTHER = 4  # times as far back with each reading that did not find enough


@dataclass(frozen=True, slots=True)
class Series:
    """One series of a data set."""

    dataset: Dataset
    partition: str

    @property
    def place(self) -> tuple[str, str]:
        return self.dataset.name, self.partition

    def told(self) -> dict[str, Any]:
        """What it is, as JSON types."""
        one = self.dataset
        return {
            "dataset": one.name,
            "series": self.partition,
            "provider": one.source,
            "title": one.about(self.partition, "title") or one.declared["describes"],
            "unit": one.unit(self.partition),
            "frequency": one.about(self.partition, "frequency") or None,
            "licence": one.licence(self.partition),
            "attribution": one.declared["attribution"],
        }


Row = tuple[Series, Fact]


def split(series: Sequence[Series], *, internal: bool) -> tuple[list[Series], list[Series]]:
    """Those that a key may have, and those that it may not."""
    closed = [] if internal else [one for one in series if one.dataset.restricts(one.partition)]
    return [one for one in series if one not in closed], closed


def period(start: str | None, end: str | None, at: Standing, earliest: datetime = EARLIEST) -> TimeRange:
    """From `start` (the earliest time without it) until before `end`. Raises Problem for an empty range."""
    last = at.horizon + MILLISECOND
    until = min(instant(end, "end", earliest), last) if end is not None else last
    since = instant(start, "start", earliest) if start is not None else earliest
    if end is not None and since >= instant(end, "end", earliest):
        raise invalid("start must be before end", parameters=["start", "end"])
    return TimeRange(since, until) if since < until else TimeRange(until - MILLISECOND, until)


async def paged(
    node: Node, series: Sequence[Series], over: TimeRange, page: Page, limit: int
) -> tuple[list[Row], str | None]:
    """One page of the series one after another, each newest first, and the cursor of the next page."""
    rows: list[Row] = []
    after = page.after
    for one in sorted(series, key=lambda one: one.place):
        end = over.end
        if after is not None:
            if list(one.place) < after[:2]:
                continue
            if list(one.place) == after[:2]:
                end = min(end, datetime.fromisoformat(after[2]))
        if end > over.start:
            most = limit + 1 - len(rows)
            found = await _newest(node, one, TimeRange(over.start, end), most, page.standing)
            rows += [(one, fact) for fact in found]
        if len(rows) > limit:
            break
    shown = rows[:limit]
    if len(rows) <= limit:
        return shown, None
    return shown, cursor_after(shown[-1], page)


def cursor_after(row: Row, page: Page) -> str:
    """The cursor of the page that begins behind a row."""
    one, fact = row
    at = page.standing
    return page.next([*one.place, time_of(fact, one).isoformat()], at.asked or at.now)


async def newest(node: Node, series: Sequence[Series], at: Standing) -> list[Row]:
    """The newest value of each series that has one."""
    rows: list[Row] = []
    for dataset in {one.dataset.name: one.dataset for one in series}.values():
        mine = [one.partition for one in series if one.dataset is dataset]
        found = await node.store.reading.latest(dataset.record, dataset.name, mine, at.point)
        rows += [(Series(dataset, partition), found[partition]) for partition in sorted(found)]
    return sorted(rows, key=lambda row: row[0].place)


async def _newest(node: Node, one: Series, over: TimeRange, most: int, at: Standing) -> list[Fact]:
    """The newest `most` values in `over`, newest first; read back step by step, since who asks wants few."""
    dataset = one.dataset
    span, end = most * max(dataset.grain, timedelta(minutes=1)), over.end
    out: list[Fact] = []
    while True:
        span = min(span, end - over.start)
        step = TimeRange(end - span, end)
        found = await node.store.reading.between(
            dataset.record, dataset.name, [one.partition], step, at.point
        )
        out += reversed(found)
        if len(out) >= most or step.start <= over.start:
            return out[:most]
        end, span = step.start, FURTHER * span


def time_of(fact: Fact, one: Series) -> datetime:
    """The time by which its kind is read: an observation's period, else the cursor."""
    return fact.key if one.dataset.record.time_field and isinstance(fact.key, datetime) else fact.cursor


@dataclass(slots=True)
class Looked:
    """How well some series are collected; `changes` are moments at which that became so, `turns` when it may change.

    A data set without its key is not `configured`: it is named, and makes nothing worse.
    """

    condition: str
    configured: bool = True
    reasons: list[str] = field(default_factory=list)
    changes: list[datetime] = field(default_factory=list)
    turns: list[datetime] = field(default_factory=list)


async def looked(node: Node, dataset: Dataset, partitions: Sequence[str], at: Standing) -> Looked:
    """By when each was last looked at with success: `available` while that is not longer ago than allowed.

    Series whose life is over are not looked at.
    """
    ends = [life.ranges[-1].end for p in partitions if (life := dataset.life(p)).ranges]
    partitions = [p for p in partitions if not dataset.life(p).over_by(at.now)]
    if setting := dataset.declared["not_configured"]:
        declared_at = [dataset.declared["declared_at"]]
        reasons = [f"{dataset.name}: not configured: set {setting}"]
        return Looked("missing", configured=False, reasons=reasons, changes=declared_at)
    allowed = allowed_age(dataset.declared)
    # What is forgotten is forgotten in steps: so it is known when it was.
    over = TimeRange(floor(at.now - 2 * allowed, allowed), at.now + dataset.grain)
    outcomes = ("covered", "awaited", "not_offered")
    tried = await node.store.ledger.tried(dataset.name, over, partitions, at.point.as_of, outcomes)
    young = dataset.declared["declared_at"] + allowed
    out = Looked("available", changes=[dataset.declared["declared_at"]])
    out.turns = [over.start + 3 * allowed, *(moment for moment in (young, *ends) if moment >= at.now)]
    conditions: list[str] = []
    silent: list[str] = []
    for partition in partitions:
        lines = tried.get(partition, [])
        if not lines:
            conditions.append("pending" if at.now <= young else "missing")
            silent.append(partition)
            continue
        last = lines[-1]
        turn = last.received_at + allowed
        out.changes += [last.received_at, *([turn] if turn <= at.now else [])]
        out.turns += [turn] if turn > at.now else []
        if last.outcome == "not_offered":
            out.reasons.append(f"{dataset.name}: the upstream does not offer {partition}")
            conditions.append("missing")
        elif turn <= at.now:
            out.reasons.append(f"{partition}: not collected since {last.received_at:%Y-%m-%dT%H:%MZ}")
            conditions.append("degraded")
    if silent:
        named = ", ".join(silent[:3]) + ("" if len(silent) <= 3 else f" and {len(silent) - 3} more")
        out.reasons.append(f"{dataset.name}: not collected lately: {named}")
        out.changes += [over.start + 2 * allowed, *([young] if young <= at.now else [])]
    whole = worst(conditions)
    some = len(conditions) < len(partitions) or len(set(conditions)) > 1
    out.condition = "degraded" if some and whole in ("missing", "pending") else whole
    return out


async def answer(
    node: Node,
    at: Standing,
    series: Sequence[Series],
    rows: Sequence[Row],
    payload: Callable[[], dict[str, Any]],
    *,
    cursor: str | None = None,
    closed: Sequence[Series] = (),
    changes: Sequence[datetime] = (),
) -> Answer:
    """The answer about `series`, of which `rows` are shown and `closed` are left out by their licence.

    `changes`: moments at which what is told beside the rows became so.
    """
    by_dataset: dict[str, list[Series]] = {}
    for one in series:
        by_dataset.setdefault(one.dataset.name, []).append(one)
    found = [
        await looked(node, mine[0].dataset, [one.partition for one in mine], at)
        for mine in by_dataset.values()
    ]
    configured = [one for one in found if one.configured]
    conditions = [one.condition for one in configured or found]
    condition = worst(conditions)
    if len(set(conditions)) > 1 or (rows and condition == "missing"):
        condition = "degraded"
    became = [*changes, *(moment for one in found for moment in one.changes)]
    became += [max(fact.received_at, fact.known_at) for _, fact in rows]
    meta: dict[str, Any] = {
        "as_of": at.as_of(*became),
        "known_by": at.known_by,
        "condition": condition,
        "reasons": [reason for one in found for reason in one.reasons],
        "source": ", ".join(sorted({one.dataset.source for one in series})) or None,
        "attribution": "; ".join(sorted({one.dataset.declared["attribution"] for one in series} - {""})),
        "simulated": node.parts.simulated,
        "cursor": cursor,
    }
    if closed:
        meta["left_out"] = left_out((one.dataset, one.partition) for one in closed)
    observed = max((time_of(fact, one) for one, fact in rows), default=None)
    until = min((turn for one in found for turn in one.turns), default=None)
    return Answer(payload=payload(), meta=meta, observed=observed, until=until)


def known(fact: Fact) -> dict[str, Any]:
    """The end of every row: when it became known, when we had it, where it came from."""
    return {"known_at": fact.known_at, "received_at": fact.received_at, "record_id": fact.id}
