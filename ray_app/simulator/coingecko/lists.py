"""What there is: /ping, /simple/supported_vs_currencies, /coins/list, /exchange_rates, /global, /search/trending."""

import numpy as np

from ray_app.simulator.coingecko.answers import PRO_ONLY, Answer, image, number, status_error, text
from ray_app.simulator.coingecko.market import ranking
from ray_app.simulator.coingecko.query import Ask
from ray_app.simulator.coins import Coin
from ray_app.simulator.currencies import CRYPTO, FIAT, METALS, PARTS, RATES_ONLY
from ray_app.simulator.truth import STEPS_PER_DAY

INACTIVE = tuple(f"sim-gone-{n:05d}" for n in range(1, 6))
SHARES = 10  # coins whose share of the market /global tells
WATCHED, SEARCHED, SEARCH_STEPS, SEARCH_SALT = 500, 15, 24, 110  # of 500 coins 15 are told, for 24 steps


def ping(_: Ask) -> Answer:
    return Answer('{"gecko_says":"(V3) To the Moon!"}', 0)


def supported(ask: Ask) -> Answer:
    return Answer("[" + ",".join(text(code) for code in ask.world.quotes) + "]", 60)


def coins_list(ask: Ask) -> Answer:
    """Every coin in one answer, by id. Delisted ones are told to paid plans only."""
    platforms = ask.flag("include_platform")
    if ask.params.get("status") == "inactive":
        if not ask.paid:
            raise status_error(401, 10005, PRO_ONLY)
        more = ',"platforms":{}' if platforms else ""
        gone = [*INACTIVE, *(name for name, (_, end_ms) in ask.world.former.items() if end_ms <= ask.now_ms)]
        rows = [f'{{"id":"{name}","symbol":"gone","name":"{name}"{more}}}' for name in gone]
        return Answer("[" + ",".join(rows) + "]", 300)
    listed = ask.world.listed_steps <= ask.step
    coins = sorted(
        (coin for coin, on in zip(ask.world.truth.coins, listed, strict=True) if on), key=lambda c: c.id
    )
    return Answer("[" + ",".join(_list_row(coin, platforms) for coin in coins) + "]", 300)


def _list_row(coin: Coin, platforms: bool) -> str:
    row = f'"id":{text(coin.id)},"symbol":{text(coin.symbol)},"name":{text(coin.name)}'
    if platforms:
        made_up = coin.id.startswith("sim-")
        row += f',"platforms":{{"ethereum":"0x{coin.key:040x}"}}' if made_up else ',"platforms":{}'
    return "{" + row + "}"


def exchange_rates(ask: Ask) -> Answer:
    """What a bitcoin costs in every currency."""
    truth, step = ask.world.truth, np.array([ask.step], dtype=np.int64)
    bitcoin = 1 / float(truth.told_in(ask.world.quotes["btc"], np.ones(1), step)[0])
    rows = [
        (code, name, unit, float(truth.told_in(ask.world.quotes[code], np.ones(1), step)[0]), "crypto")
        for code, name, unit, _, _ in CRYPTO
    ]
    rows += [(code, name, unit, rate, "fiat") for code, name, unit, rate in (*FIAT, *RATES_ONLY)]
    rows += [(code, name, unit, rate, "commodity") for code, name, unit, rate in METALS]
    rows += [(code, name, unit, parts / bitcoin, "crypto") for code, name, unit, parts in PARTS]
    told = (
        f'"{code}":{{"name":{text(name)},"unit":{text(unit)},'
        f'"value":{round(bitcoin * rate, 3)!r},"type":"{kind}"}}'
        for code, name, unit, rate, kind in rows
    )
    return Answer('{"rates":{' + ",".join(told) + "}}", 300)


def global_market(ask: Ask) -> Answer:
    truth, ranked = ask.world.truth, ranking(ask.world, ask.step)
    steps = np.array([ask.step - STEPS_PER_DAY, ask.step], dtype=np.int64)
    caps = truth.paths(ranked, steps) * truth.circulating[ranked][:, np.newaxis]
    before, cap = np.nansum(caps, axis=0).tolist()
    volume_before, volume = truth.volumes(ranked, steps).sum(axis=0).tolist()
    per_usd = {
        code: float(truth.told_in(quote, np.ones(1), steps[1:])[0])
        for code, quote in ask.world.quotes.items()
    }
    shares = {
        truth.coins[i].symbol: share
        for i, share in zip(ranked[:SHARES].tolist(), (caps[:SHARES, 1] / cap * 100).tolist(), strict=True)
    }
    return Answer(
        f'{{"data":{{"active_cryptocurrencies":{len(ranked)},"upcoming_icos":0,"ongoing_icos":0,"ended_icos":0,'
        f'"markets":1,"total_market_cap":{_amounts(per_usd, cap)},"total_volume":{_amounts(per_usd, volume)},'
        f'"market_cap_percentage":{_amounts(shares, 1.0)},'
        f'"market_cap_change_percentage_24h_usd":{number((cap / before - 1) * 100)},'
        f'"volume_change_percentage_24h_usd":{number((volume / volume_before - 1) * 100)},'
        f'"updated_at":{ask.now_ms // 1000}}}}}',
        600,
    )


def _amounts(rates: dict[str, float], amount: float) -> str:
    return "{" + ",".join(f'"{code}":{number(rate * amount)}' for code, rate in rates.items()) + "}"


def trending(ask: Ask) -> Answer:
    """The coins that are searched for most: others every two hours, the large ones more often."""
    truth, ranked = ask.world.truth, ranking(ask.world, ask.step)[:WATCHED]
    hour = np.array([ask.step // SEARCH_STEPS], dtype=np.int64)
    drawn = [float(truth.draw(coin, SEARCH_SALT, hour)[0]) for coin in ranked.tolist()]
    sought = np.array(drawn) ** np.sqrt(np.arange(1, len(ranked) + 1))
    bitcoin = float(truth.told_in(ask.world.quotes["btc"], np.ones(1), np.array([ask.step]))[0])
    rows = []
    for score, place in enumerate(np.argsort(-sought, kind="stable")[:SEARCHED].tolist()):
        index = int(ranked[place])
        coin, usd = truth.coins[index], float(truth.path(index, np.array([ask.step]))[0])
        rank = "null" if np.isnan(truth.circulating[index]) else str(place + 1)
        images = ",".join(f'"{size}":{text(image(coin.id, size))}' for size in ("thumb", "small", "large"))
        rows.append(
            f'{{"item":{{"id":{text(coin.id)},"coin_id":{index + 1},"name":{text(coin.name)},'
            f'"symbol":{text(coin.symbol.upper())},"market_cap_rank":{rank},{images},'
            f'"slug":{text(coin.id)},"price_btc":{number(usd * bitcoin)},"score":{score}}}}}'
        )
    return Answer('{"coins":[' + ",".join(rows) + '],"exchanges":[]}', 600)
