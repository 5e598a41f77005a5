import asyncio
import gzip
import shutil
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path

import httpx
import pytest

from ray_app.connect.api import client
from ray_app.connect.keeper import Keeper
from ray_app.connect.simulated import simulator_clock
from ray_app.model.errors import (
    Malformed,
    RateLimited,
    Transient,
)
from ray_app.model.quota import Allowance, Priority, Refusal, Turn
from ray_app.model.source import Quota
from ray_app.store.store import Store
from tests.connect.conftest import (
    START,
    Answering,
    Ask,
    Simulate,
    Simulated,
    http_answer,
    markets,
)


async def test_a_server_that_hangs_is_given_up(simulated: Simulated, asking: Ask):
    simulated.fault("F11", kind="hang", seconds=60)
    asked = asking(simulated.paid, attempts=2, total_seconds=0.3)
    with pytest.raises(Transient, match="TimeoutError"):
        await asyncio.wait_for(markets(asked), 10)
    assert len(asked.turns.asked) == 2
    assert asked.kept == []


async def test_an_answer_that_trickles_is_given_up_too(asking: Ask):
    """Each byte in time, the whole never: what bounds single reads does not bound this."""

    given_up = asyncio.Event()

    async def trickle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nx-simulated: yes\r\ncontent-length: 1000\r\n\r\n")
        while not reader.at_eof():
            writer.write(b" ")
            with suppress(TimeoutError):
                await asyncio.wait_for(reader.read(1), 0.05)
        writer.close()
        await writer.wait_closed()
        given_up.set()

    server = await asyncio.start_server(trickle, "127.0.0.1", 0)
    address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    with pytest.raises(Transient, match="TimeoutError"):
        await asyncio.wait_for(markets(asking(address, attempts=1, total_seconds=0.5)), 10)
    await asyncio.wait_for(given_up.wait(), 5)
    server.close()
    await server.wait_closed()


async def test_nobody_at_the_address_is_transient(asking: Ask):
    with pytest.raises(Transient, match="ConnectError"):
        await markets(asking("http://127.0.0.1:9", attempts=1))


async def test_an_answer_of_endless_size_is_malformed(asking: Ask, answering: Answering):
    body = gzip.compress(b" " * (65 * 2**20), 1)
    address = await answering(lambda _: http_answer(body, content_encoding="gzip", x_simulated="yes"))
    with pytest.raises(Malformed, match="body over"):
        await markets(asking(address))


async def test_a_turn_that_came_too_late_is_not_used(simulated: Simulated, asking: Ask):
    given: list[datetime] = []

    class Late:
        async def turn(self, _: Priority, before: datetime | None = None) -> Turn:
            given.append(START - timedelta(seconds=2 - len(given)))
            return Turn(given[-1], given[-1] + timedelta(seconds=0.5))

        async def refused(self, _: Refusal) -> None: ...

        async def told(self, _: Allowance) -> None: ...

    await markets(asking(simulated.paid, turns=Late()))
    assert len(given) == 3
    assert len(simulated.ledger()) == 1


async def test_the_time_that_the_upstream_asks_for_is_waited(
    simulate: Simulate, asking: Ask, tmp_path: Path, prepared_sqlite: Path
):
    """Told 90 seconds, by the upstream's own ledger nothing arrives earlier; the keeper's row says so too."""
    simulated = simulate(limits=False)
    simulated.fault("F01", count=1, retry_after=90)
    shutil.copy(prepared_sqlite, tmp_path / "node.db")
    store = Store(f"sqlite+aiosqlite:///{tmp_path}/node.db", str(tmp_path / "raw"))
    async with client() as http:
        clock = await simulator_clock(simulated.base, http)
        quota = Quota(500, timedelta(minutes=1))
        await store.quotas.declare("coingecko-paid", quota, clock.now())
        keeper = Keeper("coingecko-paid", quota, store.quotas, clock)
        page = await markets(asking(simulated.paid, turns=keeper, clock=clock, keep=store.raw.keep))
    first, second = (arrival["at_ms"] for arrival in simulated.ledger())
    assert page.status == 200
    assert 90_000 <= second - first < 93_000
    assert (await store.quotas.state("coingecko-paid", clock.now())).spent >= 2  # charged per attempt
    assert [kept.status for kept in store.raw.pages()] == [429, 200]
    await store.close()


@pytest.mark.parametrize("header", ["Retry-After: 7", "Retry-After: Mon, 01 Jun 2026 10:03:28 GMT"])
async def test_what_a_refusal_tells_is_reported(asking: Ask, answering: Answering, header: str):
    name, _, value = header.partition(": ")
    told = http_answer(
        b"slow", "429 Too Many", **{name: value, "x_ratelimit_limit": "10", "x_simulated": "yes"}
    )
    asked = asking(await answering(lambda _: told), attempts=1)
    with pytest.raises(RateLimited):
        await markets(asked)
    assert asked.turns.refusals == [Refusal(START, 7.0, 10)]


async def test_a_wait_too_long_to_sit_out_is_left_to_the_next_cycle(simulated: Simulated, asking: Ask):
    simulated.fault("F01", retry_after=3600)
    asked = asking(simulated.paid)
    with pytest.raises(RateLimited):
        await markets(asked)
    assert len(simulated.ledger()) == 1
    assert [refusal.retry_after for refusal in asked.turns.refusals] == [3600.0]


async def test_no_simulator_at_the_address_is_told_plainly():
    async with httpx.AsyncClient() as http:
        with pytest.raises(Transient, match=r"no simulator answers at http://127\.0\.0\.1:9"):
            await simulator_clock("http://127.0.0.1:9", http)


async def test_the_simulators_clock_is_followed_and_jumps(simulate: Simulate):
    simulated = simulate()
    async with client() as http:
        clock = await simulator_clock(simulated.base, http)
        assert START <= clock.now() < START + timedelta(seconds=5)
        await clock.sleep(3600)
        assert START + timedelta(hours=1) <= clock.now() < START + timedelta(hours=1, seconds=5)
        await clock.sleep_until(START)  # past
        assert START + timedelta(hours=1) <= clock.now() < START + timedelta(hours=1, seconds=5)
    assert simulated.advance_to(START) >= START + timedelta(hours=1)
