"""Two tiers of raw files under one set of names: single files for what is young, packs by day for what is old.

    packs/2026/11/23/<hash>.pack    envelopes and manifests of that day, and the bodies that its envelopes name

A single file goes before a packed one of the same name. Each day's packs hold all bodies that the day needs, so a
body is looked for where its envelope is. How files become packs: `compacting`.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from hashlib import sha256
from heapq import merge
from itertools import groupby
from typing import Any

from ray_app.store import packs
from ray_app.store.files import Files

PACKS = "packs"
_DAY = len("2026/11/23")
INDEXES, BLOCKS = 64, 4  # that are remembered: whoever reads a day in order unpacks each block once


class Tiers:
    """Reads from any thread. Raises FileNotFoundError for what is in neither tier, ValueError for what is damaged."""

    def __init__(self, files: Files) -> None:
        self.files = files
        self._lock = threading.Lock()
        self._indexes: OrderedDict[str, packs.Index] = OrderedDict()
        self._blocks: OrderedDict[tuple[str, int], bytes] = OrderedDict()

    def get(self, name: str) -> bytes:
        """An envelope, a manifest or another file that is named by its day."""
        try:
            return self.files.get(name)
        except FileNotFoundError:
            found = self.packed(name, day_of(name))
            if found is None:
                raise
            return found

    def body(self, digest: str, days: Iterable[str]) -> bytes | None:
        """A packed body, of one of these days; None when it is in none of them."""
        return next(
            (found for day in days if (found := self.packed(body_name(digest), day)) is not None), None
        )

    def packed(self, name: str, day: str) -> bytes | None:
        """What a pack of that day holds under a name; None when none does."""
        for _ in range(3):  # a pack that is written anew without a deleted text has another name
            try:
                for pack in self.packs_of(day):
                    if (place := self.index(pack).places.get(name)) is not None:
                        return self._content(pack, place)
            except FileNotFoundError:
                continue
            return None
        raise FileNotFoundError(f"the packs of {day} change all the time")

    def packs_of(self, day: str) -> list[str]:
        return [name for name in self.files.list(f"{PACKS}/{day}") if name.endswith(".pack")]

    def days(self, wanted: Callable[[str], bool] = lambda _: True) -> list[str]:
        """The days of which something is packed, in order."""
        names = self.files.list(PACKS, wanted)
        return sorted({name[len(PACKS) + 1 :][:_DAY] for name in names if name.endswith(".pack")})

    def index(self, pack: str) -> packs.Index:
        """Raises FileNotFoundError when the pack is gone, ValueError when it is damaged."""
        with self._lock:
            if (known := self._indexes.get(pack)) is not None:
                self._indexes.move_to_end(pack)
                return known
        try:
            index = packs.read_index(lambda a, b: self.files.part(pack, a, b), self.files.size(pack))
        except packs.Damaged as error:
            raise ValueError(f"{pack} is damaged: {error}; restore it from a backup") from error
        with self._lock:
            _remember(self._indexes, pack, index, INDEXES)
        return index

    def _content(self, pack: str, place: packs.Place) -> bytes:
        with self._lock:
            block = self._blocks.get((pack, place.block))
        try:
            if block is None:
                block = packs.read_block(
                    lambda a, b: self.files.part(pack, a, b), self.index(pack), place.block
                )
                with self._lock:
                    _remember(self._blocks, (pack, place.block), block, BLOCKS)
            return packs.content(block, place)
        except packs.Damaged as error:
            raise ValueError(f"{pack} is damaged: {error}; restore it from a backup") from error

    def forget(self, pack: str) -> None:
        """A pack that is taken away: nothing of it stays in memory either."""
        with self._lock:
            self._indexes.pop(pack, None)
            for key in [key for key in self._blocks if key[0] == pack]:
                del self._blocks[key]

    def within(
        self, folder: str, since: datetime | None = None, until: datetime | None = None
    ) -> Iterator[str]:
        """The names in the folders of the hours from `since` to `until`, in order; no other folder is opened."""
        first, last = (f"{at:%Y/%m/%d/%H}" if at else "" for at in (since, until))

        def wanted(place: str) -> bool:  # an hour, or the day, month or year that it is in
            return place >= first[: len(place)] and (not last or place <= last[: len(place)])

        single = (one.name for one in self.files.entries(folder, wanted) if one.name.endswith(".json"))
        for name, _ in groupby(merge(single, self._packed_names(folder, wanted))):
            yield name

    def _packed_names(self, folder: str, wanted: Callable[[str], bool]) -> Iterator[str]:
        start = f"{folder}/"
        for day in self.days(lambda place: wanted(place[:_DAY])):
            names = {name for pack in self.packs_of(day) for name in self.index(pack).places}
            mine = (name for name in names if name.startswith(start))
            yield from sorted(name for name in mine if wanted(name[len(start) :].rpartition("/")[0]))


def day_of(name: str) -> str:
    """Of an envelope, a manifest or a pack, as its folder has it: 2026/11/23."""
    return name.partition("/")[2][:_DAY]


def body_name(digest: str) -> str:
    """Of a body; in a pack it is not compressed by itself."""
    return f"bodies/{digest[:2]}/{digest}.zst"


def hash_of(content: bytes) -> str:
    return sha256(content).hexdigest()


def _remember(kept: OrderedDict[Any, Any], key: Any, value: Any, most: int) -> None:
    kept[key] = value
    kept.move_to_end(key)
    while len(kept) > most:
        kept.popitem(last=False)
