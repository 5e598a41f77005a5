import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from ray_app.model.collected import Outcome
from ray_app.model.errors import Fenced
from ray_app.model.quota import QuotaState
from ray_app.model.records import Price
from ray_app.model.source import Quota
from ray_app.model.timerange import Coverage, TimeRange
from ray_app.store.secret import cursor_secret
from ray_app.store.store import Store
from tests.store.conftest import Open
from tests.store.made import DAY, HOUR, MINUTE, PRICES, SLOT, T0, collected, price

COINS = [f"coin-{n}" for n in range(7)]


def slots(start: int, end: int) -> TimeRange:
    return TimeRange(T0 + start * SLOT, T0 + end * SLOT)


async def tried(
    node: Open, over: TimeRange, *coins: str, at: datetime = T0, outcome: Outcome = "covered"
) -> None:
    reason = "" if outcome == "covered" else f"{outcome} because"
    await node.commit(
        collected(
            over=over,
            partitions=coins,
            at=at,
            outcome=outcome,
            reason=reason,
            body=repr((over, coins)).encode(),
        )
    )


async def told(node: Open, over: TimeRange, **more: Any) -> dict[str, list[tuple[TimeRange, str, str]]]:
    found = await node.store.ledger.tried(PRICES, over, **more)
    return {coin: [(one.range, one.outcome, one.reason) for one in ones] for coin, ones in found.items()}


async def test_each_partition_sees_its_own_slices_in_the_order_in_which_they_ended(node: Open):
    await tried(node, slots(0, 2), "bitcoin", "ethereum", at=T0 + 2 * HOUR)
    await tried(node, slots(1, 3), "bitcoin", at=T0 + HOUR, outcome="failed")
    await tried(node, slots(5, 6), "tether", at=T0 + 3 * HOUR, outcome="not_offered")
    assert await told(node, slots(0, 9)) == {
        "bitcoin": [(slots(1, 3), "failed", "failed because"), (slots(0, 2), "covered", "")],
        "ethereum": [(slots(0, 2), "covered", "")],
        "tether": [(slots(5, 6), "not_offered", "not_offered because")],
    }
    assert (await told(node, slots(2, 4))).keys() == {"bitcoin"}  # ends are no part of a range
    assert await told(node, slots(3, 5)) == {}
    assert (await told(node, slots(0, 9), partitions=["ethereum", "nobody"])).keys() == {"ethereum"}
    assert (await told(node, slots(0, 9), outcomes=["failed"])).keys() == {"bitcoin"}
    assert await node.store.ledger.tried("coingecko.chart", slots(0, 9)) == {}


async def test_the_ledger_as_of_a_time_is_what_it_was_then(node: Open):
    await tried(node, slots(0, 1), "bitcoin", at=T0 + HOUR, outcome="failed")
    await tried(node, slots(0, 1), "bitcoin", at=T0 + 2 * HOUR)
    assert await told(node, slots(0, 1), as_of=T0 + HOUR - MINUTE) == {}
    assert [one[1] for one in (await told(node, slots(0, 1), as_of=T0 + HOUR))["bitcoin"]] == ["failed"]
    assert await node.store.ledger.coverage(PRICES, slots(0, 1), as_of=T0 + HOUR) == {}
    assert await node.store.ledger.coverage(PRICES, slots(0, 1), as_of=T0 + 2 * HOUR) == {
        "bitcoin": Coverage.of([slots(0, 1)])
    }


@pytest.mark.parametrize(
    ("outcome", "counts"), [("covered", True), ("not_offered", True), ("lost", True), ("failed", False)]
)
async def test_what_counts_as_covered(node: Open, outcome: Outcome, counts: bool):
    await tried(node, slots(0, 2), "bitcoin", outcome=outcome)
    coverage = await node.store.ledger.coverage(PRICES, slots(0, 9))
    assert coverage == ({"bitcoin": Coverage.of([slots(0, 2)])} if counts else {})


async def covers(node: Open, **more: Any) -> tuple[TimeRange, ...]:
    """What of the first nine slots need not be asked for, for bitcoin."""
    found = await node.store.ledger.coverage(PRICES, slots(0, 9), **more)
    return found["bitcoin"].ranges if "bitcoin" in found else ()


async def test_what_is_awaited_after_it_was_covered_is_open(node: Open):
    await tried(node, slots(0, 4), "bitcoin", at=T0 + HOUR)
    await tried(node, slots(2, 3), "bitcoin", at=T0 + 2 * HOUR, outcome="awaited")
    assert await covers(node) == (slots(0, 2), slots(3, 4))
    await tried(node, slots(4, 5), "bitcoin", at=T0 + 3 * HOUR, outcome="awaited")
    assert await covers(node) == (slots(0, 2), slots(3, 4))


@pytest.mark.parametrize("outcome", ["covered", "not_offered", "lost"])
async def test_what_is_accounted_for_after_it_was_awaited_is_done(node: Open, outcome: Outcome):
    await tried(node, slots(0, 4), "bitcoin", at=T0 + HOUR, outcome="awaited")
    assert await covers(node) == ()
    await tried(node, slots(1, 3), "bitcoin", at=T0 + 2 * HOUR, outcome=outcome)
    assert await covers(node) == (slots(1, 3),)
    await tried(node, slots(2, 3), "bitcoin", at=T0 + 3 * HOUR, outcome="awaited")
    await tried(node, slots(0, 1), "bitcoin", at=T0 + 4 * HOUR, outcome=outcome)
    assert await covers(node) == (slots(0, 2),)


async def test_a_failure_changes_nothing_about_what_is_awaited(node: Open):
    await tried(node, slots(0, 4), "bitcoin", at=T0 + HOUR)
    await tried(node, slots(2, 3), "bitcoin", at=T0 + 2 * HOUR, outcome="awaited")
    await tried(node, slots(0, 4), "bitcoin", at=T0 + 3 * HOUR, outcome="failed")
    assert await covers(node) == (slots(0, 2), slots(3, 4))


async def test_what_is_awaited_is_so_for_its_own_partitions(node: Open):
    await tried(node, slots(0, 2), "bitcoin", "ethereum", at=T0 + HOUR)
    await tried(node, slots(1, 2), "ethereum", at=T0 + 2 * HOUR, outcome="awaited")
    assert await node.store.ledger.coverage(PRICES, slots(0, 9)) == {
        "bitcoin": Coverage.of([slots(0, 2)]),
        "ethereum": Coverage.of([slots(0, 1)]),
    }


async def test_what_was_awaited_as_of_a_time_was_open_then(node: Open):
    await tried(node, slots(0, 2), "bitcoin", at=T0 + HOUR)
    await tried(node, slots(1, 2), "bitcoin", at=T0 + 2 * HOUR, outcome="awaited")
    await tried(node, slots(1, 2), "bitcoin", at=T0 + 3 * HOUR)
    assert await covers(node, as_of=T0 + HOUR - MINUTE) == ()
    assert await covers(node, as_of=T0 + HOUR) == (slots(0, 2),)
    assert await covers(node, as_of=T0 + 2 * HOUR) == (slots(0, 1),)
    assert await covers(node, as_of=T0 + 3 * HOUR) == (slots(0, 2),)
    assert await covers(node) == (slots(0, 2),)


async def test_of_one_commit_the_later_line_is_the_last_word(node: Open):
    """A commit that the store could take only later stamps all its lines with one time."""
    lines = [
        collected(over=slots(0, 4), partitions=["bitcoin"], at=T0 + HOUR, body=b"x"),
        collected(over=slots(3, 4), partitions=["bitcoin"], at=T0 + HOUR, outcome="awaited", reason="young"),
    ]
    await node.commit(*(line.received(T0 + 2 * HOUR) for line in lines))
    assert await covers(node) == (slots(0, 3),)


@pytest.mark.parametrize("asked", [3, 6], ids=["few", "many"])
async def test_coverage_of_some_partitions_is_that_of_all(node: Open, asked: int):
    """Few are looked for in SQL, many in memory: the same answer."""
    await tried(node, slots(0, 2), *COINS)
    await tried(node, slots(2, 4), *COINS[::2])
    await tried(node, slots(6, 7), COINS[0])
    everything = await node.store.ledger.coverage(PRICES, slots(0, 9))
    some = COINS[:asked]
    mine = await node.store.ledger.coverage(PRICES, slots(0, 9), some)
    assert mine == {coin: everything[coin] for coin in some}
    assert mine[COINS[0]].ranges == (slots(0, 4), slots(6, 7))
    assert mine[COINS[1]].ranges == (slots(0, 2),)


async def test_a_set_of_partitions_that_was_tampered_with_is_noticed(
    node: Open, opened: Callable[..., Store]
):
    await tried(node, slots(0, 2), "bitcoin", "ethereum")
    async with node.store.database.write() as connection:
        await connection.execute(
            text("DELETE FROM partition_sets WHERE partition_sets.partition = 'ethereum'")
        )
    with pytest.raises(ValueError, match="damaged"):
        await opened().ledger.coverage(PRICES, slots(0, 2))


async def test_partitions_are_told_apart_by_their_exact_letters(node: Open):
    """MariaDB's usual collations would take these for one."""
    names = ["abc", "ABC", "äbc"]
    await node.commit(collected([price(name, str(n + 1)) for n, name in enumerate(names)]))
    latest = await node.store.reading.latest(Price, PRICES)
    assert {name: fact.values["price"] for name, fact in latest.items()} == {
        "abc": 1,
        "ABC": 2,
        "äbc": 3,
    }
    assert (await node.store.ledger.coverage(PRICES, slots(0, 1))).keys() == set(names)


async def test_the_hashes_of_what_was_received(node: Open):
    first, second = (collected([price("bitcoin", "1", T0 + n * SLOT)], at=T0 + n * HOUR) for n in range(2))
    await node.commit(first, second)
    assert await node.store.ledger.hashes(TimeRange(T0, T0 + HOUR)) == {first.hash}
    assert await node.store.ledger.hashes(TimeRange(T0, T0 + 2 * HOUR)) == {first.hash, second.hash}


async def test_the_changes_of_a_page_of_revisions_follow_the_page_before(node: Open):
    coins = ["bitcoin", "ethereum"]
    for n in range(4):
        at = T0 + n * HOUR
        await node.commit(
            collected([price(coin, str(n + 1), T0 + k * SLOT) for coin in coins for k in range(2)], at=at)
        )
    over = TimeRange(T0, T0 + DAY)
    everything = await node.store.reading.revisions(Price, PRICES, over, 100)
    places = [(new.received_at, new.partition, new.cursor) for _, new in everything]
    assert len(places) == 12
    assert places == sorted(places)
    paged, after = list[tuple[datetime, str, datetime]](), None
    while page := await node.store.reading.revisions(Price, PRICES, over, 5, after):
        paged += [(new.received_at, new.partition, new.cursor) for _, new in page]
        after = (*paged[-1], page[-1][1].revision)
    assert paged == places


MINUTELY = Quota(30, MINUTE, per_month=1000)


async def test_many_who_declare_a_quota_at_once_make_one_row(opened: Callable[..., Store], node: Open):
    stores = [opened() for _ in range(4)]
    for number in range(4):
        await asyncio.gather(*(store.quotas.declare(f"scope-{number}", MINUTELY, T0) for store in stores))
    states = await node.store.quotas.states(T0)
    assert [(state.scope, state.quota, state.spent) for state in states] == [
        (f"scope-{number}", MINUTELY, 0) for number in range(4)
    ]


async def test_turns_taken_at_once_by_many_are_taken_once(opened: Callable[..., Store], node: Open):
    await node.store.quotas.declare("scope", MINUTELY, T0)
    stores = [opened() for _ in range(3)]

    async def take(store: Store) -> list[datetime]:
        out = []
        for _ in range(8):
            taken = await store.quotas.reserve("scope", 3, T0, 1.0)
            assert (taken.calls, taken.gap) == (3, timedelta(seconds=2))
            out += [taken.first + n * taken.gap for n in range(taken.calls)]
        return out

    turns = sorted(
        turn for turns in await asyncio.gather(*(take(store) for store in stores)) for turn in turns
    )
    assert turns == [T0 + n * timedelta(seconds=2) for n in range(3 * 8 * 3)]
    assert await node.store.quotas.state("scope", T0) == QuotaState(
        "scope", MINUTELY, None, T0 + 72 * timedelta(seconds=2), "2026-03", 72
    )


async def test_a_refusal_moves_the_next_turn_and_never_back(node: Open):
    quotas = node.store.quotas
    await quotas.declare("scope", MINUTELY, T0)
    await quotas.refuse("scope", T0 + HOUR, 7, T0)
    await quotas.refuse("scope", T0 + MINUTE, None, T0 + MINUTE)
    state = await quotas.state("scope", T0 + MINUTE)
    assert (state.next_free, state.learned, state.limit, state.spent) == (T0 + HOUR, 7, 7, 0)
    assert (await quotas.reserve("scope", 1, T0, 1.0)).gap == MINUTE / 7
    assert (await quotas.state("scope", T0 + DAY)).limit == 30


async def test_everyone_gets_the_same_secret(opened: Callable[..., Store], node: Open):
    secrets = await asyncio.gather(*(cursor_secret(opened().database) for _ in range(4)))
    assert len(set(secrets)) == 1
    assert len(secrets[0]) == 32
    assert await cursor_secret(node.store.database) == secrets[0]


async def test_the_catalogue_keeps_every_declaration(node: Open):
    catalog = node.store.catalog
    one = {"coingecko.prices": {"every_seconds": 300.0, "partitions": ["bitcoin"]}}
    more = {"coingecko.prices": {"every_seconds": 300.0, "partitions": ["bitcoin", "ethereum"]}}
    await catalog.declare(one, T0)
    await catalog.declare(one, T0 + HOUR)
    await catalog.declare(more, T0 + 2 * HOUR)
    assert (await node.counts())["streams"] == 2
    now = await catalog.streams()
    assert now["coingecko.prices"]["partitions"] == ["bitcoin", "ethereum"]
    assert now["coingecko.prices"]["declared_at"] == T0  # since when it is wanted
    then = await catalog.streams(T0 + HOUR)
    assert then["coingecko.prices"]["partitions"] == ["bitcoin"]
    assert await catalog.streams(T0 - MINUTE) == {}
    other = {"kraken.bars_1h": {"every_seconds": 3600.0, "partitions": ["XBTUSD"]}}
    await catalog.declare(other, T0 + 3 * HOUR)  # one more: the first is still collected
    assert "retired" not in (await catalog.streams())["coingecko.prices"]
    await catalog.declare(other, T0 + 4 * HOUR, whole=True)
    assert (await catalog.streams())["coingecko.prices"]["retired"] is True
    assert "retired" not in (await catalog.streams())["kraken.bars_1h"]
    await catalog.declare(more, T0 + 5 * HOUR, whole=True)
    assert "retired" not in (await catalog.streams())["coingecko.prices"]


def status(state: str = "waiting", **more: Any) -> dict[str, Any]:
    told: dict[str, Any] = {
        "state": state, "last_run": T0, "last_success": None, "next_run": T0 + SLOT, "last_error": "",
        "last_error_at": None, "errors": {"Transient": 2},
    }  # fmt: skip
    return told | more


async def test_a_line_about_models_is_that_of_the_shards_owner(node: Open):
    store, other = node.store, await node.store.leases.acquire("collect-1", "you")
    assert other is not None
    await store.catalog.report_scoring("articles", node.lease, T0, "x" * 900)
    await store.catalog.report_scoring("articles", other, T0)
    await store.catalog.report_scoring("posts", other, T0, "cryptobert: gone")
    held = await store.leases.held()
    assert held == {node.lease.shard: node.lease.owner, "collect-1": "you"}
    assert await store.catalog.scoring(held) == {
        "articles": {node.lease.shard: "x" * 500, "collect-1": ""},
        "posts": {"collect-1": "cryptobert: gone"},
    }
    await store.leases.release(other)
    assert await store.catalog.scoring(await store.leases.held()) == {
        "articles": {node.lease.shard: "x" * 500}
    }
    assert await store.catalog.collectors() == {}, "it is no stream's line"
    with pytest.raises(Fenced):
        await store.catalog.report_scoring("articles", other, T0, "a late word")


async def test_a_collectors_line_is_replaced(node: Open, opened: Callable[..., Store]):
    catalog = node.store.catalog
    for _ in range(2):  # saying the same twice is no second line
        await catalog.report("coingecko.prices", "me", status())
    assert await catalog.collectors() == {
        "coingecko.prices": status() | {"stream": "coingecko.prices", "owner": "me"}
    }
    await catalog.report("coingecko.prices", "heir", status("refused", last_error="401"))
    told = (await catalog.collectors())["coingecko.prices"]
    assert (told["owner"], told["state"], told["last_error"]) == ("heir", "refused", "401")
    for number in range(4):  # two clusters of an upgrade report the same stream for the first time
        await asyncio.gather(
            *(opened().catalog.report(f"stream-{number}", f"owner-{i}", status()) for i in range(3))
        )
    assert len(await catalog.collectors()) == 5


async def test_a_backfills_row_is_made_and_brought_up_to_date(node: Open):
    catalog = node.store.catalog
    told: dict[str, Any] = {
        "request": {"stream": "x"},
        "state": "running",
        "slices": 3,
        "done": 0,
        "receipt": {},
    }
    await catalog.write_backfill("job", **told, started_at=T0, updated_at=T0)
    await catalog.write_backfill("job", state="done", done=3, receipt={"new": 5}, updated_at=T0 + HOUR)
    row = await catalog.backfill("job")
    assert row == told | {
        "id": "job", "state": "done", "done": 3, "receipt": {"new": 5}, "started_at": T0, "updated_at": T0 + HOUR
    }  # fmt: skip
    assert await catalog.backfills() == [row]
    assert await catalog.backfill("other") is None
