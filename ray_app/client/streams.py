"""Streams that resume by themselves: server-sent events, each told once and in order, over whatever breaks.

What surprises: the place to resume from moves before an event is handed out, so that `cursor` of a stream is that of
the last event you were given. Whoever must not lose one when the own process ends stores the cursor after the work, and
passes it as `after` at the next start.
"""

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from decimal import Decimal
from types import TracebackType
from typing import Any, Generic, Self, TypeVar, overload

from pydantic import ValidationError

from ray_app.client.answers.events import Ack, Event, event_of
from ray_app.client.asking import Patience, judged
from ray_app.client.drivers import Awaiting, Blocking
from ray_app.client.effects import Close, Open, Out, Read, Received, Request, Telling, Wait
from ray_app.client.errors import (
    ClientError,
    RateLimited,
    ServerFailed,
    ServerUnavailable,
    Unreachable,
    Unreadable,
    refusal,
)
from ray_app.client.routes import Calls, Names, plain
from ray_app.client.sse import Parser, TooLong

E = TypeVar("E", bound=Event)
SILENCE = 50.0  # seconds: three heartbeats were missed
PASSING = (RateLimited, ServerUnavailable, ServerFailed, Unreachable)  # the next connection may go well
HEARTBEAT = "heartbeat"


@dataclass(slots=True)
class Place:
    """Where a stream stands. `ack`: what the node said that it tells. `resumed`: how often it was had back."""

    cursor: int | None = None
    ack: Ack | None = None
    resumed: int = 0
    _began: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        self._began = self.cursor is not None

    def takes(self, event: Event) -> bool:
        """Whether it is new; then this is the place now."""
        if event.type == "snapshot":
            self._began = True
        elif event.type == HEARTBEAT and not self._began:
            return False  # without the snapshot there is nothing to go on from
        elif event.cursor is not None and self.cursor is not None and event.cursor <= self.cursor:
            return False
        if event.cursor is not None and event.type != "ack":
            self.cursor = event.cursor
        return True


def telling(name: str, request: Request, place: Place, patience: Patience) -> Telling[Any]:
    """Events for ever. Raises what no new connection would mend, or what lasted for `patience.stream_seconds`."""
    attempt, retry, well_at = 0, 0.0, patience.clock()
    while True:
        asked: float | None = None
        error: ClientError = Unreachable("the stream ended")
        try:
            got: Received = yield Open(resuming(request, place.cursor), SILENCE)
            if (refused := judged(got)) is not None:
                raise refused
            parser = Parser()
            while (chunk := (yield Read())) is not None:
                for said in parser.feed(chunk):
                    retry = retry if said.retry is None else said.retry / 1000
                    if said.data is None:
                        continue
                    event = read_event(name, said.data)
                    if isinstance(event, Ack):
                        place.resumed += place.ack is not None
                        place.ack = event
                    elif place.takes(event) and event.type != HEARTBEAT:
                        yield Out(event)
                    attempt, well_at = 0, patience.clock()
        except PASSING as broken:
            error, asked = broken, getattr(broken, "retry_after", None)
        except (TooLong, UnicodeDecodeError) as broken:
            raise Unreadable(f"{request.path}: {type(broken).__name__}") from None
        yield Close()
        attempt += 1
        wait = max(patience.backoff(attempt, asked, stream=True), patience.backoff(1, retry))
        if (
            patience.stream_seconds is not None
            and patience.clock() + wait - well_at > patience.stream_seconds
        ):
            raise error
        yield Wait(wait)


def resuming(request: Request, cursor: int | None) -> Request:
    return request if cursor is None else request.having(last_event_id=str(cursor))


def read_event(name: str, data: str) -> Event:
    """One message. Raises the error that it tells of, Unreadable."""
    try:
        told = json.loads(data, parse_float=Decimal)
        if isinstance(told, dict) and told.get("type") == "error":
            wrong = told["error"]
            raise refusal(0, wrong, retry_after_of(wrong)) or Unreadable(f"{name}: {data[:80]!r}")
        return event_of(name, told)
    except (ValueError, KeyError, ValidationError) as error:
        raise Unreadable(f"{name}: a message that this client cannot read: {data[:200]!r}") from error


def retry_after_of(wrong: Any) -> float | None:
    with suppress(TypeError, KeyError, ValueError):
        return float(wrong["details"]["retry_after"])
    return None


class Stream(Generic[E]):
    """An iterator over events that resumes by itself. Leaving a `with` block or `close` ends its connection."""

    def __init__(self, driver: Blocking, name: str, request: Request, place: Place) -> None:
        self._place = place
        self._events: Iterator[E] = driver.iterate(telling(name, request, place, driver.patience))

    @property
    def cursor(self) -> int | None:
        """The place of the last event that was handed out: `after` of a stream that is to go on from there."""
        return self._place.cursor

    @property
    def ack(self) -> Ack | None:
        """What the node said that it tells; None before the first event."""
        return self._place.ack

    @property
    def resumed(self) -> int:
        """How often the connection was lost and had back."""
        return self._place.resumed

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> E:
        return next(self._events)

    def close(self) -> None:
        self._events.close()  # type: ignore[attr-defined]  # the iterator is a generator

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.close()


class AsyncStream(Generic[E]):
    """The same for `async for`. Leaving an `async with` block or `aclose` ends its connection."""

    def __init__(self, driver: Awaiting, name: str, request: Request, place: Place) -> None:
        self._place = place
        self._events: AsyncIterator[E] = driver.iterate(telling(name, request, place, driver.patience))

    @property
    def cursor(self) -> int | None:
        return self._place.cursor

    @property
    def ack(self) -> Ack | None:
        return self._place.ack

    @property
    def resumed(self) -> int:
        return self._place.resumed

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> E:
        return await anext(self._events)

    async def aclose(self) -> None:
        await self._events.aclose()  # type: ignore[attr-defined]  # the iterator is a generator

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        await self.aclose()


class Tells(Generic[E]):
    """How a stream is declared: `stream = Tells[PriceEvent]("prices")`."""

    def __init__(self, name: str) -> None:
        self.name, self.path = name, f"/api/v1/stream/{name}"

    @overload
    def __get__(self, at: None, owner: type) -> Self: ...
    @overload
    def __get__(self, at: Calls[Blocking], owner: type) -> "Opens[E]": ...
    @overload
    def __get__(self, at: Calls[Awaiting], owner: type) -> "AsyncOpens[E]": ...
    def __get__(self, at: Any, owner: type) -> Any:
        if at is None:
            return self
        return (Opens if isinstance(at._driver, Blocking) else AsyncOpens)(self, at._driver)

    def request(self, symbols: Names | None, fields: Names | None, channels: Names | None) -> Request:
        said = {"symbols": symbols, "fields": fields, "channels": channels}
        query = ((name, plain(name, value)) for name, value in said.items() if value is not None)
        return Request("GET", self.path, tuple(query), headers={"accept": "text/event-stream"})


@dataclass(frozen=True, slots=True)
class Opens(Generic[E]):
    tells: Tells[E]
    driver: Blocking

    def __call__(
        self,
        symbols: Names | None = None,
        *,
        fields: Names | None = None,
        channels: Names | None = None,
        after: int | None = None,
    ) -> Stream[E]:
        """Events of these symbols, or of all; with `after` first what came after that cursor, else a snapshot.

        `fields`: of `data`, only these. `channels`: `ticks` tells the exchange's prices too.
        """
        request = self.tells.request(symbols, fields, channels)
        return Stream(self.driver, self.tells.name, request, Place(after))


@dataclass(frozen=True, slots=True)
class AsyncOpens(Generic[E]):
    tells: Tells[E]
    driver: Awaiting

    def __call__(
        self,
        symbols: Names | None = None,
        *,
        fields: Names | None = None,
        channels: Names | None = None,
        after: int | None = None,
    ) -> AsyncStream[E]:
        """As of a Client; `async for` reads it."""
        request = self.tells.request(symbols, fields, channels)
        return AsyncStream(self.driver, self.tells.name, request, Place(after))
