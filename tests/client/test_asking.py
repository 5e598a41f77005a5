"""When a question is asked again and when not; each refusal is an error of its own; what is kept of answers."""

import pickle
import socket
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from ray_app.client import (
    AmbiguousSymbol,
    ApiError,
    AsyncClient,
    CursorInvalid,
    InvalidKey,
    InvalidRequest,
    InvalidSymbol,
    InvalidTimeframe,
    LicenceRestricted,
    NotAvailable,
    NotFound,
    Patience,
    RateLimited,
    ScopeMissing,
    ServerFailed,
    ServerUnavailable,
    TooCostly,
    TooLarge,
    Unreachable,
    Unreadable,
)
from ray_app.client.asking import Kept, answered
from ray_app.client.effects import Request
from ray_app.client.errors import BY_CODE, ClientError, ExportUnfinished
from ray_app.serve.problems import STATUS
from tests.client.conftest import in_process
from tests.client.plans import Play, problem, told
from tests.serve.conftest import Running, at
from tests.serve.filling import ohlc
from tests.serve.streams.conftest import served

GET = Request("GET", "/x")
POST = Request("POST", "/x", body=b"{}", safe=False)
GOOD = told(200, {"a": 1})
BUSY = problem(429, "RATE_LIMIT_EXCEEDED", {"limit": "burst", "retry_after": 7}, retry_after="7")
DOWN = problem(503, "SERVICE_UNAVAILABLE", {"down": ["store"]}, retry_after="5")
HTML = told(502, b"<html>bad gateway</html>")


def played(request: Request, *answers: Any, **patience: Any) -> Play:
    """The play after a good answer; raises what the question raises."""
    play = Play(answers)
    assert play.run(answered(request, play.patience(**patience), Kept(0))).status == 200
    return play


def test_retry_after_is_waited_out_with_a_little_more():
    play = played(GET, BUSY, DOWN, GOOD)
    assert 7 <= play.waits[0] <= 7.8
    assert 5 <= play.waits[1] <= 5.6


def test_without_it_the_waits_grow_up_to_a_bound_and_differ():
    play = Play([HTML] * 9)
    with pytest.raises(ServerUnavailable) as error:
        play.run(answered(GET, play.patience(attempts=9, longest=3.0), Kept(0)))
    assert (error.value.code, error.value.status) == ("HTTP_502", 502)
    assert len(play.waits) == 8
    for number, wait in enumerate(play.waits):
        whole = min(3.0, 0.5 * 2**number)
        assert whole / 2 <= wait <= whole
    assert len({round(wait, 6) for wait in play.waits}) == 8


def test_a_proxy_whose_replica_died_is_asked_again_and_the_nodes_own_failure_is_not():
    play = played(GET, told(500, b"Internal Server Error"), GOOD)
    assert len(play.asked) == 2
    with pytest.raises(ServerUnavailable):
        played(POST, told(500, b"Internal Server Error"), GOOD)
    with pytest.raises(ServerFailed):
        played(GET, problem(500, "INTERNAL_ERROR"), GOOD)


def test_a_gateway_that_is_away_for_a_minute_is_waited_for():
    play = Play([])
    play.answers = iter(lambda: GOOD if play.now > 60 else HTML, None)
    assert play.run(answered(GET, play.patience(), Kept(0))).status == 200


def test_attempts_and_time_are_bounded():
    play = Play([DOWN] * 9)
    with pytest.raises(ServerUnavailable):
        play.run(answered(GET, play.patience(attempts=3), Kept(0)))
    assert len(play.asked) == 3
    play = Play([DOWN] * 99)
    with pytest.raises(ServerUnavailable):
        play.run(answered(GET, play.patience(attempts=99, seconds=20), Kept(0)))
    assert len(play.asked) == 4
    assert play.now <= 20
    play = Play([problem(429, "RATE_LIMIT_EXCEEDED", retry_after="3000")])
    with pytest.raises(RateLimited) as error:
        play.run(answered(GET, play.patience(), Kept(0)))
    assert (error.value.retry_after, play.waits) == (3000, [])


def test_a_date_is_read_against_the_answers_own():
    dates = {"retry_after": "Mon, 23 Nov 2026 00:00:09 GMT", "date": "Mon, 23 Nov 2026 00:00:05 GMT"}
    assert 4 <= played(GET, told(503, b"", **dates), GOOD).waits[0] <= 4.5
    play = played(GET, told(503, b"", retry_after="soon"), GOOD)
    assert play.waits[0] <= 0.5


def test_broken_connections_are_tried_again_where_it_does_no_harm():
    assert len(played(GET, Unreachable("reset"), Unreachable("refused", False), GOOD).asked) == 3
    assert len(played(POST, Unreachable("refused", False), BUSY, GOOD).asked) == 3
    for wrong in (Unreachable("reset"), DOWN, HTML):
        play = Play([wrong])
        with pytest.raises(ClientError):
            play.run(answered(POST, play.patience(), Kept(0)))
        assert play.waits == []


@pytest.mark.parametrize("code", [c for c, s in STATUS.items() if s not in (429, 503)])
def test_no_other_refusal_is_asked_again(code: str):
    play = Play([problem(STATUS[code], code)])
    with pytest.raises(BY_CODE[code]) as error:
        play.run(answered(GET, play.patience(), Kept(0)))
    assert play.waits == []
    assert (error.value.request_id, error.value.status) == ("r1", STATUS[code])


def test_every_code_has_its_error_and_each_survives_pickling():
    assert set(BY_CODE) == set(STATUS)
    for code, kind in BY_CODE.items():
        error = kind(code, "m", {"nearest": ["BTC"]}, "r1", STATUS[code], 5.0)
        again = pickle.loads(pickle.dumps(error))
        assert type(again) is kind
        assert vars(again) == vars(error)
        assert str(again) == f"{code}: m (request r1)"
    unfinished = pickle.loads(pickle.dumps(ExportUnfinished("e", "running", 5.0)))
    assert str(unfinished) == "export e is running after 5 s"
    new = problem(418, "TEAPOT")
    play = Play([new])
    with pytest.raises(ApiError, match="TEAPOT"):
        play.run(answered(GET, play.patience(), Kept(0)))


async def test_refusals_of_a_node(full: Running):
    async with in_process(full) as client:
        with pytest.raises(InvalidSymbol) as symbol:
            await client.prices.current("BTX")
        assert symbol.value.nearest[0] == "BTC"
        with pytest.raises(AmbiguousSymbol) as two:
            await client.prices.current("DUP")
        assert two.value.candidates == ["one-thing", "other-thing"]
        with pytest.raises(InvalidTimeframe) as frame:
            await client.technical("BTC", timeframe="3h")
        assert frame.value.available == ["1h", "4h", "1d"]
        with pytest.raises(InvalidRequest) as wrong:
            await client.news.crypto(limit=5000)
        assert wrong.value.errors[0]["where"] == "limit"
        with pytest.raises(CursorInvalid):
            await client.catalog.symbols(cursor="AAAA")
        with pytest.raises(TooCostly) as cost:
            await client.features.between("BTC", "2026-11-01", known_by="2026-11-23T03:00:00Z")
        assert cost.value.details["most"] == 168
        with pytest.raises(NotAvailable):
            await client.onchain("SOL")
        with pytest.raises(NotFound) as record:
            await client.operations.backfill("none")
        assert len(record.value.request_id or "") == 24
        with pytest.raises(InvalidRequest, match="nothing") as query:
            await client.graphql("{ nothing }")
        assert query.value.request_id
        with pytest.raises(TooLarge):
            await client.sentiment.finbert(["x" * 30_000] * 64)
    async with in_process(full, key="cdk_wrong") as client:
        assert (await client.operations.alive()).status == "alive"
        with pytest.raises(InvalidKey) as key:
            await client.prices.current("BTC")
        assert "cdk_wrong" not in str(key.value) + repr(key.value)
    async with in_process(full, key=await full.new_key("read:news")) as client:
        with pytest.raises(ScopeMissing) as scope:
            await client.prices.current("BTC")
        assert scope.value.scope == "read:prices"
        with pytest.raises(LicenceRestricted) as licence:
            await client.news.social()
        assert {one["licence"] for one in licence.value.series} == {"no_redistribution"}


async def test_a_node_that_cannot_is_asked_again_and_a_limit_names_its_wait(node: Running):
    quick = Patience(attempts=2, seconds=1.0, first=0.01)
    async with in_process(node, patience=quick) as client:
        with pytest.raises(ServerUnavailable) as down:
            await client.sentiment.cryptobert(["Bitcoin"])
        assert (down.value.down, down.value.retry_after) == (["cryptobert"], 5.0)
    key = await node.new_key("read:ops", per_hour=100, burst=2)
    async with in_process(node, key=key, patience=quick) as client:
        await client.catalog.sources()
        await client.catalog.sources()
        assert client.allowance is not None
        assert (client.allowance.limit, client.allowance.remaining) == (100, 98)
        with pytest.raises(RateLimited) as over:
            await client.catalog.sources()
        assert over.value.limit == "burst"
        assert 0 < (over.value.retry_after or 0) <= 60


class Flaky:
    """In front of an application: the first answers are others."""

    def __init__(self, app: Any, *first: Any) -> None:
        self._app, self._first, self.seen = app, list(first), 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.seen += scope["type"] == "http"
        if scope["type"] != "http" or not self._first:
            await self._app(scope, receive, send)
            return
        status, body = self._first.pop(0)
        headers = [(b"content-type", b"text/html"), (b"content-length", b"%d" % (len(body) + (status == 0)))]
        await send({"type": "http.response.start", "status": status or 200, "headers": headers})
        await send({"type": "http.response.body", "body": body, "more_body": False})


async def test_over_real_connections(node: Running):
    await node.fill.prices(at(), {"bitcoin": "1"})
    node.clock.set(at(minutes=1))
    flaky: Any = Flaky(node.app, (503, b"<h1>no"), (0, b"cut off"), (504, b""))  # 0: less than it announced
    quick = Patience(first=0.01)
    async with (
        served(flaky) as port,
        AsyncClient(f"http://127.0.0.1:{port}", node.key, patience=quick) as client,
    ):
        assert (await client.prices.current("BTC")).current_price["usd"] == 1
        assert flaky.seen == 4
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        quick = Patience(attempts=2, first=0.01)
        async with AsyncClient(f"http://127.0.0.1:{free.getsockname()[1]}", "k", patience=quick) as client:
            with pytest.raises(Unreachable, match="ConnectError") as nobody:
                await client.prices.current("BTC")
            assert nobody.value.sent is False


async def test_what_is_no_answer_of_a_node(node: Running):
    for body in (b"<html>welcome</html>", b'{"symbol": "BTC"}', b"[1]"):
        welcome: Any = Flaky(node.app, (200, body))
        async with (
            served(welcome) as port,
            AsyncClient(f"http://127.0.0.1:{port}") as client,
        ):
            with pytest.raises(Unreadable):
                await client.prices.current("BTC")
    play = Play([told(302, b"", location="http://elsewhere")])
    with pytest.raises(Unreadable, match="HTTP 302"):
        play.run(answered(GET, play.patience(), Kept(0)))


async def test_moments_have_a_zone_and_addresses_no_key(client: AsyncClient, node: Running):
    await node.fill.prices(at(minutes=5), {"bitcoin": "1.10"})
    await node.fill.prices(at(minutes=10), {"bitcoin": "2"})
    node.clock.set(at(minutes=11))
    then = datetime(2026, 11, 23, 0, 6, tzinfo=UTC)
    for moment in (then, "2026-11-23T00:06:00Z"):
        found = await client.prices.current("BTC", as_of=moment)
        assert found.current_price["usd"] == Decimal("1.1")
        assert found.meta.as_of == then
    with pytest.raises(ValueError, match="as_of: give the time a zone"):
        await client.prices.current("BTC", as_of=then.replace(tzinfo=None))
    with pytest.raises(ValueError, match="symbol must not be"):
        await client.prices.current("..")
    with pytest.raises(TypeError):
        await client.prices.current("BTC", asof=then)  # type: ignore[call-arg]  # a typing error is seen
    for address in ("127.0.0.1:8000", "ftp://x", "http://x/?key=cdk_a", "http://cdk_a@x"):
        with pytest.raises(ValueError, match="base_url must be like"):
            AsyncClient(address, "k")
    with pytest.raises(ValueError, match="api_key must be"):
        AsyncClient("http://x", "cdk_a\r\nX-Y: z")


async def test_what_has_not_changed_is_not_sent_again(node: Running):
    await node.fill.bars("bitcoin", at(-3), [ohlc(n) for n in range(3)], at(0, 17))
    node.clock.set(at(0, 30))
    async with in_process(node, keep=2) as client:
        seen: list[int] = []

        async def note(answer: Any) -> None:
            seen.append(answer.status_code)

        client._driver._http.event_hooks = {"response": [note]}
        first = await client.prices.historical("BTC", days=1)
        node.clock.set(at(0, 31))
        again = await client.prices.historical("BTC", days=1)
        assert seen == [200, 304]
        assert again == first
        assert again.meta.generated_at == at(0, 30)
        await node.fill.bars("bitcoin", at(-3), [("7", "9", "6", "8")], at(0, 32))
        node.clock.set(at(0, 33))
        assert (await client.prices.historical("BTC", days=1)).data[0].close == 8
        for symbol in ("ETH", "SOL", "BTC"):  # two are kept: the oldest is gone
            with suppress(NotAvailable):
                await client.prices.historical(symbol, days=1)
        assert seen[2:] == [200, 200, 200, 200]
        assert len(client._driver.kept._answers) == 2


def test_server_failed_is_not_asked_again():
    with pytest.raises(ServerFailed):
        played(GET, problem(500, "INTERNAL_ERROR"))
