from datetime import timedelta
from typing import Any

import pytest

from ray_app.collect.collector import collect
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
from ray_app.model.quota import Priority
from ray_app.model.source import Page, Slice
from ray_app.model.timerange import TimeRange
from ray_app.sources.coingecko import PRICES, SOURCE
from tests.connect.conftest import MARKETS, START, Answering, Ask, Simulated, http_answer, markets


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
