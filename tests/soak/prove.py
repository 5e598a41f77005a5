"""What a soak must show: every due interval accounted for, facts as without faults, no quota exceeded."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ray_app.model.completeness import spans, totals
from ray_app.model.declared import record_of, schedule
from ray_app.model.records import Record
from ray_app.model.texts import Post
from ray_app.model.timerange import TimeRange, floor
from ray_app.runtime.opening import Node
from ray_app.simulator.simulation import Simulation

# What depends on the second in which a poll was answered, and so may differ after a retry.
OF_THE_MOMENT: dict[type[Record], set[str]] = {
    Post: {"likes", "replies", "shares", "views", "like_ratio", "edited"}
}
REFUSED_FOR_RATE = (418, 429)

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
    refused: list[str] = field(default_factory=list)
    calls: int = 0
    faults: Counter[str] = field(default_factory=Counter)

    def as_json(self) -> dict[str, Any]:
        return {
            "states": dict(self.states),
            "expected": self.expected,
            "unexplained": self.unexplained,
            "lost": [[*place, ranges] for place, ranges in self.lost.items()],
            "facts": [[*place, values] for place, values in self.facts.items()],
            "cursors": [[*place, cursor] for place, cursor in self.cursors.items()],
            "refused": self.refused,
            "calls": self.calls,
            "faults": dict(self.faults),
        }

    @classmethod
    def of_json(cls, told: dict[str, Any]) -> "Account":
        return cls(
            states=Counter(told["states"]),
            expected=told["expected"],
            unexplained=told["unexplained"],
            lost={(s, p): [(a, b) for a, b in ranges] for s, p, ranges in told["lost"]},
            facts={(s, p, k): values for s, p, k, values in told["facts"]},
            cursors={(s, p, k): cursor for s, p, k, cursor in told["cursors"]},
            refused=told["refused"],
            calls=told["calls"],
            faults=Counter(told["faults"]),
        )


async def account(node: Node, simulation: Simulation) -> Account:
    """Read everything back from the store and from the simulator's ledger."""
    out, now = Account(), node.clock.now()
    for name, declared in (await node.store.catalog.streams()).items():
        record, expected = record_of(declared), schedule(declared)
        begin = floor(expected.wanted_from, expected.grain) + expected.grain
        over = TimeRange(begin, max(begin + expected.grain, floor(now, expected.grain)))
        tried = await node.store.ledger.tried(name, over)
        for partition in declared["partitions"]:
            found = await node.store.reading.cursors(record, name, [partition], over)
            mine = spans(expected, over, now, tried.get(partition, []), found.get(partition, []))
            counts = totals(mine)
            out.states.update(counts)
            out.expected += (over.end - over.start) // expected.grain
            for span in mine:
                where = f"{name} {partition} {span.range.start:%d %H:%M} {span.state}: {span.reason}"
                if span.state == "failed" or (span.state in ("late", "lost") and not span.reason):
                    out.unexplained.append(where)
                if span.state == "lost":
                    ends = (span.range.start.isoformat(), span.range.end.isoformat())
                    out.lost.setdefault((name, partition), []).append(ends)
            await _facts(node, out, name, record, partition, now)
    for arrival in simulation.ledger.arrivals():
        out.calls += 1
        if arrival.fault is not None:
            out.faults[arrival.fault] += 1
        elif arrival.status in REFUSED_FOR_RATE:
            out.refused.append(f"{arrival.path} at {arrival.told()['at']}")
    return out


async def _facts(
    node: Node, out: Account, name: str, record: type[Record], partition: str, now: datetime
) -> None:
    ever = TimeRange(datetime(1900, 1, 1, tzinfo=now.tzinfo), now)
    moving = OF_THE_MOMENT.get(record, set())
    for fact in await node.store.reading.between(record, name, [partition], ever):
        place = (name, partition, str(fact.key))
        out.facts[place] = {k: str(v) for k, v in sorted(fact.values.items()) if k not in moving}
        out.cursors[place] = fact.cursor.isoformat()


def differences(calm: Account, stormy: Account, of_the_moment: frozenset[str]) -> list[str]:
    """Facts that differ between a run without faults and one with, outside of what is marked lost.

    Streams `of_the_moment` tell only the present, or tell the last days anew: there a fact must be there, but
    its value is of the moment in which it was asked for.
    """
    out = []
    for place, values in calm.facts.items():
        stream, partition, key = place
        if place in stormy.facts:
            if "True" in (values.get("deleted"), stormy.facts[place].get("deleted")):
                continue  # gone upstream; when that is noticed depends on when it was asked
            if stream not in of_the_moment and stormy.facts[place] != values:
                out.append(f"{stream} {partition} {key}: {values} became {stormy.facts[place]}")
        elif not _lost(stormy, stream, partition, calm.cursors[place]):
            out.append(f"{stream} {partition} {key}: missing, and not marked lost")
    more = stormy.facts.keys() - calm.facts.keys()
    out += [
        f"{' '.join(place)}: there only with faults"
        for place in sorted(more)
        if not _lost(calm, place[0], place[1], stormy.cursors[place])
    ]
    return out


def _lost(account: Account, stream: str, partition: str, cursor: str) -> bool:
    return any(start <= cursor < end for start, end in account.lost.get((stream, partition), []))
