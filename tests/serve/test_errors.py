"""One envelope for whatever goes wrong, and nothing of our inside in it."""

import re
from typing import Any

import httpx
import pytest

from ray_app.serve.problems import STATUS
from tests.serve.conftest import Running, Start, at, client

REQUEST_ID = re.compile(r"[0-9a-f]{24}")


def check(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """The envelope's content, after looking at its form."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    body = answer.json()
    assert list(body) == ["error"]
    error: dict[str, Any] = body["error"]
    assert list(error) == ["code", "message", "details", "timestamp", "request_id"]
    assert (error["code"], STATUS[code]) == (code, status)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", error["timestamp"])
    assert error["request_id"] == answer.headers["x-request-id"]
    assert REQUEST_ID.fullmatch(error["request_id"])
    assert "Traceback" not in answer.text
    return error


async def test_what_is_not_there(node: Running):
    for path in (
        "/nothing",
        "/api/v1/prices",
        "/api/v1/prices/current/",
        "/api/v2/health",
        "/assets/none.js",
    ):
        check(await node.http.get(path), 404, "NOT_FOUND")
    check(await node.http.get("/api/v1/backfills/none"), 404, "NOT_FOUND")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
async def test_methods_that_are_not_allowed(node: Running, method: str):
    answer = await node.http.request(method, "/api/v1/prices/current/BTC")
    check(answer, 405, "METHOD_NOT_ALLOWED")
    assert answer.headers["allow"] == "GET"


async def test_a_symbol_that_nobody_knows_comes_with_three_near_ones(node: Running):
    error = check(await node.http.get("/api/v1/prices/current/bitcoim"), 404, "INVALID_SYMBOL")
    assert error["details"]["symbol"] == "bitcoim"
    assert error["details"]["nearest"][0] == "BTC"
    assert len(error["details"]["nearest"]) == 3
    for path in ("/api/v1/prices/historical/XX", "/api/v1/coverage?symbol=XX", "/api/v1/revisions?symbol=XX"):
        check(await node.http.get(path), 404, "INVALID_SYMBOL")


async def test_a_symbol_of_two_coins_comes_with_both(node: Running):
    error = check(await node.http.get("/api/v1/prices/current/dup"), 400, "AMBIGUOUS_SYMBOL")
    assert sorted(error["details"]["candidates"]) == ["one-thing", "other-thing"]


async def test_odd_symbols(node: Running):
    for name in ("%00", "%ff", "a" * 3000, "..%2f..", "<script>", "BTC;", "ß", "%20"):
        answer = await node.http.get(f"/api/v1/prices/current/{name}")
        assert answer.status_code == 404, name
        check(answer, 404, answer.json()["error"]["code"])


async def test_a_failure_of_ours_tells_the_request_id_and_nothing_else(node: Running):
    async def broken() -> None:
        raise RuntimeError("secret detail")

    node.app.add_api_route("/api/v1/broken", broken)
    answer = await node.http.get("/api/v1/broken")
    error = check(answer, 500, "INTERNAL_ERROR")
    assert "secret" not in answer.text
    assert error["details"] == {}


async def test_a_store_that_is_down(start: Start, tmp_path: Any):
    running = await start()
    await running.fill.declare()
    await running.fill.prices(at(), {"bitcoin": "1"})
    running.clock.set(at(minutes=1))
    await running.get("/api/v1/prices/current/BTC")
    for file in tmp_path.glob("node.db*"):
        file.rename(file.with_suffix(".away" + file.suffix))
    (tmp_path / "node.db").mkdir()
    await running.store.changes.close()
    await running.store.database.engine.dispose()
    answer = await running.http.get("/api/v1/prices/current/BTC")
    error = check(answer, 503, "SERVICE_UNAVAILABLE")
    assert (error["details"], answer.headers["retry-after"]) == ({"down": ["store"]}, "5")
    assert str(tmp_path) not in answer.text
    async with client(running.app, None) as nobody:
        ready = await nobody.get("/ready")
        assert check(ready, 503, "SERVICE_UNAVAILABLE")["details"]["down"] == ["store"]
        assert (await nobody.get("/health")).json() == {"status": "alive"}


async def test_ids_of_requests_are_ours(node: Running):
    sent = {"X-Request-Id": "mine", "X-Client-Request-Id": "client-7"}
    answers = [await node.http.get("/api/v1/quotas", headers=sent) for _ in range(3)]
    ids = {answer.headers["x-request-id"] for answer in answers}
    assert len(ids) == 3
    assert all(REQUEST_ID.fullmatch(one) for one in ids)


async def test_a_simulated_store_behind_a_real_gateway_is_not_ready(node: Running, start: Start):
    from dataclasses import replace

    object.__setattr__(node.node, "parts", replace(node.node.parts, simulated=False))
    async with client(node.app, None) as nobody:
        error = check(await nobody.get("/ready"), 503, "SERVICE_UNAVAILABLE")
    assert "other kind" in error["details"]["reasons"]["store"]
