"""A node on a port, as Serve joins its applications, over a store with something of everything."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ray_app.model.clock import ManualClock, SystemClock
from ray_app.serve.gateway import Parts, build_app
from ray_app.serve.streams.app import build_events, build_sockets
from ray_app.store.export_files import ExportFiles
from ray_app.store.keys import SCOPES
from ray_app.store.store import Store
from tests.client.filled import TRADED, everything
from tests.serve.conftest import Running, client
from tests.serve.exporting import Desk, at_work
from tests.serve.filling import START, Filler
from tests.serve.streams.conftest import relay, served
from tests.serve.test_models import Here


class Joined:
    """The gateway and both applications of the streams behind one address."""

    def __init__(self, gateway: Any, ways: dict[str, Any]) -> None:
        self._gateway, self._ways = gateway, ways

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})
            return
        found = (app for prefix, app in self._ways.items() if scope["path"].startswith(prefix))
        await next(found, self._gateway)(scope, receive, send)


@dataclass
class World:
    """`url` is where it answers, `key` opens everything, `export` is one that is done."""

    running: Running
    url: str
    export: str

    @property
    def key(self) -> str:
        return self.running.key

    @property
    def ws(self) -> str:
        return self.url.replace("http", "ws", 1)

    async def relay(self) -> None:
        """Number what was committed, so that the streams tell it."""
        await relay(self.running, None)


@asynccontextmanager
async def world(folder: Path) -> AsyncIterator[World]:
    """Serve it. Exports that are asked for are made while it runs; the clock stands at half past three."""
    store = Store(f"sqlite+aiosqlite:///{folder / 'node.db'}", str(folder / "raw"))
    await store.database.prepare(simulated=True)
    parts = Parts(
        store=store, redis=None, registry=TRADED, clock=ManualClock(START), simulated=True, release="test",
        models=Here(), exports=ExportFiles(str(folder / "exports")),
    )  # fmt: skip
    app = build_app(parts)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(store.close)
        await stack.enter_async_context(app.router.lifespan_context(app))
        lease = await store.leases.acquire("tests", "tests")
        assert lease is not None
        key = await store.keys.create("tests", frozenset(SCOPES), SystemClock().now())
        http = await stack.enter_async_context(client(app, key))
        clock: Any = parts.clock
        running = await everything(Running(store, Filler(store, lease), clock, app, key, http))
        desk = Desk(running, folder / "exports")
        done = await desk.made(what="bars", symbols=["BTC"], interval="1h")
        ways = {"/ws/": build_sockets(parts), "/api/v1/stream/": build_events(parts)}
        for way in ways.values():
            await way.hub.start()
            stack.push_async_callback(way.hub.stop)
        await relay(running, None)
        port = await stack.enter_async_context(served(Joined(app, ways)))
        await stack.enter_async_context(at_work(desk))
        yield World(running, f"http://127.0.0.1:{port}", done["id"])
