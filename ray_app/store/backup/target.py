"""Where backups are: contents, each once whatever backups hold it, in packs; and a manifest for each backup.

    crypto-data-backup.json              what this is, and whether it is sealed
    packs/ab/<sha256>.pack               contents by their names; SHA-256 of the file as it lies there
    indexes/<pack>-<sha256>.index        the names in that pack
    backups/20261123T010500000000Z-<sha256>    a manifest; the last file that a backup writes

A pack is written before its index, an index before a manifest that needs it, and taken away in the other order. So
whatever stops half-way leaves the backups of before whole, and files that the next run uses or takes away.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

import zstandard

from ray_app.model.errors import StoreError
from ray_app.store import packs
from ray_app.store.backup.sealing import Seal, Unsealable
from ray_app.store.files import Files

HEAD = "crypto-data-backup.json"
FORMAT = 1
PACK = 16 * 2**20  # bytes of contents that are written together
BACKUP = re.compile(r"backups/(\d{8}T\d{12}Z)-[0-9a-f]{64}")
INDEX = re.compile(r"indexes/([0-9a-f]{64})-[0-9a-f]{64}\.index")
AGAIN = (
    "copy it anew from another copy of the target, or restore an earlier backup (--at); where the node still runs, "
    "remove that file and back up again"
)


class BackupError(StoreError):
    """A backup that cannot be used, with what to do."""


@dataclass(frozen=True, slots=True)
class Backup:
    """One that is complete."""

    name: str
    at: datetime  # when it was begun


class Target:
    """A folder or another fsspec path that belongs to one node. Raises StoreUnavailable and BackupError."""

    def __init__(self, path: str, key: str | None) -> None:
        remedy = "free or mount its disk, or shorten --keep-days; the backups that are there stay whole"
        self.path, self.files, self.seal = path, Files(path, "backups", remedy), Seal(key)
        self._packs: dict[str, set[str]] = {}  # what is in each
        self._where: dict[str, str] = {}  # content to pack
        self.damaged: list[str] = []  # packs that cannot be read, so that nobody knows what is in them
        self._held: dict[str, bytes] = {}  # contents that wait for their pack
        self.added, self.written = 0, 0  # contents that were new here; bytes of files

    def open(self, *, make: bool) -> None:
        """Look whether this is a target of ours under this key, or `make` one of an empty place."""
        head = self._head()
        if head is None:
            if not make:
                raise BackupError(
                    f"there is no backup at {self.path}: name the target that `crypto-data backup` wrote to"
                )
            if next(self.files.entries(""), None) is not None:
                raise BackupError(f"{self.path} holds other files: give backups a place of their own")
            told = {"format": FORMAT, "sealed": bool(self.seal), "check": self.seal.name(b"check")}
            self.files.put(HEAD, json.dumps(told | {"sum": _sum(told)}).encode())
            return
        if head.get("format") != FORMAT:
            raise BackupError(
                f"{self.path} was written by a newer release (format {head.get('format')}): use that"
            )
        if head["sealed"] != bool(self.seal):
            raise BackupError(
                f"{self.path} is sealed: set CRYPTO_DATA_BACKUP_KEY to its key"
                if head["sealed"]
                else f"{self.path} is not sealed, and CRYPTO_DATA_BACKUP_KEY is set: use another target, or unset it"
            )
        if head["check"] != self.seal.name(b"check"):
            raise BackupError(
                f"CRYPTO_DATA_BACKUP_KEY is not the key of {self.path}: use the one it was made with"
            )
        self._look(adopt=make)

    def _head(self) -> dict[str, Any] | None:
        try:
            head: dict[str, Any] = json.loads(self.files.get(HEAD))
            if head.pop("sum") != _sum(head):
                raise ValueError("its sum is another")
        except FileNotFoundError:
            return None
        except (ValueError, LookupError, AttributeError, TypeError) as error:
            raise BackupError(
                f"{self.path}/{HEAD} is damaged: copy it anew from another copy of the target"
            ) from error
        return head

    def _look(self, *, adopt: bool) -> None:
        """Find out what is here. A pack without a whole index is read itself, and gets one if it is to `adopt`."""
        there = {name.rpartition("/")[2].removesuffix(".pack") for name in self.files.list("packs")}
        for name in self.files.list("indexes"):
            match = INDEX.fullmatch(name)
            if match is not None and match[1] in there:
                try:
                    self._hold(match[1], json.loads(self._get(name, "index")))
                except BackupError:
                    continue
        for pack in sorted(there - self._packs.keys()):
            try:
                names = [name for name, _ in self._read(pack)]
            except BackupError:
                self.damaged.append(_pack(pack))
                continue
            self._hold(pack, names)
            if adopt:
                self._put_index(pack, names)

    def _hold(self, pack: str, names: Iterable[str]) -> None:
        self._packs[pack] = set(names)
        self._where |= dict.fromkeys(self._packs[pack], pack)

    def has(self, content: str) -> bool:
        return content in self._where or content in self._held

    def add(self, content: bytes) -> str:
        """Keep a content unless it is there; its name."""
        name = self.seal.name(content)
        if not self.has(name):
            self._held[name] = content
            self.added += 1
            if sum(map(len, self._held.values())) >= PACK:
                self.flush()
        return name

    def flush(self) -> None:
        """Write what waits."""
        if self._held:
            self._put_pack(self._held)
            self._held = {}

    def _put_pack(self, contents: Mapping[str, bytes]) -> None:
        made = self.seal.close(packs.pack(contents.items()), "pack")
        pack = sha256(made).hexdigest()
        self._write(_pack(pack), made)
        self._put_index(pack, list(contents))
        self._hold(pack, contents)

    def _put_index(self, pack: str, names: list[str]) -> None:
        index = self.seal.close(_packed(names), "index")
        self._write(f"indexes/{pack}-{sha256(index).hexdigest()}.index", index)

    def _write(self, name: str, content: bytes) -> None:
        self.files.put(name, content)
        self.written += len(content)

    def commit(self, at: datetime, manifest: Mapping[str, Any]) -> Backup:
        """Write the manifest: from here on the backup is there."""
        self.flush()
        made = self.seal.close(_packed(manifest), "backup")
        name = f"backups/{at.astimezone(UTC):%Y%m%dT%H%M%S%fZ}-{sha256(made).hexdigest()}"
        self._write(name, made)
        return Backup(name, at)

    def backups(self) -> list[Backup]:
        """All that are complete, oldest first."""
        found = [(BACKUP.fullmatch(name), name) for name in self.files.list("backups")]
        return [
            Backup(name, datetime.strptime(f"{match[1]}+0000", "%Y%m%dT%H%M%S%fZ%z"))
            for match, name in found
            if match is not None
        ]

    def find(self, at: datetime | None = None) -> Backup:
        """The newest backup, or the newest that was begun by a time."""
        fitting = [one for one in self.backups() if at is None or one.at <= at]
        if not fitting:
            until = "" if at is None else f" of {at:%Y-%m-%dT%H:%M:%SZ} or before"
            raise BackupError(
                f"there is no complete backup{until} at {self.path}; `crypto-data backup --list`"
            )
        return fitting[-1]

    def manifest(self, backup: Backup) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self._get(backup.name, "backup"))
        return found

    def contents(self, names: Iterable[str]) -> Iterator[tuple[str, bytes]]:
        """Each of these contents once, pack by pack. Raises BackupError for the first that is missing or damaged."""
        by_pack: dict[str, set[str]] = {}
        for name in names:
            pack = self._where.get(name)
            if pack is None:
                raise BackupError(f"a part of this backup is missing at {self.path} ({name[:16]}): {AGAIN}")
            by_pack.setdefault(pack, set()).add(name)
        for pack in sorted(by_pack):
            for name, content in self._read(pack):
                if name in by_pack[pack]:
                    yield name, content

    def _read(self, pack: str) -> Iterator[tuple[str, bytes]]:
        packed = self._get(_pack(pack), "pack")
        try:
            for name, content in packs.contents(packed):
                if self.seal.name(content) != name:
                    raise packs.Damaged("a content does not have its name")
                yield name, content
        except packs.Damaged as error:
            raise BackupError(f"{self.path}/{_pack(pack)} is damaged ({error}): {AGAIN}") from error

    def _get(self, name: str, kind: str) -> bytes:
        """A file whose name tells its SHA-256, opened."""
        try:
            found = self.files.get(name)
        except FileNotFoundError as error:
            raise BackupError(f"{self.path}/{name} is missing: {AGAIN}") from error
        except OSError as error:
            raise BackupError(
                f"{self.path}/{name} cannot be read: {error}; mount or mend its disk"
            ) from error
        if sha256(found).hexdigest() != name.rpartition("/")[2].rpartition("-")[2].partition(".")[0]:
            raise BackupError(f"{self.path}/{name} is damaged or cut short ({len(found):,} bytes): {AGAIN}")
        try:
            opened = self.seal.open(found, kind)
            return (
                opened
                if kind == "pack"
                else zstandard.ZstdDecompressor().decompress(opened, max_output_size=2**31)
            )
        except (Unsealable, zstandard.ZstdError) as error:
            raise BackupError(f"{self.path}/{name} cannot be opened: {error}") from error

    def forget(self, backups: Iterable[Backup]) -> None:
        """Take manifests away; `sweep` takes away what only they needed."""
        for one in backups:
            self.files.remove(one.name)

    def sweep(self, needed: set[str]) -> int:
        """Take away each content that is not needed, and what an interrupted run left; how many bytes of files went.

        A pack that holds something of both is written anew without it: what was deleted is nowhere then. Raises
        BackupError where something needed is missing: then a pack that cannot be read may hold it, and all stays.
        """
        before = self._bytes()
        if lacking := needed - self._where.keys():
            raise BackupError(f"{len(lacking)} parts of earlier backups are missing at {self.path}: {AGAIN}")
        for name in self.damaged:
            self._remove(name.rpartition("/")[2].removesuffix(".pack"))
        self.damaged = []
        for pack, names in list(self._packs.items()):
            mine = {name for name in names & needed if self._where[name] == pack}
            if mine != names:
                if mine:
                    self._put_pack({name: content for name, content in self._read(pack) if name in mine})
                self._remove(pack)
        return before - self._bytes()

    def _remove(self, pack: str) -> None:
        for name in [name for name in self.files.list("indexes") if name.startswith(f"indexes/{pack}-")]:
            self.files.remove(name)
        self.files.remove(_pack(pack))
        for name in self._packs.pop(pack, set()):
            if self._where.get(name) == pack:
                del self._where[name]

    def _bytes(self) -> int:
        return sum(entry.size for folder in ("packs", "indexes") for entry in self.files.entries(folder))


def _pack(name: str) -> str:
    return f"packs/{name[:2]}/{name}.pack"


def _sum(head: Mapping[str, Any]) -> str:
    return sha256(json.dumps(head, sort_keys=True).encode()).hexdigest()


def _packed(value: Any) -> bytes:
    return zstandard.compress(json.dumps(value, separators=(",", ":")).encode(), 9)
