"""Keys, the rolling minute and the month: judged from the ledger, as a limiter will be."""

import re
from collections import Counter

import pytest

from ray_app.simulator.plans import PLANS, Caller, Limits


def codes(answer):
    """HTTP status and the code in the body."""
    return answer.status_code, answer.json()["status"]["error_code"]


def busiest_minute(arrivals, answered=True):
    """The most calls in any rolling minute, of one key."""
    moments = [a["at_ms"] for a in arrivals if not answered or a["status"] != 429]
    return max(sum(at - 60_000 < other <= at for other in moments) for at in moments)


@pytest.mark.parametrize(("plan", "limit"), [("keyless", 5), ("demo", 30), ("basic", 250), ("analyst", 500)])
def test_the_limit_is_a_rolling_minute_over_all_arrivals(start, plan, limit):
    simulator = start(plan)
    statuses = Counter(simulator.get("/ping" if n % 2 else "/nope").status_code for n in range(limit))
    assert statuses == {200: limit // 2, 404: limit - limit // 2}  # errors count as well
    assert codes(simulator.get("/ping")) == (429, 429)
    simulator.advance(59)
    assert simulator.get("/ping").status_code == 429
    simulator.advance(1)  # all but the last one are a minute old; that one counts although it was refused
    assert [simulator.get("/ping").status_code for _ in range(limit)] == [200] * (limit - 1) + [429]
    assert busiest_minute(simulator.ledger()) <= limit
    assert simulator.ledger()[limit]["status"] == 429


def test_hammering_keeps_a_caller_out(start):
    simulator = start("demo")
    for _ in range(31):
        simulator.get("/ping")
    for _ in range(70):
        simulator.advance(1)
        assert simulator.get("/ping").status_code in (200, 429)
    late = [a["status"] for a in simulator.ledger()[-20:]]
    assert set(late) == {429}  # sixty in the last minute, all refused or not, are more than thirty


def test_retry_after_is_right_when_it_is_told(start):
    simulator = start("demo", retry_after="always")
    simulator.get("/ping")
    simulator.advance(10)
    for _ in range(29):
        simulator.get("/ping")
    refused = simulator.get("/ping")
    seconds = int(refused.headers["retry-after"])
    assert seconds == 60  # the refused call itself holds the place of the first one, which is free in 50
    simulator.advance(seconds)
    assert simulator.get("/ping").status_code == 200


def test_retry_after_comes_always_never_or_sometimes(start):
    for mode, expected in (("always", {True}), ("never", {False}), ("sometimes", {True, False})):
        simulator = start("keyless", retry_after=mode)
        answers = [simulator.get("/ping") for _ in range(40)]
        assert {
            "retry-after" in answer.headers for answer in answers if answer.status_code == 429
        } == expected


def test_only_a_demo_429_tells_the_limit(start):
    for plan in ("demo", "keyless", "analyst"):
        simulator = start(plan)
        simulator.http.post("/sim/limits", json={"plan": plan, "per_minute": 2})
        good, _, refused = (simulator.get("/ping") for _ in range(3))
        assert "x-ratelimit-limit" not in good.headers
        told = {name: value for name, value in refused.headers.items() if name.startswith("x-ratelimit")}
        if plan == "demo":
            assert told == {
                "x-ratelimit-limit": "2",
                "x-ratelimit-remaining": "0",
                "x-ratelimit-reset": "2026-06-01 10:05:00 +0000",
            }
        else:
            assert not told


def test_each_key_has_its_own_minute(start):
    simulator = start("demo", keys={"one": "demo", "two": "demo", "three": "analyst"})
    for key, plan, host in (
        ("one", "demo", "public"),
        ("two", "demo", "public"),
        ("three", "analyst", "pro"),
    ):
        header = "x-cg-pro-api-key" if host == "pro" else "x-cg-demo-api-key"
        limit = PLANS[plan].per_minute or 0
        statuses = [
            simulator.http.get(f"/cg-{host}/api/v3/ping", headers={header: key}).status_code
            for _ in range(limit + 1)
        ]
        assert statuses == [200] * limit + [429]


@pytest.mark.parametrize(
    ("host", "headers", "expected"),
    [
        ("pro", {}, (401, 10002)),
        ("pro", {"x-cg-pro-api-key": "wrong"}, (401, 10002)),
        ("pro", {"x-cg-demo-api-key": "demo-key"}, (400, 10011)),
        ("pro", {"x-cg-pro-api-key": "demo-key"}, (400, 10011)),
        ("public", {"x-cg-pro-api-key": "pro-key"}, (400, 10010)),
        ("public", {"x-cg-demo-api-key": "pro-key"}, (400, 10010)),
        ("public", {"x-cg-demo-api-key": "wrong"}, (401, 10002)),
    ],
)
def test_keys_belong_to_a_host(start, host, headers, expected):
    simulator = start("keyless", keys={"pro-key": "analyst", "demo-key": "demo"})
    answer = simulator.http.get(f"/cg-{host}/api/v3/ping", headers=headers)
    assert codes(answer) == expected
    assert simulator.ledger()[-1]["plan"] is None


def test_a_key_may_stand_in_the_query_and_never_in_the_ledger(start):
    simulator = start("keyless", keys={"pro-key": "analyst", "demo-key": "demo"})
    for host, name, key in (
        ("pro", "x_cg_pro_api_key", "pro-key"),
        ("public", "x_cg_demo_api_key", "demo-key"),
    ):
        answer = simulator.http.get(f"/cg-{host}/api/v3/coins/markets?vs_currency=usd&{name}={key}")
        assert answer.status_code == 200
    assert [(a["plan"], a["key"], a["query"]) for a in simulator.ledger()] == [
        ("analyst", "key-1", "vs_currency=usd"), ("demo", "key-2", "vs_currency=usd"),
    ]  # fmt: skip
    assert not re.search("pro-key|demo-key", simulator.http.get("/sim/ledger").text)


def test_credits_are_a_calendar_months(start):
    simulator = start("analyst", retry_after="always")
    simulator.http.post("/sim/limits", json={"plan": "analyst", "credits": 10})
    for _ in range(7):
        simulator.get("/ping")
    told = simulator.read("/key")
    assert told == {
        "plan": "Analyst",
        "rate_limit_request_per_minute": 500,
        "monthly_call_credit": 500_000,  # lowered in silence
        "current_total_monthly_calls": 8,
        "current_remaining_monthly_calls": 499_992,
        "api_key_rate_limit_request_per_minute": 500,
        "api_key_monthly_call_credit": 500_000,
        "api_key_current_total_monthly_calls": 8,
    }
    assert [simulator.get("/ping").status_code for _ in range(4)] == [200, 200, 429, 429]
    refused = simulator.get("/ping")
    assert "retry-after" not in refused.headers
    simulator.http.post("/sim/clock", json={"advance_to": "2026-07-01T00:00:00Z"})
    assert simulator.read("/key")["current_total_monthly_calls"] == 1


def test_accounts_add_up_their_keys(start):
    simulator = start("analyst", keys={"sim-key": "analyst", "other": "analyst"})
    for _ in range(3):
        simulator.http.get("/cg-pro/api/v3/ping", headers={"x-cg-pro-api-key": "other"})
    told = simulator.read("/key")
    assert (told["current_total_monthly_calls"], told["api_key_current_total_monthly_calls"]) == (4, 1)


def test_there_is_no_usage_on_the_public_host(start):
    assert start("demo").get("/key").status_code == 404


def test_a_limit_can_be_lowered_in_silence(start):
    simulator = start("demo")
    for _ in range(12):
        assert simulator.get("/ping").status_code == 200
    simulator.http.post("/sim/limits", json={"plan": "demo", "per_minute": 10})
    refused = simulator.get("/ping")
    assert (refused.status_code, refused.headers["x-ratelimit-limit"]) == (429, "10")
    simulator.http.post("/sim/limits", json={"restore": True})
    assert simulator.get("/ping").status_code == 200
    assert simulator.http.post("/sim/limits", json={"plan": "gold", "per_minute": 1}).status_code == 400


def test_limits_off_still_counts(start):
    simulator = start("keyless", limits=False)
    assert {simulator.get("/ping").status_code for _ in range(20)} == {200}
    assert len(simulator.ledger()) == 20
    simulator.http.post("/sim/limits", json={"enforced": True})
    assert simulator.get("/ping").status_code == 429


def test_the_wait_that_is_told_is_the_shortest_that_works():
    """Checked on every position in a minute: one millisecond less is refused, the wait itself is not."""
    for already in range(5, 9):
        for told_is_enough in (True, False):
            limits, caller = Limits(), Caller("keyless", "me")
            for n in range(already):
                limits.arrive(caller, 1_000_000 + n * 7_000)
            now = 1_000_000 + already * 7_000
            over = limits.arrive(caller, now)
            assert over is not None
            assert over.seconds is not None
            free = now + round(over.seconds * 1000) - (0 if told_is_enough else 1)
            assert (limits.arrive(caller, free) is None) is told_is_enough


def test_the_ledger_can_be_filtered_and_reset(start):
    simulator = start("analyst")
    simulator.get("/ping")
    simulator.advance(100)
    simulator.get("/coins/list")
    simulator.get("/ping")
    assert [a["path"] for a in simulator.ledger(path="*/coins/*")] == ["/cg-pro/api/v3/coins/list"]
    assert len(simulator.ledger(since="2026-06-01T10:04:00Z")) == 2
    assert [a["number"] for a in simulator.ledger(after=2)] == [3]
    first = simulator.ledger()[0]
    assert first["at"] == "2026-06-01T10:03:21.000+00:00"
    assert first["wall"] > "2025"
    simulator.http.post("/sim/ledger/reset")
    assert simulator.ledger() == []
