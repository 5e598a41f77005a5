"""One client of a stream, by whatever it is connected: what it subscribed to, and what it is told of that."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ray_app.serve.datasets import left_out, restricted
from ray_app.serve.problems import Problem, invalid
from ray_app.serve.streams.asked import MOST_SYMBOLS
from ray_app.serve.streams.declared import Stream
from ray_app.serve.streams.hub import Hub, told
from ray_app.serve.streams.items import Form, Frames, Item, View, framed, snapshot_of
from ray_app.serve.streams.messages import LARGEST_CURSOR
from ray_app.serve.streams.outlet import Ending, Held, Outlet
from ray_app.store.keys import Key

_CURSOR = re.compile(r"\d{1,19}", re.ASCII)


class Session:
    """`form`: how messages are framed. What is put into `outlet` is sent, in order.

    `held`: what waits for the client, where it has several sessions on one connection.
    """

    def __init__(
        self,
        hub: Hub,
        stream: Stream,
        key: Key,
        authorization: bytes,
        form: Form,
        request_id: str,
        held: Held | None = None,
    ) -> None:
        self.hub, self.stream, self.key, self.request_id = hub, stream, key, request_id
        self.authorization, self.beat_at = authorization, 0.0
        self.outlet = Outlet(self._warning, hub.bounds, held)
        self._view = View(internal=key.internal, form=form)
        self._live = self._ticks = False
        self._topic = hub.topic(stream)

    @property
    def live(self) -> bool:
        """Whether it is subscribed to something."""
        return self._live

    async def open(self) -> None:
        """Raise Problem when the key may have nothing of this stream; StoreUnavailable when it cannot be told."""
        await self._topic.started()
        series = await self.hub.series(self.stream)
        if series and not self.key.internal and all(one.restricts(p) for one, p in series):
            raise restricted(series)

    async def subscribe(
        self,
        symbols: Sequence[str] | None,
        channels: Iterable[str] = (),
        fields: Iterable[str] | None = None,
        after: int | None = None,
        *,
        batch: bool | None = None,
        answers: str | int | None = None,
    ) -> None:
        """More events from now on, or first what came after a cursor.

        Raises Problem, UnknownSymbol, AmbiguousSymbol, StoreUnavailable.
        """
        wanted = self._assets(symbols) if symbols is not None else frozenset[str]()
        before, ticks = self._view, self._checked(channels) or self._ticks
        everything = symbols is None or before.everything
        view = View(
            everything=everything,
            assets=frozenset() if everything else before.assets | wanted,
            fields=before.fields if fields is None else self._fields(fields),
            internal=before.internal,
            form=before.form if batch is None else ("batches" if batch else "frames"),
        )
        if after is not None and self._live:
            raise invalid("`after` comes with the first subscription of a connection: reconnect with it")
        gap = await self._older(after) if after is not None else None
        closed = [] if self.key.internal else await self._closed(view)
        added = wanted if self._live and symbols is not None else None
        self._see(view, ticks=ticks)  # from here to the joining nothing is awaited: no event falls in between
        self._live = True
        self.outlet.place = self._topic.position if after is None else after
        self.outlet.put(self._framed(self._ack("subscribe", answers, closed)))
        if after is None:
            self._snapshot(view, added)
        elif gap is not None:
            message, after = gap
            self.outlet.put(self._framed(message, after))
        await self._topic.join(self.outlet, view, after)

    async def unsubscribe(
        self,
        symbols: Sequence[str] | None,
        channels: Iterable[str] | None = None,
        answers: str | int | None = None,
    ) -> None:
        """Fewer events from now on. Raises Problem, UnknownSymbol."""
        view, ticks = self._view, self._ticks
        if channels is not None:
            self._checked(channels)
            ticks = False
        if symbols is not None:
            if view.everything:
                raise invalid("you are subscribed to all symbols; unsubscribe from all, then name some")
            view = replace(view, assets=view.assets - self._assets(symbols))
        elif channels is None:
            view, ticks = replace(view, everything=False, assets=frozenset()), False
        self._see(view, ticks=ticks)
        if self._live:
            await self._topic.join(self.outlet, view, None)
        self.outlet.put(self._framed(self._ack("unsubscribe", answers)))

    def acknowledge(self, action: str, answers: str | int | None = None) -> None:
        self.outlet.put(self._framed(self._ack(action, answers)))

    def problem(self, problem: Problem, answers: str | int | None = None) -> None:
        """Tell what was wrong with a message; the connection goes on."""
        self.outlet.put(self._framed(told(problem, self.request_id, self.hub.clock.now(), answers)))

    def refuse(self, problem: Problem, ending: Ending) -> None:
        """Tell what is wrong, and end."""
        self.problem(problem)
        self.outlet.end(ending)

    def beat(self) -> None:
        place = self.outlet.place if self._live else None
        message = {"type": "heartbeat", "timestamp": self.hub.clock.now(), "cursor": place}
        self.outlet.put(self._framed(message, place))

    def leave(self) -> None:
        """Listen no more."""
        self._topic.leave(self.outlet, self._view)
        self.hub.ticks.leave(self.outlet, self._view)

    def _see(self, view: View, *, ticks: bool) -> None:
        """Change what is listened to; the topic is to be joined again in the same turn."""
        self.leave()
        self._view, self._ticks = view, ticks
        if ticks:
            self.hub.ticks.join(self.outlet, view)

    def _assets(self, symbols: Sequence[str]) -> frozenset[str]:
        if len(symbols) > MOST_SYMBOLS:
            raise invalid(f"at most {MOST_SYMBOLS} symbols at once, not {len(symbols)}", parameter="symbols")
        return frozenset(self.hub.asset(one, self.stream) for one in symbols)

    def _checked(self, channels: Iterable[str]) -> bool:
        """Whether ticks are among them."""
        named = list(channels)
        if unknown := [one for one in named if one not in self.stream.channels]:
            known = list(self.stream.channels)
            raise invalid(f"no channel {unknown[0]!r} here", parameter="channels", available=known)
        if "ticks" in named and not self.hub.ticks.offered:
            raise Problem("DATA_NOT_AVAILABLE", "ticks need Redis, and this node has none")
        return "ticks" in named

    def _fields(self, fields: Iterable[str]) -> frozenset[str]:
        named = list(fields)
        if unknown := [one for one in named if one not in self.stream.fields]:
            known = sorted(self.stream.fields)
            raise invalid(f"no field {unknown[0]!r} here", parameter="fields", available=known)
        return frozenset(self.stream.fields[one] for one in named)

    async def _closed(self, view: View) -> list[dict[str, str]]:
        """The series that the view would hold and the key may not have."""
        series = [(one, p) for one, p in await self.hub.series(self.stream) if one.restricts(p)]
        if not view.everything and all(one.by_asset for one, _ in series):
            by_venue = self.hub.registry.by_venue
            named = [(one, p, by_venue(one.source, p)) for one, p in series]
            series = [(one, p) for one, p, asset in named if asset and asset.id in view.assets]
        return left_out(series)

    async def _older(self, after: int) -> tuple[dict[str, Any], int] | None:
        """What to say first where events after the cursor are not kept any more, and the place to go on from.

        Raises Problem for a cursor that was never given out.
        """
        topic = self._topic
        if after > topic.position and after > await topic.log.newest():
            raise Problem("CURSOR_INVALID", "this cursor is ahead of the stream; it is not one of ours")
        if topic.holds(after):
            return None
        oldest = await topic.log.oldest(self.hub.clock.now())
        if after >= oldest:
            return None
        missed, kept = await topic.log.received(after), await topic.log.received(oldest)
        gap = {"type": "gap", "series": self.stream.name, "from": missed, "to": kept, "outcome": "retention"}
        return gap | {"reason": "older than the 24 hours that are kept", "cursor": oldest}, oldest

    def _ack(
        self, action: str, answers: str | int | None, closed: Sequence[Mapping[str, str]] = ()
    ) -> dict[str, Any]:
        out: dict[str, Any] = {"type": "ack", "action": action}
        if answers is not None:
            out["id"] = answers
        if action.endswith("subscribe"):
            view, fields = self._view, self._view.fields
            out["symbols"] = (
                None if view.everything else sorted(self.hub.tickers.get(one, one) for one in view.assets)
            )
            out["channels"] = ["ticks"] if self._ticks else []
            out["fields"] = None if fields is None else sorted(fields)
            out["cursor"] = self.outlet.place if self._live else None
        if closed:
            out["left_out"] = closed
        return out | {"timestamp": self.hub.clock.now()}

    def _snapshot(self, view: View, only: frozenset[str] | None) -> None:
        """How things stand now; `only`: for these assets, since the client has the others already."""
        topic = self._topic
        items: Iterable[Item] = topic.standing.values()
        if self.stream.texts:
            words = (one for one in topic.items() if one.type == self.stream.update)
            newest = {one.about: one for one in words if view.wants(one.assets)}
            items = sorted(newest.values(), key=lambda one: one.number)
            items = [one for one in items if one.entry(view.fields, view.internal)][-self.stream.texts :]
        if only is not None:
            items = (one for one in items if one.assets and one.assets & only)
        self.outlet.put(snapshot_of(view, items, topic.position, self.hub.clock.now()))

    def _framed(self, message: Mapping[str, Any], cursor: int | None = None) -> Frames:
        return framed(self._view.form, message, cursor)

    def _warning(self) -> Frames:
        said = "you read too slowly: half of your queue is full; when it is full you are closed with 4408"
        message = {"type": "warning", "code": "SLOW_CLIENT", "message": said}
        return self._framed(message | {"timestamp": self.hub.clock.now()})


def cursor_of(said: str) -> int:
    """A cursor from a query or a header. Raises Problem CURSOR_INVALID."""
    if _CURSOR.fullmatch(said) and int(said) <= LARGEST_CURSOR:
        return int(said)
    raise Problem("CURSOR_INVALID", "a cursor of a stream is a whole number, as its events have it")


def listed(said: str | None) -> list[str] | None:
    """The parts of a list in a query; None where none was given."""
    return None if said is None else [part.strip() for part in said.split(",")]
