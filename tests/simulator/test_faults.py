"""Each fault as a client sees it on the wire, and as the ledger has it."""

import gzip
import json
import threading
import time
from collections import Counter
from decimal import Decimal

import httpx
import pytest

from ray_app.simulator.faults import CATALOGUE, WEATHER, Faults

MARKETS = ("/coins/markets", {"vs_currency": "usd"})
CANDLES = ("/coins/bitcoin/ohlc/range", {"vs_currency": "usd", "interval": "hourly", "from": "2026-05-01", "to": "2026-05-08"})  # fmt: skip
CHART = ("/coins/bitcoin/market_chart", {"vs_currency": "usd", "days": 7})


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


def test_values_may_be_absent(paid):
    good = paid.read(*(CANDLES[0],), **CANDLES[1])
    paid.fault("F12", kind="null", share=0.2)
    nulls = paid.read(CANDLES[0], **CANDLES[1])
    assert [c[0] for c in nulls] == [c[0] for c in good]
    holes = [c[0] for c in nulls if c[1:] == [None] * 4]
    assert 0.1 < len(holes) / len(good) < 0.3
    assert [c for c in nulls if c[0] not in holes] == [c for c in good if c[0] not in holes]
    rows = paid.read(MARKETS[0], **MARKETS[1])
    assert any(row["current_price"] is None for row in rows)
    paid.http.delete("/sim/faults")
    paid.fault("F12", kind="missing", share=0.2)
    assert any("current_price" not in row for row in paid.read(MARKETS[0], **MARKETS[1]))
    paid.http.delete("/sim/faults")
    paid.fault("F12", kind="empty")
    assert paid.read(MARKETS[0], **MARKETS[1]) == []
    assert paid.read(CHART[0], **CHART[1]) == {"prices": [], "market_caps": [], "total_volumes": []}


def test_times_may_repeat_step_back_or_be_shuffled(paid):
    good = paid.read(CHART[0], **CHART[1])["prices"]
    found = {}
    for kind in ("duplicated", "backwards", "shuffled"):
        paid.http.delete("/sim/faults")
        paid.fault("F13", kind=kind)
        found[kind] = paid.read(CHART[0], **CHART[1])["prices"]
    repeated = Counter(tuple(point) for point in found["duplicated"])
    assert set(repeated) == {tuple(point) for point in good}
    assert max(repeated.values()) == 2
    assert any(b[0] - a[0] == -1000 for a, b in zip(found["backwards"], found["backwards"][1:], strict=False))
    assert found["shuffled"] != good
    assert sorted(found["shuffled"]) == sorted(good)


def test_points_may_be_missing(paid):
    good = paid.read(CANDLES[0], **CANDLES[1])
    paid.fault("F14", share=0.3)
    holes = paid.read(CANDLES[0], **CANDLES[1])
    assert 0.5 < len(holes) / len(good) < 0.9
    assert [c for c in good if c in holes] == holes
    narrower = paid.read(CANDLES[0], **(CANDLES[1] | {"from": "2026-05-03"}))
    assert narrower == [c for c in holes if c[0] >= 1_777_766_400_000]  # the same ones every time


def test_the_last_candle_may_have_one_tick_only(paid):
    good = paid.read("/coins/bitcoin/ohlc", vs_currency="usd", days=1)
    paid.fault("F15")
    spoilt = paid.read("/coins/bitcoin/ohlc", vs_currency="usd", days=1)
    assert spoilt[:-1] == good[:-1]
    assert set(spoilt[-1][1:]) == {good[-1][1]}


def test_history_may_be_revised(paid):
    good = paid.read(CANDLES[0], **CANDLES[1])
    paid.fault("F16", factor=1.01, share=0.2)
    revised = paid.read(CANDLES[0], **CANDLES[1])
    changed = [(a, b) for a, b in zip(good, revised, strict=True) if a != b]
    assert 10 < len(changed) < len(good) * 0.4
    assert all(abs(b[1] / a[1] - Decimal("1.01")) < Decimal("1e-9") for a, b in changed)
    assert paid.read(CANDLES[0], **CANDLES[1]) == revised
    recent = paid.read("/coins/bitcoin/ohlc", vs_currency="usd", days=1)[-2:]
    paid.http.delete("/sim/faults")
    assert paid.read("/coins/bitcoin/ohlc", vs_currency="usd", days=1)[-2:] == recent


def test_a_coin_may_be_gone_or_renamed(paid):
    rows = paid.read(MARKETS[0], **MARKETS[1])
    paid.fault("F17", id="ethereum")
    assert [r["id"] for r in paid.read(MARKETS[0], **MARKETS[1])] == [
        r["id"] for r in rows if r["id"] != "ethereum"
    ]
    assert paid.get("/coins/ethereum/ohlc", vs_currency="usd", days=1).status_code == 404
    assert "ethereum" not in paid.read("/simple/price", ids="bitcoin,ethereum", vs_currencies="usd")
    assert "ethereum" not in {coin["id"] for coin in paid.read("/coins/list")}
    assert paid.get("/coins/bitcoin/ohlc", vs_currency="usd", days=1).status_code == 200
    paid.http.delete("/sim/faults")
    before = paid.read("/coins/ethereum/ohlc", vs_currency="usd", days=1)
    paid.fault("F17", id="ethereum", renamed_to="ether-two")
    assert paid.get("/coins/ethereum/ohlc", vs_currency="usd", days=1).status_code == 404
    assert paid.read("/coins/ether-two/ohlc", vs_currency="usd", days=1) == before
    assert list(paid.read("/simple/price", ids="ether-two,ethereum", vs_currencies="usd")) == ["ether-two"]
    assert "ether-two" in {coin["id"] for coin in paid.read("/coins/list")}
    assert {a["fault"] for a in paid.ledger() if a["path"].endswith("bitcoin/ohlc")} == {None}


def test_a_page_may_be_cut(paid):
    paid.fault("F19", rows=10)
    assert len(paid.read(MARKETS[0], **MARKETS[1])) == 10


def test_answers_may_be_stale(paid):
    good = paid.read("/coins/markets", vs_currency="usd", ids="bitcoin", precision="full")[0]
    paid.fault("F20", kind="old", hours=6)
    old = paid.read("/coins/markets", vs_currency="usd", ids="bitcoin", precision="full")[0]
    assert old["last_updated"] < "2026-06-01T04:05"
    bar = paid.truth("bitcoin", "2026-06-01T04:00", "2026-06-01T04:05", "5m")[0]
    assert old["current_price"] == Decimal(bar["open"]) != good["current_price"]
    paid.http.delete("/sim/faults")
    paid.fault("F20", kind="repeat")
    first = ask(paid, MARKETS).content
    paid.advance(7_200)
    assert ask(paid, MARKETS).content == first
    paid.http.delete("/sim/faults")
    assert ask(paid, MARKETS).content != first


def test_the_date_may_be_off(paid):
    paid.fault("F21", seconds=-3_600)
    answer = ask(paid, MARKETS)
    assert answer.headers["date"] == "Mon, 01 Jun 2026 09:03:21 GMT"
    assert answer.status_code == 200


def test_a_limit_may_drop_at_a_call(start):
    simulator = start("demo")
    simulator.fault("F23", calls=[4], per_minute=5)
    assert [simulator.get("/ping").status_code for _ in range(7)] == [200] * 5 + [429] * 2


def test_schemas_may_drift(paid):
    found = {}
    for kind in ("extra", "strings", "missing", "integers"):
        paid.http.delete("/sim/faults")
        paid.fault("F24", kind=kind)
        found[kind] = ask(paid, MARKETS).json()[0], ask(paid, CANDLES).json()[0]
    assert found["extra"][0]["simulated_new_field"] == {"since": "today"}
    assert len(found["extra"][1]) == 6
    assert isinstance(found["strings"][0]["current_price"], str)
    assert isinstance(found["strings"][1][1], str)
    assert "current_price" not in found["missing"][0]
    assert len(found["missing"][1]) == 4
    assert isinstance(found["integers"][1][1], int)
    paid.http.delete("/sim/faults")
    paid.fault("F24", kind="missing", field="id_of_nothing")
    assert "current_price" in ask(paid, MARKETS).json()[0]


def test_units_may_drift(paid):
    good = paid.read(CANDLES[0], **CANDLES[1])
    for kind, expected in (("seconds", good[0][0] // 1000), ("microseconds", good[0][0] * 1000)):
        paid.http.delete("/sim/faults")
        paid.fault("F25", kind=kind)
        assert paid.read(CANDLES[0], **CANDLES[1])[0][0] == expected
    paid.http.delete("/sim/faults")
    paid.fault("F25", kind="cents")
    assert abs(paid.read(CANDLES[0], **CANDLES[1])[0][1] / good[0][1] - 100) < Decimal("1e-9")


def test_spoilt_answers_are_not_kept(paid):
    good = ask(paid, MARKETS)
    paid.fault("F24", kind="strings")
    spoilt = ask(paid, MARKETS)
    assert "etag" not in spoilt.headers
    paid.http.delete("/sim/faults")
    assert ask(paid, MARKETS).content == good.content


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
        try:
            simulator.get("/ping" if n % 3 else "/coins/markets", vs_currency="usd")
        except httpx.TransportError:
            pass
    struck = Counter(a["fault"] for a in simulator.ledger())
    assert 0.9 < struck[None] / 600 < 0.999
    assert len(struck) > 3
