"""The client of a chat model against the simulated one: money, pace, three kinds of 429, keys, addresses."""

import asyncio
import logging
import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from ray_app.connect.addresses import in_clear
from ray_app.connect.api import client
from ray_app.connect.chat import BESIDE, Chat
from ray_app.connect.signing import KeySigning
from ray_app.model.clock import ManualClock
from ray_app.model.errors import (
    Malformed,
    NodeError,
    NotOffered,
    RateLimited,
    Refused,
    Transient,
    Unpaid,
    WrongStore,
)
from ray_app.model.money import NANO, Prices, Spending, Usage
from ray_app.model.source import ApiKey
from ray_app.process.sentiment.advanced import question
from ray_app.store.llm_spend import LlmSpend
from ray_app.store.store import Store
from tests.connect.conftest import Counted, http_answer
from tests.connect.served import Seen, served, told
from tests.simulator.texting import START, Sim, simulated

KEY = "sim-key"
SCOPE = "llm-chat"
PRICES = Prices(Decimal("0.15"), Decimal("0.6"))
ASKED = question(["Bitcoin rallies to $100: what's next?"]).body("sim-small", 300)
HOME = ApiKey("llm_key", header="authorization", prefix="Bearer ")


@pytest.fixture(scope="module")
def sim() -> Iterator[Sim]:
    with simulated() as started:
        yield started


@dataclass
class Asking:
    """A client, and what it did."""

    chat: Chat
    turns: Counted
    clock: ManualClock
    purse: LlmSpend

    async def ask(self, most: int = 300) -> Any:
        return await self.chat.ask(ASKED, most)

    async def state(self) -> Spending:
        return await self.purse.state(SCOPE, self.clock.now())


Make = Callable[..., Asking]


@pytest.fixture
async def make(sim: Sim, tmp_path: Path, prepared_sqlite: Path) -> AsyncIterator[Make]:
    """Clients that share a purse of one dollar."""
    shutil.copy(prepared_sqlite, tmp_path / "node.db")
    store = Store(f"sqlite+aiosqlite:///{tmp_path}/node.db", str(tmp_path / "raw"))
    http = client()
    await store.llm_spend.declare(SCOPE, NANO, START)

    def made(
        url: str = f"{sim.http.base_url}/openai/v1".replace("//openai", "/openai"), **more: Any
    ) -> Asking:
        clock = more.pop("clock", None) or ManualClock(START)
        turns, key = Counted(clock), more.pop("key", KEY)
        chat = Chat(
            scope=SCOPE, url=url, prices=PRICES, purse=store.llm_spend, turns=turns, clock=clock, http=http,
            simulated=True, signing=KeySigning(HOME, key),
        )  # fmt: skip
        return Asking(replace(chat, **more), turns, clock, store.llm_spend)

    yield made
    await http.aclose()
    await store.close()


async def test_an_answer_costs_what_the_server_counts(make: Make):
    asking = make()
    answer = await asking.ask()
    assert (answer.model, answer.whole, answer.refused) == ("sim-small-2026-01-01", True, False)
    assert answer.content.startswith('{"answers"')
    used = answer.usage
    state = await asking.state()
    exact = Decimal(used.prompt) * 150 + Decimal(used.completion) * 600  # nanodollars
    assert (state.spent, state.requests, state.unsettled) == (int(exact), 1, 0)
    assert len(asking.turns.asked) == 1
    assert await asking.ask() == replace(answer)
    assert (await asking.state()).spent == 2 * int(exact)


@pytest.mark.parametrize("kind", ["missing", "words", "zero"])
async def test_an_answer_without_a_count_costs_the_most_that_it_can(sim: Sim, make: Make, kind: str):
    asking = make()
    with sim.fault("L09", kind=kind):
        assert (await asking.ask()).usage is None
    most = (await asking.state()).spent
    assert most >= PRICES.cost(Usage(BESIDE + len(str(ASKED)) // 2, 300))
    assert (await asking.ask()).usage is not None
    assert (await asking.state()).spent < 1.5 * most


async def test_nothing_is_sent_that_the_money_may_not_reach(sim: Sim, make: Make):
    asking = make()
    await asking.ask()
    first = await asking.state()
    one = first.spent
    await asking.purse.declare(SCOPE, 3 * one, START)  # less than a request may cost at worst
    before = len(sim.truth("openai", what="requests"))
    with pytest.raises(Unpaid, match=r"of this month's \$0\.0\d+ are left, and a request may cost \$0\.00"):
        await asking.ask()
    assert len(sim.truth("openai", what="requests")) == before
    assert (len(asking.turns.asked), await asking.state()) == (1, replace(first, budget=3 * one))
    free = make(prices=Prices(Decimal(0), Decimal(0)))
    assert (await free.ask()).whole
    assert (await free.state()).spent == one


@pytest.mark.parametrize(
    ("kind", "seconds"),
    [("after", 3.0), ("date", 3.0), ("ms", 3.0), ("reset", 3.0), ("message", 3.0), ("silent", None)],
)
async def test_the_first_429_waits_as_told_and_goes_on(
    sim: Sim, make: Make, kind: str, seconds: float | None
):
    asking = make(clock=ManualClock(sim.now()))
    sim.http.post(
        "/sim/faults", json={"fault": "L01", "count": 1, "parameters": {"kind": kind, "seconds": 3}}
    )
    try:
        assert (await asking.ask()).whole
    finally:
        sim.http.delete("/sim/faults")
    (refusal,) = asking.turns.refusals
    assert refusal.retry_after == (pytest.approx(seconds, abs=1) if kind == "date" else seconds)
    assert len(asking.turns.asked) == 2
    state = await asking.state()
    assert (state.requests, state.unsettled) == (2, 0)
    assert state.spent == PRICES.cost((await asking.ask()).usage)  # the refused attempt cost nothing


async def test_a_long_wait_is_left_to_whoever_asks(sim: Sim, make: Make):
    with sim.fault("L01", seconds=3600), pytest.raises(RateLimited) as raised:
        await make().ask()
    assert raised.value.retry_after == 3600


async def test_the_second_429_is_a_request_that_never_fits(sim: Sim, make: Make):
    asking = make()
    with sim.fault("L02"), pytest.raises(NotOffered, match="too large: HTTP 429 rate_limit_exceeded"):
        await asking.ask()
    assert (len(asking.turns.asked), asking.turns.refusals, (await asking.state()).spent) == (1, [], 0)


async def test_the_third_429_is_an_account_without_money(sim: Sim, make: Make):
    asking = make()
    with sim.fault("L03"), pytest.raises(Unpaid, match="no money left: HTTP 429 insufficient_quota"):
        await asking.ask()
    assert (len(asking.turns.asked), asking.turns.refusals, (await asking.state()).spent) == (1, [], 0)


@pytest.mark.parametrize(
    ("fault", "error", "attempts"),
    [
        (("F10", {"status": 500}), Transient, 3),
        (("F10", {"status": 503, "html": True}), Transient, 3),
        (("F01", {"retry_after": 1}), RateLimited, 3),  # of a proxy in front
        (("F03", {}), RateLimited, 3),
        (("F07", {}), Refused, 1),
        (("L11", {"kind": "context"}), NotOffered, 1),
        (("L11", {"kind": "parameter"}), Malformed, 1),
        (("L11", {"kind": "schema"}), Malformed, 1),
        (("L12", {"kind": "html"}), Malformed, 1),
        (("L12", {"kind": "error"}), Malformed, 1),
        (("L12", {"kind": "choices"}), Malformed, 1),
        (("L10", {"name": "a model <b>"}), Malformed, 1),
        (("F11", {"kind": "reset"}), Transient, 3),
        (("F11", {"kind": "empty"}), Malformed, 1),
    ],
)
async def test_each_fault_has_its_reaction(
    sim: Sim, make: Make, fault: tuple[str, dict[str, Any]], error: type[Exception], attempts: int
):
    asking = make()
    with sim.fault(fault[0], **fault[1]), pytest.raises(error) as raised:
        await asking.ask()
    assert type(raised.value) is error
    state = await asking.state()
    assert (len(asking.turns.asked), state.requests, state.unsettled) == (attempts, attempts, 0)
    charged = fault[0] in ("L10", "L12", "F11")  # what a 200 cost is not known: all that it can
    assert (state.spent > 0) == charged


async def test_an_answer_that_does_not_come_in_time_costs_the_most(sim: Sim, make: Make):
    asking = make(total_seconds=0.3, attempts=1)
    with sim.fault("F11", kind="hang", seconds=2), pytest.raises(Transient, match="no answer: TimeoutError"):
        await asking.ask()
    spent = (await asking.state()).spent
    assert spent > PRICES.cost((await make().ask()).usage)


async def test_who_is_stopped_half_way_leaves_the_money_spent(sim: Sim, make: Make):
    asking = make()
    with sim.fault("F11", kind="hang", seconds=5):
        task = asyncio.create_task(asking.ask())
        while not (await asking.state()).requests:
            pass  # each look takes its time in the database
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    state = await asking.state()
    assert (state.requests, state.spent > PRICES.cost((await make().ask()).usage)) == (1, True)


async def test_without_a_connection_nothing_is_spent(make: Make):
    async with served(lambda _: b"") as server:
        pass
    asking = make(server.base)
    with pytest.raises(Transient, match="no connection: ConnectError"):
        await asking.ask()
    state = await asking.state()
    assert (state.requests, state.spent, state.unsettled) == (3, 0, 0)


async def test_a_key_is_in_no_error_and_no_log(sim: Sim, make: Make, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.DEBUG)
    with pytest.raises(Refused) as raised:
        await make(key="planted-key-1").ask()
    assert str(raised.value) == "llm-chat: HTTP 401 invalid_api_key"
    with pytest.raises(Transient) as quoted:
        await make(key="planted-key-1\n", attempts=1).ask()
    said = "".join(map(repr, (raised.value, quoted.value, make(key="planted-key-1").chat))) + caplog.text
    assert "planted-key-1" not in said
    assert "authorization" not in said.lower()


async def test_a_message_of_the_server_is_not_quoted(make: Make):
    body = b'{"error":{"message":"the text was: secret words","type":"x","param":null,"code":"secret_code"}}'
    for status in ("400 Bad Request", "403 Forbidden", "429 Too Many Requests", "500 Oops", "302 Found"):
        answer = told(body, status, location="http://127.0.0.1/")
        async with served(partial(_same, answer)) as server:
            with pytest.raises(NodeError) as raised:
                await make(server.base, attempts=1).ask()
            assert "secret" not in repr(raised.value)
            assert status.split()[0] in str(raised.value)
            assert len(server.seen) == 1  # a redirect is not followed


def _same(answer: bytes, _: Seen) -> bytes:
    return answer


async def test_a_body_without_end_is_not_read(make: Make):
    async with served(lambda _: told(b" " * (2**20 + 1))) as server:
        with pytest.raises(Transient, match="more than 1048576 bytes"):
            await make(server.base, attempts=1).ask()


async def test_real_and_simulated_are_not_mixed(make: Make):
    async with served(lambda _: http_answer(b"{}")) as server:
        with pytest.raises(WrongStore, match="is a real server, but this store holds data of the simulator"):
            await make(server.base).ask()
        with pytest.raises(WrongStore, match="is the simulator, but this store holds data of real upstreams"):
            await make(simulated=False).ask()


@pytest.mark.parametrize(
    ("host", "found", "allowed"),
    [
        ("127.0.0.1", (), True),
        ("::1", (), True),
        ("10.1.2.3", (), True),
        ("vllm.models.svc", ("10.0.0.7", "fd00::7"), True),
        ("8.8.8.8", (), False),
        ("0.0.0.0", (), False),
        ("169.254.169.254", (), False),
        ("::ffff:169.254.169.254", (), False),
        ("api.example.com", ("93.184.216.34",), False),
        ("both.example.com", ("10.0.0.7", "93.184.216.34"), False),
        ("nothing.example.com", (), False),
    ],
)
async def test_in_clear_only_our_own_network_is_asked(host: str, found: tuple[str, ...], allowed: bool):
    async def lookup(_: str) -> tuple[str, ...]:
        return found

    if allowed:
        assert [str(one) for one in await in_clear("llm", host, lookup)] == list(found or (host,))
    else:
        with pytest.raises(Refused, match="ask it by https"):
            await in_clear("llm", host, lookup)


async def test_a_name_is_asked_where_it_was_looked_up_and_one_without_an_address_later(sim: Sim, make: Make):
    asked: list[str] = []

    async def lookup(host: str) -> tuple[str, ...]:
        asked.append(host)
        if host == "lost.example":
            raise OSError("no such name")
        return ("127.0.0.1",)

    port = sim.http.base_url.port
    assert (await make(f"http://models.example:{port}/openai/v1", lookup=lookup).ask()).whole
    with pytest.raises(Transient, match=r"lost\.example has no address"):
        await make(f"http://lost.example:{port}/openai/v1", lookup=lookup, attempts=1).ask()
    assert asked == ["models.example", "lost.example"]


async def test_a_new_month_pays_again(make: Make):
    asking = make(clock=ManualClock(START + timedelta(days=31)))
    await asking.purse.declare(SCOPE, 0, START)
    with pytest.raises(Unpaid):
        await asking.ask()
    await asking.purse.declare(SCOPE, NANO, START)
    await asking.ask()
    state = await asking.state()
    assert (state.month, state.requests) == ("2026-07", 1)
