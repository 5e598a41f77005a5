"""The words a source file is written in: Source, Plan, Stream, Slice, Page, Quota."""

import json
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from functools import cached_property
from hashlib import sha256
from typing import Any, Protocol

from ray_app.model.errors import Malformed
from ray_app.model.records import Record
from ray_app.model.symbols import Registry
from ray_app.model.timerange import TimeRange


@dataclass(frozen=True, slots=True)
class Quota:
    """At most `calls` per `per`, and per calendar month (UTC), for everyone sharing one key or address."""

    calls: int
    per: timedelta
    per_month: int | None = None


@dataclass(frozen=True, slots=True)
class ApiKey:
    """Where the source wants its key. `setting` names the secret; the key itself lives in the settings."""

    setting: str
    header: str


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a number")


@dataclass(frozen=True, kw_only=True)
class Page:
    """One response, byte for byte as the source sent it, kept so it can be parsed again."""

    source: str
    stream: str
    path: str
    params: Mapping[str, str]  # without secrets
    status: int
    headers: Mapping[str, str]  # those that matter, lower case
    body: bytes
    asked_at: datetime
    received_at: datetime

    @cached_property
    def body_hash(self) -> str:
        return sha256(self.body).hexdigest()

    @cached_property
    def id(self) -> str:
        """SHA-256 over the request, the time and the answer: the same exchange has the same id anywhere."""
        return sha256(json.dumps(self.envelope(), sort_keys=True).encode()).hexdigest()

    def envelope(self) -> dict[str, Any]:
        """Everything but the body, as JSON types; the body is named by its SHA-256."""
        return {
            "source": self.source,
            "stream": self.stream,
            "path": self.path,
            "params": dict(self.params),
            "status": self.status,
            "headers": dict(self.headers),
            "body": self.body_hash,
            "asked_at": self.asked_at.isoformat(),
            "received_at": self.received_at.isoformat(),
        }

    def json(self) -> Any:
        """The body decoded, numbers as Decimal so that no float rounding creeps in.

        Raises Malformed if it is not JSON (an empty body, HTML, a truncated answer, NaN).
        """
        try:
            return json.loads(self.body, parse_float=Decimal, parse_constant=_no_constant)
        except (ValueError, RecursionError) as e:
            raise Malformed(self.source, f"not JSON: {self.body[:80]!r}") from e


class Api(Protocol):
    """A polite HTTP client: signs, waits for the quota, keeps the page, retries, raises UpstreamError."""

    async def get(self, path: str, **params: str | int) -> Page: ...


@dataclass(frozen=True, slots=True)
class Slice:
    """The unit of work: partitions (symbols, feeds) that one request answers, over one range."""

    partitions: tuple[str, ...]
    range: TimeRange

    @property
    def partition(self) -> str:
        """The only partition of a slice that has just one."""
        (only,) = self.partitions
        return only


Offer = timedelta | datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """One kind of record from one source: fetch asks, rows finds, parse translates.

    `parse` gives None for a row in which the upstream says that it has no value.
    """

    name: str
    record: type[Record]
    partitions: Callable[[Registry], tuple[str, ...]]
    fetch: Callable[[Api, Slice], AsyncIterator[Page]]
    rows: Callable[[Page], Iterable[Any]]
    parse: Callable[[Any, Slice], Record | None]
    every: timedelta  # how often to look for new records
    grain: timedelta  # how far apart records lie: the interval of the completeness ledger
    longest_slice: timedelta
    offers: Offer  # how far back it reaches: a span, a first date, or None for only the present
    batch: int = 1  # how many partitions one slice may hold
    attempts: int = 3  # the most requests that one slice's page may cost
    settle: timedelta = timedelta(0)  # how long the newest records may still change
    required: bool = True  # whether the node's health depends on it
    unit: str = "USD"
    describes: str = ""
    topic: str | None = None  # announce new records to the event streams under this name
    parser: str = "1"  # name/version of rows and parse: raised when they make something else of a page

    def oldest(self, now: datetime) -> datetime | None:
        """Where the history on offer begins; None when only the present is on offer."""
        return now - self.offers if isinstance(self.offers, timedelta) else self.offers


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What one tier of an upstream allows and offers. Plans are data: a vendor changes them at will."""

    name: str
    base_url: str
    quota: Quota
    streams: tuple[Stream, ...]
    auth: ApiKey | None = None
    simulated_at: str = ""  # where the built-in simulator answers for this plan
    repair_reserve: Decimal = Decimal("0.05")  # the part of the month kept for healing


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One upstream service: where it is, how fast we may ask, what it offers, on what terms."""

    name: str
    docs: str
    plans: tuple[Plan, ...]
    licence: str
    attribution: str = ""
    judge: Callable[[Page], None] = field(default=lambda _: None)  # raises what a 200 hides

    def plan(self, name: str) -> Plan:
        for plan in self.plans:
            if plan.name == name:
                return plan
        raise ValueError(f"{self.name} has no plan {name!r}; it has {', '.join(p.name for p in self.plans)}")
