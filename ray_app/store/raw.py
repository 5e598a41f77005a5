"""Raw pages on any fsspec path: compressed bodies, an envelope per exchange, a manifest per slice.

    bodies/ab/<sha256>.zst                          the answer's bytes, once however often it came
    pages/2026/11/23/01/<received µs>-<id>.json     request, status, headers, times, the body's hash
    slices/2026/11/23/01/<received µs>-<hash>.json  which pages answered which slice, and how it ended
    redactions/ab/<sha256>.json                     texts cut out of that body: which, when, why, what is left
    packs/2026/11/23/<hash>.pack                    what is old, in larger files (`tiers`)

Kept before parsing, synced to disk; the whole database can be rebuilt from here.
"""

import asyncio
import json
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any

import zstandard

from ray_app.model.collected import Collected
from ray_app.model.source import Page
from ray_app.store.engine import dumps
from ray_app.store.files import Files
from ray_app.store.redacting import Cut, Redacting, Redactions, left_name, page_id
from ray_app.store.tiers import Tiers, body_name, day_of
from ray_app.store.types import to_micros


class RawPages:
    """Raises StoreUnavailable when the path cannot be written (full, read-only, gone)."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.files = Files(path, "raw pages", "free or mount the disk")
        self.tiers = Tiers(self.files)
        self.redactions = Redactions(self.files, self.tiers)

    async def keep(self, page: Page) -> None:
        """Keep one exchange for good; keeping it twice changes nothing."""
        await asyncio.to_thread(self._keep, page)

    async def note(self, collected: Collected) -> None:
        """Keep a slice's manifest; a later one of the same slice replaces it (it was had later)."""
        at = collected.first_at
        name = f"slices/{at:%Y/%m/%d/%H}/{to_micros(at)}-{collected.hash}.json"
        await asyncio.to_thread(self.files.put, name, dumps(collected.manifest()).encode())

    def _keep(self, page: Page) -> None:
        keep = self.redactions.keep_what_is_left if page.original else self._keep_body
        keep(page)
        self.files.put(_envelope(page.received_at, page.id), dumps(page.envelope()).encode())
        keep(page)  # an equal body of before may have gone into a pack of its day just now

    def _keep_body(self, page: Page) -> None:
        if self.redactions.of(page.body_hash) is not None:
            self.redactions.keep_what_is_left(page)
        elif not self.files.exists(body_name(page.body_hash)):
            self.redactions.put_named(page.body_hash, page.body)

    def load(self, page_id: str, received_at: datetime) -> Page:
        """One page by its id. Raises FileNotFoundError, and ValueError for one that is damaged."""
        return self.named(_envelope(received_at, page_id))

    def named(self, name: str) -> Page:
        """One page by the name of its envelope. Raises as `load` does."""
        try:
            page, digest = self._read(name)
        except (LookupError, TypeError, AttributeError, ValueError, zstandard.ZstdError) as error:
            raise ValueError(f"{name} or its body is damaged: {error}") from error
        if page.body_hash != digest or not name.endswith(f"{page.id}.json"):
            raise ValueError(f"{name} is damaged: its content does not have the hash that names it")
        return page

    def _read(self, name: str) -> tuple[Page, str]:
        envelope = json.loads(self.tiers.get(name))
        digest = envelope.pop("body")
        body, kept = self.redactions.body(digest, [day_of(name)])
        original = digest if kept != digest else ""
        if original and left_name(digest, body) != kept:
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
    ) -> Cut:
        """Cut texts out of every page of source.stream from the hour of `since` on.

        `items`: id to reason. The redaction record keeps the hash of the body as it was sent. Done twice it
        changes nothing; stopped half-way it is done by the next try.
        """
        return Redacting(self.redactions, stream).redact(since, items, cut, at)

    def abandon(
        self, stream: str, since: datetime, until: datetime, cut: Callable[[bytes], bytes], at: datetime
    ) -> Cut:
        """Cut the texts out of the pages of source.stream, received in a time, that no slice names.

        The slice of such a page failed, or the node was stopped before it was done: nothing of it is in a record.
        """
        return Redacting(self.redactions, stream).abandon(since, until, cut, at)

    def manifests(
        self, since: datetime | None = None, until: datetime | None = None
    ) -> Iterator[dict[str, Any]]:
        """Every slice's manifest in the order in which its last page came, of the hours from `since` to `until`."""
        for name in self.tiers.within("slices", since, until):
            yield json.loads(self.tiers.get(name))

    def pages(self) -> Iterator[Page]:
        """Every page kept, oldest first."""
        return map(self.named, self.tiers.within("pages"))

    def page_names(self) -> dict[str, str]:
        """Page id to the name of its envelope."""
        return {page_id(name): name for name in self.tiers.within("pages")}


def _envelope(received_at: datetime, page_id: str) -> str:
    return f"pages/{received_at:%Y/%m/%d/%H}/{to_micros(received_at)}-{page_id}.json"
