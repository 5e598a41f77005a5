"""What every simulated upstream but CoinGecko is made of, and the host in front of it.

An upstream answers questions and counts its own quota; the host writes arrivals down, strikes faults,
and breaks, spoils, packs and dates the answers. Every arrival counts, whatever follows; a limit that is
really reached goes before a fault on request. What an upstream can do besides is told by the small
protocols below: give itself away to tests, have faults of its own, drop its limit, be changed by `/sim`.
"""

import gzip
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol, runtime_checkable
from urllib.parse import parse_qsl, urlencode

from starlette.types import Message, Receive, Scope, Send

from ray_app.simulator.faults import Rule
from ray_app.simulator.ledger import Arrival
from ray_app.simulator.simulation import Simulation
from ray_app.simulator.upstream_faults import broken_server, spoil_text, wrong_reply
from ray_app.simulator.wire import Rejection, Reply, client_left, send_broken, send_reply

WORTH_PACKING = 1_024


@dataclass(frozen=True, slots=True)
class Asked:
    """One request. `path` is without the upstream's prefix and starts with `/`."""

    method: str
    path: str
    params: Mapping[str, str]  # the last value of a name wins
    query: tuple[tuple[str, str], ...]  # all of them, in order
    headers: Mapping[str, str]  # names in lower case
    body: bytes
    now_ms: int  # virtual
    number: int  # of the arrival, from 1
    client: str  # its IP address


class Upstream(Protocol):
    """One host of a vendor. Hosts of one vendor are several upstreams with names of their own."""

    name: str
    prefix: str  # such as `/fred`
    secret_params: frozenset[str]  # query parameters that are keys: never in the ledger

    def limit(self, asked: Asked) -> Reply | None:
        """Count this arrival; the refusal when it is one too many (ignored where limits are off)."""

    def answer(self, asked: Asked) -> Reply:
        """The right answer. Raises Rejection for one that is an error."""


@runtime_checkable
class Tells(Protocol):
    """An upstream whose truth tests may ask for at `/sim/truth/<name>`."""

    def truth(self, params: Mapping[str, str]) -> Any:
        """ValueError, KeyError and TypeError become HTTP 400."""


@runtime_checkable
class Spoils(Protocol):
    """An upstream with faults of its own, or with its own way of a fault that all have."""

    own_faults: Mapping[str, str]  # id -> what happens; they join the catalogue

    def spoilt(self, rule: Rule, asked: Asked) -> Reply | None:
        """The whole answer under this fault; None: the common way. Raises Rejection."""


@runtime_checkable
class Lowers(Protocol):
    """An upstream whose limit can drop in silence (F23)."""

    def lower(self, per_minute: int) -> None: ...


@runtime_checkable
class Restores(Protocol):
    """An upstream that gives again what it promises: lowered limits are lifted, and bans."""

    def restore(self) -> None: ...


@runtime_checkable
class Adjusts(Protocol):
    """An upstream with settings that tests change at `/sim/upstream/<name>`."""

    def adjust(self, settings: Mapping[str, Any]) -> Any:
        """What is in force now. ValueError, KeyError and TypeError become HTTP 400."""


class UpstreamHost:
    """The ASGI application of one upstream."""

    def __init__(self, simulation: Simulation, upstream: Upstream) -> None:
        self._simulation, self._upstream = simulation, upstream
        if isinstance(upstream, Spoils):
            simulation.faults.learn(upstream.own_faults)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        now_ms = self._simulation.clock.now_ms()
        query = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        shown = urlencode([pair for pair in query if pair[0] not in self._upstream.secret_params])
        path: str = scope["path"]
        arrival = self._simulation.ledger.open(now_ms, path, shown)
        arrival.plan = self._upstream.name
        rule = self._simulation.faults.strike(path)
        headers = {
            name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]
        }
        asked = Asked(
            method=scope["method"],
            path=path.removeprefix(self._upstream.prefix) or "/",
            params=dict(query),
            query=tuple(query),
            headers=headers,
            body=await _body(receive),
            now_ms=now_ms,
            number=arrival.number,
            client=scope["client"][0],
        )
        try:
            refusal = self._upstream.limit(asked)
            if refusal is not None and self._simulation.limits.enforced:
                reply, rule = refusal, None
            elif rule is not None and rule.fault == "F11" and rule.kind() == "hang":
                mark(rule, arrival)
                if await client_left(receive, float(rule.value("seconds", 30))):
                    return
                reply, rule = broken_server(504, html=True), None  # as the proxy in front gives up on it
            else:
                reply = self._reply(asked, rule, arrival)
        except Rejection as rejected:
            rule = None if rule is not None and rule.fault == "F11" else rule
            reply = rejected.reply()
        date_ms = now_ms
        if rule is not None and rule.fault == "F21":
            mark(rule, arrival)
            date_ms += round(float(rule.value("seconds", 3600)) * 1000)
        if rule is not None and rule.fault == "F11":
            mark(rule, arrival)
            if await send_broken(rule, receive, send, reply, date_ms):
                arrival.status = reply.status
            return
        arrival.status = reply.status
        packing = "gzip" in headers.get("accept-encoding", "") and len(reply.body) >= WORTH_PACKING
        if packing and reply.packed is None:
            reply.packed = gzip.compress(reply.body, compresslevel=1, mtime=0)
        await send_reply(send, reply, date_ms, packing)

    def _reply(self, asked: Asked, rule: Rule | None, arrival: Arrival) -> Reply:
        """The answer, wrong as far as the rule says."""
        upstream = self._upstream
        if rule is None:
            return upstream.answer(asked)
        if isinstance(upstream, Spoils):
            try:
                own = upstream.spoilt(rule, asked)
            except Rejection:
                mark(rule, arrival)
                raise
            if own is not None:
                mark(rule, arrival)
                return own
        wrong = wrong_reply(rule)
        if wrong is not None:
            mark(rule, arrival)
            return wrong
        if rule.fault == "F23" and isinstance(upstream, Lowers):
            mark(rule, arrival)
            upstream.lower(int(rule.value("per_minute", 10)))
        if rule.fault == "F20":
            mark(rule, arrival)
            if rule.kind() == "repeat":
                now_ms = rule.memory.setdefault(f"{asked.path}?{urlencode(asked.query)}", asked.now_ms)
            else:
                now_ms = asked.now_ms - round(float(rule.value("hours", 6)) * 3_600_000)
            return upstream.answer(replace(asked, now_ms=now_ms))
        reply = upstream.answer(asked)
        if reply.status == 200 and "json" in reply.content_type:
            body = spoil_text(reply.body.decode(), rule, asked.now_ms).encode()
            if body != reply.body:
                mark(rule, arrival)
                return replace(reply, body=body, packed=None)
        return reply


def mark(rule: Rule, arrival: Arrival) -> None:
    """Write an injected fault into the ledger, once."""
    if arrival.fault is None:
        arrival.fault = rule.fault
        rule.injected += 1


async def _body(receive: Receive) -> bytes:
    parts: list[bytes] = []
    message: Message = {"more_body": True}
    while message.get("more_body", False):
        message = await receive()
        parts.append(message.get("body", b""))
    return b"".join(parts)
