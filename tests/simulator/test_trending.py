"""/search/trending: fifteen coins in order, the same to all who ask within two hours, others later."""

from decimal import Decimal

from ray_app.simulator.truth import STEP_MS
from tests.simulator.conftest import Upstream, paid, start

__all__ = ["paid", "start"]


def test_fifteen_coins_by_score(paid: Upstream):
    told = paid.read("/search/trending")
    assert set(told) == {"coins", "exchanges"}
    items = [coin["item"] for coin in told["coins"]]
    assert [item["score"] for item in items] == list(range(15))
    assert len({item["id"] for item in items}) == 15
    known = {row["id"]: row for row in paid.read("/coins/markets", vs_currency="btc", precision="full")}
    for item in items:
        row = known[item["id"]]
        assert (item["name"], item["symbol"].lower()) == (row["name"], row["symbol"])
        assert item["market_cap_rank"] == row["market_cap_rank"]
        if row["current_price"] is not None:
            assert abs(Decimal(item["price_btc"]) - Decimal(row["current_price"])) < Decimal("1e-9")


def test_it_is_the_same_for_two_hours_and_then_another(paid: Upstream):
    def ids() -> list[str]:
        return [coin["item"]["id"] for coin in paid.read("/search/trending")["coins"]]

    now = paid.http.get("/sim/clock").json()["now"]
    assert now.startswith("2026")
    first = ids()
    paid.advance(STEP_MS / 1000)
    assert ids() == first
    paid.advance(2 * 3600)
    later = ids()
    assert later != first
    paid.advance(2 * 3600)
    assert ids() != later
