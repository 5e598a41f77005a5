"""What has not begun or has ended is not asked for, not lost and not late; its past can be had."""

from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from ray_app.collect.heal import repairs
from ray_app.collect.planner import askable, living, plan
from ray_app.model.declared import declare
from ray_app.model.source import Slice, Source
from ray_app.model.symbols import load_registry
from ray_app.model.timerange import Coverage, TimeRange
from ray_app.sources import all_sources
from tests.collect.small import DAY, HOUR, RATES, T0, collecting, hours

LIVES = {"gone": Coverage.of([hours(-9999, 5)]), "young": Coverage.of([hours(7, 9999)])}
NAMES = ("old", "gone", "young")


def by_name(slices: list[Slice]) -> dict[str, list[TimeRange]]:
    return {name: [s.range for s in slices if name in s.partitions] for name in NAMES}


def test_a_plan_keeps_to_lives():
    asked = by_name(list(plan(RATES, NAMES, hours(0, 12), {}, lives=LIVES)))
    assert asked == {"old": [hours(0, 12)], "gone": [hours(0, 5)], "young": [hours(7, 12)]}
    done = {"gone": Coverage.of([hours(0, 4)]), "young": Coverage.of([hours(0, 12)])}
    asked = by_name(list(plan(RATES, NAMES, hours(0, 12), done, lives=LIVES)))
    assert asked == {"old": [hours(0, 12)], "gone": [hours(4, 5)], "young": []}


def test_what_lies_between_two_lives_is_not_fetched_along():
    twice = {"old": Coverage.of([hours(0, 3), hours(6, 9)])}
    assert by_name(list(plan(RATES, ("old",), hours(0, 12), {}, lives=twice)))["old"] == [
        hours(0, 3),
        hours(6, 9),
    ]


def test_a_batch_leaves_out_who_is_dead():
    batched = replace(RATES, batch=9)
    assert list(plan(batched, NAMES, hours(5, 6), {}, lives=LIVES)) == [Slice(("old",), hours(5, 6))]


def test_of_what_has_ended_an_upstream_that_forgets_is_asked_nothing():
    forgetful = replace(RATES, forgets=True)
    for now, gone in ((T0 + 4 * HOUR, [hours(0, 4)]), (T0 + 5 * HOUR, [])):
        lives = askable(forgetful, LIVES, now)
        asked = by_name(list(plan(forgetful, NAMES, hours(0, 4), {}, lives=lives)))
        assert asked == {"old": [hours(0, 4)], "gone": gone, "young": []}
    found = repairs([(forgetful, NAMES, LIVES)], {}, T0 + 20 * HOUR, 20 * HOUR)
    assert {name for one in found for name in one.slice.partitions} == {"old", "young"}


async def test_nobody_is_asked_after_his_end_and_nothing_is_lost(tmp_path: Path, prepared_sqlite: Path):
    rolling = replace(RATES, offers=6 * HOUR)
    kept: dict[str, Any] = {"partitions": NAMES, "lives": LIVES, "reach": 6 * HOUR}
    async with collecting(tmp_path, prepared_sqlite, rolling, **kept) as it:
        for name in NAMES:
            it.upstream.put(name, hours(-10, 40))
        await it.cycle(T0 + 4 * HOUR)
        assert {name for name, _ in it.asked()} == {"old", "gone"}
        await it.cycle(T0 + 6 * HOUR)
        assert ("gone", hours(4, 5)) in it.asked()
        for n in range(7, 30):
            await it.cycle(T0 + n * HOUR)
        asked = it.asked()
        assert {name for name, _ in asked} == {"old", "young"}
        assert min(over.start for name, over in asked if name == "young") == T0 + 7 * HOUR
        for name in NAMES:
            assert all(outcome == "covered" for _, outcome, _ in await it.tried(name))
        assert max(await it.values("gone")) == T0 + 4 * HOUR


async def test_what_an_upstream_has_forgotten_is_lost_once(tmp_path: Path, prepared_sqlite: Path):
    """It was missing when its life ended: nobody can have it any more, and nobody is asked."""
    kept: dict[str, Any] = {"partitions": ("old", "gone"), "lives": LIVES, "reach": 9 * HOUR}
    async with collecting(tmp_path, prepared_sqlite, replace(RATES, forgets=True), **kept) as it:
        await it.cycle(T0 + 2 * HOUR)
        it.asked()
        await it.cycle(T0 + 8 * HOUR)
        await it.cycle(T0 + 10 * HOUR)
        assert {name for name, _ in it.asked()} == {"old"}
        lost = [line for line in await it.tried("gone") if line[1] == "lost"]
        assert [(over, reason) for over, _, reason in lost] == [
            (hours(2, 5), "of what has ended the upstream tells nothing any more")
        ]
        assert not [line for line in await it.tried("old") if line[1] == "lost"]


@pytest.mark.parametrize("source", all_sources().values(), ids=lambda source: source.name)
def test_only_the_living_are_planned_and_all_are_declared(source: Source):
    registry, now = load_registry(), datetime(2026, 6, 1, tzinfo=T0.tzinfo)
    for tier in source.plans:
        for stream in tier.streams:
            lives, names = stream.lives(registry), stream.partitions(registry)
            assert set(lives) <= set(names)
            alive = living(stream, registry, now)
            asked = {
                p
                for s in plan(stream, names, TimeRange(now, now + DAY), {}, lives=lives)
                for p in s.partitions
            }
            assert asked == set(alive) <= set(names)
            told = declare(source, tier, stream, names, DAY, lives=lives)
            assert set(names) - set(alive) <= set(told["lives"])


def test_the_packaged_registry_has_dead_and_living():
    registry, now = load_registry(), datetime(2026, 6, 1, tzinfo=T0.tzinfo)
    for name in ("binance.bars_1h", "coinbase.bars_1h", "kraken.bars_1h", "coingecko.prices"):
        source, _, of = name.partition(".")
        stream = next(s for s in all_sources()[source].plans[0].streams if s.name == of)
        dead = set(stream.partitions(registry)) - set(living(stream, registry, now))
        assert dead & {"MATICUSDT", "MATIC-USD", "MATICUSD", "matic-network"}
        assert not dead & {"POLUSDT", "POL-USD", "POLUSD", "polygon-ecosystem-token", "LUNAUSDT"}
