"""What an asset is, and how one line of `instruments.csv` says it.

The first line names the columns: id, symbol and name, then former (tickers), tracked_from, tracked_to,
and one column per venue. A cell may hold several names, each with its time, as in
`OLD[..2024-09-04] NEW[2024-09-04..]`. Lines that begin with # are notes.
"""

import csv
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Literal

from ray_app.model.timerange import EVER, NEVER, Coverage, TimeRange

REQUIRED = ("id", "symbol", "name")
OPTIONAL = ("former", "tracked_from", "tracked_to")  # every other column is a venue
ID = re.compile(r"[a-z0-9][a-z0-9._-]*")
TICKER = re.compile(r"[A-Z0-9$.+]+")
SPAN = re.compile(r"(?P<name>[^\s\[\]]+)(\[(?P<start>[^\s\[\]]*?)\.\.(?P<end>[^\s\[\]]*)\])?")


@dataclass(frozen=True, slots=True)
class Listing:
    """What one venue calls an asset over [start, end). None: since ever, until further notice.

    The ends are those we can vouch for: the venue may have used the id for longer.
    """

    venue: str
    id: str
    start: datetime | None = None
    end: datetime | None = None

    def at(self, moment: datetime) -> bool:
        return _within(moment, self.start, self.end)

    def overlaps(self, other: "Listing") -> bool:
        return _before(self.start, other.end) and _before(other.start, self.end)


@dataclass(frozen=True, slots=True)
class Former:
    """An earlier ticker of the same asset, in use before `until`."""

    symbol: str
    until: datetime


@dataclass(frozen=True)
class Asset:
    """One coin. We want its data over [tracked_from, tracked_to); None leaves that side open."""

    id: str  # CoinGecko's current id
    symbol: str  # upper case
    name: str
    kind: Literal["crypto"] = "crypto"
    tracked_from: datetime | None = None
    tracked_to: datetime | None = None
    listings: tuple[Listing, ...] = ()
    former: tuple[Former, ...] = ()  # oldest first

    @cached_property
    def ids(self) -> Mapping[str, str]:
        """Venue -> the id that it uses now; a venue that no longer lists the asset is absent."""
        return {listing.venue: listing.id for listing in self.listings if listing.end is None}

    def lives(self, venue: str) -> dict[str, Coverage]:
        """Each id that it has or had at the venue, with when that id was it and we want its data; oldest first."""
        wanted = TimeRange(self.tracked_from or EVER, self.tracked_to or NEVER)
        mine = [one for one in self.listings if one.venue == venue]
        found: dict[str, Coverage] = {}
        for one in sorted(mine, key=lambda one: one.start or EVER):
            life = TimeRange(one.start or EVER, one.end or NEVER).overlap(wanted)
            if life is not None:
                found[one.id] = found.get(one.id, Coverage()).add(life)
        return found

    def every_life(self) -> dict[str, Coverage]:
        """The same for all venues."""
        return {name: life for one in self.listings for name, life in self.lives(one.venue).items()}

    def tracked(self, at: datetime | None = None) -> bool:
        """Whether we want its data at that time; None asks whether tracking is open-ended."""
        return self.tracked_to is None if at is None else _within(at, self.tracked_from, self.tracked_to)

    def symbol_at(self, at: datetime | None) -> str:
        """The ticker in use at that time; None for the current one."""
        return next((old.symbol for old in self.former if at is not None and at < old.until), self.symbol)

    def ever(self) -> frozenset[str]:
        """Every ticker that it has or had."""
        return frozenset({self.symbol, *(old.symbol for old in self.former)})


def _within(moment: datetime, start: datetime | None, end: datetime | None) -> bool:
    return (start is None or start <= moment) and _before(moment, end)


def _before(start: datetime | None, end: datetime | None) -> bool:
    return start is None or end is None or start < end


def read_assets(file: str, text: str, venues: frozenset[str] | None) -> Iterator[tuple[str, Asset]]:
    """Every line's asset with its place ("file, line 7"). `venues`: the venue columns allowed, None: any.

    Raises ValueError naming file, line and what to do.
    """
    header: list[str] = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        place = f"{file}, line {number}"
        try:
            cells = [cell.strip() for cell in next(csv.reader([line], strict=True))]
            if header:
                yield place, _asset(header, cells)
            else:
                header = _header(cells, venues)
        except (ValueError, csv.Error) as e:
            raise ValueError(f"{place}: {e}") from e
    if not header:
        raise ValueError(f"{file}, line 1: no columns; start with {','.join(REQUIRED)}")


def _header(columns: list[str], venues: frozenset[str] | None) -> list[str]:
    missing = [column for column in REQUIRED if column not in columns]
    unknown = [] if venues is None else sorted(set(columns) - {*REQUIRED, *OPTIONAL, *venues})
    if missing or unknown or len(set(columns)) < len(columns):
        wrong = f"missing {missing}, unknown {unknown}" if missing or unknown else "a column twice"
        raise ValueError(f"{wrong}; the first line names the columns, {','.join(REQUIRED)} among them")
    return columns


def _asset(header: list[str], cells: list[str]) -> Asset:
    if len(cells) != len(header):
        raise ValueError(f"{len(cells)} cells under {len(header)} columns; add or remove commas")
    row = dict(zip(header, cells, strict=True))
    if not ID.fullmatch(row["id"]):
        raise ValueError(f"id {row['id']!r}; write CoinGecko's id in lower case, like avalanche-2")
    former = tuple(_former(row.get("former", "")))
    for symbol in (row["symbol"], *(old.symbol for old in former)):
        if not TICKER.fullmatch(symbol):
            raise ValueError(f"ticker {symbol!r}; write it in upper case, like AVAX")
    if not row["name"]:
        raise ValueError(f"{row['id']} has no name; add one")
    listings = tuple(
        Listing(venue, *span)
        for venue in row
        if venue not in (*REQUIRED, *OPTIONAL)
        for span in _spans(row[venue])
    )
    if all(listing.venue != "coingecko" for listing in listings):
        listings = (Listing("coingecko", row["id"]), *listings)
    asset = Asset(
        id=row["id"],
        symbol=row["symbol"],
        name=row["name"],
        tracked_from=_time(row.get("tracked_from", "")),
        tracked_to=_time(row.get("tracked_to", "")),
        listings=listings,
        former=former,
    )
    if asset.ids.get("coingecko") != asset.id:
        raise ValueError(f"CoinGecko's present id must be {asset.id}, the line's id; change one of them")
    return asset


def _former(cell: str) -> Iterator[Former]:
    for symbol, start, end in _spans(cell):
        if start is not None or end is None:
            raise ValueError(f"former ticker {symbol!r}; write until when, like MATIC[..2024-09-04]")
        yield Former(symbol, end)


def _spans(cell: str) -> Iterator[tuple[str, datetime | None, datetime | None]]:
    for word in cell.split():
        match = SPAN.fullmatch(word)
        if match is None:
            raise ValueError(f"{word!r}; write ID, ID[..end], ID[start..] or ID[start..end]")
        yield match["name"], _time(match["start"] or ""), _time(match["end"] or "")


def _time(text: str) -> datetime | None:
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as e:
        raise ValueError(f"time {text!r}; write 2024-09-04 or 2024-09-04T10:00Z") from e
    if moment.tzinfo is None and len(text) > len("2024-09-04"):
        raise ValueError(f"time {text!r} has no zone; add Z")
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
