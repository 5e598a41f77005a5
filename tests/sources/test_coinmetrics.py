"""Coin Metrics: tokens are followed, a metric that is not free is no reason to stop; and real numbers, all of them."""

import csv
import json
from decimal import Decimal
from pathlib import Path

import pytest

from ray_app.collect.collector import collect
from ray_app.connect.judge import judge
from ray_app.model.errors import Malformed, NotOffered, RateLimited, Refused, UpstreamError
from ray_app.sources.coinmetrics import ABOUT, DAILY, SOURCE
from tests.sources.pages import Answer, Prepared, over, page, utc

AT = utc("2026-06-01T12:00")


def answer(rows: list[tuple[str, str | None]], token: str | None = None, metric: str = "TxCnt") -> Answer:
    data = [{"asset": "btc", "time": f"{day}T00:00:00.000000000Z", metric: value} for day, value in rows]
    last = {} if token is None else {"next_page_token": token, "next_page_url": "https://elsewhere/"}
    return 200, json.dumps({"data": data, **last}).encode()


async def test_pages_are_followed_by_their_token():
    told = {"": ("2026-05-29", "first"), "first": ("2026-05-30", "second"), "second": ("2026-05-31", None)}

    def answers(_: str, asked: dict[str, str]) -> Answer:
        day, token = told[asked.get("next_page_token", "")]
        return answer([(day, day[-2:])], token)

    api = Prepared(SOURCE, answers)
    collected = await collect(SOURCE, DAILY, over("2026-05-29", "2026-06-01", "btc.TxCnt"), api)
    assert [(r.key, r.known_at, r.model_dump()["value"]) for r, _ in collected.records] == [
        (utc("2026-05-29"), utc("2026-05-30T02:00"), Decimal(29)),
        (utc("2026-05-30"), utc("2026-05-31T02:00"), Decimal(30)),
        (utc("2026-05-31"), utc("2026-06-01T02:00"), Decimal(31)),
    ]
    first, *rest = api.asked
    assert (first["paging_from"], first["start_time"], first["end_time"]) == (
        "start",
        "2026-05-29",
        "2026-05-31",
    )
    assert [asked["next_page_token"] for asked in rest] == ["first", "second"]


async def test_a_token_that_comes_back_ends_the_walk():
    api = Prepared(SOURCE, lambda *_: answer([("2026-05-29", "1")], "again"))
    with pytest.raises(Malformed, match="circle"):
        await collect(SOURCE, DAILY, over("2026-05-29", "2026-06-01", "btc.TxCnt"), api)
    assert len(api.asked) == 2


async def test_a_metric_that_is_missing_in_every_row_is_no_empty_answer():
    api = Prepared(SOURCE, lambda *_: answer([("2026-05-29", "1")], metric="TransactionCount"))
    with pytest.raises(Malformed, match="TxCnt"):
        await collect(SOURCE, DAILY, over("2026-05-29", "2026-06-01", "btc.TxCnt"), api)


FORBIDDEN = (
    '{"error":{"type":"forbidden","message":"Requested metric \'FlowInExNtv\' with frequency \'1d\' for asset '
    "'btc' is not available with supplied credentials.\"}}"
)
UNSUPPORTED = (
    '{"error":{"type":"bad_parameter","message":"Bad parameter \'metrics\'. Value \'X\' is not supported."}}'
)
ERRORS: dict[str, tuple[int, str, type[UpstreamError]]] = {
    "not free": (403, FORBIDDEN, NotOffered),
    "not there": (400, UNSUPPORTED, NotOffered),
    "shut out": (403, "<html><title>403 Forbidden</title></html>", Refused),
    "wrong key": (401, '{"error":{"type":"wrong_credentials","message":"..."}}', Refused),
    "too fast": (429, '{"error":{"type":"too_many_requests","message":"..."}}', RateLimited),
}


@pytest.mark.parametrize(("status", "body", "reaction"), ERRORS.values(), ids=ERRORS.keys())
def test_errors_have_their_reactions(status: int, body: str, reaction: type[UpstreamError]):
    with pytest.raises(UpstreamError) as told:
        judge(SOURCE, page(SOURCE, body.encode(), AT, status=status))
    assert type(told.value) is reaction


ARCHIVED = [
    "AdrActCnt",
    "TxCnt",
    "TxTfrCnt",
    "FeeTotNtv",
    "IssTotNtv",
    "SplyCur",
    "CapMrktCurUSD",
    "CapMVRVCur",
]


@pytest.mark.parametrize("metric", ARCHIVED)
async def test_ten_years_of_bitcoin_with_all_their_digits(shared_data: Path, metric: str):
    """The provider's own numbers of 2009 to 2019, which are archived as a table, in the form of an answer."""
    table = shared_data / "onchain_daily/coinmetrics_btc_2009_2019.csv"
    if not table.exists():
        pytest.skip("the recorded data here do not hold the table of bitcoin")
    with table.open() as lines:
        days = [(row["date"], row[metric] or None) for row in csv.DictReader(lines)]
    api = Prepared(SOURCE, lambda *_: answer(days, metric=metric))
    collected = await collect(SOURCE, DAILY, over("2009-01-01", "2019-12-01", f"btc.{metric}"), api)
    assert collected.set_aside == ()
    expected = {utc(day): Decimal(value) for day, value in days if value is not None}
    assert {r.key: r.model_dump()["value"] for r, _ in collected.records} == expected
    assert len(expected) > 3000


def test_the_data_are_not_for_commercial_use():
    assert SOURCE.licence == "non_commercial"
    assert all(about.licence == "" for about in ABOUT.values())  # none says otherwise
    assert len(ABOUT) == 21
