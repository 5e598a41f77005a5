"""Each fault as a client sees it on the wire, and as the ledger has it."""

import gzip
import json
import threading
import time
from collections import Counter
from contextlib import suppress

import httpx
import pytest

from ray_app.simulator.faults import CATALOGUE, WEATHER, Faults

MARKETS = ("/coins/markets", {"vs_currency": "usd"})


def ask(simulator, question):
    path, params = question
    return simulator.get(path, **params)


@pytest.mark.parametrize(
    ("fault", "parameters", "status", "content_type", "headers"),
    [
        ("F01", {"retry_after": 53}, 429, "application/json", {"retry-after": "53"}),
        ("F02", {}, 429, "application/json", {}),
        ("F03", {}, 429, "text/html", {}),
        ("F04", {}, 200, "application/json", {}),
        ("F05", {}, 200, "application/json", {}),
        ("F07", {}, 403, "text/html", {}),
        ("F07", {"status": 451}, 451, "application/json", {}),
        ("F08", {}, 401, "application/json", {}),
        ("F08", {"code": 10012}, 401, "application/json", {}),
        ("F08", {"code": 10010}, 400, "application/json", {}),
        ("F09", {}, 429, "application/json", {}),
        ("F10", {"status": 500}, 500, "application/json", {}),
        ("F10", {"status": 502, "html": True}, 502, "text/html", {}),
        ("F10", {"status": 503}, 503, "application/json", {}),
        ("F10", {"status": 504, "html": True}, 504, "text/html", {}),
        ("F10", {"status": 520, "html": True}, 520, "text/html", {}),
        ("F22", {}, 401, "application/json", {}),
    ],
)
def test_an_answer_in_place_of_the_right_one(paid, fault, parameters, status, content_type, headers):
    paid.fault(fault, "/coins/markets", count=1, **parameters)
    wrong, right = ask(paid, MARKETS), ask(paid, MARKETS)
    assert wrong.status_code == status
    assert wrong.headers["content-type"].startswith(content_type)
    assert wrong.headers["x-simulated"] == "crypto-data"
    assert {name: wrong.headers.get(name) for name in ("retry-after",)} == {
        "retry-after": headers.get("retry-after")
    }
    if content_type == "text/html":
        with pytest.raises(json.JSONDecodeError):
            wrong.json()
    else:
        assert isinstance(wrong.json(), dict)
    assert right.status_code == 200
    assert isinstance(right.json(), list)
    assert [(a["status"], a["fault"]) for a in paid.ledger()] == [(status, fault), (200, None)]


def test_bodies_have_the_recorded_shapes(paid):
    shapes = {
        "F02": lambda body: body["status"]["error_code"] == 429,
        "F04": lambda body: body["status"]["error_code"] == 429,
        "F05": lambda body: isinstance(body["error"], str),
        "F08": lambda body: body["status"]["error_code"] == 10005,
        "F10": lambda body: body == {"status": 500, "error": "Internal Server Error"},
    }
    for fault, fits in shapes.items():
        paid.http.delete("/sim/faults")
        paid.fault(fault)
        assert fits(ask(paid, MARKETS).json())
    paid.http.delete("/sim/faults")
    paid.fault("F08", code=10012)
    assert ask(paid, MARKETS).json()["error"]["status"]["error_code"] == 10012


def test_a_hanging_server_sends_nothing(paid):
    paid.fault("F11", "/coins/markets", kind="hang", seconds=30)
    with pytest.raises(httpx.ReadTimeout):
        paid.http.get("/cg-pro/api/v3/coins/markets", params={"vs_currency": "usd"}, timeout=0.3)
    assert [(a["status"], a["fault"]) for a in paid.ledger()] == [(None, "F11")]
    assert paid.get("/ping").status_code == 200  # others are served meanwhile
    paid.http.delete("/sim/faults")
    paid.fault("F11", "/coins/markets", kind="hang", seconds=0.2)
    assert ask(paid, MARKETS).status_code == 504  # somebody in front gives up at last


def test_a_slow_server_does_not_hold_up_others(paid):
    paid.fault("F11", "/coins/markets", kind="slow", seconds=1.0)
    begun, done = time.perf_counter(), []
    slow = threading.Thread(target=lambda: done.append((ask(paid, MARKETS), time.perf_counter() - begun)))
    slow.start()
    with httpx.Client(base_url=paid.http.base_url, headers=paid.http.headers) as other:
        assert other.get("/cg-pro/api/v3/ping").status_code == 200
        assert time.perf_counter() - begun < 0.9
    slow.join()
    answer, seconds = done[0]
    assert seconds >= 1.0
    assert len(answer.json()) == 40


def test_a_connection_closed_in_the_middle_is_no_answer(paid):
    paid.fault("F11", "/coins/markets", kind="reset", count=1)
    with pytest.raises(httpx.RemoteProtocolError):
        ask(paid, MARKETS)
    assert ask(paid, MARKETS).status_code == 200
    assert [a["status"] for a in paid.ledger()] == [None, 200]


def test_bodies_may_be_cut_empty_or_broken(paid):
    for kind in ("truncated", "empty"):
        paid.http.delete("/sim/faults")
        paid.fault("F11", kind=kind)
        answer = ask(paid, MARKETS)
        assert answer.status_code == 200
        with pytest.raises(json.JSONDecodeError):
            answer.json()
        assert (len(answer.content) == 0) == (kind == "empty")
    paid.http.delete("/sim/faults")
    paid.fault("F11", kind="gzip")
    url = f"{paid.http.base_url}/cg-pro/api/v3/coins/markets?vs_currency=usd"
    with paid.http.stream("GET", url) as answer:
        packed = b"".join(answer.iter_raw())
    with pytest.raises(EOFError):
        gzip.decompress(packed)


def test_rules_strike_when_they_say(paid):
    paid.fault("F10", "/coins/*", calls=[2, 4], status=503)
    assert [ask(paid, MARKETS).status_code for _ in range(5)] == [200, 503, 200, 503, 200]
    assert paid.get("/exchange_rates").status_code == 200
    told = paid.http.get("/sim/faults").json()
    assert (told[0]["matched"], told[0]["injected"]) == (5, 2)
    paid.http.delete("/sim/faults")
    assert paid.http.get("/sim/faults").json() == []
    paid.fault("F10", "/cg-pro/*/markets", count=2, status=503)
    assert [ask(paid, MARKETS).status_code for _ in range(4)] == [503, 503, 200, 200]


def test_chance_is_seeded():
    def struck(seed):
        faults = Faults()
        faults.add({"fault": "F02", "probability": 0.1, "seed": seed})
        return [faults.strike("/ping") is not None for _ in range(2_000)]

    assert struck(1) == struck(1) != struck(2)
    assert 120 < sum(struck(1)) < 280


def test_a_limit_goes_before_a_fault(start):
    simulator = start("keyless")
    simulator.fault("F04")
    statuses = [simulator.get("/ping").status_code for _ in range(7)]
    assert statuses == [200] * 5 + [429] * 2
    assert [a["fault"] for a in simulator.ledger()] == ["F04"] * 5 + [None] * 2


@pytest.mark.parametrize(
    "rule",
    [
        {"fault": "F99"},
        {"fault": "F01", "often": 3},
        {"fault": "F01", "probability": 2},
        {"fault": "F01", "calls": "x"},
        [],
    ],
)
def test_rules_that_make_no_sense_are_refused(paid, rule):
    answer = paid.http.post("/sim/faults", json=rule or "F01")
    assert answer.status_code == 400
    assert answer.json()["error"]


def test_the_weather_is_mild_and_has_nothing_lasting(start):
    simulator = start(faults="weather", limits=False, seed=3)
    assert {rule["fault"] for rule in WEATHER} <= set(CATALOGUE)
    assert not {rule["fault"] for rule in WEATHER} & {"F07", "F08", "F09", "F17", "F23"}
    for n in range(600):
        with suppress(httpx.TransportError):
            simulator.get("/ping" if n % 3 else "/coins/markets", vs_currency="usd")
    struck = Counter(a["fault"] for a in simulator.ledger())
    assert 0.9 < struck[None] / 600 < 0.999
    assert len(struck) > 3
