"""The files of exports on any fsspec path: a folder per export, in it Parquet files and `manifest.json`.

A file is made beside its place and moved there when it is whole, so whoever finds it finds all of it.
"""

import os
import shutil
import tempfile
from collections.abc import Callable
from hashlib import file_digest
from pathlib import Path
from typing import IO, Any

MANIFEST = "manifest.json"


class ExportFiles:
    """Raises OSError when the path cannot be written (full, read-only, gone). Every replica must see the same."""

    def __init__(self, path: str) -> None:
        self.path = path
        local = "://" not in path or path.startswith("file://")
        self._local = Path(path.removeprefix("file://")) if local else None
        self._fs: Any = None
        if self._local is None:
            import fsspec  # here, since a laptop never needs it

            self._fs, self._root = fsspec.core.url_to_fs(path)

    def write(self, export: str, name: str, fill: Callable[[Path], None]) -> tuple[int, str]:
        """Make a file of what `fill` writes to the path that it is given; its bytes and SHA-256."""
        folder = None if self._local is None else self._local / export
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
        handle, made = tempfile.mkstemp(prefix=".part-", dir=folder)
        os.close(handle)
        part = Path(made)
        try:
            fill(part)
            with part.open("rb") as file:
                digest = file_digest(file, "sha256").hexdigest()
                os.fsync(file.fileno())
            size = part.stat().st_size
            if folder is not None:
                os.replace(part, folder / name)
            else:
                self._fs.put_file(str(part), f"{self._root}/{export}/{name}")
        finally:
            part.unlink(missing_ok=True)
        return size, digest

    def open(self, export: str, name: str) -> IO[bytes]:
        """For reading, at any place. Raises FileNotFoundError."""
        if self._local is not None:
            return (self._local / export / name).open("rb")
        file: IO[bytes] = self._fs.open(f"{self._root}/{export}/{name}", "rb")
        return file

    def remove(self, export: str) -> None:
        """All files of an export; nothing when there are none."""
        if self._local is not None:
            if (self._local / export).exists():
                shutil.rmtree(self._local / export)
        elif self._fs.exists(f"{self._root}/{export}"):
            self._fs.rm(f"{self._root}/{export}", recursive=True)
