"""The address that clients know, as a Service of Kubernetes: new connections go to pods in service that are ready.

KubeRay switches by giving the Service another selector. Connections that are open stay where they are, as they do with
kube-proxy, until the pods at their end are gone.
"""

import asyncio
import contextlib
from collections.abc import Sequence

import httpx

from tests.server_process import free_port

PROBED = 1.0  # seconds from probe to probe; 5 in KubeRay


class Service:
    """A forwarder of connections on 127.0.0.1, by turns to the ports of the selected cluster that are ready."""

    def __init__(self) -> None:
        self.port = free_port()
        self._server: asyncio.Server | None = None
        self._open = set[asyncio.Task[None]]()
        self._selected: Sequence[int] = ()
        self._ready: list[int] = []
        self._probing: asyncio.Task[None] | None = None

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._forward, "127.0.0.1", self.port)
        self._probing = asyncio.create_task(self._probe())

    async def select(self, ports: Sequence[int]) -> None:
        """From now on new connections go to those of these ports that are ready."""
        self._selected = ports
        self._ready = [one for one in ports if await healthy(one)]

    async def _probe(self) -> None:
        while True:
            await asyncio.sleep(PROBED)
            await self.select(self._selected)

    async def close(self) -> None:
        if self._probing is not None:
            self._probing.cancel()
        if self._server is not None:
            self._server.close()
        for task in self._open:
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        try:
            to = self._ready[0]
            self._ready = [*self._ready[1:], to]
            there, back = await asyncio.open_connection("127.0.0.1", to)
        except (OSError, IndexError):
            writer.transport.abort()  # nobody listens there, or nobody is ready: the client sees a reset
            self._open.discard(task)
            return
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(_pipe(reader, back))
                both.create_task(_pipe(there, writer))
        except* OSError:
            pass
        finally:
            for end in (writer, back):
                with contextlib.suppress(Exception):
                    end.close()
            self._open.discard(task)


async def healthy(port: int) -> bool:
    """What the kubelet's probe asks of a pod."""
    with contextlib.suppress(httpx.HTTPError):
        async with httpx.AsyncClient(timeout=5) as http:
            return (await http.get(f"http://127.0.0.1:{port}/-/healthz")).status_code == 200
    return False


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Pass on what comes; at its end the other side is told so."""
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    finally:
        with contextlib.suppress(OSError, RuntimeError):
            writer.close()
