"""Raw pages on any fsspec path: compressed bodies, an envelope per exchange, a manifest per slice.

    bodies/ab/<sha256>.zst                          the answer's bytes, once however often it came
    pages/2026/11/23/01/<received µs>-<id>.json     request, status, headers, times, the body's hash
    slices/2026/11/23/01/<received µs>-<hash>.json  which pages answered which slice, and how it ended
    redactions/ab/<sha256>.json                     texts cut out of that body: which, when, why, what is left

Kept before parsing, synced to disk; the whole database can be rebuilt from here.
"""

import asyncio
import json
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import zstandard

from ray_app.model.collected import Collected
from ray_app.model.errors import StoreUnavailable
from ray_app.model.source import Page
from ray_app.store.engine import dumps
from ray_app.store.types import from_micros, to_micros

LEVEL = 3
NEAR = timedelta(hours=6)  # from a page to the end of its slice, and between two answers that are the same


class RawPages:
    """Raises StoreUnavailable when the path cannot be written (full, read-only, gone)."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._local = (
            Path(path.removeprefix("file://")) if "://" not in path or path.startswith("file://") else None
        )
        self._fs: Any = None
        if self._local is None:
            import fsspec  # here, since a laptop never needs it

            self._fs, self._root = fsspec.core.url_to_fs(path)

    async def keep(self, page: Page) -> None:
        """Keep one exchange for good; keeping it twice changes nothing."""
        await asyncio.to_thread(self._keep, page)

    async def note(self, collected: Collected) -> None:
        """Keep a slice's manifest; a later one of the same slice replaces it (it was had later)."""
        at = collected.first_at
        name = f"slices/{at:%Y/%m/%d/%H}/{to_micros(at)}-{collected.hash}.json"
        await asyncio.to_thread(self._put, name, dumps(collected.manifest()).encode())

    def _keep(self, page: Page) -> None:
        body = _body(page.body_hash)
        if page.original:
            self._keep_what_is_left(page)
        elif not (self._exists(body) or self._exists(_redaction(page.body_hash))):
            self._put(body, zstandard.compress(page.body, LEVEL))
        self._put(_envelope(page.received_at, page.id), dumps(page.envelope()).encode())

    def _keep_what_is_left(self, page: Page) -> None:
        """A body out of which texts were cut before it was ever kept, and the record that says so."""
        if self._exists(_redaction(page.original)) or self._exists(_body(page.original)):
            return
        left = sha256(page.body).hexdigest()
        self._put(_body(left), zstandard.compress(page.body, LEVEL))
        at = page.received_at.isoformat()
        items = [{"item": "", "reason": "not stored as a record", "at": at}]
        self._put(_redaction(page.original), dumps(_record(page.original, left, items)).encode())

    def load(self, page_id: str, received_at: datetime) -> Page:
        """One page by its id. Raises FileNotFoundError, and ValueError for one that is damaged."""
        return self._page(_envelope(received_at, page_id))

    def _page(self, name: str) -> Page:
        try:
            page, digest = self._read(name)
        except (LookupError, TypeError, AttributeError, ValueError, zstandard.ZstdError) as error:
            raise ValueError(f"{name} or its body is damaged: {error}") from error
        if page.body_hash != digest or not name.endswith(f"{page.id}.json"):
            raise ValueError(f"{name} is damaged: its content does not have the hash that names it")
        return page

    def _read(self, name: str) -> tuple[Page, str]:
        envelope = json.loads(self._get(name))
        digest = envelope.pop("body")
        kept, original = digest, ""
        if not self._exists(_body(digest)):
            kept, original = json.loads(self._get(_redaction(digest)))["left"], digest
        body = zstandard.ZstdDecompressor().decompress(self._get(_body(kept)), max_output_size=2**27)
        if original and sha256(body).hexdigest() != kept:
            raise ValueError(f"what was left of {digest} is damaged")
        asked_at, received_at = (datetime.fromisoformat(envelope.pop(k)) for k in ("asked_at", "received_at"))
        return Page(
            body=body, asked_at=asked_at, received_at=received_at, original=original, **envelope
        ), digest

    def redact(
        self,
        stream: str,
        since: datetime,
        items: Mapping[str, str],
        cut: Callable[[bytes, frozenset[str]], bytes],
        at: datetime,
    ) -> int:
        """Cut texts out of every page of source.stream from the hour of `since` on; how many bodies changed.

        `items`: id to reason. The redaction record keeps the hash of the body as it was sent. Done twice it
        changes nothing; stopped half-way it is done by the next try.
        """

        def work(body: bytes) -> tuple[bytes, list[dict[str, str]]]:
            named = frozenset(item for item in items if item.encode() in body)
            if not named:
                return body, []
            return cut(body, named), [
                {"item": i, "reason": items[i], "at": at.isoformat()} for i in sorted(named)
            ]

        return sum(self._redact(digest, work) for digest in {d for _, d in self._of(stream, since)})

    def abandon(
        self, stream: str, since: datetime, until: datetime, cut: Callable[[bytes], bytes], at: datetime
    ) -> int:
        """Cut the texts out of the pages of source.stream, received in a time, that no slice names; how many.

        The slice of such a page failed, or the node was stopped before it was done: nothing of it is in a record.
        """
        around = since - NEAR, until + NEAR
        named = {page for manifest in self.manifests(*around) for page in manifest["pages"]}
        mine = list(self._of(stream, *around))
        held = {digest for name, digest in mine if _page_id(name) in named}
        left = {d for name, d in mine if d not in held and since <= _received(name) < until}

        def work(body: bytes) -> tuple[bytes, list[dict[str, str]]]:
            return cut(body), [{"item": "", "reason": "of a slice that was not stored", "at": at.isoformat()}]

        return sum(self._redact(digest, work) for digest in left)

    def _of(self, stream: str, since: datetime, until: datetime | None = None) -> Iterator[tuple[str, str]]:
        """The names of the stream's envelopes from the hour of `since` on, and the hash of each body."""
        for name in self._within("pages", since, until):
            envelope = json.loads(self._get(name))
            if f"{envelope['source']}.{envelope['stream']}" == stream:
                yield name, envelope["body"]

    def _redact(self, digest: str, work: Callable[[bytes], tuple[bytes, list[dict[str, str]]]]) -> bool:
        record = _record(digest, digest, [])
        if self._exists(_redaction(digest)):
            record = json.loads(self._get(_redaction(digest)))
            if record["left"] != digest:
                self._remove(_body(digest))  # a try before was stopped here
        kept = record["left"]
        body = zstandard.ZstdDecompressor().decompress(self._get(_body(kept)), max_output_size=2**27)
        try:
            left, entries = work(body)
        except (ValueError, LookupError, TypeError, AttributeError):
            left, entries = b"", []  # no listing: nothing of it is worth more than the promise
        if left == body:
            return False
        after = sha256(left).hexdigest()
        self._put(_body(after), zstandard.compress(left, LEVEL))
        record["items"] += entries
        self._put(_redaction(digest), dumps(record | {"left": after}).encode())
        self._remove(_body(kept))
        return True

    def _remove(self, name: str) -> None:
        if self._local is not None:
            (self._local / name).unlink(missing_ok=True)
        elif self._exists(name):
            self._fs.rm_file(f"{self._root}/{name}")

    def manifests(
        self, since: datetime | None = None, until: datetime | None = None
    ) -> Iterator[dict[str, Any]]:
        """Every slice's manifest in the order in which its last page came, of the hours from `since` to `until`."""
        for name in self._within("slices", since, until):
            yield json.loads(self._get(name))

    def _within(self, folder: str, since: datetime | None, until: datetime | None) -> Iterator[str]:
        """The names in the folders of the hours from `since` to `until`; no other folder is opened."""
        first, last = (f"{at:%Y/%m/%d/%H}" if at else "" for at in (since, until))

        def wanted(hour: str) -> bool:  # or the day, month or year that it is in
            return hour >= first[: len(hour)] and (not last or hour <= last[: len(hour)])

        if self._local is not None:
            yield from _walk(self._local, folder, "", wanted)
            return
        for name in self._list(folder):
            if wanted(name[len(folder) + 1 :][: len("2026/11/23/01")]):
                yield name

    def pages(self) -> Iterator[Page]:
        """Every page kept, oldest first."""
        return map(self._page, self._list("pages"))

    def page_names(self) -> dict[str, str]:
        """Page id to the name of its envelope."""
        return {_page_id(name): name for name in self._list("pages")}

    def named(self, name: str) -> Page:
        return self._page(name)

    def _list(self, folder: str) -> list[str]:
        if self._local is not None:
            found = (self._local / folder).rglob("*.json")
            return sorted(path.relative_to(self._local).as_posix() for path in found)
        base = f"{self._root}/"
        return sorted(
            path.removeprefix(base) for path in self._fs.find(base + folder) if path.endswith(".json")
        )

    def _exists(self, name: str) -> bool:
        return (
            (self._local / name).exists()
            if self._local is not None
            else bool(self._fs.exists(f"{self._root}/{name}"))
        )

    def _get(self, name: str) -> bytes:
        if self._local is not None:
            return (self._local / name).read_bytes()
        content: bytes = self._fs.cat_file(f"{self._root}/{name}")
        return content

    def _put(self, name: str, content: bytes) -> None:
        try:
            if self._local is None:
                self._fs.pipe_file(f"{self._root}/{name}", content)
                return
            path = self._local / name
            path.parent.mkdir(parents=True, exist_ok=True)
            handle, temporary = tempfile.mkstemp(dir=path.parent)
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(content)
                    file.flush()
                    os.fsync(file.fileno())
                os.replace(temporary, path)
            except BaseException:
                Path(temporary).unlink(missing_ok=True)
                raise
        except OSError as error:
            raise StoreUnavailable(
                f"raw pages at {self.path} cannot be written: {error}; free or mount the disk"
            ) from error


def _walk(root: Path, folder: str, below: str, wanted: Callable[[str], bool]) -> Iterator[str]:
    """The JSON files of a folder by year, month, day and hour, in order."""
    at = root / folder / below
    if not at.is_dir():
        return
    with os.scandir(at) as entries:
        found = sorted((one.name, one.is_dir()) for one in entries)
    for name, is_folder in found:
        deeper = f"{below}/{name}" if below else name
        if not is_folder:
            if name.endswith(".json"):
                yield f"{folder}/{deeper}"
        elif wanted(deeper):
            yield from _walk(root, folder, deeper, wanted)


def _page_id(name: str) -> str:
    return name.rsplit("-", 1)[1].removesuffix(".json")


def _received(name: str) -> datetime:
    """From the name of an envelope."""
    return from_micros(int(name.rsplit("/", 1)[1].split("-", 1)[0]))


def _body(digest: str) -> str:
    return f"bodies/{digest[:2]}/{digest}.zst"


def _record(original: str, left: str, items: list[dict[str, str]]) -> dict[str, Any]:
    return {"original": original, "left": left, "items": items}


def _redaction(digest: str) -> str:
    return f"redactions/{digest[:2]}/{digest}.json"


def _envelope(received_at: datetime, page_id: str) -> str:
    return f"pages/{received_at:%Y/%m/%d/%H}/{to_micros(received_at)}-{page_id}.json"
