"""Old raw pages from single files into packs of their day, so that nothing is lost whenever it is stopped.

A pack is written and read back before a single file goes. A body goes last, when no single envelope names it; the
envelopes are looked through once more afterwards, since a collector may have kept an equal answer just then. The
days that are worked on are noted first, and the next run finishes what a dead one left.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256

from ray_app.store import packs
from ray_app.store.raw import RawPages
from ray_app.store.redacting import put_pack
from ray_app.store.tiers import PACKS, body_name, day_of, hash_of

PACK = 32 * 2**20  # bytes of contents in a pack at most: what is written anew when a text of it is deleted
UNDER_WAY = f"{PACKS}/under-way.json"
NAMED = ("pages", "slices")


@dataclass(frozen=True, slots=True)
class Kept:
    """What raw pages hold, as readers see it: the same before and after, or something is lost."""

    pages: int = 0
    manifests: int = 0
    bytes: int = 0  # of bodies
    checksum: str = ""  # of names and contents

    @classmethod
    def of(cls, days: list["Kept"]) -> "Kept":
        return cls(
            pages=sum(one.pages for one in days),
            manifests=sum(one.manifests for one in days),
            bytes=sum(one.bytes for one in days),
            checksum=sha256("\n".join(one.checksum for one in days).encode()).hexdigest(),
        )


@dataclass(slots=True)
class Compacted:
    """The receipt of a run."""

    days: list[str] = field(default_factory=list)
    packs: int = 0
    files_before: int = 0  # single files of these days
    files_after: int = 0
    bytes_before: int = 0  # on the disk: single files and packs of these days
    bytes_after: int = 0
    before: Kept = field(default_factory=Kept)
    after: Kept = field(default_factory=Kept)
    changed: list[str] = field(
        default_factory=list
    )  # days of which something was deleted or came late meanwhile


class Compacting:
    """One run. Blocking: give it a thread. Only one may run at a time."""

    def __init__(self, raw: RawPages) -> None:
        self._raw, self._files, self._tiers, self._redactions = raw, raw.files, raw.tiers, raw.redactions

    def run(self, before: datetime) -> Compacted:
        """Pack the days that were over before a time. Raises StoreUnavailable, and ValueError for damaged pages."""
        done = Compacted(days=sorted({*self._left_over(), *self._old(f"{before:%Y/%m/%d}")}))
        if not done.days:
            return done
        done.files_before, done.bytes_before = self._room(done.days)
        then = {day: self.kept(day) for day in done.days}
        self._files.put(UNDER_WAY, json.dumps(done.days).encode())
        for day in done.days:
            done.packs += self._pack(day)
            self._forget_deleted(day)
            self._remove_packed(day)
        self._release(done.days)
        now = {day: self.kept(day) for day in done.days}  # raises for a page that cannot be read any more
        for day in done.days:
            if now[day].pages < then[day].pages or now[day].manifests < then[day].manifests:
                raise ValueError(f"{day} had {then[day]} and has {now[day]}: restore its pages from a backup")
        done.changed = [day for day in done.days if now[day] != then[day]]
        done.before, done.after = Kept.of(list(then.values())), Kept.of(list(now.values()))
        self._files.remove(UNDER_WAY)
        done.files_after, done.bytes_after = self._room(done.days)
        return done

    def _left_over(self) -> list[str]:
        if not self._files.exists(UNDER_WAY):
            return []
        days: list[str] = json.loads(self._files.get(UNDER_WAY))
        return days

    def _old(self, until: str) -> Iterator[str]:
        """Days before `until` that have single files."""
        for folder in NAMED:
            for name in self._files.list(folder, lambda place: place[:10] <= until[: len(place)]):
                if day_of(name) < until:
                    yield day_of(name)

    def _room(self, days: list[str]) -> tuple[int, int]:
        """Single files of these days (envelopes, manifests, the bodies that they name), and bytes with the packs."""
        single = [name for day in days for name in self._named(day)]
        envelopes = [name for day in days for name in self._within("pages", day)]
        bodies = {body_name(self._redactions.left(self._digest(name))) for name in envelopes}
        single += [name for name in bodies if self._files.exists(name)]
        packed = [pack for day in days for pack in self._tiers.packs_of(day)]
        return len(single), sum(map(self._files.size, single + packed))

    def _within(self, folder: str, day: str) -> Iterator[str]:
        first = datetime.strptime(f"{day} +0000", "%Y/%m/%d %z")
        return self._tiers.within(folder, first, first.replace(hour=23))

    def _named(self, day: str) -> list[str]:
        return [n for f in NAMED for n in self._files.list(f"{f}/{day}") if n.endswith(".json")]

    def _digest(self, envelope: str) -> str:
        return str(json.loads(self._tiers.get(envelope))["body"])

    def kept(self, day: str) -> Kept:
        """Read everything of a day, each content held against its hash."""
        pages, manifests, size, total = 0, 0, 0, sha256()
        for name in self._within("pages", day):
            page = self._raw.named(name)
            pages, size = pages + 1, size + len(page.body)
            total.update(f"{name} {page.body_hash} {hash_of(page.body)}\n".encode())
        for name in self._within("slices", day):
            manifests += 1
            total.update(f"{name} {hash_of(self._tiers.get(name))}\n".encode())
        return Kept(pages, manifests, size, total.hexdigest())

    def _pack(self, day: str) -> int:
        """Write what is not packed yet; how many packs. What was packed and is told otherwise now stays a file."""
        packed = {name for pack in self._tiers.packs_of(day) for name in self._tiers.index(pack).places}
        made, held, size = 0, list[tuple[str, bytes]](), 0
        for name, content in self._contents(day, packed):
            if held and size + len(content) > PACK:
                self._put(day, held)
                made, held, size = made + 1, [], 0
            held.append((name, content))
            size += len(content)
        if held:
            self._put(day, held)
        return made + bool(held)

    def _contents(self, day: str, packed: set[str]) -> Iterator[tuple[str, bytes]]:
        """Manifests, then envelopes, then bodies: each kind is read for itself, and alike."""
        named = self._named(day)
        for name in (n for n in named if n.startswith("slices/") and n not in packed):
            yield name, self._files.get(name)
        bodies: dict[str, None] = {}
        for name in (n for n in named if n.startswith("pages/")):
            content = self._files.get(name)
            if name not in packed:
                yield name, content
            bodies[json.loads(content)["body"]] = None
        for digest in bodies:
            body, kept = self._redactions.body(digest, [day])
            if body_name(kept) not in packed:
                packed.add(body_name(kept))
                yield body_name(kept), body

    def _put(self, day: str, held: list[tuple[str, bytes]]) -> None:
        put_pack(self._files, day, packs.pack(held), {name: hash_of(content) for name, content in held})

    def _forget_deleted(self, day: str) -> None:
        """Whoever redacted a body while it was packed did not see the pack: it loses the body now."""
        names = {name for pack in self._tiers.packs_of(day) for name in self._tiers.index(pack).places}
        digests = {self._digest(name) for name in names if name.startswith("pages/")}
        allowed = {self._redactions.left(digest) for digest in digests}
        bodies = {
            name.rpartition("/")[2].removesuffix(".zst") for name in names if name.startswith("bodies/")
        }
        if gone := bodies - allowed:
            self._redactions.drop(gone, [day])

    def _remove_packed(self, day: str) -> None:
        for name in self._named(day):
            content = self._files.get(name)
            if self._tiers.packed(name, day) == content:
                self._files.remove(name)
        for folder in NAMED:
            self._files.remove_empty(f"{folder}/{day}")

    def _release(self, days: list[str]) -> None:
        """Take away single bodies that are packed and that no single envelope names."""
        names = {
            n for day in days for pack in self._tiers.packs_of(day) for n in self._tiers.index(pack).places
        }
        single = [name for name in names if name.startswith("bodies/") and self._files.exists(name)]
        needed = set(self._needed())
        for name in single:
            if name not in needed:
                self._files.remove(name)
        for name in self._needed():  # kept while we worked, or what a dead run had taken away
            if not self._files.exists(name):
                digest = name.rpartition("/")[2].removesuffix(".zst")
                body = self._tiers.body(digest, reversed(self._tiers.days()))
                if body is not None:
                    self._redactions.put_named(digest, body)

    def _needed(self) -> Iterator[str]:
        """The bodies that single envelopes name."""
        for name in self._files.list("pages"):
            if name.endswith(".json"):
                yield body_name(self._redactions.left(self._digest(name)))
