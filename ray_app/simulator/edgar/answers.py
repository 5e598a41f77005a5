"""EDGAR's answers: columns in JSON, an Atom feed, and a page for each refusal."""

import json
from collections.abc import Sequence
from datetime import timedelta
from html import escape
from typing import Any
from xml.sax.saxutils import escape as xml

from ray_app.simulator.clock import instant
from ray_app.simulator.edgar.filings import COMPANIES, EASTERN, ITEMS, Company, Filing
from ray_app.simulator.wire import HTML, Rejection, Reply

RECENT = 1000
JSON = "application/json"
NO_CACHE = [("Cache-Control", "max-age=0, no-cache, no-store")]


def submissions(company: Company, filings: Sequence[Filing]) -> Reply:
    """A company and its newest filings; older ones are in the files that it names."""
    older = filings[RECENT:]
    files = (
        [
            {
                "name": f"CIK{company.cik:010d}-submissions-001.json",
                "filingCount": len(older),
                "filingFrom": older[-1].date,
                "filingTo": older[0].date,
            }
        ]
        if older
        else []
    )
    body = {
        "cik": f"{company.cik:010d}",
        "entityType": "operating",
        "sic": company.sic,
        "sicDescription": company.trade,
        "ownerOrg": "07 Trade & Services",
        "insiderTransactionForOwnerExists": 0,
        "insiderTransactionForIssuerExists": 1,
        "name": company.name,
        "tickers": [company.ticker],
        "exchanges": [company.exchange],
        "ein": None,
        "lei": None,
        "description": "",
        "website": "",
        "investorWebsite": "",
        "category": "Large accelerated filer",
        "fiscalYearEnd": "1231",
        "stateOfIncorporation": "DE",
        "stateOfIncorporationDescription": "DE",
        "addresses": {"mailing": {"city": "EXAMPLE"}, "business": {"city": "EXAMPLE"}},
        "phone": "555-0100",
        "flags": "",
        "formerNames": [],
        "filings": {"recent": columns(filings[:RECENT]), "files": files},
    }
    return _json(body)


def older(filings: Sequence[Filing]) -> Reply:
    """The columns alone, as the files named in `filings.files` hold them."""
    return _json(columns(filings[RECENT:]))


def columns(filings: Sequence[Filing]) -> dict[str, list[Any]]:
    """One list for each property, all of the same length, newest filing first."""
    return {
        "accessionNumber": [filing.accession for filing in filings],
        "filingDate": [filing.date for filing in filings],
        "reportDate": [
            filing.date if filing.form in ("8-K", "10-Q", "10-K", "4") else "" for filing in filings
        ],
        "acceptanceDateTime": [filing.accepted for filing in filings],
        "act": [filing.act for filing in filings],
        "form": [filing.form for filing in filings],
        "fileNumber": [filing.file_number for filing in filings],
        "filmNumber": [filing.film_number for filing in filings],
        "items": [filing.items for filing in filings],
        "core_type": [filing.form for filing in filings],
        "size": [filing.size for filing in filings],
        "isXBRL": [int(filing.form in ("8-K", "10-Q", "10-K")) for filing in filings],
        "isInlineXBRL": [int(filing.form in ("8-K", "10-Q", "10-K")) for filing in filings],
        "primaryDocument": [filing.document for filing in filings],
        "primaryDocDescription": [filing.form for filing in filings],
    }


def tickers() -> Reply:
    rows = {
        str(i): {"cik_str": company.cik, "ticker": company.ticker, "title": company.name}
        for i, company in enumerate(COMPANIES)
    }
    return _json(rows)


def current(filings: Sequence[Filing], now: int) -> Reply:
    """The newest filings of all companies as Atom; times are those of the east coast."""
    there = instant(now * 1000) + EASTERN
    lines = [
        '<?xml version="1.0" encoding="ISO-8859-1" ?>',
        '<feed xmlns="http://www.w3.org/2005/Atom">',
        f"<title>Latest Filings - {there:%a, %d %b %Y %H:%M:%S} EDT</title>",
        '<link rel="alternate" href="/cgi-bin/browse-edgar?action=getcurrent"/>',
        '<link rel="self" href="/cgi-bin/browse-edgar?action=getcurrent"/>',
        "<id>https://www.sec.gov/cgi-bin/browse-edgar?action=getcurrent</id>",
        "<author><name>Webmaster</name><email>webmaster@sec.gov</email></author>",
        f"<updated>{_eastern(now)}</updated>",
        *(_entry(filing) for filing in filings),
        "</feed>",
    ]
    return Reply(200, "\n".join(lines).encode("latin-1"), "application/atom+xml", list(NO_CACHE))


def _entry(filing: Filing) -> str:
    size = f"{filing.size // 1024} KB" if filing.size < 1_000_000 else f"{filing.size // 1_000_000} MB"
    told = f"\n <b>Filed:</b> {filing.date} <b>AccNo:</b> {filing.accession} <b>Size:</b> {size}\n"
    told += "".join(f"<br>Item {item}: {ITEMS[item]}\n" for item in filing.items.split(",") if item)
    url = f"https://www.sec.gov{filing.folder}/{filing.accession}-index.htm"
    title = f"{filing.form} - {filing.company.name} ({filing.company.cik:010d}) (Filer)"
    return "\n".join(
        (
            "<entry>",
            f"<title>{xml(title)}</title>",
            f'<link rel="alternate" type="text/html" href="{url}"/>',
            f'<summary type="html">{xml(told)}</summary>',
            f"<updated>{_eastern(filing.at)}</updated>",
            f'<category scheme="https://www.sec.gov/" label="form type" term="{filing.form}"/>',
            f"<id>urn:tag:sec.gov,2008:accession-number={filing.accession}</id>",
            "</entry>",
        )
    )


def _eastern(seconds: int) -> str:
    return (
        f"{instant(seconds * 1000) + EASTERN:%Y-%m-%dT%H:%M:%S}-{abs(EASTERN) // timedelta(hours=1):02d}:00"
    )


def document(filing: Filing) -> Reply:
    items = "".join(
        f"<p><b>Item {item}</b> {escape(ITEMS[item])}</p>" for item in filing.items.split(",") if item
    )
    name = escape(filing.company.name)
    body = f"<html><body><h1>FORM {filing.form}</h1><p>{name}</p><p>{filing.date}</p>{items}</body></html>"
    return Reply(200, body.encode(), "text/html", list(NO_CACHE))


def no_such_key(path: str) -> Rejection:
    """What the store of files behind data.sec.gov says of a file that is not there."""
    body = (
        '<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>NoSuchKey</Code><Message>The specified key '
        f"does not exist.</Message><Key>{xml(path.lstrip('/'))}</Key></Error>"
    )
    return Rejection(404, body, "application/xml")


def refusal(title: str, text: str) -> Reply:
    body = (
        '<!DOCTYPE html>\n<html lang="en"><head><title>SEC.gov | '
        f"{title}</title></head>\n<body><h1>{title}</h1><p>{text}</p></body></html>\n"
    )
    return Reply(403, body.encode(), HTML)


def undeclared() -> Reply:
    return refusal(
        "Your Request Originates from an Undeclared Automated Tool",
        "Please declare your traffic by updating your user agent to include company specific information.",
    )


def too_fast() -> Reply:
    return refusal(
        "Request Rate Threshold Exceeded",
        "Current guidelines limit users to a total of no more than 10 requests per second, regardless of the "
        "number of machines used to submit requests. Once the rate of requests has dropped below the threshold "
        "for 10 minutes, the user may resume accessing content on SEC.gov.",
    )


def _json(body: Any) -> Reply:
    return Reply(200, json.dumps(body, separators=(",", ":")).encode(), JSON, list(NO_CACHE))
