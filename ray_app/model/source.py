"""The words a source file is written in: Source, Plan, Stream, Slice, Page, Quota."""

import json
from collections.abc import AsyncIterator, Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from functools import cached_property
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from ray_app.model.errors import Malformed
from ray_app.model.records import Record
from ray_app.model.symbols import Registry
from ray_app.model.timerange import Coverage, TimeRange

if TYPE_CHECKING:  # a feed is made of a stream
    from ray_app.model.feed import Feed


LONGEST_EXPONENT = 100


@dataclass(frozen=True, slots=True)
class Quota:
    """At most `calls` per `per`, and per calendar month (UTC), for everyone sharing one key or address."""

    calls: int
    per: timedelta
    per_month: int | None = None


@dataclass(frozen=True, slots=True)
class ApiKey:
    """Where the source wants its key: in a header (after `prefix`) or in a query parameter.

    `setting` names the secret; the key itself lives in the settings.
    """

    setting: str
    header: str = ""
    param: str = ""
    prefix: str = ""  # "Bearer "

    @property
    def settings(self) -> tuple[str, ...]:
        return (self.setting,)


@dataclass(frozen=True, slots=True)
class ClientCredentials:
    """OAuth 2 without a user: an id and a secret buy a token at `token_url`, again when it has run out."""

    id_setting: str
    secret_setting: str
    token_url: str

    @property
    def settings(self) -> tuple[str, ...]:
        return (self.id_setting, self.secret_setting)


@dataclass(frozen=True, slots=True)
class About:
    """What one partition is: told by the catalog. `licence` overrides the source's."""

    title: str
    unit: str = ""
    licence: str = ""
    frequency: str = ""


def _number(text: str) -> Decimal:
    """An exponent like 1e999999999999 is no price: to make an integer of it takes for ever."""
    number = Decimal(text)
    if abs(number.adjusted()) > LONGEST_EXPONENT:
        raise ValueError(f"{text[:40]} is no number of this world")
    return number


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
    original: str = ""  # SHA-256 of the body as sent, where texts were cut out of it

    @cached_property
    def body_hash(self) -> str:
        """SHA-256 of the body as the source sent it."""
        return self.original or sha256(self.body).hexdigest()

    @cached_property
    def id(self) -> str:
        """SHA-256 over the request, the time and the answer: the same exchange has the same id anywhere."""
        return sha256(json.dumps(self.envelope(), sort_keys=True).encode()).hexdigest()

    def without(self, texts: Callable[[bytes], bytes]) -> "Page":
        """The same exchange with what `texts` leaves of its body; it keeps the hash of the body as sent."""
        left = texts(self.body)
        return self if left == self.body else replace(self, body=left, original=self.body_hash)

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
            return json.loads(self.body, parse_float=_number, parse_constant=_no_constant)
        except (ValueError, RecursionError) as e:
            raise Malformed(self.source, f"not JSON: {self.body[:80]!r}") from e


class Api(Protocol):
    """A polite HTTP client: signs, waits for the quota, keeps the page, retries, raises UpstreamError.

    `path` follows the plan's base URL; one that begins with https:// stands for itself.
    """

    async def get(self, path: str, **params: str | int) -> Page: ...


@runtime_checkable
class Keeping(Protocol):
    """An Api that keeps what it is answered."""

    def keeping(self, cut: Callable[[Page], Page]) -> Api:
        """The same, which cuts out of each answer what may not be kept before it keeps and returns it.

        It is judged by what it was, in words that quote nothing of it.
        """


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
class Recheck:
    """How an upstream is asked whether texts are still there, and how one that is gone is cut out of a page.

    Terms of social networks: what its author deleted there must go here. Asked again `every` so often
    while the text is kept, `batch` ids a call.
    """

    fetch: Callable[[Api, Sequence[str]], AsyncIterator[Page]]
    present: Callable[[Page], Iterable[str]]  # the ids that the page says are still there
    redact: Callable[
        [bytes, Container[str]], bytes
    ]  # the body without the texts of these ids and without quoted ones
    batch: int
    every: timedelta = timedelta(hours=20)
    keep: timedelta = timedelta(days=30)  # texts are kept no longer; that there was one stays


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
    lives: Callable[[Registry], Mapping[str, Coverage]] = lambda _: {}  # of a partition; absent: always
    forgets: bool = False  # it tells nothing any more of a partition whose life has ended
    batch: int = 1  # how many partitions one slice may hold
    pages: int = 1  # the most pages that one slice of live work takes
    attempts: int = 3  # the most requests that one slice's page may cost
    settle: timedelta = timedelta(0)  # how long the newest records may still change
    patience: timedelta = timedelta(0)  # how long an interval that came back empty is asked for again
    reach: timedelta | None = None  # how far back gaps are filled by themselves; None: as the settings say
    restated: timedelta = timedelta(0)  # how far back its values are corrected later: read again once a day
    quiet: timedelta | None = (
        None  # how long a series may have nothing to tell; None: each interval has a value
    )
    unfinished: bool = False  # the interval that lasts now has values already, and is asked for every time
    independent: bool = False  # each partition is a service of its own: one's refusal does not stop the rest
    conditional: bool = False  # ask "has it changed?"; a 304 is an answer without news
    largest: int = 64 * 2**20  # bytes of body that are read at most
    reached: Callable[[Sequence[Page], Slice], datetime] | None = None  # from where on its pages tell all
    about: Mapping[str, About] = field(default_factory=dict)  # by partition
    recheck: Recheck | None = None
    required: bool = True  # whether the node's health depends on it
    unit: str = "USD"
    describes: str = ""
    topic: str | None = None  # announce new records and how intervals ended under this name
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
    feeds: "tuple[Feed, ...]" = ()  # what it pushes
    auth: ApiKey | ClientCredentials | None = None
    simulated_at: str = ""  # where the built-in simulator answers for this plan
    elsewhere: Mapping[str, str] = field(default_factory=dict)  # a further host to its place in the simulator
    dollars_per_call: Decimal = Decimal(0)  # at worst, where the upstream charges
    repair_reserve: Decimal = Decimal("0.05")  # the part of the month kept for healing


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One upstream service: where it is, how fast we may ask, what it offers, on what terms."""

    name: str
    docs: str
    plans: tuple[Plan, ...]
    licence: str
    attribution: str = ""
    llm_allowed: bool = False  # whether its texts may be shown to a language model of a third party
    headers: Mapping[str, str] = field(default_factory=dict)
    states_limit: bool = False  # its x-ratelimit-limit is the limit per window of our quota
    follows: bool = False  # goes after redirects, to public addresses only
    judge: Callable[[Page], None] = field(default=lambda _: None)  # raises what the status does not tell

    def plan(self, name: str) -> Plan:
        for plan in self.plans:
            if plan.name == name:
                return plan
        raise ValueError(f"{self.name} has no plan {name!r}; it has {', '.join(p.name for p in self.plans)}")
