"""An id that CoinGecko gives to another coin is noticed, and its price is not taken for the old coin's."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ray_app.collect.validate import read
from ray_app.model.source import Page, Slice
from ray_app.model.timerange import TimeRange
from ray_app.sources.coingecko import PRICES

T0 = datetime(2026, 3, 1, tzinfo=UTC)
WANTED = Slice(("bitcoin", "polygon-ecosystem-token"), TimeRange(T0, T0 + timedelta(minutes=5)))


def answer(**told: Any) -> Page:
    import json

    row = {
        "id": "bitcoin",
        "symbol": "btc",
        "name": "Bitcoin",
        "current_price": 64210.5,
        "last_updated": T0.isoformat(),
    }
    return Page(
        source="coingecko", stream="prices", path="/coins/markets", params={"vs_currency": "usd"}, status=200,
        headers={}, body=json.dumps([row | told]).encode(), asked_at=T0, received_at=T0,
    )  # fmt: skip


def test_an_id_that_names_another_coin_is_set_aside_with_the_reason():
    found = read(PRICES, answer(symbol="dog2", name="Second Dog"), WANTED)
    assert found.records == []
    (aside,) = found.set_aside
    assert "the id of Bitcoin (BTC) now names Second Dog (DOG2)" in aside.reason


@pytest.mark.parametrize(
    "told",
    [{}, {"symbol": "xbt"}, {"name": "Bitcoin Core"}, {"symbol": "BTC"}],
    ids=["the same", "a new ticker", "a new name", "in capitals"],
)
def test_a_new_ticker_or_a_new_name_alone_is_the_same_coin(told: dict[str, str]):
    found = read(PRICES, answer(**told), WANTED)
    assert [record.partition for record in found.records] == ["bitcoin"]
    assert found.set_aside == []
