"""A client of graphql-transport-ws, written from the protocol's description."""

import asyncio
import json
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from ray_app.serve.streams.protocol import SERVER
from tests.serve.streams.conftest import WITHIN, Node

DATA = "data { priceUsd volume24h marketCap change24h changePercent24h }"
ENTRY = f"symbol id {DATA} timestamp slot receivedAt source revision recordId"
ENDED = "series members from to cursor"
PRICES = f"""subscription($symbols: [String!], $after: Cursor) {{
  prices(symbols: $symbols, after: $after) {{
    __typename
    ... on Subscribed {{ symbols leftOut {{ dataset series licence }} cursor }}
    ... on PriceSnapshot {{ prices {{ {ENTRY} }} cursor }}
    ... on PriceUpdate {{ {ENTRY} cursor }}
    ... on IntervalComplete {{ {ENDED} }}
    ... on StreamGap {{ {ENDED} outcome reason }}
    ... on Heartbeat {{ timestamp cursor }}
    ... on SlowClient {{ code message }}
  }}
}}"""
UPDATES = """subscription($symbols: [String!], $after: Cursor) {
  prices(symbols: $symbols, after: $after) { ... on PriceUpdate { symbol cursor data { priceUsd } } } }"""


@dataclass
class Subscriber:
    """An open socket. Events are kept for each subscription until they are asked for."""

    socket: ClientConnection
    events: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    async def say(self, **message: Any) -> None:
        await self.socket.send(json.dumps(message))

    async def hear(self, seconds: float = WITHIN) -> dict[str, Any]:
        """The next message, held against the models."""
        async with asyncio.timeout(seconds):
            message: dict[str, Any] = json.loads(await self.socket.recv())
            SERVER.validate_python(message)
            return message

    async def subscribe(self, id_: str, query: str, **variables: Any) -> None:
        await self.say(id=id_, type="subscribe", payload={"query": query, "variables": variables})

    async def next(self, id_: str = "1", seconds: float = WITHIN) -> dict[str, Any]:
        """The next event of a subscription: what its one field tells."""
        while not self.events.get(id_):
            message = await self.hear(seconds)
            assert message["type"] == "next", message
            assert "errors" not in message["payload"], message
            ((_, told),) = message["payload"]["data"].items()
            self.events.setdefault(message["id"], []).append(told)
        return self.events[id_].pop(0)

    async def error(self, id_: str = "1") -> dict[str, Any]:
        """The first error that ends a subscription."""
        message = await self.hear()
        assert (message["type"], message["id"]) == ("error", id_), message
        first: dict[str, Any] = message["payload"][0]
        return first

    async def closed(self, seconds: float = WITHIN) -> tuple[int, str]:
        async with asyncio.timeout(seconds):
            with suppress(ConnectionClosed):
                async for message in self.socket:
                    told = json.loads(message)
                    if told["type"] == "next":
                        self.events.setdefault(told["id"], []).append(*told["payload"]["data"].values())
            await self.socket.wait_closed()
        code = self.socket.close_code
        assert code is not None
        return code, self.socket.close_reason or ""


async def opened(
    node: Node, key: str | None = "", init: dict[str, Any] | None = None, **more: Any
) -> Subscriber:
    """A socket that was let in; the key goes in the header unless `init` is given."""
    found = await raw(node, None if init is not None else key, **more)
    await found.say(type="connection_init", **({} if init is None else {"payload": init}))
    assert await found.hear() == {"type": "connection_ack"}
    return found


async def raw(node: Node, key: str | None = "", query: str = "", **more: Any) -> Subscriber:
    """A socket that has said nothing yet."""
    token = node.key if key == "" else key
    options: dict[str, Any] = {
        "subprotocols": ["graphql-transport-ws"],
        "additional_headers": {"Authorization": f"Bearer {token}"} if token else {},
        "compression": None,
        "max_queue": None,
    } | more
    return Subscriber(
        await node.stack.enter_async_context(connect(f"{node.ws}/ws/graphql{query}", **options))
    )
