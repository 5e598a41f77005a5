"""Charts: /coins/{id}/market_chart and /coins/{id}/market_chart/range.

Spacing follows the span unless `interval` says otherwise. Points of hours and of five minutes are
not on the grid: each comes some seconds (now and then half an hour) late, some hours have two, and
rarely a point is told a second before its predecessor. The last point is the present price.
"""

import numpy as np

from ray_app.simulator.coingecko.answers import PRO_ONLY, Answer, number, plain_error, status_error
from ray_app.simulator.coingecko.query import DAY_MS, HOUR_MS, Ask
from ray_app.simulator.truth import STEP_MS, Indices

HOURLY_SINCE_MS = 1_517_270_400_000  # 30 January 2018
LONGEST_HOURLY_DAYS = 100
LATE_SALT, DOUBLE_SALT, BACK_SALT, NO_CAP_SALT = 200, 201, 202, 203
# Upstream has no caps on this day for these two.
NO_CAPS = {
    "bitcoin": (1_491_091_200_000, 1_491_177_600_000),
    "ethereum": (1_491_091_200_000, 1_491_177_600_000),
}
FIRST_DAY_MS = 1_367_107_200_000  # 28 April 2013: where `max` begins


def market_chart(ask: Ask, coin_id: str) -> Answer:
    coin, days = ask.coin(coin_id), ask.days()
    span = ask.now_ms - FIRST_DAY_MS if days is None else days * DAY_MS
    if days is None and ask.plan.history_days is not None:
        ask.check_wall(0)
    ask.check_wall(ask.now_ms - span)
    spacing = _spacing(ask, span, recent=True)
    body = _chart(ask, coin, spacing, ask.now_ms - span, ask.now_ms, closed_after=600)
    return Answer(body, 30)


def market_chart_range(ask: Ask, coin_id: str) -> Answer:
    coin, until_ms = ask.past(coin_id)
    ask.quote()
    from_ms, to_ms = ask.moment_ms("from"), ask.moment_ms("to")
    ask.check_wall(from_ms)
    to_ms = min(to_ms, until_ms - 1)
    recent = to_ms >= ask.now_ms - STEP_MS and from_ms >= ask.now_ms - DAY_MS - STEP_MS
    spacing = _spacing(ask, to_ms - from_ms, recent)
    body = _chart(ask, coin, spacing, from_ms, to_ms, closed_after=2_100)
    seconds = 30 if spacing == "5m" else 1_800 if spacing == "hourly" else 43_200
    return Answer(body, min(seconds, _until_0040(ask.now_ms)))


def _spacing(ask: Ask, span_ms: int, recent: bool) -> str:
    """`5m`, `hourly` or `daily`. The range of the public host knows no `interval` and goes by the span."""
    asked = ask.params.get("interval", "")
    if asked and not ask.paid and "from" in ask.params:
        asked = ""
    if asked == "5m":
        if not ask.paid:
            raise status_error(401, 10005, PRO_ONLY)
        if not ask.plan.enterprise:
            raise status_error(401, 401, "interval=5m is exclusive to paid plan subscribers (Enterprise)")
        if span_ms > 10 * DAY_MS:
            raise plain_error(400, "interval=5m is limited to 10 days")
        return "5m"
    if asked == "hourly":
        if span_ms > LONGEST_HOURLY_DAYS * DAY_MS:
            raise plain_error(400, f"interval=hourly is limited to {LONGEST_HOURLY_DAYS} days")
        return "hourly"
    if asked == "daily":
        return "daily"
    if asked:
        raise plain_error(400, "invalid parameter interval")
    if span_ms <= DAY_MS:
        return "5m" if recent else "hourly"
    return "hourly" if span_ms <= 90 * DAY_MS else "daily"


def _chart(ask: Ask, coin: int, spacing: str, from_ms: int, to_ms: int, closed_after: int) -> str:
    quote, precision, truth = ask.quote(), ask.precision(), ask.world.truth
    listed_ms = int(ask.world.listed_steps[coin]) * STEP_MS
    begin, end = max(from_ms, listed_ms), min(to_ms, ask.now_ms)
    if spacing == "5m":
        times = _late(ask, coin, begin, end, STEP_MS)
    elif spacing == "hourly":
        dense = max(begin, HOURLY_SINCE_MS)
        old = _midnights(begin, min(end, dense - 1))
        times = np.concatenate([old, _late(ask, coin, dense, end, HOUR_MS)])
    else:
        # A day is told some minutes after its end.
        times = _midnights(begin, min(end, ask.now_ms - closed_after * 1000))
    if to_ms >= ask.now_ms > listed_ms:
        tail = truth.updated_ms(np.array([coin]), ask.now_ms)
        if tail[0] >= begin and (not len(times) or tail[0] > times.max()):
            times = np.concatenate([times, tail])
    steps = times // STEP_MS
    usd = truth.path(coin, steps)
    priced = ~np.isnan(usd)
    times, steps, usd = times[priced], steps[priced], usd[priced]
    prices = truth.told_in(quote, usd, steps)
    caps = prices * truth.circulating[coin]
    caps[truth.draw(coin, NO_CAP_SALT, steps) < 0.0004] = np.nan
    if truth.coins[coin].id in NO_CAPS:
        gap_from, gap_to = NO_CAPS[truth.coins[coin].id]
        caps[(times >= gap_from) & (times < gap_to)] = np.nan
    volumes = truth.told_in(quote, truth.volumes(np.array([coin]), steps)[0], steps)
    told = prices if precision in (None, "full") else np.round(prices, int(precision))
    columns = (_points(times, column) for column in (told, caps, volumes))
    return '{{"prices":[{}],"market_caps":[{}],"total_volumes":[{}]}}'.format(*columns)


def _late(ask: Ask, coin: int, begin_ms: int, end_ms: int, every_ms: int) -> Indices:
    """The times of points, one for each interval (rarely two), off the grid by the coin's own habit."""
    truth = ask.world.truth
    cells = np.arange(begin_ms // every_ms, end_ms // every_ms + 1, dtype=np.int64)
    drawn = truth.draw(coin, LATE_SALT + every_ms, cells)
    if every_ms == STEP_MS:
        late = 1_500 + (drawn**3 * 60_000).astype(np.int64)
    else:
        # Mostly within the first minutes; three in a hundred up to 48 minutes late.
        late = np.where(drawn < 0.97, 2_000 + drawn * 160_000, (drawn - 0.97) / 0.03 * 2_700_000 + 180_000)
    times = cells * every_ms + late.astype(np.int64)
    again = [times]
    if every_ms == HOUR_MS:
        doubled = truth.draw(coin, DOUBLE_SALT, cells) < 0.003
        again.append(cells[doubled] * every_ms + 3_300_000)
    order = np.sort(np.concatenate(again), kind="stable")
    back = truth.draw(coin, BACK_SALT + every_ms, order) < 0.003
    order = np.repeat(order, np.where(back, 2, 1))
    stepped = np.flatnonzero(np.diff(order, prepend=-1) == 0)
    order[stepped] -= 1_000
    return order[(order >= begin_ms) & (order <= end_ms)]


def _midnights(begin_ms: int, end_ms: int) -> Indices:
    return np.arange(-(-begin_ms // DAY_MS), end_ms // DAY_MS + 1, dtype=np.int64) * DAY_MS


def _points(times: Indices, values: np.ndarray) -> str:
    return ",".join(f"[{t},{number(v)}]" for t, v in zip(times.tolist(), values.tolist(), strict=True))


def _until_0040(now_ms: int) -> int:
    """Seconds until copies of ranges expire for the day."""
    return ((40 * 60_000 - now_ms) % DAY_MS) // 1000 or 1
