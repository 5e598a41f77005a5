"""The present market: /coins/markets and /simple/price."""

import math

import numpy as np

from ray_app.simulator.clock import iso
from ray_app.simulator.coingecko.answers import (
    Answer,
    image,
    missing,
    number,
    plain_error,
    shown,
    text,
    whole,
)
from ray_app.simulator.coingecko.query import Ask, World
from ray_app.simulator.currencies import CRYPTO
from ray_app.simulator.noise import FARTHEST, Floats, key
from ray_app.simulator.truth import STEPS_PER_DAY, STEPS_PER_HOUR, Indices, Quote

CHANGES = {
    "1h": 12, "24h": 288, "7d": 2_016, "14d": 4_032, "30d": 8_640, "200d": 57_600, "1y": 105_120,
}  # fmt: skip
MOST_PER_PAGE = 250
FINE = frozenset(code for code, *_ in CRYPTO)  # currencies of which one is worth a lot


def ranking(world: World, step: int) -> Indices:
    """All listed coins, largest cap first, those without one last."""
    if step not in world.ranks:
        everything = np.arange(len(world.truth.coins))
        prices = world.truth.paths(everything, np.array([step]))[:, 0]
        caps = np.nan_to_num(prices * world.truth.circulating, nan=-1.0)
        order = np.argsort(-caps, kind="stable")
        world.ranks.clear()
        world.ranks[step] = order[world.listed_steps[order] <= step]
    return world.ranks[step]


def chosen(ask: Ask, ranked: Indices) -> Indices:
    """The coins asked for by ids, names or symbols, in order of rank; unknown ones are left out silently."""
    coins = ask.world.truth.coins
    if wanted := ask.names("ids"):
        found = {ask.world.truth.index[name] for name in wanted if name in ask.world.truth.index}
        return np.array([i for i in ranked.tolist() if i in found], dtype=np.int64)
    for parameter in ("names", "symbols"):
        if wanted := ask.names(parameter):
            every = ask.params.get("include_tokens") == "all"
            if every and len(wanted) > 50:
                raise plain_error(400, "include_tokens=all is limited to 50 symbols")
            left, kept = set(wanted), []
            for i in ranked.tolist():
                label = coins[i].name.lower() if parameter == "names" else coins[i].symbol
                if label in left:
                    kept.append(i)
                    if not every:
                        left.discard(label)
            return np.array(kept, dtype=np.int64)
    return ranked


def markets(ask: Ask) -> Answer:
    quote, precision = ask.quote(), ask.precision()
    if ask.params.get("category"):
        raise plain_error(404, "category not found")
    ranked = ranking(ask.world, ask.step)
    rank = {coin: place for place, coin in enumerate(ranked.tolist(), start=1)}
    per_page = ask.integer("per_page", 100)
    per_page = min(per_page, MOST_PER_PAGE) if per_page >= 1 else 100
    page = max(1, ask.integer("page", 1))
    sorted_coins = _sorted(ask, chosen(ask, ranked))
    coins = sorted_coins[(page - 1) * per_page : page * per_page]
    rows = _market_rows(ask, coins, rank, quote, precision) if len(coins) else []
    return Answer("[" + ",".join(rows) + "]", 45 if ask.paid else 60)


def _sorted(ask: Ask, coins: Indices) -> Indices:
    order = ask.params.get("order", "market_cap_desc")
    truth = ask.world.truth
    if order in ("id_asc", "id_desc"):
        by_id = sorted(coins.tolist(), key=lambda i: truth.coins[i].id, reverse=order == "id_desc")
        return np.array(by_id, dtype=np.int64)
    if order in ("volume_asc", "volume_desc"):
        volumes = truth.volumes(coins, np.array([ask.step]))[:, 0]
        return coins[np.argsort(volumes if order == "volume_asc" else -volumes, kind="stable")]
    if order == "market_cap_asc":
        capped = ~np.isnan(truth.circulating[coins])
        return np.concatenate([coins[capped][::-1], coins[~capped]])
    return coins


def _market_rows(
    ask: Ask, coins: Indices, rank: dict[int, int], quote: Quote, precision: str | None
) -> list[str]:
    truth = ask.world.truth
    day = np.arange(ask.step - STEPS_PER_DAY, ask.step + 1, dtype=np.int64)
    paths = truth.paths(coins, day, quote)
    price, before = paths[:, -1], paths[:, 0]
    before = np.where([truth.coins[i].hold > 1 for i in coins], np.nan, before)  # not traded for a day
    change, supply = price - before, truth.circulating[coins]
    volume = truth.told_in(quote, truth.volumes(coins, day[-1:]), day[-1:])[:, 0]
    usd = 1.0 / float(truth.told_in(quote, np.ones(1), day[-1:])[0])
    columns = np.stack(
        [
            price, price * supply, volume, np.fmax.reduce(paths, axis=1), np.fmin.reduce(paths, axis=1),
            change, change / before * 100, change * supply, change / before * 100,
        ]
    ).T.tolist()  # fmt: skip
    updated = truth.updated_ms(coins, ask.now_ms).tolist()
    decimals = 6 if quote.code in FINE else 2
    extras = _extras(ask, coins, quote, price)
    rows = []
    for at, i in enumerate(coins.tolist()):
        coin = truth.coins[i]
        now, cap, traded, high, low, moved, percent, cap_moved, cap_percent = columns[at]
        most = coin.limit or coin.total
        top, top_day, bottom, bottom_day = _extremes(ask, i, high * usd, low * usd)
        capped = not math.isnan(cap)
        rows.append(
            f'{{"id":{text(coin.id)},"symbol":{text(coin.symbol)},"name":{text(coin.name)},'
            f'"image":{text(image(coin.id, "large"))},"current_price":{shown(now, precision, decimals)},'
            f'"market_cap":{whole(cap)},"market_cap_rank":{rank[i] if capped else "null"},'
            f'"fully_diluted_valuation":{whole(now * most) if most and capped else "null"},'
            f'"total_volume":{whole(traded)},"high_24h":{shown(high, precision, decimals)},'
            f'"low_24h":{shown(low, precision, decimals)},"price_change_24h":{number(moved)},'
            f'"price_change_percentage_24h":{number(round(percent, 5))},'
            f'"market_cap_change_24h":{number(cap_moved)},'
            f'"market_cap_change_percentage_24h":{number(round(cap_percent, 5))},'
            f'"circulating_supply":{number(coin.circulating) if coin.has_cap else "null"},'
            f'"total_supply":{number(coin.total) if coin.total else "null"},'
            f'"max_supply":{number(coin.limit) if coin.limit else "null"},'
            f'"ath":{shown(top / usd, precision, decimals)},'
            f'"ath_change_percentage":{number(round((now * usd / top - 1) * 100, 5))},"ath_date":"{top_day}",'
            f'"atl":{shown(bottom / usd, precision, decimals)},'
            f'"atl_change_percentage":{number(round((now * usd / bottom - 1) * 100, 5))},'
            f'"atl_date":"{bottom_day}","roi":null,"last_updated":"{iso(updated[at])}"{extras[at]}}}'
        )
    return rows


def _extras(ask: Ask, coins: Indices, quote: Quote, price: Floats) -> list[str]:
    """What is told on request only, as text to go before a row's end."""
    truth, found = ask.world.truth, [""] * len(coins)
    if ask.flag("include_rehypothecated"):
        found = [f'{e},"market_cap_rank_with_rehypothecated":null' for e in found]
    if ask.flag("sparkline"):
        hours = ask.step - np.arange(167, -1, -1, dtype=np.int64) * STEPS_PER_HOUR
        week = truth.paths(coins, hours, quote).tolist()
        found = [
            f'{e},"sparkline_in_7d":{{"price":[{",".join(map(number, line))}]}}'
            for e, line in zip(found, week, strict=True)
        ]
    for name in ask.names("price_change_percentage"):
        if name in CHANGES:
            past = truth.paths(coins, np.array([ask.step - CHANGES[name]]), quote)[:, 0]
            percent = ((price / past - 1) * 100).tolist()
            found = [
                f'{e},"price_change_percentage_{name}_in_currency":{number(p)}'
                for e, p in zip(found, percent, strict=True)
            ]
    return found


def _extremes(ask: Ask, i: int, high: float, low: float) -> tuple[float, str, float, str]:
    """Highest and lowest price ever in USD, with their days: no path can pass them."""
    truth = ask.world.truth
    coin, history = truth.coins[i], truth.history(i)
    if history is None:
        reach = math.exp(coin.volatility * FARTHEST)
        days = [coin.listed * 1000 + key(coin.key, what) % (400 * 86_400_000) for what in ("high", "low")]
        return coin.price * reach, iso(days[0]), coin.price / reach, iso(days[1])
    past = history.bars[: max(1, ask.now_ms // 3_600_000 - history.first)]
    top, bottom = int(np.nanargmax(past[:, 1])), int(np.nanargmin(past[:, 2]))
    days = [(history.first + hour) * 3_600_000 for hour in (top, bottom)]
    return max(float(past[top, 1]), high), iso(days[0]), min(float(past[bottom, 2]), low), iso(days[1])


def simple_price(ask: Ask) -> Answer:
    if not any(ask.params.get(name) for name in ("ids", "names", "symbols")):
        raise missing("ids")
    wanted = ask.names("vs_currencies")
    if not wanted:
        raise missing("vs_currencies")
    truth, precision = ask.world.truth, ask.precision()
    coins = chosen(ask, ranking(ask.world, ask.step))
    parts: list[list[str]] = [[] for _ in range(len(coins))]
    steps = np.array([ask.step - STEPS_PER_DAY, ask.step], dtype=np.int64)
    volumes = truth.volumes(coins, steps[1:])
    updated = truth.updated_ms(coins, ask.now_ms).tolist()
    for code in wanted:  # an unknown currency is left out in silence
        if code not in ask.world.quotes:
            continue
        quote, decimals = ask.world.quotes[code], 6 if code in FINE else 2
        prices = truth.paths(coins, steps, quote)
        told = truth.told_in(quote, volumes, steps[1:])[:, 0].tolist()
        caps = (prices[:, 1] * truth.circulating[coins]).tolist()
        for at, (before, price) in enumerate(prices.tolist()):
            row = parts[at]
            row.append(f'"{code}":{shown(price, precision, decimals)}')
            if ask.flag("include_market_cap"):
                row.append(f'"{code}_market_cap":{number(caps[at])}')
            if ask.flag("include_24hr_vol"):
                row.append(f'"{code}_24h_vol":{number(told[at])}')
            if ask.flag("include_24hr_change"):
                traded = truth.coins[int(coins[at])].hold == 1
                row.append(
                    f'"{code}_24h_change":{number((price / before - 1) * 100 if traded else math.nan)}'
                )
    if ask.flag("include_last_updated_at"):
        for at, row in enumerate(parts):
            row.append(f'"last_updated_at":{updated[at] // 1000}')
    rows = (
        f"{text(truth.coins[i].id)}:{{{','.join(row)}}}" for i, row in zip(coins.tolist(), parts, strict=True)
    )
    return Answer("{" + ",".join(rows) + "}", 20 if ask.paid else 60)
