"""Where in the upstreams' answers it shows whether an assumption holds: each look gives a verdict.

None: it could not be told, because nothing that shows it was asked or answered.
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

from ray_app.commands.check_sources import Answers, Told, Verdict
from ray_app.model.source import Page
from ray_app.model.unixtime import from_seconds
from ray_app.sources.coinmetrics import METRICS

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
RATE = ("x-ratelimit", "x-rate-limit", "x-mbx-used-weight")
NO_ANSWER: Verdict = (None, "no answer that could show it")


def good(answers: Answers, source: str, *names: str) -> list[Page]:
    return [page for page in answers.pages(source, *names) if 200 <= page.status < 300]


def rate_headers(pages: Iterable[Page]) -> dict[str, str]:
    return {k: v for page in pages for k, v in page.headers.items() if k.startswith(RATE)}


def shown(headers: Mapping[str, str]) -> str:
    return ", ".join(f"{name}: {value}" for name, value in sorted(headers.items())) or "no rate headers"


def tells(source: str, limit: str, allowed: Callable[[int], bool]) -> Callable[[Answers], Verdict]:
    """The header `limit` of a good answer, where there is one, tells no less than we take."""

    def look(answers: Answers) -> Verdict:
        headers = rate_headers(good(answers, source))
        value = headers.get(limit, "").partition(".")[0]
        return (allowed(int(value)) if value.isdigit() else None), shown(headers)

    return look


def tells_nothing(source: str) -> Callable[[Answers], Verdict]:
    """No rate headers: that a limit is near shows by a refusal only."""

    def look(answers: Answers) -> Verdict:
        pages = good(answers, source)
        headers = rate_headers(pages)
        return (not headers, shown(headers)) if pages else NO_ANSWER

    return look


def refusal(source: str, *, with_wait: bool) -> Callable[[Answers], Verdict]:
    """The form of a 429, should one have come: none is provoked."""

    def look(answers: Answers) -> Verdict:
        for page in answers.pages(source):
            if page.status in (429, 999):
                waits = page.headers.get("retry-after")
                told = f"HTTP {page.status}, retry-after {waits}, {page.body[:150]!r}"
                return (waits is not None) is with_wait, told
        return None, "nothing was refused for rate's sake"

    return look


def demo_rate(answers: Answers) -> Verdict:
    if answers.plans["coingecko"] != "demo":
        return None, f"asked under the plan {answers.plans['coingecko']}"
    return tells("coingecko", "x-ratelimit-limit", lambda limit: limit == 30)(answers)


def after_today(answers: Answers) -> Verdict:
    for page in answers.pages("fred", "after today"):
        as_told = page.status == 400 and b"can not be after today's date" in page.body
        return as_told, f"HTTP {page.status}: {page.body[:200].decode('utf-8', 'replace')}"
    return NO_ANSWER


def in_alfred(answers: Answers) -> Verdict:
    asked = [
        t
        for t in answers.of("fred")
        if t.probe.stream in ("macro", "macro_daily") and t.probe.slice and t.pages
    ]
    lacking = [
        t.probe.slice.partition for t in asked if t.probe.slice and b"not exist in ALFRED" in t.pages[0].body
    ]
    if not asked:
        return NO_ANSWER
    return not lacking, f"of {len(asked)} asked for, without: {', '.join(lacking) or 'none'}"


def market_closes(answers: Answers) -> Verdict:
    asked = [t for t in answers.of("fred") if t.probe.stream == "market_closes" and t.pages]
    return (all(t.records for t in asked), said(asked)) if asked else NO_ANSWER


def said(told: Iterable[Told]) -> str:
    return "; ".join(
        f"{t.probe.name}: {len(t.records)} records{' ' + t.error if t.error else ''}" for t in told
    )


def free_metrics(answers: Answers) -> Verdict:
    for page in good(answers, "coinmetrics", "catalog"):
        free: set[str] = set()
        for asset in page.json()["data"]:
            for metric in asset["metrics"]:
                if any(f["frequency"] == "1d" and f.get("community") for f in metric["frequencies"]):
                    free.add(f"{asset['asset']}.{metric['metric']}")
        ours = {f"{asset}.{name}" for name, (*_, assets) in METRICS.items() for asset in assets.split()}
        return (
            ours <= free,
            f"{len(ours & free)} of {len(ours)} are free, not {', '.join(sorted(ours - free)) or 'any'}",
        )
    return NO_ANSWER


def hash_rate_unit(answers: Answers) -> Verdict:
    values = [
        r.value
        for t in answers.of("coinmetrics", "metrics btc.HashRate")
        for r in t.records
        if hasattr(r, "value")
    ]
    if not values:
        return NO_ANSWER
    return all(
        Decimal(10) ** 8 < v < Decimal(10) ** 10 for v in values
    ), f"btc: {values[-1]} (TH/s: some 10^9)"


def fractions(answers: Answers) -> Verdict:
    for page in good(answers, "mempool", "fees"):
        rates = page.json()
        return all(isinstance(r, int | Decimal) for r in rates.values()), f"{rates}"
    return NO_ANSWER


def date_type(name: str, kind: type, place: Callable[[Any], Any]) -> Callable[[Answers], Verdict]:
    def look(answers: Answers) -> Verdict:
        for told in answers.of("defillama"):
            for page in good(answers, "defillama", told.probe.name):
                if told.probe.stream == name:
                    date = place(page.json())
                    return type(date) is kind, f"{date!r}"
        return NO_ANSWER

    return look


def chart_days(answers: Answers) -> Verdict:
    pages = good(answers, "blockchain")
    zero = sum(row["y"] == 0 for page in pages for row in page.json()["values"])
    days = [{from_seconds(row["x"]).date() for row in page.json()["values"]} for page in pages]
    missing = sum((max(d) - min(d)).days + 1 - len(d) for d in days if d)
    return (True, f"{zero} days of value 0, {missing} days missing") if any(days) else NO_ANSWER


def gas_decimals(answers: Answers) -> Verdict:
    for page in good(answers, "etherscan", "gas"):
        told = {k: v for k, v in page.json()["result"].items() if k.endswith(("GasPrice", "BaseFee"))}
        return all(isinstance(v, str) and Decimal(v) >= 0 for v in told.values()), f"{told}"
    return NO_ANSWER


def missing_moods(answers: Answers) -> Verdict:
    for told in answers.of("alternative"):
        days = {record.cursor for record in told.records}
        if days and min(days) <= datetime(2018, 4, 13, tzinfo=UTC):
            first, last = min(days), max(days)
            every = {first + n * DAY for n in range((last - first).days + 1)}
            lacking = sorted(f"{day:%Y-%m-%d}" for day in every - days)
            return lacking == [
                "2018-04-14",
                "2018-04-15",
                "2018-04-16",
            ], f"missing: {', '.join(lacking) or 'none'}"
    return NO_ANSWER


def weight(answers: Answers) -> Verdict:
    headers = rate_headers(good(answers, "binance"))
    return ("x-mbx-used-weight-1m" in headers, shown(headers)) if good(answers, "binance") else NO_ANSWER


def too_many_candles(answers: Answers) -> Verdict:
    for page in answers.pages("coinbase", "over the limit"):
        return page.status == 400 and b"exceeds 300" in page.body, f"HTTP {page.status}: {page.body[:200]!r}"
    return NO_ANSWER


def candle_at_end(answers: Answers) -> Verdict:
    for page in good(answers, "coinbase", "bars_1h"):
        end = datetime.fromisoformat(page.params["end"])
        return any(
            from_seconds(row[0]) == end for row in page.json()
        ), f"{len(page.json())} candles up to {end}"
    return NO_ANSWER


def kraken_rows(answers: Answers) -> list[Any]:
    for page in good(answers, "kraken", "bars_1h"):
        (rows,) = (rows for name, rows in page.json()["result"].items() if name != "last")
        return [int(page.params["since"]), page.json()["result"]["last"], rows]
    return []


def kraken_since(answers: Answers) -> Verdict:
    if not (found := kraken_rows(answers)):
        return NO_ANSWER
    since, last, rows = found
    return rows[0][0] > since, f"since {since}: the first candle is at {rows[0][0]}, `last` is {last}"


def kraken_open(answers: Answers) -> Verdict:
    if not (found := kraken_rows(answers)):
        return NO_ANSWER
    received = good(answers, "kraken", "bars_1h")[0].received_at
    newest = from_seconds(found[2][-1][0])
    return newest + HOUR > received, f"the newest candle began at {newest}, asked at {received:%H:%M}"


def deep_pages(answers: Answers) -> Verdict:
    for page in answers.pages("guardian", "deep"):
        if b"beyond the number of available pages" in page.body:
            return None, "there are fewer pages than that"
        return page.status == 200, f"page {page.params['page']}: HTTP {page.status}: {page.body[:120]!r}"
    return NO_ANSWER


def token_life(answers: Answers) -> Verdict:
    seconds = answers.token_seconds
    return (seconds == 86_400, f"{seconds} seconds") if seconds is not None else NO_ANSWER


def reddit_window(answers: Answers) -> Verdict:
    headers = rate_headers(good(answers, "reddit"))
    try:
        used, left, reset = (float(headers[f"x-ratelimit-{n}"]) for n in ("used", "remaining", "reset"))
    except KeyError:
        return None, shown(headers)
    return used + left >= 900 and reset <= 600, shown(headers)


def old_names(answers: Answers) -> Verdict:
    pages = good(answers, "x")
    if not pages or not (posts := pages[0].json().get("data")):
        return None, f"{pages[0].body[:150]!r}" if pages else "no answer that could show it"
    return all("created_at" in post and "public_metrics" in post for post in posts), f"{sorted(posts[0])}"


def feeds(answers: Answers) -> Verdict:
    bad = [t.probe.name.partition(" ")[2] for t in answers.of("rss") if not t.records]
    bad = [
        f"{t} ({next((str(p.status) for p in answers.pages('rss', f'articles {t}')), 'no answer')})"
        for t in bad
    ]
    expected = all(one.startswith("crypto/bitcoinmagazine") for one in bad)
    return (expected, f"without stories: {', '.join(bad) or 'none'}") if answers.of("rss") else NO_ANSWER


def validators(answers: Answers) -> Verdict:
    pages = good(answers, "rss")
    without = [urlsplit(p.path).netloc for p in pages if not {"etag", "last-modified"} & p.headers.keys()]
    return (
        (True, f"{len(pages) - len(without)} of {len(pages)} have one; without: {', '.join(without)}")
        if pages
        else NO_ANSWER
    )


def yahoo(answers: Answers) -> Verdict:
    statuses = [p.status for p in answers.pages("rss") if "yahoo" in p.path]
    return (all(s == 200 for s in statuses), f"HTTP {statuses}") if statuses else NO_ANSWER


def filing_zone(answers: Answers) -> Verdict:
    """Filings are accepted from 6 to 22 o'clock in New York: the hours that are stated tell whose they are."""
    for page in good(answers, "edgar"):
        stated = page.json()["filings"]["recent"]["acceptanceDateTime"]
        hours = [int(told[11:13]) for told in stated]
        early, late = sum(6 <= h < 10 for h in hours), sum(h in (23, 0, 1, 2) for h in hours)
        if early == late == 0:
            return None, "no filing at an hour that tells"
        return early > late, f"{early} filings stated from 6 to 10 o'clock, {late} from 23 to 3"
    return NO_ANSWER
