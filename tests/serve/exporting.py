"""An export from end to end in one process: asked for over HTTP, made by the runtime, fetched and read."""

import asyncio
import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import polars as pl

from ray_app.connect.api import client
from ray_app.model.clock import SystemClock
from ray_app.runtime.exporting import Exporting
from ray_app.runtime.opening import Node
from ray_app.store.export_files import ExportFiles
from tests.serve.conftest import Running

ROUTE = "/api/v1/export"


class Desk:
    """A gateway, and what makes its exports."""

    def __init__(self, running: Running, folder: Path) -> None:
        self.running, self.folder = running, folder
        self.files = ExportFiles(str(folder))
        self.node = Node(
            store=running.store, registry=running.node.registry, clock=running.clock, assigned=(), simulated=True,
            reach=timedelta(days=1), redis_url="", release="test", http=client(), exports=self.files,
        )  # fmt: skip

    def worker(self, owner: str = "worker") -> Exporting:
        return Exporting(self.node, self.files, owner, SystemClock())

    async def ask(self, status: int = 202, key: str | None = None, /, **body: Any) -> Any:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        answer = await self.running.http.post(ROUTE, json=body, headers=headers)
        assert answer.status_code == status, answer.text
        return answer.json()

    async def made(self, key: str | None = None, /, **body: Any) -> Any:
        """An export that is done: its state with the manifest."""
        asked = await self.ask(202, key, **body)
        assert await self.worker().look() == 1
        found = await self.state(asked["id"], key)
        assert found["state"] == "done", found["reason"]
        return found

    async def state(self, export: str, key: str | None = None) -> Any:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        answer = await self.running.http.get(f"{ROUTE}/{export}", headers=headers)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def frame(self, export: Any, key: str | None = None) -> pl.DataFrame:
        """Its files as a client has them: each with the hash, the size and the rows of the manifest."""
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        parts = []
        for file in export["manifest"]["files"]:
            answer = await self.running.http.get(
                f"{ROUTE}/{export['id']}/files/{file['name']}", headers=headers
            )
            assert answer.status_code == 200, answer.text
            assert sha256(answer.content).hexdigest() == file["sha256"]
            assert len(answer.content) == file["bytes"]
            parts.append(pl.read_parquet(io.BytesIO(answer.content)))
            assert parts[-1].height == file["rows"]
        rows = pl.concat(parts)
        assert rows.height == export["manifest"]["rows"] == export["rows_counted"]
        return rows

    async def close(self) -> None:
        await self.node.http.aclose()


@asynccontextmanager
async def at_work(desk: Desk) -> AsyncIterator[None]:
    """Exports are made while they are asked for; the desk is closed at the end."""

    async def work() -> None:
        worker = desk.worker()
        while True:
            await worker.look()
            await asyncio.sleep(0.02)

    task = asyncio.create_task(work())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await desk.close()
