"""The folder of raw pages as an operator sees it: how much room its disk has, and when it was last backed up."""

import asyncio
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ray_app.model.errors import StoreUnavailable

MARK = "backed-up"  # holds the time as text; a copy of the folder brings it along


class Folder:
    """Raises StoreUnavailable when the path cannot be read or written."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._local = (
            Path(path.removeprefix("file://")) if "://" not in path or path[:7] == "file://" else None
        )
        self._fs: Any = None
        if self._local is None:
            import fsspec  # here, since a laptop never needs it

            self._fs, self._root = fsspec.core.url_to_fs(path)

    async def space(self) -> tuple[int, int] | None:
        """Bytes free and in all on its disk; None for a bucket, and before the first page."""
        return await asyncio.to_thread(self._space)

    def _space(self) -> tuple[int, int] | None:
        if self._local is None or not self._local.is_dir():
            return None
        found = os.statvfs(self._local)
        return found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize

    async def mark_backup(self, at: datetime) -> None:
        """Write down that a backup of this moment is complete."""
        await asyncio.to_thread(self._write, f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}\n".encode())

    async def backed_up(self) -> datetime | None:
        """The moment of the last complete backup; None when there never was one, or its mark cannot be read."""
        try:
            return datetime.fromisoformat((await asyncio.to_thread(self._read)).decode().strip())
        except (FileNotFoundError, ValueError):
            return None

    def _read(self) -> bytes:
        try:
            if self._local is not None:
                return (self._local / MARK).read_bytes()
            content: bytes = self._fs.cat_file(f"{self._root}/{MARK}")
            return content
        except FileNotFoundError:
            raise
        except OSError as error:
            raise StoreUnavailable(f"raw pages at {self._path} cannot be read: {error}") from error

    def _write(self, content: bytes) -> None:
        try:
            if self._local is None:
                self._fs.pipe_file(f"{self._root}/{MARK}", content)
                return
            self._local.mkdir(parents=True, exist_ok=True)
            part = self._local / f"{MARK}.part"
            part.write_bytes(content)
            part.replace(self._local / MARK)
        except OSError as error:
            raise StoreUnavailable(f"raw pages at {self._path} cannot be written: {error}") from error
