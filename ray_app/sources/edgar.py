"""SEC EDGAR: the 8-K filings (current reports) of companies that crypto markets watch, with their items.

What surprises: the list of filings comes as columns of equal length. An `acceptanceDateTime` ends in Z, but
whether it is UTC or the time of New York is disputed: it is read as New York's, the later of the two, unless
we had the filing earlier than that. Whoever does not say who he is, or asks more than ten times a second, gets
a 403 in HTML; the second kind lasts ten minutes, longer for who goes on. Nothing is conditional.
"""

from collections.abc import AsyncIterator, Iterable
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from ray_app.model.errors import Malformed, RateLimited
from ray_app.model.plaintext import canonical_url, one_line, short_id
from ray_app.model.source import About, Api, ApiKey, Page, Plan, Quota, Slice, Source, Stream
from ray_app.model.texts import Article

QUARTER = timedelta(minutes=15)
NEW_YORK = ZoneInfo("America/New_York")
BLOCKED = 600.0  # seconds
COMPANIES = {
    "MSTR": 1050446, "COIN": 1679788, "MARA": 1507605, "RIOT": 1167419, "HOOD": 1783879, "CLSK": 827876,
    "CIFR": 1819989, "CORZ": 1839341, "WULF": 1083301, "HUT": 1964789, "GLXY": 1859392, "CRCL": 1876042,
    "XYZ": 1512673, "PYPL": 1633917, "BKKT": 1820302, "BMNR": 1829311, "SBET": 1981535, "GEMI": 2055592,
    "CME": 1156375, "GME": 1326380, "NVDA": 1045810, "AMD": 2488, "TSLA": 1318605,
}  # fmt: skip
FORMS = ("8-K", "8-K/A")
ITEMS = {
    "1.01": "Entry into a Material Definitive Agreement",
    "1.02": "Termination of a Material Definitive Agreement",
    "1.03": "Bankruptcy or Receivership",
    "1.04": "Mine Safety",
    "1.05": "Material Cybersecurity Incidents",
    "2.01": "Completion of Acquisition or Disposition of Assets",
    "2.02": "Results of Operations and Financial Condition",
    "2.03": "Creation of a Direct Financial Obligation",
    "2.04": "Triggering Events That Accelerate a Direct Financial Obligation",
    "2.05": "Costs Associated with Exit or Disposal Activities",
    "2.06": "Material Impairments",
    "3.01": "Notice of Delisting",
    "3.02": "Unregistered Sales of Equity Securities",
    "3.03": "Material Modification to Rights of Security Holders",
    "4.01": "Changes in Registrant's Certifying Accountant",
    "4.02": "Non-Reliance on Previously Issued Financial Statements",
    "5.01": "Changes in Control of Registrant",
    "5.02": "Departure or Election of Directors or Certain Officers",
    "5.03": "Amendments to Articles of Incorporation or Bylaws; Change in Fiscal Year",
    "5.07": "Submission of Matters to a Vote of Security Holders",
    "5.08": "Shareholder Director Nominations",
    "7.01": "Regulation FD Disclosure",
    "8.01": "Other Events",
    "9.01": "Financial Statements and Exhibits",
}
COLUMNS = ("accessionNumber", "filingDate", "acceptanceDateTime", "form", "items", "primaryDocument")


def judge(page: Page) -> None:
    if page.status in (403, 429) and b"threshold" in page.body.lower():
        raise RateLimited("edgar", "more than 10 requests a second", BLOCKED)


async def fetch(api: Api, wanted: Slice) -> AsyncIterator[Page]:
    yield await api.get(f"/submissions/CIK{COMPANIES[wanted.partition]:010d}.json")


def filings(page: Page) -> Iterable[Any]:
    """The 8-K filings among the newest 1000: {"cik", "name", "filings": {"recent": {column: [...]}}}"""
    body = page.json()
    try:
        recent = body["filings"]["recent"]
        company = {"cik": int(str(body["cik"])), "name": body["name"]}
        columns = [recent[name] for name in COLUMNS]
    except (TypeError, LookupError, ValueError) as e:
        raise Malformed("edgar", f"expected a company's filings, found {page.body[:80]!r}") from e
    if not all(isinstance(column, list) for column in columns) or len({len(c) for c in columns}) != 1:
        raise Malformed("edgar", f"columns of {[len(c) for c in columns if isinstance(c, list)]} filings")
    for values in zip(*columns, strict=True):
        filing = dict(zip(COLUMNS, values, strict=True))
        if filing["form"] in FORMS:
            yield company | filing | {"read_at": page.received_at.isoformat()}


def parse(row: Any, wanted: Slice) -> Article:
    """One filing; its headline is the company, the form and the SEC's names of the items reported."""
    if row["cik"] != COMPANIES.get(wanted.partition):
        raise ValueError(f"CIK {row['cik']} ({row['name']}) is not {wanted.partition}")
    numbers = [number.strip() for number in row["items"].split(",") if number.strip()]
    said = "; ".join(ITEMS.get(number, f"Item {number}") for number in numbers)
    name, accession = one_line(row["name"]), row["accessionNumber"]
    if not name or not accession.replace("-", "").isdecimal():
        raise ValueError(f"no filing of {name!r}: {accession!r}")
    folder = f"https://www.sec.gov/Archives/edgar/data/{row['cik']}/{accession.replace('-', '')}"
    return Article(
        feed=wanted.partition,
        item=short_id(accession),
        at=accepted(row["acceptanceDateTime"], datetime.fromisoformat(row["read_at"])),
        title=f"{name}: {row['form']}{' - ' if said else ''}{said}",
        url=canonical_url(f"{folder}/{row['primaryDocument']}"),
        author=name,
        topics="; ".join([wanted.partition, *numbers]),
    )


def accepted(told: str, read_at: datetime) -> datetime:
    """Never earlier than it was accepted, whichever zone is meant, and never later than we had it."""
    written = datetime.fromisoformat(told).replace(tzinfo=None)
    return min(written.replace(tzinfo=NEW_YORK).astimezone(read_at.tzinfo), read_at)


FILINGS = Stream(
    name="filings",
    describes="8-K filings of companies that crypto markets watch",
    record=Article,
    partitions=lambda _: tuple(COMPANIES),
    fetch=fetch,
    rows=filings,
    parse=parse,
    every=QUARTER,
    grain=QUARTER,
    longest_slice=QUARTER,
    offers=None,  # each answer holds about 1000 filings, so a poll that was missed is made good by the next
    independent=True,
    largest=16 * 2**20,
    about={ticker: About(title=f"8-K filings of {ticker}") for ticker in COMPANIES},
    quiet=timedelta(days=60),
    required=False,
    unit="filings",
    topic="news",
    parser="submissions/1",
)
SOURCE = Source(
    name="edgar",
    docs="https://www.sec.gov/search-filings/edgar-application-programming-interfaces",
    licence="public_domain",
    attribution="SEC EDGAR",
    llm_allowed=True,
    judge=judge,
    plans=(
        Plan(
            name="public",
            base_url="https://data.sec.gov",
            simulated_at="/edgar",
            quota=Quota(5, timedelta(seconds=1)),  # half of what one may
            auth=ApiKey("contact", header="user-agent", prefix="crypto-data-node "),
            streams=(FILINGS,),
        ),
    ),
)
