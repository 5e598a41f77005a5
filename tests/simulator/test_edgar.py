"""EDGAR: columns, the Atom feed, who is let in and how fast."""

from datetime import datetime
from xml.etree import ElementTree

import pytest

from tests.simulator.texting import START, simulated

COINBASE = "/edgar/submissions/CIK0001679788.json"
CURRENT = "/web/www.sec.gov/cgi-bin/browse-edgar?action=getcurrent&type=8-K&count=100&start=0&owner=include&output=atom"
AGENT = {"User-Agent": "Example Data Node mail@example.com"}
ATOM = "{http://www.w3.org/2005/Atom}"


@pytest.fixture(scope="module")
def sim():
    with simulated() as started:
        started.http.headers.update(AGENT)
        yield started


def test_columns_of_equal_length_newest_first(sim):
    answer = sim.get(COINBASE)
    assert answer.headers["cache-control"] == "max-age=0, no-cache, no-store"
    assert "etag" not in answer.headers
    company = answer.json()
    assert (company["cik"], company["name"], company["tickers"]) == (
        "0001679788",
        "Coinbase Global, Inc.",
        ["COIN"],
    )
    recent = company["filings"]["recent"]
    assert {len(column) for column in recent.values()} == {1000}
    assert set(recent) == {
        "accessionNumber", "filingDate", "reportDate", "acceptanceDateTime", "act", "form", "fileNumber",
        "filmNumber", "items", "core_type", "size", "isXBRL", "isInlineXBRL", "primaryDocument",
        "primaryDocDescription",
    }  # fmt: skip
    times = recent["acceptanceDateTime"]
    assert times == sorted(times, reverse=True)
    assert times[0] <= START.strftime("%Y-%m-%dT%H:%M:%S.000Z")
    assert len(set(recent["accessionNumber"])) == 1000
    assert {
        bool(items) for form, items in zip(recent["form"], recent["items"], strict=True) if form == "8-K"
    } == {True}
    assert {items for form, items in zip(recent["form"], recent["items"], strict=True) if form != "8-K"} == {
        ""
    }
    assert {datetime.fromisoformat(date).weekday() < 5 for date in recent["filingDate"]} == {True}


def test_recent_filings_are_those_of_the_truth(sim):
    rows = sim.truth("edgar", cik=1679788, from_="2026-05-01", to=START.isoformat())
    recent = sim.get(COINBASE).json()["filings"]["recent"]
    count = len(rows)
    assert count > 15
    for name in recent:
        assert recent[name][:count] == [row[name] for row in reversed(rows)]
    assert recent["acceptanceDateTime"][count] < "2026-05-01"


def test_older_filings_are_in_the_file_that_is_named(sim):
    filings = sim.get(COINBASE).json()["filings"]
    (file,) = filings["files"]
    older = sim.get(f"/edgar/submissions/{file['name']}").json()
    assert {len(column) for column in older.values()} == {file["filingCount"]}
    assert (older["filingDate"][-1], older["filingDate"][0]) == (file["filingFrom"], file["filingTo"])
    assert older["acceptanceDateTime"][0] < filings["recent"]["acceptanceDateTime"][-1]


def test_the_feed_of_current_filings_agrees_with_the_columns(sim):
    answer = sim.get(CURRENT)
    assert answer.content.startswith(b'<?xml version="1.0" encoding="ISO-8859-1" ?>')
    entries = ElementTree.fromstring(answer.content).findall(f"{ATOM}entry")
    assert len(entries) > 50
    assert {one.attrib["term"] for entry in entries for one in entry.findall(f"{ATOM}category")} == {"8-K"}
    updated = [datetime.fromisoformat(entry.findtext(f"{ATOM}updated", "")) for entry in entries]
    assert updated == sorted(updated, reverse=True)
    assert updated[0] <= START
    ours = [entry for entry in entries if "(0001679788)" in entry.findtext(f"{ATOM}title", "")]
    recent = sim.get(COINBASE).json()["filings"]["recent"]
    columns = zip(
        recent["form"], recent["accessionNumber"], recent["acceptanceDateTime"], recent["items"], strict=True
    )
    wanted = [(number, at, items) for form, number, at, items in columns if form == "8-K"][: len(ours)]
    assert len(ours) > 3
    for entry, (number, at, items) in zip(ours, wanted, strict=True):
        assert entry.findtext(f"{ATOM}id", "") == f"urn:tag:sec.gov,2008:accession-number={number}"
        assert datetime.fromisoformat(entry.findtext(f"{ATOM}updated", "")) == datetime.fromisoformat(at)
        assert all(f"Item {item}: " in entry.findtext(f"{ATOM}summary", "") for item in items.split(","))
    paged = ElementTree.fromstring(sim.get(CURRENT.replace("count=100&start=0", "count=10&start=5")).content)
    ids = [entry.findtext(f"{ATOM}id", "") for entry in paged.findall(f"{ATOM}entry")]
    assert ids == [entry.findtext(f"{ATOM}id", "") for entry in entries[5:15]]


def test_tickers_and_documents(sim):
    rows = sim.get("/web/www.sec.gov/files/company_tickers.json").json()
    assert rows["0"] == {"cik_str": 1679788, "ticker": "COIN", "title": "Coinbase Global, Inc."}
    assert {row["ticker"] for row in rows.values()} >= {"MSTR", "NVDA"}
    recent = sim.get(COINBASE).json()["filings"]["recent"]
    place = recent["form"].index("8-K")
    folder = recent["accessionNumber"][place].replace("-", "")
    page = sim.get(
        f"/web/www.sec.gov/Archives/edgar/data/1679788/{folder}/{recent['primaryDocument'][place]}"
    )
    assert page.status_code == 200
    assert f"Item {recent['items'][place].split(',')[0]}" in page.text


def test_what_does_not_exist(sim):
    missing = sim.get("/edgar/submissions/CIK0000000001.json")
    assert missing.status_code == 404
    assert ElementTree.fromstring(missing.content).findtext("Code") == "NoSuchKey"
    assert sim.get("/web/www.sec.gov/nothing").status_code == 404


@pytest.mark.parametrize("agent", ["python-httpx/0.28", "my node (https://example.com)"])
@pytest.mark.parametrize("path", [COINBASE, CURRENT])
def test_agents_without_an_address_are_refused(sim, agent, path):
    answer = sim.get(path, headers={"User-Agent": agent})
    assert (answer.status_code, answer.headers["content-type"]) == (403, "text/html; charset=UTF-8")
    assert "Undeclared Automated Tool" in answer.text


def test_ten_a_second_over_both_hosts_then_ten_minutes_out():
    with simulated(limits=True) as sim:
        sim.http.headers.update(AGENT)
        missing = "/edgar/submissions/CIK0000000001.json"  # cheap; refused ones count as well
        statuses = [sim.get(missing).status_code for _ in range(5)]
        statuses += [sim.get("/web/www.sec.gov/files/company_tickers.json").status_code for _ in range(5)]
        assert statuses == [404] * 5 + [200] * 5
        over = sim.get(COINBASE)
        assert over.status_code == 403
        assert "Request Rate Threshold Exceeded" in over.text
        assert "retry-after" not in over.headers
        sim.advance(599)
        assert sim.get(COINBASE).status_code == 403  # and this one starts it anew
        sim.advance(599)
        assert sim.get("/web/www.sec.gov/files/company_tickers.json").status_code == 403
        sim.advance(600)
        assert sim.get("/web/www.sec.gov/files/company_tickers.json").status_code == 200
