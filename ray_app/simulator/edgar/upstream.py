"""data.sec.gov, and the part of www.sec.gov that the node reads.

One count serves both hosts: ten requests a second per address, and who is over it is shut out until it
has kept quiet for ten minutes. A User-Agent without an address to write to is refused at once.
"""

import re
from collections.abc import Mapping
from typing import Any
from weakref import WeakKeyDictionary

from ray_app.simulator.clock import moment
from ray_app.simulator.edgar import answers
from ray_app.simulator.edgar.filings import BY_CIK, COMPANIES, Filings
from ray_app.simulator.fault_answers import page
from ray_app.simulator.quota import Rolling
from ray_app.simulator.simulation import Simulation
from ray_app.simulator.upstream import Asked
from ray_app.simulator.wire import HTML, Rejection, Reply

A_SECOND, SHUT_OUT_MS = 10, 600_000
CONTACT = re.compile(r"\S+@\S+\.\S+")
WWW = "/www.sec.gov"


class Gate:
    """Who may come in."""

    def __init__(self) -> None:
        self._count = Rolling(A_SECOND, 1000)
        self._out_until: dict[str, int] = {}

    def arrive(self, asked: Asked) -> Reply | None:
        over = self._count.arrive(asked.client, asked.now_ms)
        if over or asked.now_ms < self._out_until.get(asked.client, 0):
            self._out_until[asked.client] = asked.now_ms + SHUT_OUT_MS  # every further try starts it anew
            return answers.too_fast()
        return None


_GATES: WeakKeyDictionary[Simulation, Gate] = WeakKeyDictionary()


def gate(simulation: Simulation) -> Gate:
    """The one count of both hosts."""
    return _GATES.setdefault(simulation, Gate())


class Edgar:
    """data.sec.gov; `www` answers for the other host."""

    name, prefix = "edgar", "/edgar"
    secret_params: frozenset[str] = frozenset()

    def __init__(self, simulation: Simulation) -> None:
        self._gate = gate(simulation)
        self._filings = Filings(simulation.config.seed)

    def limit(self, asked: Asked) -> Reply | None:
        return self._gate.arrive(asked)

    def answer(self, asked: Asked) -> Reply:
        _declared(asked)
        found = re.fullmatch(r"/submissions/CIK(\d{10})(-submissions-001)?\.json", asked.path)
        company = BY_CIK.get(int(found[1])) if found else None
        if found is None or company is None:
            raise answers.no_such_key(asked.path)
        filings = self._filings.until(company, asked.now_ms // 1000)
        if found[2] and len(filings) <= answers.RECENT:
            raise answers.no_such_key(asked.path)
        return answers.older(filings) if found[2] else answers.submissions(company, filings)

    def www(self, asked: Asked) -> Reply:
        """`asked.path` still begins with the host's name."""
        _declared(asked)
        path, now = asked.path.removeprefix(WWW), asked.now_ms // 1000
        if path == "/files/company_tickers.json":
            return answers.tickers()
        if path == "/cgi-bin/browse-edgar" and asked.params.get("action") == "getcurrent":
            form = asked.params.get("type", "")
            count, start = int(asked.params.get("count", 40)), int(asked.params.get("start", 0))
            newest = [
                filing
                for company in COMPANIES
                for filing in self._filings.until(company, now, now - 45 * 86_400)
                if filing.form.startswith(form)
            ]
            newest.sort(key=lambda filing: (-filing.at, filing.accession))
            return answers.current(newest[start : start + min(count, 100)], now)
        found = re.fullmatch(r"/Archives/edgar/data/(\d+)/(\d{18})/([^/]+)", path)
        company = BY_CIK.get(int(found[1])) if found else None
        if found is not None and company is not None:
            for filing in self._filings.until(company, now):
                if filing.accession.replace("-", "") == found[2]:
                    return answers.document(filing)
        raise Rejection(404, page("404 Not Found"), HTML)

    def truth(self, params: Mapping[str, str]) -> Any:
        """Filings of a company (`cik`) accepted in [from, to), oldest first."""
        start, end = (round(moment(params[name]).timestamp()) for name in ("from", "to"))
        filings = self._filings.until(BY_CIK[int(params["cik"])], end - 1, start)
        rows = answers.columns(filings[::-1])
        return [dict(zip(rows, row, strict=True)) for row in zip(*rows.values(), strict=True)]


def _declared(asked: Asked) -> None:
    """Raises Rejection for a User-Agent that names nobody."""
    if not CONTACT.search(asked.headers.get("user-agent", "")):
        refused = answers.undeclared()
        raise Rejection(refused.status, refused.body.decode(), refused.content_type)
