"""/coins/markets, /simple/price and the lists: values, traps and errors."""

from decimal import Decimal

import pytest

KEYS = [
    "id", "symbol", "name", "image", "current_price", "market_cap", "market_cap_rank",
    "fully_diluted_valuation", "total_volume", "high_24h", "low_24h", "price_change_24h",
    "price_change_percentage_24h", "market_cap_change_24h", "market_cap_change_percentage_24h",
    "circulating_supply", "total_supply", "max_supply", "ath", "ath_change_percentage", "ath_date", "atl",
    "atl_change_percentage", "atl_date", "roi", "last_updated",
]  # fmt: skip


def test_the_present_price_is_the_paths(paid):
    five = paid.truth("bitcoin", "2026-06-01T10:00", "2026-06-01T10:05", "5m")[0]
    day = paid.truth("bitcoin", "2026-05-31T10:00", "2026-06-01T10:05", "5m")
    full = paid.read("/coins/markets", vs_currency="usd", ids="bitcoin", precision="full")[0]
    assert list(full) == KEYS
    assert full["current_price"] == Decimal(five["open"])
    assert full["high_24h"] == max(Decimal(bar["open"]) for bar in day)
    assert full["low_24h"] == min(Decimal(bar["open"]) for bar in day)
    assert abs(full["price_change_24h"] - (Decimal(five["open"]) - Decimal(day[0]["open"]))) < Decimal("1e-6")
    assert full["market_cap"] == round(Decimal(five["open"]) * 19_700_000)
    assert full["atl"] < full["low_24h"] <= full["current_price"] <= full["high_24h"] < full["ath"]
    assert "2026-06-01T10:02" <= full["last_updated"] <= "2026-06-01T10:03:21.000Z"
    display = paid.read("/coins/markets", vs_currency="usd", ids="bitcoin")[0]["current_price"]
    assert display == round(full["current_price"])  # ten thousand and more: whole
    assert isinstance(display, int)


def test_a_page_has_100_rows_unless_asked_otherwise(start):
    simulator = start(coins=600, limits=False)
    coins = [coin["id"] for coin in simulator.read("/coins/list")]
    asked = {"vs_currency": "usd", "ids": ",".join(coins[:180])}
    assert len(simulator.read("/coins/markets", **asked)) == 100
    assert len(simulator.read("/coins/markets", per_page=250, **asked)) == 180
    assert len(simulator.read("/coins/markets", vs_currency="usd", per_page=1000)) == 250
    pages = [
        simulator.read("/coins/markets", vs_currency="usd", per_page=250, page=page) for page in (1, 2, 3, 4)
    ]
    assert [len(page) for page in pages] == [250, 250, len(coins) - 500, 0]
    assert sorted(row["id"] for page in pages for row in page) == sorted(coins)


def test_the_order_is_by_cap_and_null_caps_come_last(start):
    simulator = start(coins=120, limits=False)
    rows = simulator.read("/coins/markets", vs_currency="usd", per_page=250)
    caps = [row["market_cap"] for row in rows if row["market_cap"] is not None]
    assert caps == sorted(caps, reverse=True)
    assert [row["market_cap_rank"] for row in rows[: len(caps)]] == list(range(1, len(caps) + 1))
    assert len(rows) - len(caps) >= 5
    assert all(row["market_cap_rank"] is None and row["market_cap"] is None for row in rows[len(caps) :])
    up = simulator.read("/coins/markets", vs_currency="usd", per_page=250, order="market_cap_asc")
    assert [row["id"] for row in up[: len(caps)]] == [row["id"] for row in rows[: len(caps)]][::-1]
    by_id = simulator.read("/coins/markets", vs_currency="usd", per_page=250, order="id_asc")
    assert [row["id"] for row in by_id] == sorted(row["id"] for row in rows)
    by_volume = simulator.read("/coins/markets", vs_currency="usd", per_page=250, order="volume_desc")
    volumes = [row["total_volume"] for row in by_volume]
    assert volumes == sorted(volumes, reverse=True)


def test_a_coin_that_does_not_trade_says_so(paid):
    row = paid.read("/coins/markets", vs_currency="usd", ids="sim-coin-00007")[0]
    assert row["price_change_24h"] is None
    assert row["price_change_percentage_24h"] is None
    assert row["last_updated"] == "2026-06-01T00:00:00.000Z"  # ten hours ago
    simple = paid.read("/simple/price", ids="sim-coin-00007", vs_currencies="usd", include_24hr_change="true",
                       include_last_updated_at="true")["sim-coin-00007"]  # fmt: skip
    assert simple["usd_24h_change"] is None
    assert simple["last_updated_at"] == 1_780_272_000


def test_unknown_ids_are_left_out_in_silence(paid):
    assert [r["id"] for r in paid.read("/coins/markets", vs_currency="usd", ids="nope,bitcoin,btc")] == [
        "bitcoin"
    ]
    assert list(paid.read("/simple/price", ids="nope,bitcoin", vs_currencies="usd")) == ["bitcoin"]
    assert paid.read("/simple/price", ids="nope", vs_currencies="usd") == {}
    assert paid.read("/simple/price", ids="bitcoin", vs_currencies="usdt") == {"bitcoin": {}}


def test_symbols_are_no_identity(start):
    simulator = start(coins=300, limits=False)
    listed = [coin for coin in simulator.read("/coins/list") if coin["symbol"] == "btc"]
    assert len(listed) > 1
    top = simulator.read("/coins/markets", vs_currency="usd", symbols="btc")
    assert [row["id"] for row in top] == ["bitcoin"]
    every = simulator.read(
        "/coins/markets", vs_currency="usd", symbols="btc", include_tokens="all", per_page=250
    )
    assert {row["id"] for row in every} == {coin["id"] for coin in listed}


def test_fields_that_are_told_on_request(paid):
    asked = {"price_change_percentage": "1h,7d", "sparkline": "true"}
    row = paid.read("/coins/markets", vs_currency="usd", ids="bitcoin", **asked)[0]
    assert list(row) == [
        *KEYS, "sparkline_in_7d",
        "price_change_percentage_1h_in_currency", "price_change_percentage_7d_in_currency",
    ]  # fmt: skip
    assert len(row["sparkline_in_7d"]["price"]) == 168
    simple = paid.read("/simple/price", ids="bitcoin", vs_currencies="usd,eur", include_market_cap="true",
                       include_24hr_vol="true", precision="full")["bitcoin"]  # fmt: skip
    assert list(simple) == [
        "usd", "usd_market_cap", "usd_24h_vol", "eur", "eur_market_cap", "eur_24h_vol",
    ]  # fmt: skip
    assert float(simple["eur"]) == float(simple["usd"]) * 0.86


def test_rates_are_what_a_bitcoin_costs(paid):
    rates = paid.read("/exchange_rates")["rates"]
    price = paid.read("/simple/price", ids="bitcoin,ethereum", vs_currencies="usd", precision="full")
    assert rates["usd"]["value"] == round(price["bitcoin"]["usd"], 3)
    assert rates["btc"]["value"] == 1
    assert rates["sats"]["value"] == 100_000_000
    assert rates["eth"]["value"] == round(price["bitcoin"]["usd"] / price["ethereum"]["usd"], 3)
    assert rates["xau"]["type"] == "commodity"
    supported = paid.read("/simple/supported_vs_currencies")
    assert set(supported) < set(rates)
    assert "usdt" not in supported


def test_the_whole_list_comes_at_once(start):
    simulator = start(coins=17_000, limits=False)
    coins = simulator.read("/coins/list", include_platform="true")
    assert len(coins) == 17_000
    assert len({coin["id"] for coin in coins}) == 17_000
    assert {"bitcoin", "sim-coin-16999"} <= {coin["id"] for coin in coins}
    assert all(set(coin) == {"id", "symbol", "name", "platforms"} for coin in coins)
    inactive = {coin["id"] for coin in simulator.read("/coins/list", status="inactive")}
    assert inactive
    assert not inactive & {coin["id"] for coin in coins}


def test_delisted_coins_are_listed_for_paid_plans_only(demo):
    assert demo.get("/coins/list", status="inactive").status_code == 401


def test_global_is_the_sum(paid):
    rows = paid.read("/coins/markets", vs_currency="usd", per_page=250)
    data = paid.read("/global")["data"]
    caps = [row["market_cap"] for row in rows if row["market_cap"]]
    assert abs(data["total_market_cap"]["usd"] - sum(caps)) < len(caps)
    assert abs(data["market_cap_percentage"]["btc"] - Decimal(caps[0]) / sum(caps) * 100) < Decimal("1e-6")
    assert data["updated_at"] == 1_780_308_201


def test_each_host_writes_dates_its_own_way(paid, demo):
    for simulator, right, wrong in ((paid, "2026-05-01", "01-05-2026"), (demo, "01-05-2026", "2026-05-01")):
        told = simulator.read("/coins/bitcoin/history", date=right, localization="false")
        first = simulator.truth("bitcoin", "2026-05-01T00:00", "2026-05-01T00:05", "5m")[0]
        assert told["market_data"]["current_price"]["usd"] == Decimal(first["open"])
        assert told["market_data"]["market_cap"]["usd"] > told["market_data"]["current_price"]["usd"]
        assert len(told["market_data"]["current_price"]) == 63
        assert "localization" not in told
        assert simulator.get("/coins/bitcoin/history", date=wrong).status_code == 400
    assert "market_data" not in paid.read("/coins/ethereum/history", date="2015-01-01")


@pytest.mark.parametrize(
    ("path", "params", "status", "body"),
    [
        ("/coins/markets", {}, 422, {"error": "Missing parameter vs_currency"}),
        ("/coins/markets", {"vs_currency": "usdt"}, 400, {"error": "invalid vs_currency"}),
        ("/simple/price", {"ids": "bitcoin"}, 422, {"error": "Missing parameter vs_currencies"}),
        ("/simple/price", {}, 422, {"error": "Missing parameter ids"}),
        ("/coins/nope/ohlc", {"vs_currency": "usd", "days": 1}, 404, {"error": "coin not found"}),
        ("/coins/bitcoin/market_chart", {"vs_currency": "usd"}, 422, {"error": "Missing parameter days"}),
        (
            "/coins/bitcoin/market_chart",
            {"vs_currency": "usd", "days": "x"},
            400,
            {"error": "invalid parameter days"},
        ),
        ("/coins/bitcoin", {}, 404, None),
    ],
)
def test_errors_are_shaped_as_recorded(paid, path, params, status, body):
    answer = paid.get(path, **params)
    assert answer.status_code == status
    assert answer.headers["x-simulated"] == "crypto-data"
    if body:
        assert answer.json() == body


def test_every_answer_says_that_it_is_simulated(paid):
    for path in ("/ping", "/coins/markets", "/nope"):
        answer = paid.get(path)
        assert answer.headers["x-simulated"] == "crypto-data"
        assert answer.headers["date"] == "Mon, 01 Jun 2026 10:03:21 GMT"
    assert paid.http.get("/sim/clock").headers["x-simulated"] == "crypto-data"
