"""What one slice brought home, on its way from the collector to the store."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from hashlib import sha256
from typing import Any, Literal

from ray_app.model.records import Record
from ray_app.model.source import Page, Slice
from ray_app.model.timerange import TimeRange

Outcome = Literal["covered", "failed", "not_offered", "lost", "awaited"]


@dataclass(frozen=True, slots=True)
class SetAside:
    """A row we could not read, kept so that a mended parser can try again."""

    row: str  # as text: JSON where it can be
    reason: str


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to commit for a shard: valid only while `fence` is the highest one given out."""

    shard: str
    owner: str
    fence: int


def partitions_hash(partitions: tuple[str, ...]) -> str:
    return sha256("\n".join(sorted(partitions)).encode()).hexdigest()


@dataclass(frozen=True)
class Collected:
    """One slice with its outcome. Records and set-aside rows name their page by its place in `pages`.

    `received_at` is when we had it: the last page's time, or later if the store could not take it then.
    """

    source: str
    stream: str
    parser: str
    slice: Slice
    outcome: Outcome
    received_at: datetime
    reason: str = ""
    pages: tuple[Page, ...] = ()
    records: tuple[tuple[Record, int], ...] = ()
    set_aside: tuple[tuple[SetAside, int], ...] = ()
    topic: str | None = None  # announce new records, and how its interval ended, under this topic

    @property
    def name(self) -> str:
        return f"{self.source}.{self.stream}"

    @cached_property
    def hash(self) -> str:
        """The same slice with the same pages has the same hash anywhere; a failure's also holds its time."""
        parts = [self.name, partitions_hash(self.slice.partitions), self.outcome]
        parts += [self.slice.range.start.isoformat(), self.slice.range.end.isoformat()]
        parts += [page.id for page in self.pages]
        if not self.pages or self.outcome != "covered":
            parts += [self.received_at.isoformat(), self.reason]
        return sha256("\n".join(parts).encode()).hexdigest()

    @cached_property
    def first_at(self) -> datetime:
        """When its last page came, or when it failed."""
        return self.pages[-1].received_at if self.pages else self.received_at

    def received(self, moment: datetime) -> "Collected":
        """The same, had later."""
        return self._still(received_at=moment)

    def unannounced(self) -> "Collected":
        """The same, without events."""
        return self._still(topic=None)

    def _still(self, **changes: Any) -> "Collected":
        """The same slice: its hash and its first time stay."""
        changed = replace(self, **changes)
        changed.__dict__.update(hash=self.hash, first_at=self.first_at)
        return changed

    def manifest(self) -> dict[str, Any]:
        """What replay needs beside the pages, as JSON types."""
        return {
            "hash": self.hash,
            "source": self.source,
            "stream": self.stream,
            "parser": self.parser,
            "partitions": list(self.slice.partitions),
            "start": self.slice.range.start.isoformat(),
            "end": self.slice.range.end.isoformat(),
            "outcome": self.outcome,
            "reason": self.reason,
            "first_at": self.first_at.isoformat(),
            "received_at": self.received_at.isoformat(),
            "pages": [page.id for page in self.pages],
        }


def slice_of(manifest: Mapping[str, Any]) -> Slice:
    """The slice that a manifest speaks of."""
    start, end = (datetime.fromisoformat(manifest[k]) for k in ("start", "end"))
    return Slice(tuple(manifest["partitions"]), TimeRange(start, end))


def as_json(row: Any) -> str:
    """A row as text that a person can read and a parser can take again."""
    return json.dumps(row, default=str, separators=(",", ":"))
