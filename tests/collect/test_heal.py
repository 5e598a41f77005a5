"""A round of healing by hand: what is told twice with the same difference is a correction, within the round."""

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest

from ray_app.collect.filling import Filled, Filling
from ray_app.collect.heal import SECOND_LOOK, Repair, repair, repairs
from ray_app.collect.planner import ALL_LIVE
from tests.collect.small import HOUR, RATES, T0, Small, collecting, hours
from tests.connect.served import told

SHORT = replace(RATES, longest_slice=4 * HOUR)


@pytest.fixture
async def it(tmp_path: Path, prepared_sqlite: Path) -> AsyncIterator[Small]:
    """Hours 0 to 4 and 6 to 8 are known; 4 to 6 and 8 to 10 are gaps."""
    async with collecting(tmp_path, prepared_sqlite, SHORT) as small:
        small.upstream.put("a", hours(0, 12))
        await small.cycle(T0 + 4 * HOUR)
        small.running.reach, small.running.since = 2 * HOUR, T0 + 6 * HOUR
        await small.cycle(T0 + 8 * HOUR)
        assert await small.covered() == (hours(0, 4), hours(6, 8))
        small.asked()
        small.clock.set(T0 + 10 * HOUR)
        yield small


async def round_of(it: Small) -> list[tuple[Repair, Filled, datetime]]:
    """One round, as a command of its own would do it; each gap as it was told, with the time."""
    stream, out = it.running.stream, list[tuple[Repair, Filled, datetime]]()
    streams = [(stream, ("a",), ALL_LIVE)]
    done = {stream.name: await it.books.coverage(it.running.name, hours(0, 10))}
    filling = Filling(
        source=it.running.source, stream=stream, books=it.books, api=it.running.api, clock=it.clock
    )
    found = repairs(streams, done, it.clock.now(), 10 * HOUR)
    await repair(
        found, {stream.name: filling}, done, it.clock, lambda r, f: out.append((r, f, it.clock.now()))
    )
    return out


def row(start: int, end: int, first: str = "1") -> list[dict[str, str]]:
    """What the upstream answers for these hours, with a value for the first of them."""
    values = [first, *["1"] * (end - start - 1)]
    return [
        {"of": "a", "at": hour.start.isoformat(), "rate": value}
        for hour, value in zip(hours(start, end).split(HOUR), values, strict=True)
    ]


async def revisions(it: Small) -> dict[int, tuple[int, str]]:
    return {f.cursor.hour: (f.revision, str(f.values["rate"])) for f in await it.facts()}


async def test_a_difference_told_twice_in_a_round_is_a_revision(it: Small):
    it.upstream.put("a", hours(3, 4), "1.5")
    (newer, _, first), (older, filled, second) = await round_of(it)
    assert (newer.slice.range, older.slice.range) == (hours(8, 10), hours(4, 6))
    assert filled.ended == "filled"
    assert second - first >= SECOND_LOOK  # no answer that somebody had kept
    assert it.asked() == [("a", hours(7, 10)), ("a", hours(3, 6)), ("a", hours(3, 6))]
    assert (await revisions(it))[3] == (1, "1.5")
    assert (await revisions(it))[4] == (0, "1")
    assert [line for line in await it.tried() if line[1] == "failed"][-1][2].startswith(
        "Transient: not healed"
    )


@pytest.mark.parametrize(
    ("second", "ended", "known"), [("1", "filled", (0, "1")), ("1.6", "disputed", (0, "1"))]
)
async def test_a_difference_that_passes_heals_and_one_that_changes_does_not(
    it: Small, second: str, ended: str, known: tuple[int, str]
):
    it.upstream.answers["a"] = lambda: told(json.dumps(next(answers)).encode())
    answers = iter([row(7, 10), row(3, 6, "1.5"), row(3, 6, second)])
    _, (_, filled, _) = await round_of(it)
    assert filled.ended == ended
    assert (await revisions(it))[3] == known
    assert list(answers) == []


async def test_what_fails_otherwise_gets_no_second_look(it: Small):
    it.upstream.answers["a"] = lambda: told(b"busy", "503 x")
    assert [filled.ended for _, filled, _ in await round_of(it)] == ["failed", "failed"]
    assert len(it.asked()) == 2
