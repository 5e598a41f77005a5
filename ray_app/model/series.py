"""Series of numbers beside prices: macro, on-chain, derivatives, the market as a whole."""

from datetime import datetime, timedelta

from ray_app.model.records import Count, Exact, Instant, Name, NotNegative, Positive, Record

END_OF_VINTAGE = timedelta(hours=30)  # a vintage is a day in US Central, and nobody tells its hour


class Observation(Record):
    """The value of a macro series for one period, as one vintage had it. None: that vintage withdrew it.

    Sliced by vintage: what was released on a day. Keyed and read by period; the revision's number is
    the vintage's day.
    """

    partition_field, cursor_field, key_field, time_field = "series", "vintage", "period", "period"
    known_at_latest = "vintage", END_OF_VINTAGE

    series: Name
    period: Instant  # the period's first day, 00:00 UTC
    vintage: Instant  # the day from which this value held, 00:00 UTC
    value: Exact | None

    @property
    def known_at(self) -> datetime:
        return self.vintage + END_OF_VINTAGE

    @property
    def number(self) -> int:
        """The vintage as YYYYMMDD."""
        return self.vintage.year * 10_000 + self.vintage.month * 100 + self.vintage.day


class Metric(Record):
    """One value of an on-chain or derived series, told at `published` at the latest."""

    partition_field, cursor_field = "metric", "at"
    known_at_latest = "published", timedelta(0)

    metric: Name
    at: Instant  # the start of the period that it speaks of, or the moment
    published: Instant
    value: Exact

    @property
    def known_at(self) -> datetime:
        return self.published


class MoodIndex(Record):
    """An index of sentiment that its maker publishes once a day, 0 to 100."""

    partition_field, cursor_field = "index", "day"

    index: Name
    day: Instant
    value: NotNegative
    label: Name

    @property
    def known_at(self) -> datetime:
        return self.day


class FundingRate(Record):
    """What holders of one perpetual contract paid each other at `at`, as a part of the position."""

    partition_field, cursor_field = "symbol", "at"

    symbol: Name
    at: Instant
    rate: Exact
    mark_price: Positive | None = None

    @property
    def known_at(self) -> datetime:
        return self.at


class OpenInterest(Record):
    """Contracts open at `at`: in the base asset, and what they are worth in the quote currency."""

    partition_field, cursor_field = "symbol", "at"

    symbol: Name
    at: Instant
    amount: NotNegative
    worth: NotNegative | None = None

    @property
    def known_at(self) -> datetime:
        return self.at


class MarketTotals(Record):
    """The whole crypto market when a poll that was due at `slot` was answered. US dollars, percent."""

    partition_field, cursor_field = "market", "slot"

    market: Name
    slot: Instant
    updated_at: Instant
    market_cap: Positive
    volume_24h: NotNegative
    btc_dominance: NotNegative
    eth_dominance: NotNegative | None = None
    market_cap_change_percent_24h: Exact | None = None
    coins: Count | None = None
    markets: Count | None = None

    @property
    def known_at(self) -> datetime:
        return max(self.slot, self.updated_at)


class Trending(Record):
    """Which coin held a rank of the upstream's list of most searched coins at a poll."""

    partition_field, cursor_field = "rank", "slot"

    rank: Name  # "1" is the first
    slot: Instant
    coin: Name  # the upstream's id

    @property
    def known_at(self) -> datetime:
        return self.slot
