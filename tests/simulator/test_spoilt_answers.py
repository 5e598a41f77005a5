"""Faults that spoil a right answer: its values, points, names and units."""

from collections import Counter
from decimal import Decimal
from itertools import pairwise

MARKETS = ("/coins/markets", {"vs_currency": "usd"})
WEEK = {"vs_currency": "usd", "interval": "hourly", "from": "2026-05-01", "to": "2026-05-08"}
CANDLES = ("/coins/bitcoin/ohlc/range", WEEK)
CHART = ("/coins/bitcoin/market_chart", {"vs_currency": "usd", "days": 7})


def ask(simulator, question):
    path, params = question
    return simulator.get(path, **params)


def test_values_may_be_absent(paid):
    good = paid.read(CANDLES[0], **CANDLES[1])
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
    assert 1 <= list(repeated.values()).count(2) < len(good) * 0.15  # one in twenty
    assert max(repeated.values()) == 2
    assert any(b[0] - a[0] == -1000 for a, b in pairwise(found["backwards"]))
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
