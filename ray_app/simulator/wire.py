"""How an answer goes out: its headers, and transports that fail on purpose."""

import asyncio
import gzip
from collections.abc import Iterable
from dataclasses import dataclass, field
from email.utils import format_datetime

from starlette.types import Receive, Send

from ray_app.simulator.clock import instant
from ray_app.simulator.faults import Rule

SIMULATED = ("X-Simulated", "crypto-data")  # a node refuses to mix this with real data
HTML = "text/html; charset=UTF-8"
JSON = "application/json; charset=utf-8"


@dataclass
class Reply:
    """Status, body and headers of one answer."""

    status: int
    body: bytes
    content_type: str = JSON
    headers: list[tuple[str, str]] = field(default_factory=list)
    packed: bytes | None = None  # the body under gzip


class Rejection(Exception):
    """An answer that is an error: HTTP status, body, and what the header says about it."""

    def __init__(
        self, status: int, body: str, content_type: str = JSON, headers: Iterable[tuple[str, str]] = ()
    ) -> None:
        super().__init__(status, body, content_type, headers)
        self.status, self.body, self.content_type = status, body, content_type
        self.headers = tuple(headers)

    def reply(self) -> Reply:
        return Reply(self.status, self.body.encode(), self.content_type, list(self.headers))


async def send_reply(send: Send, reply: Reply, date_ms: int, gzip_accepted: bool) -> None:
    body = reply.packed if gzip_accepted and reply.packed is not None else reply.body
    await send(_start(reply, date_ms, len(body), packed=body is reply.packed))
    await send({"type": "http.response.body", "body": body})


async def send_broken(rule: Rule, receive: Receive, send: Send, reply: Reply, date_ms: int) -> bool:
    """Send as the F11 rule says; False: the answer never got out whole."""
    kind, body = rule.kind(), reply.body
    if kind == "slow":
        seconds = float(rule.value("seconds", 2))
        if await client_left(receive, seconds / 2):
            return False
        await send(_start(reply, date_ms, len(body), packed=False))
        await send({"type": "http.response.body", "body": body[: len(body) // 2], "more_body": True})
        if await client_left(receive, seconds / 2):
            return False
        await send({"type": "http.response.body", "body": body[len(body) // 2 :]})
        return True
    if kind == "reset":  # the server closes a connection on which less than was promised has gone out
        await send(_start(reply, date_ms, len(body), packed=False))
        await send({"type": "http.response.body", "body": body[: len(body) // 2], "more_body": True})
        return False
    if kind == "gzip":
        body = gzip.compress(body)[: max(12, len(body) // 20)]
    elif kind == "truncated":
        body = body[: len(body) * 2 // 3]
    else:
        body = b""
    await send(_start(reply, date_ms, len(body), packed=kind == "gzip"))
    await send({"type": "http.response.body", "body": body})
    return True


async def client_left(receive: Receive, seconds: float) -> bool:
    """Wait that many real seconds, or until the client closes its connection."""

    async def closed() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    try:
        async with asyncio.timeout(seconds):
            await closed()
    except TimeoutError:
        return False
    return True


def _start(reply: Reply, date_ms: int, length: int, packed: bool) -> dict[str, object]:
    headers: Iterable[tuple[str, str]] = (
        ("Date", format_datetime(instant(date_ms), usegmt=True)),
        *((("Content-Type", reply.content_type),) if reply.content_type else ()),
        ("Content-Length", str(length)),
        *((("Content-Encoding", "gzip"),) if packed else ()),
        SIMULATED,
        *reply.headers,
    )
    told = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers]
    return {"type": "http.response.start", "status": reply.status, "headers": told}
