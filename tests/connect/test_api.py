import asyncio
import gzip
import logging
import traceback
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import zstandard

from ray_app.collect.collector import collect, failure
from ray_app.connect.api import client
from ray_app.connect.keeper import Keeper
from ray_app.connect.simulated import simulator_clock
from ray_app.model.clock import SystemClock
from ray_app.model.errors import (
    Malformed,
    NotOffered,
    RateLimited,
    Refused,
    StoreUnavailable,
    Transient,
    UpstreamError,
    WrongStore,
)
from ray_app.model.quota import Allowance, Priority, Refusal, Turn
from ray_app.model.source import Page, Quota, Slice
from ray_app.model.timerange import TimeRange
from ray_app.sources.coingecko import PRICES, SOURCE
from ray_app.store.store import Store
from tests.connect.conftest import START, Asking, Simulate, Simulated, http_answer

Ask = Callable[..., Asking]
Answering = Callable[[Callable[[bytes], bytes]], Awaitable[str]]
MARKETS = {"vs_currency": "usd", "ids": "bitcoin"}


async def markets(asking: Asking) -> Page:
    return await asking.api.get("/coins/markets", **MARKETS)


async def test_an_answer_is_kept_whole_with_its_request_and_times(simulated: Simulated, asking: Ask):
    asked = asking(simulated.paid)
    page = await markets(asked)
    assert asked.kept == [page]
    assert (page.source, page.stream, page.path) == ("coingecko", "prices", "/coins/markets")
    assert (page.status, page.params) == (200, MARKETS)
    assert page.json()[0]["id"] == "bitcoin"
    assert page.headers["x-simulated"] == "crypto-data"
    assert page.headers["date"] == "Mon, 01 Jun 2026 10:03:21 GMT"
    assert "x-request-id" not in page.headers  # it matters to nobody, and would make equal answers differ
    assert (page.asked_at, page.received_at) == (START, START)
    assert asked.turns.asked == [Priority.LIVE]


# fault, its parameters, the reaction, attempts that it costs, refusals reported to the keeper
REACTIONS = [
    ("F01", {}, RateLimited, 3, 3),
    ("F02", {}, RateLimited, 3, 3),
    ("F03", {}, RateLimited, 3, 3),
    ("F04", {}, RateLimited, 3, 3),
    ("F05", {}, Transient, 3, 0),
    ("F07", {"status": 403}, Refused, 1, 0),
    ("F07", {"status": 451}, Refused, 1, 0),
    ("F08", {"code": 10002}, Refused, 1, 0),
    ("F08", {"code": 10005}, Refused, 1, 0),
    ("F08", {"code": 10010}, Refused, 1, 0),
    ("F08", {"code": 10011}, Refused, 1, 0),
    ("F09", {}, RateLimited, 3, 3),
    *(("F10", {"status": status}, Transient, 3, 0) for status in (500, 502, 503, 504, 520, 524)),
    ("F10", {"status": 502, "html": True}, Transient, 3, 0),
    ("F11", {"kind": "reset"}, Transient, 3, 0),
]


@pytest.mark.parametrize(("fault", "parameters", "reaction", "attempts", "refusals"), REACTIONS)
async def test_each_fault_has_its_reaction_and_every_attempt_costs_a_turn(
    simulated: Simulated,
    asking: Ask,
    fault: str,
    parameters: dict[str, Any],
    reaction: type[UpstreamError],
    attempts: int,
    refusals: int,
):
    simulated.fault(fault, **parameters)
    asked = asking(simulated.paid)
    with pytest.raises(UpstreamError) as told:
        await markets(asked)
    assert type(told.value) is reaction
    assert len(asked.turns.asked) == attempts
    arrivals = simulated.ledger()
    assert [arrival["fault"] for arrival in arrivals] == [fault] * attempts
    assert len(asked.turns.refusals) == refusals
    answered = [arrival["status"] for arrival in arrivals] if fault != "F11" else []
    assert [page.status for page in asked.kept] == answered  # an error is evidence too


@pytest.mark.parametrize("fault", ["F01", "F04", "F05", "F10", "F11"])
async def test_what_passes_is_asked_again(simulated: Simulated, asking: Ask, fault: str):
    simulated.fault(fault, count=2, kind="reset")
    asked = asking(simulated.paid)
    page = await markets(asked)
    assert page.json()[0]["id"] == "bitcoin"
    assert len(simulated.ledger()) == 3
    assert len(asked.turns.asked) == 3
    assert asked.kept[-1] == page


async def test_a_false_401_stops_and_is_not_tried_again(simulated: Simulated, asking: Ask):
    simulated.fault("F22", count=1)
    with pytest.raises(Refused, match="API Key Missing"):
        await markets(asking(simulated.paid))
    assert len(simulated.ledger()) == 1


async def test_an_unknown_coin_is_not_offered(simulated: Simulated, asking: Ask):
    with pytest.raises(NotOffered, match="coin not found"):
        await asking(simulated.paid).api.get("/coins/nonsense/ohlc/range", vs_currency="usd")


@pytest.mark.parametrize("kind", ["truncated", "empty", "gzip"])
async def test_half_an_answer_is_never_an_answer(simulated: Simulated, asking: Ask, kind: str):
    """However it is cut: noticed while it comes (try again), or when it is read (leave the slice open)."""
    simulated.fault("F11", kind=kind)
    asked = asking(simulated.paid)
    wanted = Slice(("bitcoin",), TimeRange(START - timedelta(minutes=3, seconds=21), START))
    with pytest.raises((Transient, Malformed)) as told:
        await collect(SOURCE, PRICES, wanted, asked.api)
    assert isinstance(told.value, Malformed) is bool(asked.kept)


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


async def test_a_redirect_is_not_followed(asking: Ask, answering: Answering):
    """The key would go along, to wherever it leads."""
    seen: list[bytes] = []

    def answer(request: bytes) -> bytes:
        seen.append(request)
        return http_answer(b"", "302 Found", location="http://127.0.0.1:9/elsewhere", x_simulated="yes")

    with pytest.raises(Malformed, match="HTTP 302"):
        await markets(asking(await answering(answer)))
    assert len(seen) == 1


async def test_simulated_answers_never_reach_a_real_store(simulated: Simulated, asking: Ask):
    asked = asking(simulated.paid, simulated=False)
    with pytest.raises(WrongStore, match="is the simulator, but this store holds data of a real upstream"):
        await markets(asked)
    assert asked.kept == []
    assert len(asked.turns.asked) == 1


async def test_real_answers_never_reach_a_simulated_store(asking: Ask, answering: Answering):
    asked = asking(await answering(lambda _: http_answer(b"[]")), simulated=True)
    with pytest.raises(WrongStore, match="is a real upstream, but this store holds data of the simulator"):
        await markets(asked)
    assert asked.kept == []


async def test_an_answer_that_cannot_be_kept_is_not_used(simulated: Simulated, asking: Ask):
    async def full(_: Page) -> None:
        raise StoreUnavailable("disk full")

    asked = asking(simulated.paid, keep=full)
    with pytest.raises(StoreUnavailable, match="disk full"):
        await markets(asked)
    assert len(simulated.ledger()) == 1


async def test_a_turn_that_came_too_late_is_not_used(simulated: Simulated, asking: Ask):
    given: list[datetime] = []

    class Late:
        async def turn(self, _: Priority) -> Turn:
            given.append(START - timedelta(seconds=2 - len(given)))
            return Turn(given[-1], given[-1] + timedelta(seconds=0.5))

        async def refused(self, _: Refusal) -> None: ...

        async def told(self, _: Allowance) -> None: ...

    await markets(asking(simulated.paid, turns=Late()))
    assert len(given) == 3
    assert len(simulated.ledger()) == 1


async def test_the_time_that_the_upstream_asks_for_is_waited(simulate: Simulate, asking: Ask, tmp_path: Path):
    """Told 90 seconds, by the upstream's own ledger nothing arrives earlier; the keeper's row says so too."""
    simulated = simulate(limits=False)
    simulated.fault("F01", count=1, retry_after=90)
    store = Store(f"sqlite+aiosqlite:///{tmp_path}/node.db", str(tmp_path / "raw"))
    await store.database.prepare(simulated=True)
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


PLANTED = "CG-planted-5ecret-9f8e7d6c"


async def test_the_key_reaches_the_upstream_and_nobody_else(
    simulate: Simulate, asking: Ask, answering: Answering, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    """Good answers, refusals, broken connections, and an upstream that repeats the key in its error."""
    caplog.set_level(logging.DEBUG)
    simulated = simulate(keys={PLANTED: "analyst"}, limits=False)
    store = Store(f"sqlite+aiosqlite:///{tmp_path}/node.db", str(tmp_path / "raw"))
    await store.database.prepare(simulated=True)
    lease = await store.leases.acquire("shard", "me")
    assert lease is not None
    wanted = Slice(("bitcoin",), TimeRange(START - timedelta(minutes=3, seconds=21), START))
    errors: list[BaseException] = []

    def repeats(request: bytes) -> bytes:
        assert PLANTED.encode() in request
        body = b'{"error": "detected your API key as ' + PLANTED.encode() + b'"}'
        return http_answer(body, "403 Forbidden", x_simulated="yes")

    repeating = await answering(repeats)
    for fault, address in (
        ("", simulated.paid),
        ("F08", simulated.paid),
        ("F11", simulated.paid),
        ("", repeating),
    ):
        simulated.heal()
        if fault:
            simulated.fault(fault, kind="reset")
        asked = asking(address, key=PLANTED, keep=store.raw.keep, attempts=1)
        try:
            await store.commit([await collect(SOURCE, PRICES, wanted, asked.api)], lease)
        except UpstreamError as error:
            errors.append(error)
            await store.commit([failure(SOURCE, PRICES, wanted, error, SystemClock().now())], lease)
        assert PLANTED not in repr(asked.api)
    await store.close()
    assert [type(error) for error in errors] == [Refused, Transient, Refused]
    assert [arrival["key"] for arrival in simulated.ledger()] == ["key-1"] * 3
    assert sorted(page.status for page in store.raw.pages()) == [200, 401, 403]

    told = [caplog.text, *("".join(traceback.format_exception(error)) for error in errors)]
    assert not [text for text in told if PLANTED in text]
    files = [path for path in tmp_path.rglob("*") if path.is_file()]  # noqa: ASYNC240  # nobody waits
    assert len(files) >= 8
    for path in files:
        content = path.read_bytes()
        if path.suffix == ".zst":
            content = zstandard.decompress(content)
        assert PLANTED.encode() not in content, path
        assert PLANTED not in str(path)


async def test_a_key_that_the_upstream_repeats_is_struck_out(asking: Ask, answering: Answering):
    body = f'{{"error": "detected your API key as {PLANTED}"}}'.encode()
    address = await answering(
        lambda _: http_answer(body, "403 Forbidden", x_simulated="yes", x_ratelimit_note=f"for {PLANTED}")
    )
    asked = asking(address, key=PLANTED)
    with pytest.raises(Refused, match=r"detected your API key as \[key\]"):
        await markets(asked)
    (page,) = asked.kept
    assert page.body == b'{"error": "detected your API key as [key]"}'
    assert page.headers["x-ratelimit-note"] == "for [key]"


async def test_the_client_says_honestly_who_it_is(asking: Ask, answering: Answering):
    seen: list[bytes] = []

    def answer(request: bytes) -> bytes:
        seen.append(request.lower())
        return http_answer(b"[]", x_simulated="yes")

    await markets(asking(await answering(answer)))
    assert b"user-agent: crypto-data-node/" in seen[0]
    assert b"x-cg-pro-api-key: sim-key" in seen[0]
    assert b"get /coins/markets?vs_currency=usd&ids=bitcoin http/1.1" in seen[0]


async def test_a_plan_without_a_key_sends_none(simulate: Simulate, asking: Ask):
    simulated = simulate("keyless", limits=False)
    page = await markets(asking(simulated.public, plan=SOURCE.plan("keyless"), key=None))
    assert page.status == 200
    assert simulated.ledger()[0]["plan"] == "keyless"


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
