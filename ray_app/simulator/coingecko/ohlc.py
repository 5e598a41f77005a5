"""Candles: /coins/{id}/ohlc and, on plans that have it, /coins/{id}/ohlc/range.

A candle's time is its end, and the last one still forms: at 15:34 the newest hour is stamped 16:00.
There is no volume.
"""

from ray_app.simulator.coingecko.answers import PRO_ONLY, Answer, number, plain_error, status_error
from ray_app.simulator.coingecko.charts import FIRST_DAY_MS
from ray_app.simulator.coingecko.query import DAY_MS, HOUR_MS, Ask
from ray_app.simulator.truth import STEP_MS

ALLOWED_DAYS = (1, 7, 14, 30, 90, 180, 365)
INTERVALS = {"hourly": (HOUR_MS, 90), "daily": (DAY_MS, 180)}  # length, most days of /ohlc
RANGES = {"hourly": (HOUR_MS, 31), "daily": (DAY_MS, 180)}  # length, most days of /ohlc/range
RANGE_SINCE_MS = 1_518_134_400_000  # 9 February 2018
DAY_CLOSED_AFTER_MS = 35 * 60_000
CACHE_SECONDS = 900


def ohlc(ask: Ask, coin_id: str) -> Answer:
    coin, days = ask.coin(coin_id), ask.days()
    ask.quote()
    interval = ask.params.get("interval", "")
    if days is None:
        ask.check_wall(FIRST_DAY_MS)
    elif days not in ALLOWED_DAYS:
        raise plain_error(400, "invalid parameter days")
    if interval:
        if not ask.paid:
            raise status_error(401, 10005, PRO_ONLY)
        if interval not in INTERVALS:
            raise plain_error(400, "invalid parameter interval")
        length, most = INTERVALS[interval]
        if days is None or days > most:
            raise plain_error(400, f"interval={interval} is limited to {most} days")
    else:
        length = DAY_MS // 48 if days == 1 else DAY_MS // 6 if days is not None and days <= 30 else 4 * DAY_MS
    span = ask.now_ms - FIRST_DAY_MS if days is None else days * DAY_MS
    ask.check_wall(ask.now_ms - span)
    last = (ask.now_ms // length + 1) * length
    first = last - (span // length - 1) * length
    return Answer(_candles(ask, coin, first, last, length), CACHE_SECONDS)


def ohlc_range(ask: Ask, coin_id: str) -> Answer:
    if not ask.paid or not ask.plan.ohlc_range:
        raise status_error(401, 10005, PRO_ONLY)
    coin, until_ms = ask.past(coin_id)
    ask.quote()
    from_ms, to_ms, interval = ask.moment_ms("from"), ask.moment_ms("to"), ask.need("interval")
    if interval not in RANGES:
        raise plain_error(400, "invalid parameter interval")
    length, most = RANGES[interval]
    to_ms = min(to_ms, until_ms + 1)  # stamped at their close, also the last one
    if to_ms - from_ms > most * DAY_MS:
        raise plain_error(400, f"interval={interval} is limited to {most} days")
    ask.check_wall(from_ms)
    first = max(-(-from_ms // length) * length, RANGE_SINCE_MS)
    last = min(to_ms if ask.world.ohlc_end_included else to_ms - 1, ask.now_ms) // length * length
    if to_ms >= ask.now_ms:
        last += length  # the one that forms
    first = max(first, last - (most * DAY_MS // length - 1) * length)
    return Answer(_candles(ask, coin, first, last, length), CACHE_SECONDS)


def _candles(ask: Ask, coin: int, first_ms: int, last_ms: int, length_ms: int) -> str:
    """The candles stamped from `first_ms` to `last_ms`, both included."""
    count = max(0, (last_ms - first_ms) // length_ms + 1)
    begin, length = (first_ms - length_ms) // STEP_MS, length_ms // STEP_MS
    listed = int(ask.world.listed_steps[coin])
    if count and begin < listed:
        skipped = min(count, (listed - begin) // length)
        begin, count = begin + skipped * length, count - skipped
    bars = ask.world.truth.bars(coin, begin, count, length, ask.step, ask.quote())
    stamps = ((bars.starts + length) * STEP_MS).tolist()
    digits = ask.precision()
    rows = bars.rows.round(int(digits)) if digits not in (None, "full") else bars.rows
    # A day is told 35 minutes after its end.
    closing = ask.now_ms // DAY_MS * DAY_MS if length_ms >= DAY_MS else 0
    if ask.now_ms - closing >= DAY_CLOSED_AFTER_MS:
        closing = 0
    told = (
        f"[{t},{number(o)},{number(h)},{number(low)},{number(c)}]"
        for t, (o, h, low, c) in zip(stamps, rows.tolist(), strict=True)
        if t != closing
    )
    return "[" + ",".join(told) + "]"
