"""Files below one fsspec path, a folder of this machine by default. A file is there whole or not at all.

Names are relative, with slashes. What is written to a folder is on the disk when `put` returns.
"""

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from ray_app.model.errors import StoreUnavailable

PARTIAL = (
    ".part-"  # how a file is called until it is whole; whoever dies before leaves it, and nobody reads it
)


class Entry(NamedTuple):
    """A file as a listing tells it. `stamp` changes when it is written again."""

    name: str
    size: int
    stamp: str


class Files:
    """`what` and `remedy` are for people: what lies here, and what to do when it cannot be written."""

    def __init__(self, path: str, what: str, remedy: str) -> None:
        self.path, self._what, self._remedy = path, what, remedy
        local = "://" not in path or path.startswith("file://")
        self.local = Path(path.removeprefix("file://")) if local else None
        self._fs: Any = None
        if self.local is None:
            import fsspec  # here, since a laptop never needs it

            self._fs, self._root = fsspec.core.url_to_fs(path)

    def exists(self, name: str) -> bool:
        if self.local is not None:
            return (self.local / name).exists()
        return bool(self._fs.exists(f"{self._root}/{name}"))

    def get(self, name: str) -> bytes:
        """Raises FileNotFoundError."""
        if self.local is not None:
            return (self.local / name).read_bytes()
        content: bytes = self._fs.cat_file(f"{self._root}/{name}")
        return content

    def part(self, name: str, start: int, end: int) -> bytes:
        """The bytes from `start` to before `end`. Raises FileNotFoundError."""
        if self.local is not None:
            with (self.local / name).open("rb") as file:
                file.seek(start)
                return file.read(end - start)
        content: bytes = self._fs.cat_file(f"{self._root}/{name}", start=start, end=end)
        return content

    def size(self, name: str) -> int:
        """In bytes. Raises FileNotFoundError."""
        if self.local is not None:
            return (self.local / name).stat().st_size
        return int(self._fs.size(f"{self._root}/{name}"))

    def put(self, name: str, content: bytes) -> None:
        """Write a file or put another in its place. Raises StoreUnavailable; what was there stays then."""
        try:
            if self.local is None:
                self._fs.pipe_file(f"{self._root}/{name}", content)
                return
            path = self.local / name
            path.parent.mkdir(parents=True, exist_ok=True)
            handle, temporary = tempfile.mkstemp(prefix=PARTIAL, dir=path.parent)
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
                f"{self._what} at {self.path} cannot be written: {error}; {self._remedy}"
            ) from error

    def remove(self, name: str) -> None:
        """Nothing happens where there is none."""
        if self.local is not None:
            (self.local / name).unlink(missing_ok=True)
        elif self._fs.exists(f"{self._root}/{name}"):
            self._fs.rm_file(f"{self._root}/{name}")

    def remove_empty(self, folder: str) -> None:
        """Take away a folder and those in it, as far as no file is left there."""
        if self.local is not None:
            for at, _, _ in os.walk(self.local / folder, topdown=False):
                with suppress(OSError):
                    os.rmdir(at)

    def list(self, folder: str, wanted: Callable[[str], bool] = lambda _: True) -> list[str]:
        """The names of all files below a folder, in order. `wanted` is asked of each folder in it, by its place."""
        return [entry.name for entry in self.entries(folder, wanted)]

    def entries(self, folder: str, wanted: Callable[[str], bool] = lambda _: True) -> Iterator[Entry]:
        """All files below a folder ("" for all that there are), in order; what is not whole yet is left out."""
        if self.local is not None:
            yield from _walk(self.local, folder, "", wanted)
            return
        base = f"{self._root}/"
        found = self._fs.find(f"{base}{folder}".rstrip("/"), detail=True)
        for path, told in sorted(found.items()):
            name = path.removeprefix(base)
            below = name[len(folder) + 1 :].rpartition("/")[0] if folder else name.rpartition("/")[0]
            if not below or wanted(below):
                stamp = next((str(told[k]) for k in ("ETag", "etag", "mtime", "created") if k in told), "")
                yield Entry(name, int(told["size"]), stamp)


def _walk(root: Path, folder: str, below: str, wanted: Callable[[str], bool]) -> Iterator[Entry]:
    at = root / folder / below
    try:
        with os.scandir(at) as entries:
            found = sorted(entries, key=lambda one: one.name)
    except FileNotFoundError:
        return
    for one in found:
        deeper = f"{below}/{one.name}" if below else one.name
        if one.is_dir():
            if wanted(deeper):
                yield from _walk(root, folder, deeper, wanted)
        elif not one.name.startswith(PARTIAL):
            try:
                told = one.stat()
            except FileNotFoundError:  # taken away meanwhile
                continue
            yield Entry(f"{folder}/{deeper}" if folder else deeper, told.st_size, str(told.st_mtime_ns))
