"""CoinGecko's answers of 2021 as others recorded them, each with what was written down after reading it.

Those that belong to a stream: /coins/markets and /coins/{id}/ohlc. They were asked in several currencies; our
streams ask in dollars and refuse to take an answer in another one for it.
"""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from ray_app.collect.collector import parsed
from ray_app.connect.judge import judge
from ray_app.model.collected import Collected
from ray_app.model.errors import Malformed, Refused, Transient, UpstreamError
from ray_app.model.records import Price
from ray_app.model.source import Page, Slice, Stream
from ray_app.model.timerange import TimeRange, floor
from ray_app.sources.coingecko import BARS, BARS_OF_HALVES, PRICES, SOURCE

MARKETS = "test_that_it_gets_market_data_for_"
OHLC = "test_that_it_gets_ohlc_data_for_one_coin_in_the_last_30_days_in_myr"
D = Decimal


def recorded(folder: Path, name: str) -> Page:
    meta = json.loads((folder / "http/coingecko" / f"{name}.meta.json").read_text())
    answer, address = meta["response"], urlsplit(meta["request"]["uri"])
    received_at = parsedate_to_datetime(answer["headers"]["Date"])
    return Page(
        source="coingecko",
        stream="recorded",
        path=address.path.removeprefix("/api/v3"),
        params=dict(parse_qsl(address.query)),
        status=answer["status"],
        headers={key.lower(): value for key, value in answer["headers"].items()},
        body=(folder / "http/coingecko" / answer["body_file"]).read_bytes(),
        asked_at=received_at,
        received_at=received_at,
    )


def asked(page: Page, stream: Stream, *partitions: str) -> Slice:
    start = floor(page.received_at, stream.grain)
    return Slice(partitions, TimeRange(start, start + stream.grain))


def read(page: Page, stream: Stream, wanted: Slice) -> Collected:
    judge(SOURCE, page)
    return parsed(SOURCE, stream, wanted, [page])


def test_bitcoin_on_15_may_2021(shared_data: Path):
    page = recorded(shared_data, f"{MARKETS}a_coin")
    collected = read(page, PRICES, asked(page, PRICES, "bitcoin"))
    assert collected.set_aside == ()
    assert [record for record, _ in collected.records] == [
        Price(
            coin="bitcoin",
            slot=datetime(2021, 5, 15, 16, 0, tzinfo=UTC),
            updated_at=datetime(2021, 5, 15, 15, 59, 43, 867_000, UTC),
            price=D(49053),
            market_cap=D(917825524991),
            volume_24h=D(61679663434),
            high_24h=D(51300),
            low_24h=D(48019),
            change_24h=D("-2246.57482218"),
            change_percent_24h=D("-4.37931"),
            circulating_supply=D(18710831),
            total_supply=D(21000000),
            max_supply=D(21000000),
        )
    ]
    assert collected.records[0][0].known_at == datetime(2021, 5, 15, 16, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("name", "coins", "currency"),
    [("a_coin_in_myr", ("bitcoin",), "myr"), ("multiple_coins_in_eth", ("bitcoin", "ethereum"), "eth")],
)
def test_prices_in_another_currency_are_not_taken_for_dollars(
    shared_data: Path, name: str, coins: tuple[str, ...], currency: str
):
    page = recorded(shared_data, MARKETS + name)
    with pytest.raises(Malformed, match=f"asked in {currency}, but these records are in usd"):
        read(page, PRICES, asked(page, PRICES, *coins))


def test_two_coins_in_one_answer(shared_data: Path):
    """The answer in ether, read as if ether were the unit of these records."""
    page = recorded(shared_data, f"{MARKETS}multiple_coins_in_eth")
    told: list[dict[str, Any]] = json.loads(page.body, parse_float=str, parse_int=str)
    page = Page(**{name: getattr(page, name) for name in page.__dataclass_fields__} | {"params": {}})
    collected = read(page, PRICES, asked(page, PRICES, "bitcoin", "ethereum"))
    prices = {record.partition: record.model_dump() for record, _ in collected.records}
    assert prices.keys() == {"bitcoin", "ethereum"}
    assert (prices["bitcoin"]["price"], prices["bitcoin"]["low_24h"]) == (D("12.666344"), D("12.149998"))
    for row in told:
        ours = prices[row["id"]]
        assert ours["price"] == D(row["current_price"])
        assert ours["volume_24h"] == D(row["total_volume"])
        assert ours["change_24h"] == D(row["price_change_24h"])
        assert ours["circulating_supply"] == D(row["circulating_supply"])
        assert ours["max_supply"] == (None if row["max_supply"] is None else D(row["max_supply"]))
        assert ours["updated_at"] == datetime.fromisoformat(row["last_updated"])


@pytest.mark.parametrize(
    ("name", "reaction", "text"),
    [
        (f"{MARKETS}a_coin.01", Refused, "HTTP 422: Missing parameter vs_currency"),
        (f"{MARKETS}a_coin.02", Refused, "HTTP 422: Missing parameter vs_currency"),
        (f"{MARKETS}a_coin_in_myr.01", Refused, "HTTP 422: Missing parameter vs_currency"),
        (f"{MARKETS}multiple_coins_in_eth.01", Refused, "HTTP 422: Missing parameter vs_currency"),
        (f"{OHLC}.01", Transient, "HTTP 500: Internal Server Error"),
    ],
)
def test_recorded_errors_have_their_reactions(
    shared_data: Path, name: str, reaction: type[UpstreamError], text: str
):
    with pytest.raises(UpstreamError) as told:
        judge(SOURCE, recorded(shared_data, name))
    assert (type(told.value), str(told.value)) == (reaction, f"coingecko: {text}")


def test_candles_in_another_currency_are_not_taken_for_dollars(shared_data: Path):
    page = recorded(shared_data, OHLC)
    for stream in (BARS, BARS_OF_HALVES):
        with pytest.raises(Malformed, match="asked in myr, but these records are in usd"):
            read(page, stream, asked(page, stream, "bitcoin"))


def in_dollars(page: Page) -> Page:
    """The same answer as if it had been asked in our currency, to see what is made of its candles."""
    return Page(**{name: getattr(page, name) for name in page.__dataclass_fields__} | {"params": {}})


def test_candles_of_four_hours_are_no_half_hours(shared_data: Path):
    """30 days come in candles of 4 hours: no hour can be made of them, and that is no empty answer."""
    page = in_dollars(recorded(shared_data, OHLC))
    with pytest.raises(Malformed, match="expected half-hours, found candles that close at"):
        read(page, BARS_OF_HALVES, asked(page, BARS_OF_HALVES, "bitcoin"))


def test_a_candles_time_is_its_close_and_the_last_one_is_still_forming(shared_data: Path):
    """Asked at 15:34 and stamped 16:00: a candle of the past would be none if that were its start."""
    page = in_dollars(recorded(shared_data, OHLC))
    rows = json.loads(page.body, parse_float=str)
    last = datetime.fromtimestamp(rows[-1][0] / 1000, UTC)
    assert page.received_at == datetime(2021, 5, 15, 15, 34, 28, tzinfo=UTC)
    assert last == datetime(2021, 5, 15, 16, 0, tzinfo=UTC)

    over = TimeRange(last - timedelta(days=31), last)  # so wide that the forming one would be taken too
    collected = read(page, BARS, Slice(("bitcoin",), over))
    ((aside, _),) = collected.set_aside
    assert json.loads(aside.row)[0] == rows[-1][0]
    assert (
        "known at 2021-05-15 16:00:00+00:00, received at 2021-05-15 15:34:28+00:00: the future"
        in aside.reason
    )
    told = [record.model_dump() for record, _ in collected.records]
    assert [(bar["end"], *(bar[p] for p in ("open", "high", "low", "close"))) for bar in told] == [
        (datetime.fromtimestamp(ms / 1000, UTC), *(D(price) for price in prices)) for ms, *prices in rows[:-1]
    ]
    assert (told[0]["end"], told[0]["open"]) == (datetime(2021, 4, 15, 20, tzinfo=UTC), D("260184.16"))
