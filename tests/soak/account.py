"""What a run of a soak left behind: the states of all intervals, the facts, what the upstreams were asked."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from sqlalchemy import select

from ray_app.model.completeness import NOT_ALIVE, spans, totals
from ray_app.model.declared import lives, record_of, schedule
from ray_app.model.records import Record
from ray_app.model.texts import Article, Post
from ray_app.model.timerange import ALWAYS, TimeRange, floor
from ray_app.runtime.opening import Node
from ray_app.simulator.ledger import Arrival
from ray_app.store.reading import Fact, fact_of, facts_of
from ray_app.store.tables import FACTS, pages, series

# What depends on the second in which a poll was answered, and so may differ after a retry.
OF_THE_MOMENT: dict[type[Record], set[str]] = {
    Post: {"likes", "replies", "shares", "views", "like_ratio", "edited"}
}
REFUSED_FOR_RATE = (418, 429)
# Faults in which the upstream itself tells another value, well formed: a null, nothing at all, a correction, an
# old market. No reader can tell; each must be told so by the very page at hand. Whatever else differs is a defect.
TELLS_OTHERWISE = ("F12", "F16", "F20")

Place = tuple[str, str, str]  # stream, partition, key


@dataclass(slots=True)
class Account:
    """One run: states of all intervals, the facts, what was lost, what the upstreams refused for rate's sake."""

    states: Counter[str] = field(default_factory=Counter)
    expected: int = 0
    unexplained: list[str] = field(default_factory=list)
    lost: dict[tuple[str, str], list[tuple[str, str]]] = field(default_factory=dict)
    facts: dict[Place, dict[str, str]] = field(default_factory=dict)
    cursors: dict[Place, str] = field(default_factory=dict)
    found: dict[Place, str] = field(default_factory=dict)  # when each fact was received first
    refused: list[str] = field(default_factory=list)
    answers: dict[tuple[str, str], list[tuple[str, str, str]]] = field(
        default_factory=dict
    )  # of texts: over, when
    changed: dict[tuple[str, str], list[str]] = field(
        default_factory=dict
    )  # when upstream changed or took a text
    versions: dict[Place, str] = field(default_factory=dict)  # of texts that were changed since: when
    calls: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    told_by: dict[Place, str] = field(default_factory=dict)  # the fault that struck the page of a fact
    earlier: dict[Place, list[dict[str, str]]] = field(default_factory=dict)  # its revisions, where struck
    hidden: dict[str, list[str]] = field(default_factory=dict)  # by stream: when a page told otherwise
    to_come: dict[tuple[str, str], list[tuple[str, str]]] = field(
        default_factory=dict
    )  # not due yet, or late

    def as_json(self) -> dict[str, Any]:
        return {
            "states": dict(self.states),
            "expected": self.expected,
            "unexplained": self.unexplained,
            "lost": [[*place, ranges] for place, ranges in self.lost.items()],
            "facts": [[*place, values] for place, values in self.facts.items()],
            "cursors": [[*place, cursor] for place, cursor in self.cursors.items()],
            "found": [[*place, moment] for place, moment in self.found.items()],
            "refused": self.refused,
            "answers": [[*place, told] for place, told in self.answers.items()],
            "versions": [[*place, moment] for place, moment in self.versions.items()],
            "to_come": [[*place, ranges] for place, ranges in self.to_come.items()],
            "calls": self.calls,
            "faults": dict(self.faults),
        }  # no fault strikes the run that is told to another process: told_by, earlier and hidden are empty; of the
        # changes upstream those that the other run reads are the same

    @classmethod
    def of_json(cls, told: dict[str, Any]) -> "Account":
        return cls(
            states=Counter(told["states"]),
            expected=told["expected"],
            unexplained=told["unexplained"],
            lost={(s, p): [(a, b) for a, b in ranges] for s, p, ranges in told["lost"]},
            facts={(s, p, k): values for s, p, k, values in told["facts"]},
            cursors={(s, p, k): cursor for s, p, k, cursor in told["cursors"]},
            found={(s, p, k): moment for s, p, k, moment in told["found"]},
            refused=told["refused"],
            answers={(s, p): [(a, b, at) for a, b, at in told] for s, p, told in told["answers"]},
            versions={(s, p, k): moment for s, p, k, moment in told["versions"]},
            to_come={(s, p): [(a, b) for a, b in ranges] for s, p, ranges in told["to_come"]},
            calls=told["calls"],
            faults=Counter(told["faults"]),
        )


async def account(node: Node, arrivals: Sequence[Arrival]) -> Account:
    """Read everything back from the store; `arrivals` is the simulator's ledger."""
    out, now = Account(), node.clock.now()
    slowed = {state.scope for state in await node.store.quotas.states(now) if state.learned is not None}
    slow = {f"{a.source.name}.{s.name}" for a, s in node.streams() if a.scope in slowed}
    struck = await _struck(node, arrivals, out)
    for name, declared in (await node.store.catalog.streams()).items():
        record, expected = record_of(declared), schedule(declared)
        begin = floor(expected.wanted_from, expected.grain) + expected.grain
        over = TimeRange(begin, max(begin + expected.grain, floor(now, expected.grain)))
        tried = await node.store.ledger.tried(name, over)
        for partition in declared["partitions"]:
            found = await node.store.reading.cursors(record, name, [partition], over)
            living = replace(expected, life=lives(declared).get(partition, ALWAYS))
            mine = spans(living, over, now, tried.get(partition, []), found.get(partition, []))
            counts = totals(mine)
            out.states.update(counts)
            out.expected += (over.end - over.start) // expected.grain
            for span in mine:
                where = f"{name} {partition} {span.range.start:%d %H:%M} {span.state}: {span.reason}"
                # Where refusals taught a lower limit, that is why something waits for its turn.
                unsaid = span.state == "lost" or (span.state == "late" and name not in slow)
                if span.state == "failed" or (unsaid and not span.reason):
                    out.unexplained.append(where)
                ends = (span.range.start.isoformat(), span.range.end.isoformat())
                if span.state == "lost":
                    out.lost.setdefault((name, partition), []).append(ends)
                if span.state in ("late", "not_due") and span.reason != NOT_ALIVE:
                    out.to_come.setdefault((name, partition), []).append(ends)
            if record in (Article, Post):
                out.answers[name, partition] = [
                    (one.range.start.isoformat(), one.range.end.isoformat(), one.received_at.isoformat())
                    for one in tried.get(partition, [])
                    if one.outcome == "covered"
                ]
            await _facts(node, out, name, record, partition, struck, over.end)
    for arrival in arrivals:
        out.calls += 1
        if arrival.fault is not None:
            out.faults[arrival.fault] += 1
        elif arrival.status in REFUSED_FOR_RATE:
            out.refused.append(f"{arrival.path} at {arrival.told()['at']}")
    return out


async def _struck(node: Node, arrivals: Sequence[Arrival], out: Account) -> dict[int, str]:
    """The pages (by number) that a fault told otherwise. Time stands still while a request is under way."""
    by_moment: dict[int, list[tuple[str, str]]] = {}
    for arrival in arrivals:
        if arrival.fault in TELLS_OTHERWISE:
            by_moment.setdefault(arrival.at_ms, []).append((arrival.path, arrival.fault))
    struck: dict[int, str] = {}
    async with node.store.database.read() as connection:
        for row in await connection.execute(
            select(pages.c.id, pages.c.stream, pages.c.path, pages.c.asked_at)
        ):
            for path, fault in by_moment.get(round(row.asked_at.timestamp() * 1000), ()):
                if path.endswith(row.path):
                    struck[row.id] = fault
                    out.hidden.setdefault(row.stream, []).append(row.asked_at.isoformat())
    return struck


async def _facts(
    node: Node,
    out: Account,
    name: str,
    record: type[Record],
    partition: str,
    struck: dict[int, str],
    until: datetime,
) -> None:
    """Every fact of an interval that is over, as it stands, when it was found, and whether a page told it otherwise."""
    table = FACTS[record]
    query = (
        facts_of(record)
        .add_columns(table.c.page)
        .where(series.c.stream == name, series.c.partition == partition)
        .order_by(table.c[record.keyed_by()], table.c.revision)
    )
    revisions: dict[Place, list[tuple[Fact, int]]] = {}
    async with node.store.database.read() as connection:
        for row in (await connection.execute(query)).mappings():
            fact = fact_of(record, dict(row))
            revisions.setdefault((name, partition, str(fact.key)), []).append((fact, row["page"]))
    for place, told in revisions.items():
        fact, page = told[-1]
        if fact.cursor >= until:
            continue
        if (changed := fact.values.get("edited") or fact.values.get("updated")) is not None:
            out.versions[place] = str(changed)
        out.facts[place] = _values(record, fact.values)
        out.cursors[place] = fact.cursor.isoformat()
        out.found[place] = told[0][0].received_at.isoformat()
        if page in struck:
            out.told_by[place] = struck[page]
            out.earlier[place] = [_values(record, one.values) for one, _ in told]


def _values(record: type[Record], values: dict[str, Any]) -> dict[str, str]:
    moving = OF_THE_MOMENT.get(record, set())
    return {k: str(v) for k, v in sorted(values.items()) if k not in moving}
