"""EDGAR: whose filings an answer holds, when they were accepted, and the gate's two kinds of 403."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ray_app.collect.validate import read
from ray_app.connect.judge import judge
from ray_app.model.errors import Malformed, NotOffered, RateLimited, Refused
from ray_app.sources.edgar import COLUMNS, COMPANIES, FILINGS, SOURCE, accepted
from tests.sources.replies import NOON, Replies, over, page

ROW = (
    "0001679788-26-000001",
    "2026-05-07",
    "2026-05-07T16:05:12.000Z",
    "8-K",
    "2.02,9.01",
    "coin-20260507.htm",
)


def company(*rows: tuple[Any, ...], cik: Any = "0001679788", **more: Any) -> dict[str, Any]:
    recent = {name: [row[n] for row in rows] for n, name in enumerate(COLUMNS)}
    return {
        "cik": cik,
        "name": "Coinbase Global, Inc.",
        "tickers": ["COIN"],
        "filings": {"recent": recent},
    } | more


async def test_each_company_is_asked_for_by_its_number():
    api = Replies([page(company())])
    assert [p.status async for p in FILINGS.fetch(api, over(FILINGS, "COIN"))] == [200]
    assert api.asked == [("/submissions/CIK0001679788.json", {})]
    assert len(set(COMPANIES.values())) == len(COMPANIES)


def test_an_answer_about_another_company_is_set_aside():
    got = read(FILINGS, page(company(ROW, cik="320193")), over(FILINGS, "COIN"))
    assert (got.records, [aside.reason for aside in got.set_aside]) == (
        [],
        ["ValueError: CIK 320193 (Coinbase Global, Inc.) is not COIN"],
    )
    assert len(read(FILINGS, page(company(ROW, cik=1679788)), over(FILINGS, "COIN")).records) == 1


@pytest.mark.parametrize(
    "body",
    [
        [],
        {"cik": "1"},
        company(ROW, cik="x"),
        company(ROW, cik=None),
        company(ROW, filings={"recent": {name: ["8-K"] * (1 + (name == "form")) for name in COLUMNS}}),
        company(ROW, filings={"recent": dict.fromkeys(COLUMNS, "8-K")}),
        company(ROW, filings={"recent": {name: [] for name in COLUMNS if name != "items"}}),
        b'<?xml version="1.0"?><Error><Code>NoSuchKey</Code></Error>',
    ],
)
def test_columns_that_do_not_fit_are_no_answer(body: Any):
    with pytest.raises(Malformed):
        read(FILINGS, page(body), over(FILINGS, "COIN"))


@pytest.mark.parametrize(
    ("told", "at"),
    [
        ("2026-01-15T16:05:12.000Z", datetime(2026, 1, 15, 21, 5, 12, tzinfo=UTC)),
        ("2026-05-15T16:05:12.000Z", datetime(2026, 5, 15, 20, 5, 12, tzinfo=UTC)),
        ("2026-06-01T11:59:00.000Z", NOON),  # in New York it would be 15:59 UTC, and we have it at noon
    ],
)
def test_a_filing_is_never_known_before_it_was_accepted_nor_after_we_had_it(told: str, at: datetime):
    assert accepted(told, NOON) == at
    (article,) = read(FILINGS, page(company((*ROW[:2], told, *ROW[3:]))), over(FILINGS, "COIN")).records
    assert article.known_at == at
    assert article.known_at >= min(datetime.fromisoformat(told), NOON)


def test_other_forms_are_no_news():
    got = read(
        FILINGS,
        page(company(ROW, (*ROW[:3], "10-Q", *ROW[4:]), (*ROW[:3], "4", *ROW[4:]))),
        over(FILINGS, "COIN"),
    )
    assert (got.rows, len(got.records)) == (1, 1)


def test_the_gate():
    threshold = b"<html><title>SEC.gov | Request Rate Threshold Exceeded</title></html>"
    with pytest.raises(RateLimited) as told:
        judge(SOURCE, page(threshold, 403))
    assert told.value.retry_after == timedelta(minutes=10).total_seconds()
    with pytest.raises(Refused):
        judge(SOURCE, page(b"<html>Your Request Originates from an Undeclared Automated Tool</html>", 403))
    with pytest.raises(NotOffered):
        judge(SOURCE, page(b"<Error><Code>NoSuchKey</Code></Error>", 404))
    assert SOURCE.plans[0].auth is not None
    assert SOURCE.plans[0].auth.settings == ("contact",)
