"""/coins/{id}/history: a coin at a day's beginning (00:00 UTC), in every currency.

The public host wants `dd-mm-yyyy`, the pro host `YYYY-MM-DD`. Before its listing, and before the
day is told, a coin has no `market_data` at all.
"""

import math
from datetime import datetime

import numpy as np

from ray_app.simulator.coingecko.answers import Answer, image, missing, number, plain_error, text
from ray_app.simulator.coingecko.query import Ask
from ray_app.simulator.truth import STEP_MS

LANGUAGES = ("en", "de", "es", "fr", "it", "ja", "ko", "pt", "ru", "zh")
DAY_CLOSED_AFTER_MS = 35 * 60_000
NOTHING_KNOWN = (
    '"community_data":{"facebook_likes":null,"reddit_average_posts_48h":0.0,"reddit_average_comments_48h":0.0,'
    '"reddit_subscribers":null,"reddit_accounts_active_48h":0.0},'
    '"developer_data":{"forks":null,"stars":null,"subscribers":null,"total_issues":null,"closed_issues":null,'
    '"pull_requests_merged":null,"pull_request_contributors":null,'
    '"code_additions_deletions_4_weeks":{"additions":null,"deletions":null},"commit_count_4_weeks":null},'
    '"public_interest_stats":{"alexa_rank":null,"bing_matches":null}'
)


def history(ask: Ask, coin_id: str) -> Answer:
    coin = ask.coin(coin_id)
    day_ms = _day(ask)
    ask.check_wall(day_ms)
    truth, steps = ask.world.truth, np.array([day_ms // STEP_MS], dtype=np.int64)
    known = truth.coins[coin]
    parts = [f'"id":{text(known.id)},"symbol":{text(known.symbol)},"name":{text(known.name)}']
    if ask.params.get("localization", "true") != "false":
        names = ",".join(f'"{language}":{text(known.name)}' for language in LANGUAGES)
        parts.append(f'"localization":{{{names}}}')
    parts.append(
        f'"image":{{"thumb":{text(image(known.id, "thumb"))},"small":{text(image(known.id, "small"))}}}'
    )
    price = float(truth.path(coin, steps)[0])
    if not math.isnan(price) and ask.now_ms >= day_ms + DAY_CLOSED_AFTER_MS:
        volume = truth.volumes(np.array([coin]), steps)[0]
        amounts = {
            "current_price": truth.path(coin, steps),
            "market_cap": truth.path(coin, steps) * truth.circulating[coin],
            "total_volume": volume,
        }
        told = []
        for name, usd in amounts.items():
            values = (
                f'"{code}":{number(float(truth.told_in(quote, usd, steps)[0]))}'
                for code, quote in sorted(ask.world.quotes.items())
            )
            told.append(f'"{name}":{{{",".join(values)}}}')
        parts.append(f'"market_data":{{{",".join(told)}}}')
    parts.append(NOTHING_KNOWN)
    return Answer("{" + ",".join(parts) + "}", 60)


def _day(ask: Ask) -> int:
    if not ask.params.get("date"):
        raise missing("date")
    try:
        day = datetime.strptime(f"{ask.params['date']} +0000", f"{'%Y-%m-%d' if ask.paid else '%d-%m-%Y'} %z")
    except ValueError:
        raise plain_error(400, "invalid date") from None
    return int(day.timestamp()) * 1000
