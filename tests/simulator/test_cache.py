"""The cache in front of the API, and conditional requests."""

import gzip

import pytest

RANGE = "/coins/bitcoin/market_chart/range"


@pytest.mark.parametrize(
    ("path", "params", "seconds"),
    [
        ("/coins/markets", {"vs_currency": "usd"}, 45),
        ("/simple/price", {"ids": "bitcoin", "vs_currencies": "usd", "include_last_updated_at": "true"}, 20),
        ("/exchange_rates", {}, 300),
        ("/global", {}, 600),
        ("/coins/bitcoin/ohlc", {"vs_currency": "usd", "days": 1}, 900),
        ("/coins/bitcoin/market_chart", {"vs_currency": "usd", "days": 1}, 30),
        (RANGE, {"vs_currency": "usd", "from": "2026-05-31T11:00", "to": "2026-06-30"}, 1_800),
        (RANGE, {"vs_currency": "usd", "from": "2026-01-01", "to": "2026-06-30"}, 43_200),
    ],
)
def test_the_same_bytes_until_the_time_is_over(paid, path, params, seconds):
    first = paid.get(path, **params)
    assert first.status_code == 200
    assert first.headers["etag"].startswith('W/"')
    assert first.headers["cf-cache-status"] == "MISS"
    paid.advance(seconds - 1)
    again = paid.get(path, **params)
    assert (again.content, again.headers["etag"]) == (first.content, first.headers["etag"])
    assert (again.headers["cf-cache-status"], again.headers["age"]) == ("HIT", str(seconds - 1))
    assert again.headers["date"] != first.headers["date"] or seconds < 2
    paid.advance(1)
    new = paid.get(path, **params)
    assert new.headers["cf-cache-status"] == "MISS"
    paid.advance(600)  # so that a price must have changed
    assert paid.http.post("/sim/clock", json={"advance": seconds}).status_code == 200
    assert paid.get(path, **params).headers["etag"] != first.headers["etag"]


def test_a_demo_answer_is_kept_for_a_minute(demo):
    first = demo.get("/coins/markets", vs_currency="usd")
    demo.advance(59)
    assert demo.get("/coins/markets", vs_currency="usd").content == first.content
    demo.advance(1)
    assert demo.get("/coins/markets", vs_currency="usd").headers["cf-cache-status"] == "MISS"


def test_nothing_new_is_a_304_that_counts(start):
    simulator = start("analyst")
    first = simulator.get("/exchange_rates")
    header = {"if-none-match": first.headers["etag"]}
    again = simulator.http.get("/cg-pro/api/v3/exchange_rates", headers=header)
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", first.headers["etag"])
    assert simulator.read("/key")["current_total_monthly_calls"] == 3
    assert [a["status"] for a in simulator.ledger()] == [200, 304, 200]
    simulator.advance(301)
    assert simulator.http.get("/cg-pro/api/v3/exchange_rates", headers=header).status_code == 200


def test_ranges_kept_from_the_evening_expire_at_0040(start):
    from datetime import UTC, datetime

    simulator = start(start=datetime(2026, 6, 1, 23, 0, tzinfo=UTC), limits=False)
    asked = {"vs_currency": "usd", "from": "2026-01-01", "to": "2026-06-30"}
    first = simulator.get(RANGE, **asked)
    simulator.advance(5_900)  # 00:38:20
    assert simulator.get(RANGE, **asked).content == first.content
    simulator.advance(100)  # 00:40
    later = simulator.get(RANGE, **asked).json()["prices"]
    assert [p[0] for p in later if p[0] == 1_780_358_400_000] == [1_780_358_400_000]


def test_bodies_are_packed_on_request(paid):
    asked = {"vs_currency": "usd"}
    plain = paid.http.get(
        "/cg-pro/api/v3/coins/markets", params=asked, headers={"accept-encoding": "identity"}
    )
    packed = paid.http.get("/cg-pro/api/v3/coins/markets", params=asked, headers={"accept-encoding": "gzip"})
    assert "content-encoding" not in plain.headers
    assert packed.headers["content-encoding"] == "gzip"
    assert packed.content == plain.content
    assert int(packed.headers["content-length"]) < len(gzip.compress(plain.content, 1)) * 1.1
