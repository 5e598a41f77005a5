"""What the node stores: one frozen class per kind of fact; here the words that all share, and prices.

Each class names its own times in the words of its field. Two rules hold for all of them:
every time is aware UTC, and `known_at` is the earliest moment anyone could have known the
fact, so a question about time T filters on it and never sees the future.
"""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Annotated, ClassVar, Literal

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)

Interval = Literal["1m", "5m", "30m", "1h", "4h", "1d"]
WHOLE_DIGITS, FRACTION_DIGITS = 35, 30  # what both databases keep exactly: DECIMAL(65, 30)


# Refuse what the store could not keep digit by digit; a silent rounding would be an invention.
_DIGITS = Field(max_digits=WHOLE_DIGITS + FRACTION_DIGITS, decimal_places=FRACTION_DIGITS)
Exact = Annotated[Decimal, _DIGITS]
Positive = Annotated[Decimal, _DIGITS, Field(gt=0)]
NotNegative = Annotated[Decimal, _DIGITS, Field(ge=0)]
Count = Annotated[int, Field(ge=-(2**63), lt=2**63)]  # what a column holds; a score can be below zero
Instant = Annotated[AwareDatetime, AfterValidator(lambda t: t.astimezone(UTC))]


def _storable(text: str) -> str:
    """Refuse what no database keeps: half a surrogate pair (a JSON escape can hold one) and NUL."""
    text.encode()
    if "\0" in text:
        raise ValueError("a text must not hold NUL")
    return text


_STORABLE = AfterValidator(_storable)
Name = Annotated[str, StringConstraints(max_length=190), _STORABLE]  # also an id: it can be part of a key
Key = Annotated[  # an id that upstreams make: MariaDB tells no ids apart by spaces at their end
    str, StringConstraints(min_length=1, max_length=190, strip_whitespace=True), _STORABLE
]
Text = Annotated[str, StringConstraints(max_length=2_000_000), _STORABLE]


class Record(BaseModel):
    """One fact. Records that agree on `partition` and `key` are one fact, perhaps in two revisions.

    Most facts are keyed by their cursor. A text is keyed by its id, and its cursor says where it was found
    first; an observation is keyed by the period that it speaks of, and its cursor is its vintage.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    partition_field: ClassVar[str]
    cursor_field: ClassVar[str]  # the time that slices range over
    key_field: ClassVar[str] = ""  # empty: the cursor
    time_field: ClassVar[str] = ""  # the time that readers ask by; empty: the cursor
    forms: ClassVar[bool] = (
        False  # what is told of it while its interval lasts is not yet what it comes to be
    )
    # Where known_at is a bound, so much after this field: receiving it earlier proves it known earlier.
    known_at_latest: ClassVar[tuple[str, timedelta] | None] = None

    @classmethod
    def keyed_by(cls) -> str:
        return cls.key_field or cls.cursor_field

    @classmethod
    def timed_by(cls) -> str:
        return cls.time_field or cls.cursor_field

    @property
    def key(self) -> datetime | str:
        """What tells this fact from the others of its partition."""
        key: datetime | str = getattr(self, self.keyed_by())
        return key

    @property
    def number(self) -> int | None:
        """The revision's number where the upstream itself numbers revisions; else the store counts."""
        return None

    @property
    def partition(self) -> str:
        """The part of its stream that this fact belongs to; coverage is kept per partition."""
        return str(getattr(self, self.partition_field))

    @property
    def cursor(self) -> datetime:
        """The time that slices range over."""
        moment: datetime = getattr(self, self.cursor_field)
        return moment

    @property
    def known_at(self) -> datetime:
        raise NotImplementedError


class Price(Record):
    """What one coin cost when a poll that was due at `slot` was answered. Money in US dollars."""

    partition_field, cursor_field = "coin", "slot"

    coin: str
    slot: Instant
    updated_at: Instant  # the upstream's own time for the price; it can be hours older than the slot
    price: Positive
    market_cap: NotNegative | None = None
    volume_24h: NotNegative | None = None  # rolling over 24 hours: never add these up
    high_24h: NotNegative | None = None
    low_24h: NotNegative | None = None
    change_24h: Exact | None = None
    change_percent_24h: Exact | None = None
    circulating_supply: NotNegative | None = None
    total_supply: NotNegative | None = None
    max_supply: NotNegative | None = None

    @property
    def known_at(self) -> datetime:
        return max(self.slot, self.updated_at)


class ExchangeRate(Record):
    """How many units of one currency a bitcoin bought when a poll that was due at `slot` was answered."""

    partition_field, cursor_field = "currency", "slot"

    currency: str  # lower case: usd, eur, eth, xau
    slot: Instant
    per_btc: Positive
    kind: Literal["fiat", "crypto", "commodity"]

    @property
    def known_at(self) -> datetime:
        return self.slot


class MarketPoint(Record):
    """The last point that an upstream's chart has within one hour. Money in US dollars."""

    partition_field, cursor_field = "coin", "hour"
    forms = True

    coin: str
    hour: Instant  # the start of the hour; the upstream's points lie anywhere within it
    at: Instant  # the upstream's own time of the point
    price: Positive
    market_cap: NotNegative | None = None
    volume_24h: NotNegative | None = None  # rolling over 24 hours at that point, not the hour's volume

    @property
    def known_at(self) -> datetime:
        return self.at


class Bar(Record):
    """Trading in one instrument over [start, end). Money in US dollars unless the stream says otherwise."""

    partition_field, cursor_field = "symbol", "start"
    forms = True

    symbol: str
    interval: Interval
    start: Instant
    end: Instant
    open: Positive
    high: Positive
    low: Positive
    close: Positive
    volume: NotNegative | None = None  # of the base asset; None: this upstream's candles have none
    quote_volume: NotNegative | None = None
    taker_buy_volume: NotNegative | None = None  # of `volume`, what takers bought
    trades: Count | None = None

    @property
    def known_at(self) -> datetime:
        return self.end

    @model_validator(mode="after")
    def _range_encloses_open_and_close(self) -> "Bar":
        if not self.low <= min(self.open, self.close) <= max(self.open, self.close) <= self.high:
            raise ValueError(f"[{self.low}, {self.high}] must enclose {self.open} and {self.close}")
        if not self.start < self.end:
            raise ValueError(f"a bar must end after it starts: {self.start} .. {self.end}")
        return self
