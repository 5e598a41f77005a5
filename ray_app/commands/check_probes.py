"""What a check asks: a slice of every stream of every configured source, and a few questions beside that."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from ray_app.collect.planner import living, on_offer, plan
from ray_app.commands.check_sources import Probe
from ray_app.model.source import Stream
from ray_app.model.symbols import Registry
from ray_app.model.timerange import TimeRange, floor
from ray_app.runtime.opening import Assigned

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
REACH = {  # how far back a slice goes; else three intervals
    "fred.macro": 100 * DAY, "fred.macro_daily": 10 * DAY, "fred.market_closes": 14 * DAY,
    "guardian.articles": 12 * HOUR, "alternative.fear_greed": 36_500 * DAY, "coinmetrics.metrics": 7 * DAY,
    "defillama.tvl": 7 * DAY, "defillama.dex_volume": 7 * DAY, "defillama.stablecoins": 7 * DAY,
    "blockchain.charts": 60 * DAY, "binance_futures.funding": 3 * DAY, "coingecko.bars_1h": 20 * HOUR,
}  # fmt: skip
CHOSEN = {  # which partitions of a stream, else the first
    "coinmetrics.metrics": ("btc.HashRate", "eth.FlowInExNtv"),
    "fred.market_closes": ("SP500", "VIXCLS"),
    "guardian.articles": ("crypto", "business"),
}
EVERY = ("fred.macro", "fred.macro_daily", "rss.articles", "blockchain.charts")  # each of its partitions
ARCHIVED = {
    "GDPC1",
    "DFF",
    "DGS2",
    "T10Y2Y",
    "T10YIE",
    "T5YIFR",
    "DFII10",
    "RRPONTSYD",
    "WTREGEN",
}  # known to be
LIKE_ANOTHER = {f"stock/yahoo-{ticker}" for ticker in ("mara", "riot", "hood", "nvda", "tsla")}
MORE_CALLS = {
    "alternative.fear_greed": 2,
    "x.posts": 2,
}  # the newest, then all; by old names, then by new ones
SPARE_STREAMS = {
    "binance.bars_1m", "binance.bars_4h", "binance.bars_1d", "kraken.bars_5m", "kraken.bars_4h",
    "coinbase.bars_5m",
}  # fmt: skip
BEYOND_LIMIT = 301  # candles; Coinbase gives 300


def probes(assigned: Sequence[Assigned], registry: Registry, now: datetime) -> list[Probe]:
    """For all configured sources, those of a source in the order in which it is asked."""
    out: list[Probe] = []
    for a in assigned:
        if not a.missing:
            for stream in a.plan.streams:
                out += _slices(f"{a.source.name}.{stream.name}", stream, registry, now)
            out += beside(a, now)
    return out


def _slices(name: str, stream: Stream, registry: Registry, now: datetime) -> Iterator[Probe]:
    source = name.partition(".")[0]
    lives = stream.lives(registry)
    known = living(stream, registry, now)
    chosen = known if name in EVERY or stream.batch > 1 else CHOSEN.get(name, known[:1])
    over = on_offer(stream, now, REACH.get(name, max(3 * stream.grain, stream.grain)))
    if over is None:
        return
    asked = replace(stream, longest_slice=max(stream.longest_slice, over.length))
    for wanted in plan(asked, chosen, TimeRange(_start(name, stream, over), over.end), {}, lives=lives):
        partition = wanted.partitions[0]
        told = stream.name if stream.batch > 1 or chosen == known[:1] else f"{stream.name} {partition}"
        spare = name in SPARE_STREAMS or partition in ARCHIVED or partition in LIKE_ANOTHER
        yield Probe(source, told, stream.name, wanted, most=MORE_CALLS.get(name, 1), spare=spare)
        if stream.batch > 1:
            return


def _start(name: str, stream: Stream, over: TimeRange) -> datetime:
    """What patience adds is not asked for here."""
    return over.start if name in REACH else max(over.start, over.end - 3 * stream.grain)


def beside(assigned: Assigned, now: datetime) -> list[Probe]:
    """Questions that no stream asks."""
    source, first = assigned.source.name, assigned.plan.streams[0].name
    today, hour = floor(now, DAY), floor(now, HOUR)
    if source == "fred":
        window = {"realtime_start": f"{today:%Y-%m-%d}", "realtime_end": f"{today + 3 * DAY:%Y-%m-%d}"}
        asked = {"series_id": "UNRATE", "file_type": "json", **window}
        return [Probe(source, "after today", first, path="/series/observations", params=asked)]
    if source == "coinmetrics":
        return [
            Probe(source, "catalog", first, path="/catalog-v2/asset-metrics", params={"assets": "btc,eth"})
        ]
    if source == "coinbase":
        start = hour - (BEYOND_LIMIT + 1) * HOUR
        span = {f"{k}": f"{t:%Y-%m-%dT%H:%M:%SZ}" for k, t in (("start", start), ("end", hour - HOUR))}
        asked_candles: dict[str, str | int] = {"granularity": 3600, **span}
        return [
            Probe(source, "over the limit", first, path="/products/BTC-USD/candles", params=asked_candles)
        ]
    if source == "guardian":
        deep: dict[str, str | int] = {
            "section": "business",
            "page-size": 200,
            "page": 25,
            "order-by": "oldest",
        }
        return [Probe(source, "deep", first, path="/search", params=deep)]
    if source == "reddit":
        return [Probe(source, "info", first, path="/api/info", params={"id": "t3_15bfi0", "raw_json": 1})]
    return []
