"""What we take for true of the upstreams without having seen it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ray_app.commands.check_looks import (
    after_today,
    candle_at_end,
    chart_days,
    date_type,
    deep_pages,
    demo_rate,
    feeds,
    filing_zone,
    fractions,
    free_metrics,
    gas_decimals,
    hash_rate_unit,
    in_alfred,
    kraken_open,
    kraken_since,
    market_closes,
    missing_moods,
    old_names,
    reddit_window,
    refusal,
    tells,
    tells_nothing,
    token_life,
    too_many_candles,
    validators,
    weight,
    yahoo,
)
from ray_app.commands.check_sources import Answers, Verdict
from ray_app.model.errors import Malformed

SAID_APART = ("NotOffered", "Refused: HTTP 403: b'<")  # points of their own


@dataclass(frozen=True, slots=True)
class Point:
    """One assumption about a source, and how an answer confirms or refutes it."""

    source: str
    assumed: str
    look: Callable[[Answers], Verdict]


def judged(answers: Answers) -> list[tuple[str, str, Verdict]]:
    """Every point of the sources that were asked, with its verdict."""
    return [(p.source, p.assumed, _look(p, answers)) for p in POINTS if p.source in answers.plans]


def _look(point: Point, answers: Answers) -> Verdict:
    try:
        return point.look(answers)
    except (ValueError, TypeError, LookupError, ArithmeticError, AttributeError, Malformed) as error:
        return None, f"an answer in another form: {type(error).__name__} {error}"[:300]


def understood(source: str) -> Point:
    def look(answers: Answers) -> Verdict:
        told = [t for t in answers.of(source) if t.probe.slice]
        bad = [t for t in told if t.aside or (t.error and not t.error.startswith(SAID_APART))]
        if not any(t.pages for t in told):
            return None, told[0].error if told else "nothing was asked"
        why = "; ".join(f"{t.probe.name}: {t.error or t.aside[0]}" for t in bad)
        return not bad, f"{len(told) - len(bad)} of {len(told)} answers{': ' if why else ''}{why}"[:600]

    return Point(source, "every answer can be read", look)


SOURCES: Sequence[str] = (
    "coingecko", "fred", "coinmetrics", "mempool", "blockchain", "defillama", "etherscan", "alternative",
    "binance", "binance_futures", "coinbase", "kraken", "guardian", "reddit", "x", "rss", "edgar",
)  # fmt: skip
POINTS: Sequence[Point] = (
    *(understood(source) for source in SOURCES),
    Point("coingecko", "plan demo allows 30 calls a minute", demo_rate),
    Point("coingecko", "a good answer does not tell its limit", tells_nothing("coingecko")),
    Point("coingecko", "a 429 does not always say how long to wait", refusal("coingecko", with_wait=False)),
    Point("fred", "a window that ends after today is a 400 that says so", after_today),
    Point("fred", "ALFRED has every series that we ask for by vintage", in_alfred),
    Point("fred", "SP500 and VIXCLS are told without vintages", market_closes),
    Point("fred", "no rate headers", tells_nothing("fred")),
    Point("fred", "a 429 says how long to wait", refusal("fred", with_wait=True)),
    Point("coinmetrics", "our metrics are free", free_metrics),
    Point("coinmetrics", "hash rates are in TH/s", hash_rate_unit),
    Point("coinmetrics", "10 calls in 6 seconds", tells("coinmetrics", "x-ratelimit-limit", lambda n: n >= 10)),
    Point("mempool", "no rate headers: the limit is not told", tells_nothing("mempool")),
    Point("mempool", "fee rates are numbers, with fractions perhaps", fractions),
    Point("blockchain", "days can be missing or 0", chart_days),
    Point("blockchain", "no rate headers: the limit is not told", tells_nothing("blockchain")),
    Point("defillama", "days of value locked are numbers", date_type("tvl", int, lambda b: b[0]["date"])),
    Point("defillama", "days of stablecoins are texts", date_type("stablecoins", str, lambda b: b[0]["date"])),
    Point("defillama", "no rate headers: the limit is not told", tells_nothing("defillama")),
    Point("etherscan", "gas is a text, with decimals perhaps", gas_decimals),
    Point("alternative", "exactly three days are missing, in April 2018", missing_moods),
    Point("alternative", "no rate headers: the limit is not told", tells_nothing("alternative")),
    Point("binance", "answers tell the weight that was used", weight),
    Point("coinbase", "more than 300 candles are a 400 that says so", too_many_candles),
    Point("coinbase", "a candle that starts at `end` is told too", candle_at_end),
    Point("kraken", "`since` is exclusive: the first candle is a later one", kraken_since),
    Point("kraken", "the newest candle is still open", kraken_open),
    Point("guardian", "480 calls a day", tells("guardian", "x-ratelimit-limit-day", lambda n: n >= 480)),
    Point("guardian", "page 25 of 200 each can be had", deep_pages),
    Point("reddit", "a token lasts a day", token_life),
    Point("reddit", "about 1000 calls in ten minutes", reddit_window),
    Point("x", "the old names of fields still work", old_names),
    Point("x", "450 searches in 15 minutes", tells("x", "x-rate-limit-limit", lambda n: n >= 300)),
    Point("rss", "every feed has stories, but for Bitcoin Magazine's", feeds),
    Point("rss", "some feeds name no version, so not every question is conditional", validators),
    Point("rss", "Yahoo answers a reader that names itself", yahoo),
    Point("edgar", "times are those of New York, whatever the Z says", filing_zone),
)  # fmt: skip
