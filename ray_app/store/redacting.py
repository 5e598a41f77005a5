"""Texts cut out of raw pages: out of single files and out of packs, with a record that keeps the hash of what was sent.

Whoever redacts and whoever packs may work at the same time. The record is written before packs are looked at here,
and a new pack is there before records are looked at there: one of the two sees the other.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

import zstandard

from ray_app.model.source import Page
from ray_app.store import packs
from ray_app.store.engine import dumps
from ray_app.store.files import Files
from ray_app.store.tiers import PACKS, Tiers, body_name, day_of, hash_of
from ray_app.store.types import from_micros

LEVEL = 3
NEAR = timedelta(hours=6)  # from a page to the end of its slice, and between two answers that are the same
Work = Callable[[bytes], tuple[bytes, list[dict[str, str]]]]


class Redactions:
    """The records, by the hash of the body as it was sent, and what is left of each.

    Two answers may leave the same and lose more of it at other times. So what is left has a name of its own for each.
    """

    def __init__(self, files: Files, tiers: Tiers) -> None:
        self.files, self.tiers = files, tiers

    def of(self, digest: str) -> dict[str, Any] | None:
        """The record of a body; None when nothing was cut out of it."""
        if not self.files.exists(_redaction(digest)):  # as nearly always
            return None
        record: dict[str, Any] = json.loads(self.files.get(_redaction(digest)))
        return record

    def left(self, digest: str) -> str:
        """The name of what may be shown of a body: its own hash, or that of what was left."""
        record = self.of(digest)
        return digest if record is None else str(record["left"])

    def body(self, digest: str, days: Sequence[str]) -> tuple[bytes, str]:
        """What is kept of a body that came on these days, and its name. Raises FileNotFoundError."""
        try:
            return _unpacked(self.files.get(body_name(digest))), digest
        except FileNotFoundError:
            kept = self.left(digest)
        if (found := self._found(kept, days)) is None:
            raise FileNotFoundError(f"{body_name(digest)} is in no file of raw pages")
        return found, kept

    def _found(self, digest: str, days: Sequence[str]) -> bytes | None:
        try:
            return _unpacked(self.files.get(body_name(digest)))
        except FileNotFoundError:
            return self.tiers.body(digest, days)

    def put_left(self, original: str, body: bytes) -> str:
        """As a single file; its name."""
        name = left_name(original, body)
        self.put_named(name, body)
        return name

    def put_named(self, name: str, body: bytes) -> None:
        """As a single file: a body as it was sent by its hash, what is left of one by its `left_name`."""
        self.files.put(body_name(name), zstandard.compress(body, LEVEL))

    def put(self, record: Mapping[str, Any]) -> None:
        self.files.put(_redaction(record["original"]), dumps(record).encode())

    def keep_what_is_left(self, page: Page) -> None:
        """A body out of which texts were cut before it was kept, and the record that says so, if it is new.

        What is left of one that came before is a single file again, so that the new page finds it.
        """
        original = page.original or page.body_hash
        record = self.of(original)
        if record is None:
            if self.files.exists(body_name(original)):
                return
            left = self.put_left(original, page.body)
            entry = {"item": "", "reason": "not stored as a record", "at": page.received_at.isoformat()}
            self.put(_record(original, left, [entry]))
        elif not self.files.exists(body_name(record["left"])):
            if (kept := self.tiers.body(record["left"], reversed(self.tiers.days()))) is not None:
                self.put_named(record["left"], kept)
            elif left_name(original, page.body) == record["left"]:
                self.put_named(record["left"], page.body)

    def drop(self, digests: set[str], days: Sequence[str]) -> None:
        """Take bodies away, as single files and out of the packs of these days."""
        for digest in digests:
            self.files.remove(body_name(digest))
        names = {body_name(digest) for digest in digests}
        for day in days:
            for pack in self.tiers.packs_of(day):
                if names & self.tiers.index(pack).places.keys():
                    self._without(pack, names)

    def _without(self, pack: str, names: set[str]) -> None:
        """Write a pack anew without some of its contents, then take the old one away."""
        old = self.tiers.index(pack).places
        made = packs.pack(one for one in packs.contents(self.files.get(pack)) if one[0] not in names)
        put_pack(self.files, day_of(pack), made, {n: p.digest for n, p in old.items() if n not in names})
        self.files.remove(pack)
        self.tiers.forget(pack)


def put_pack(files: Files, day: str, made: bytes, held: Mapping[str, str]) -> str:
    """Write a pack, read it back, and compare what it holds with what it must hold (name to SHA-256); its name.

    Raises ValueError when the disk gives something else than it was given.
    """
    name = f"{PACKS}/{day}/{sha256(made).hexdigest()[:32]}.pack"
    files.put(name, made)
    if {n: hash_of(content) for n, content in packs.contents(files.get(name))} != held:
        files.remove(name)
        raise ValueError(f"{name} does not read as it was written: look at the disk")
    return name


@dataclass(frozen=True, slots=True)
class Cut:
    """How many bodies changed, and what is said of those that cannot be read: in one that is gone there is no text."""

    changed: int
    unreadable: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Redacting:
    """Work on the pages of one stream."""

    redactions: Redactions
    stream: str

    def redact(
        self,
        since: datetime,
        items: Mapping[str, str],
        cut: Callable[[bytes, frozenset[str]], bytes],
        at: datetime,
    ) -> Cut:
        """As in `RawPages`."""

        def work(body: bytes) -> tuple[bytes, list[dict[str, str]]]:
            named = frozenset(item for item in items if item.encode() in body)
            if not named:
                return body, []
            return cut(body, named), [
                {"item": i, "reason": items[i], "at": at.isoformat()} for i in sorted(named)
            ]

        return self._all(list(self._of(since)), None, work)

    def abandon(self, since: datetime, until: datetime, cut: Callable[[bytes], bytes], at: datetime) -> Cut:
        """As in `RawPages`."""
        around, tiers = (since - NEAR, until + NEAR), self.redactions.tiers
        manifests = (json.loads(tiers.get(name)) for name in tiers.within("slices", *around))
        named = {page for manifest in manifests for page in manifest["pages"]}
        mine = list(self._of(*around))
        held = {digest for name, digest in mine if page_id(name) in named}
        left = {d for name, d in mine if d not in held and since <= _received(name) < until}

        def work(body: bytes) -> tuple[bytes, list[dict[str, str]]]:
            return cut(body), [{"item": "", "reason": "of a slice that was not stored", "at": at.isoformat()}]

        return self._all(mine, left, work)

    def _of(self, since: datetime, until: datetime | None = None) -> Iterator[tuple[str, str]]:
        """The names of the stream's envelopes from the hour of `since` on, and the hash of each body."""
        tiers = self.redactions.tiers
        for name in tiers.within("pages", since, until):
            envelope = json.loads(tiers.get(name))
            if f"{envelope['source']}.{envelope['stream']}" == self.stream:
                yield name, envelope["body"]

    def _all(self, mine: Sequence[tuple[str, str]], only: set[str] | None, work: Work) -> Cut:
        """Work on the body of each of these envelopes, or on `only` some."""
        days: dict[str, set[str]] = {}
        for name, digest in mine:
            days.setdefault(digest, set()).add(day_of(name))
        changed, doomed, on, unreadable = 0, set[str](), set[str](), list[str]()
        for digest in days if only is None else only:
            try:
                done, gone = self._one(digest, sorted(days[digest]), work)
            except (FileNotFoundError, ValueError, zstandard.ZstdError) as error:
                unreadable.append(str(error))  # the others lose their texts all the same
                continue
            changed += done
            doomed |= gone
            on |= days[digest] if gone else set()
        self.redactions.drop(doomed, sorted(on))
        return Cut(changed, tuple(unreadable))

    def _one(self, digest: str, days: Sequence[str], work: Work) -> tuple[bool, set[str]]:
        """Whether a body changed, and which bodies are to go with that, or were to go at a try before."""
        known = self.redactions.of(digest)
        record = known or _record(digest, digest, [])
        kept = record["left"]
        doomed = {digest} - {kept}
        body, _ = self.redactions.body(kept, days)
        try:
            left, entries = work(body)
        except (ValueError, LookupError, TypeError, AttributeError):
            left, entries = b"", []  # no listing: nothing of it is worth more than the promise
        if left == body:
            return False, doomed
        record["items"] += entries
        self.redactions.put(record | {"left": self.redactions.put_left(digest, left)})
        return True, doomed | {kept}


def left_name(original: str, body: bytes) -> str:
    """What is left of an answer is called by a hash over the answer's hash and the rest."""
    return hash_of(bytes.fromhex(original) + body)


def _unpacked(content: bytes) -> bytes:
    return zstandard.ZstdDecompressor().decompress(content, max_output_size=2**27)


def page_id(name: str) -> str:
    """Of the page with this envelope."""
    return name.rsplit("-", 1)[1].removesuffix(".json")


def _received(name: str) -> datetime:
    """From the name of an envelope."""
    return from_micros(int(name.rsplit("/", 1)[1].split("-", 1)[0]))


def _record(original: str, left: str, items: list[dict[str, str]]) -> dict[str, Any]:
    return {"original": original, "left": left, "items": items}


def _redaction(digest: str) -> str:
    return f"redactions/{digest[:2]}/{digest}.json"
