"""The exchanges' sources against their simulated upstreams: every stream asks, is answered, and reads the truth."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import httpx
import pytest

from ray_app.collect.collector import collect
from ray_app.collect.planner import on_offer, plan
from ray_app.connect.judge import judge
from ray_app.model.errors import NotOffered, RateLimited, Refused, Transient, UpstreamError
from ray_app.model.records import Bar
from ray_app.model.source import Page, Slice, Source, Stream
from ray_app.model.timerange import TimeRange, floor
from ray_app.simulator.config import SimulatorConfig
from ray_app.simulator.server import running
from ray_app.sources import binance, binance_futures, coinbase, kraken
from tests.connect.conftest import LISTINGS, START, Asking, asking

__all__ = ["asking"]
PAIR = {"binance": "BTCUSDT", "coinbase": "BTC-USD", "kraken": "XBTUSD", "binance_futures": "BTCUSDT"}
TRUTH = {  # the simulator's name of the venue, its words for pair and length, the length's unit
    "binance": ("binance", "symbol", "interval", None),
    "coinbase": ("coinbase", "product", "granularity", timedelta(seconds=1)),
    "kraken": ("kraken", "pair", "interval", timedelta(minutes=1)),
}
SOURCES = (binance.SOURCE, coinbase.SOURCE, kraken.SOURCE, binance_futures.SOURCE)
STREAMS = [(source, stream) for source in SOURCES for stream in source.plans[0].streams]
BARS = [(source, stream) for source, stream in STREAMS if stream.record is Bar]


def names(streams: list[tuple[Source, Stream]]) -> list[str]:
    return [f"{source.name}.{stream.name}" for source, stream in streams]


def api(made: Any, base: str, source: Source, stream: Stream) -> Asking:
    (tier,) = source.plans
    it: Asking = made(base + tier.simulated_at, source=source, plan=tier, stream=stream)
    return it


@pytest.fixture(scope="module")
def base() -> Iterator[str]:
    with running(SimulatorConfig(start=START, frozen=True, coins=40, listings=LISTINGS, limits=False)) as at:
        yield at


def truth(base: str, source: Source, over: TimeRange, length: timedelta) -> list[dict[str, Any]]:
    name, pair_is, length_is, unit = TRUTH[source.name]
    told = length // unit if unit else next(n for n, one in binance.INTERVALS.items() if one == length)
    asked: dict[str, Any] = {pair_is: PAIR[source.name], length_is: told}
    asked |= {"from": over.start.isoformat(), "to": over.end.isoformat()}
    answer = httpx.get(f"{base}/sim/truth/{name}", params=asked).raise_for_status()
    bars: list[dict[str, Any]] = answer.json()["bars"]
    return bars


async def collected(made: Any, base: str, source: Source, stream: Stream, over: TimeRange) -> list[Any]:
    it = api(made, base, source, stream)
    told = []
    for wanted in plan(stream, [PAIR[source.name]], over, {}):
        one = await collect(source, stream, wanted, it.api)
        assert one.set_aside == ()
        told += [record for record, _ in one.records]
    return sorted(told, key=lambda record: record.cursor)


@pytest.mark.parametrize(("source", "stream"), BARS, ids=names(BARS))
async def test_candles_are_those_of_the_market(source: Source, stream: Stream, base: str, asking: Any):
    """Every value of every candle on offer, so that no two columns are mixed up and none is left out."""
    over = on_offer(stream, START, 320 * stream.grain)
    assert over is not None
    told = await collected(asking, base, source, stream, over)
    expected = {bar["start"]: bar for bar in truth(base, source, over, stream.grain)}
    assert len(expected) > 300
    for bar in told:
        if bar.trades == 0 or bar.volume == 0:  # a time without a trade: flat, or absent
            assert bar.open == bar.high == bar.low == bar.close
            assert bar.start.isoformat() not in expected
            continue
        real = expected.pop(bar.start.isoformat())
        assert real["final"]
        assert bar.end == datetime.fromisoformat(real["end"])
        for name in ("open", "high", "low", "close", "volume"):
            assert getattr(bar, name) == Decimal(real[name]), (name, bar, real)
        if source is binance.SOURCE:
            assert (bar.quote_volume, bar.trades) == (Decimal(real["quote_volume"]), real["trades"])
            assert 0 <= bar.taker_buy_volume <= bar.volume
        if source is kraken.SOURCE:
            assert bar.trades == real["trades"]
    assert expected == {}


async def test_funding_and_open_interest_are_those_of_the_market(base: str, asking: Any):
    over = TimeRange(
        START.replace(hour=0, minute=0, second=0) - timedelta(days=20), START.replace(minute=0, second=0)
    )
    asked = {"symbol": "BTCUSDT", "from": over.start.isoformat(), "to": over.end.isoformat()}
    async with httpx.AsyncClient(base_url=base) as client:
        real = (await client.get("/sim/truth/binance-futures", params=asked)).raise_for_status().json()
    funding, interest = binance_futures.SOURCE.plans[0].streams
    rates = await collected(asking, base, binance_futures.SOURCE, funding, over)
    assert [(r.at, r.rate) for r in rates] == [
        (floor(datetime.fromisoformat(one["at"]), timedelta(hours=1)), Decimal(one["rate"]))
        for one in real["funding"]
    ]
    assert len(rates) == 62
    points = await collected(asking, base, binance_futures.SOURCE, interest, over)
    expected = {datetime.fromisoformat(one["at"]): Decimal(one["held"]) for one in real["open_interest"]}
    hours = [part.start for part in over.split(timedelta(hours=1))]
    assert [(p.at, p.amount) for p in points] == [(hour, expected[hour]) for hour in hours]


@pytest.mark.parametrize(("source", "stream"), BARS, ids=names(BARS))
async def test_an_unknown_pair_is_not_offered(source: Source, stream: Stream, base: str, asking: Any):
    it = api(asking, base, source, stream)
    over = on_offer(stream, START, 4 * stream.grain)
    assert over is not None
    with pytest.raises(NotOffered):
        await collect(source, stream, Slice(("NOSUCH-PAIR",), over), it.api)


@pytest.mark.parametrize(
    ("status", "headers", "reaction"),
    [
        (b'400 {"code":-1121,"msg":"Invalid symbol."}', {}, NotOffered),
        (b'400 {"code":-1120,"msg":"Invalid interval."}', {}, Refused),
        (b'400 {"code":-1008,"msg":"Server is currently overloaded."}', {}, Transient),
        (b'400 {"code":-1003,"msg":"Too many requests."}', {}, RateLimited),
        (b'418 {"code":-1003,"msg":"Way too many requests."}', {"retry-after": "180"}, RateLimited),
        (b'429 {"code":-1003,"msg":"Too many requests."}', {"retry-after": "7"}, RateLimited),
        (b'451 {"code":0,"msg":"Service unavailable from a restricted location"}', {}, Refused),
        (b"403 <html>WAF</html>", {}, Refused),
        (b"400 <html>Bad Request</html>", {}, Refused),
    ],
)
def test_what_binances_refusals_mean(status: bytes, headers: dict[str, str], reaction: type[UpstreamError]):
    code, _, body = status.partition(b" ")
    page = Page(
        source="binance", stream="bars_1h", path="/klines", params={}, status=int(code), headers=headers,
        body=body, asked_at=START, received_at=START,
    )  # fmt: skip
    with pytest.raises(UpstreamError) as told:
        judge(binance.SOURCE, page)
    assert type(told.value) is reaction
    if isinstance(told.value, RateLimited) and headers:
        assert told.value.retry_after == float(headers["retry-after"])


@pytest.mark.parametrize(
    ("body", "reaction"),
    [
        ('{"error":["EQuery:Unknown asset pair"]}', NotOffered),
        ('{ "error" : ["EAPI:Rate limit exceeded"] }', RateLimited),
        ('{"error":["EGeneral:Too many requests"]}', RateLimited),
        ('{"error":["EService:Unavailable"]}', Transient),
        ('{"error":["EGeneral:Invalid arguments"]}', Refused),
        ('{"error":["WData:Old","EService:Busy"],"result":{}}', Transient),
        ('{"error":["WData:Old"],"result":{}}', None),
        ('{"error":[],"result":{}}', None),
    ],
)
def test_krakens_errors_inside_a_200(body: str, reaction: type[UpstreamError] | None):
    page = Page(
        source="kraken", stream="bars_1h", path="/0/public/OHLC", params={}, status=200, headers={},
        body=body.encode(), asked_at=START, received_at=START,
    )  # fmt: skip
    if reaction is None:
        judge(kraken.SOURCE, page)
        return
    with pytest.raises(UpstreamError) as told:
        judge(kraken.SOURCE, page)
    assert type(told.value) is reaction
