"""Which filings there are. The k-th span of eight hours of a company holds one, or none at night and on weekends."""

from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache

from ray_app.simulator.clock import instant
from ray_app.simulator.texts.draw import Draw

SPAN = 8 * 3600
FIRST = 1_483_228_800  # 2017: when all of them begin
EASTERN = timedelta(hours=-4)
# form -> how often, out of a hundred
FORMS = {"4": 40, "8-K": 30, "144": 12, "424B2": 8, "10-Q": 4, "S-8": 3, "10-K": 1, "SC 13G/A": 2}
ITEMS = {
    "1.01": "Entry into a Material Definitive Agreement",
    "2.02": "Results of Operations and Financial Condition",
    "5.02": "Departure of Directors or Certain Officers; Election of Directors",
    "7.01": "Regulation FD Disclosure",
    "8.01": "Other Events",
    "9.01": "Financial Statements and Exhibits",
}
EIGHT_K = ("2.02,9.01", "8.01", "7.01,9.01", "1.01,9.01", "5.02", "8.01,9.01")


@dataclass(frozen=True, slots=True)
class Company:
    cik: int
    ticker: str
    name: str
    sic: str
    trade: str  # what its SIC code stands for
    exchange: str = "Nasdaq"


COMPANIES = (
    Company(1679788, "COIN", "Coinbase Global, Inc.", "6199", "Finance Services"),
    Company(1050446, "MSTR", "Strategy Inc", "7372", "Services-Prepackaged Software"),
    Company(1507605, "MARA", "MARA Holdings, Inc.", "6199", "Finance Services"),
    Company(1167419, "RIOT", "Riot Platforms, Inc.", "6199", "Finance Services"),
    Company(1783879, "HOOD", "Robinhood Markets, Inc.", "6211", "Security Brokers, Dealers & Flotation Companies"),
    Company(1045810, "NVDA", "NVIDIA CORP", "3674", "Semiconductors & Related Devices"),
    Company(1318605, "TSLA", "Tesla, Inc.", "3711", "Motor Vehicles & Passenger Car Bodies"),
    Company(320193, "AAPL", "Apple Inc.", "3571", "Electronic Computers"),
    Company(789019, "MSFT", "MICROSOFT CORP", "7372", "Services-Prepackaged Software"),
    Company(2488, "AMD", "ADVANCED MICRO DEVICES INC", "3674", "Semiconductors & Related Devices"),
)  # fmt: skip
BY_CIK = {company.cik: company for company in COMPANIES}


@dataclass(frozen=True, slots=True)
class Filing:
    company: Company
    at: int  # accepted, seconds since 1970
    accepted: str  # the same in UTC, and its day on the east coast: told again and again
    date: str
    form: str
    items: str
    accession: str
    size: int
    act: str
    file_number: str
    film_number: str

    @property
    def folder(self) -> str:
        return f"/Archives/edgar/data/{self.company.cik}/{self.accession.replace('-', '')}"

    @property
    def document(self) -> str:
        form = self.form.lower().replace("/", "").replace(" ", "").replace("-", "")
        return f"{self.company.ticker.lower()}-{self.date.replace('-', '')}_{form}.htm"


class Filings:
    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._filing = lru_cache(200_000)(self._made)

    def until(self, company: Company, now: int, since: int = FIRST) -> list[Filing]:
        """Accepted in [since, now], newest first."""
        spans = range(now // SPAN, since // SPAN - 1, -1)
        found = (self._filing(company, span) for span in spans)
        return [filing for filing in found if filing is not None and since <= filing.at <= now]

    def _made(self, company: Company, span: int) -> Filing | None:
        draw = Draw(self._seed, "filing", company.cik, span)
        at = span * SPAN + draw.whole("second", 0, SPAN - 1)
        there = instant(at * 1000) + EASTERN
        if there.weekday() > 4 or not 6 <= there.hour < 22:
            return None
        drawn, form = draw.whole("form", 0, 99), "4"
        for form, share in FORMS.items():  # noqa: B007 -- the form it stops at
            if drawn < share:
                break
            drawn -= share
        number = span % 100_000 + 1
        return Filing(
            company=company,
            at=at,
            accepted=f"{instant(at * 1000):%Y-%m-%dT%H:%M:%S}.000Z",
            date=f"{there:%Y-%m-%d}",
            form=form,
            items=draw.pick("items", EIGHT_K) if form == "8-K" else "",
            accession=f"{company.cik:010d}-{there:%y}-{number:06d}",
            size=draw.whole("size", 4_000, 9_000_000),
            act="33" if form in ("424B2", "S-8") else "34",
            file_number="" if form in ("4", "144") else f"001-{company.cik % 90_000 + 10_000}",
            film_number="" if form in ("4", "144") else str(there.year % 100 * 10**7 + number),
        )
