"""The folder of raw pages as an operator sees it: how much room its disk has, and when it was last backed up."""

import asyncio
import os
from datetime import UTC, datetime

from ray_app.model.errors import StoreUnavailable
from ray_app.store.files import Files

MARK = "backed-up"  # holds the time as text; a copy of the folder brings it along


class Folder:
    """Raises StoreUnavailable when the path cannot be read or written."""

    def __init__(self, files: Files) -> None:
        self._files = files

    async def space(self) -> tuple[int, int] | None:
        """Bytes free and in all on its disk; None for a bucket, and before the first page."""
        return await asyncio.to_thread(self._space)

    def _space(self) -> tuple[int, int] | None:
        if self._files.local is None or not self._files.local.is_dir():
            return None
        found = os.statvfs(self._files.local)
        return found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize

    async def mark_backup(self, at: datetime) -> None:
        """Write down that a backup of this moment is complete."""
        content = f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}\n".encode()
        await asyncio.to_thread(self._files.put, MARK, content)

    async def backed_up(self) -> datetime | None:
        """The moment of the last complete backup; None when there never was one, or its mark cannot be read."""
        try:
            return datetime.fromisoformat((await asyncio.to_thread(self._files.get, MARK)).decode().strip())
        except (FileNotFoundError, ValueError):
            return None
        except OSError as error:
            raise StoreUnavailable(f"raw pages at {self._files.path} cannot be read: {error}") from error
