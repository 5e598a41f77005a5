"""The address that clients know, as a Service of Kubernetes: a new connection goes to the cluster that is in service.

KubeRay switches by giving the Service another selector. Connections that are open stay where they are, as they do with
kube-proxy, until the pods at their end are gone.
"""

import asyncio
import contextlib

from tests.server_process import free_port


class Service:
    """A forwarder of connections on 127.0.0.1. `target` is the port of the cluster in service."""

    def __init__(self) -> None:
        self.port = free_port()
        self.target = 0
        self._server: asyncio.Server | None = None
        self._open = set[asyncio.Task[None]]()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._forward, "127.0.0.1", self.port)

    async def close(self) -> None:
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
            there, back = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            writer.transport.abort()  # nobody listens there: the client sees a reset
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


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Pass on what comes; at its end the other side is told so."""
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    finally:
        with contextlib.suppress(OSError, RuntimeError):
            writer.close()
