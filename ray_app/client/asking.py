"""One question until its answer: what an answer means, when it is asked again, what is kept of it.

Asked again are refused rates, 502, 503, 504, a 500 without the node's envelope (Ray's proxy, whose replica died in the
middle) and broken connections; all but the first only where sending twice does no harm. Nothing else is: the same
question would get the same refusal.
"""

import json
import random
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from email.utils import parsedate_to_datetime
from threading import Lock
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from ray_app.client.effects import Plan, Received, Request, Send, Wait
from ray_app.client.errors import (
    ClientError,
    RateLimited,
    ServerUnavailable,
    Unreachable,
    Unreadable,
    refusal,
)

A = TypeVar("A", bound=BaseModel)
GOOD = (200, 201, 202, 206)
NOT_MODIFIED = 304
LARGEST_KEPT = 1 << 20  # bytes of an answer that is kept


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long the client tries: at most `attempts` times, and no attempt begins later than `seconds` after the first.

    Between two it waits as long as Retry-After says, else from `first` on twice as long each time up to `longest`.
    An open stream waits up to `stream_longest`; one that cannot be had back for `stream_seconds` gives up; None: never.
    """

    attempts: int = 40  # more than fit into `seconds`, unless Retry-After is short
    seconds: float = 90.0  # the limit of a minute can be waited out, and a gateway that starts anew
    first: float = 0.5
    longest: float = 5.0  # whoever looks seldom misses a gateway that is killed again and again
    stream_longest: float = 20.0  # all clients of a node that is gone come back at once
    stream_seconds: float | None = 900.0
    clock: Callable[[], float] = time.monotonic

    def backoff(self, attempt: int, asked: float | None = None, *, stream: bool = False) -> float:
        """Seconds to wait after failed attempt number `attempt` (from 1), with jitter; never less than `asked`."""
        if asked is not None:
            return asked + random.uniform(0.0, min(2.0, 0.1 * asked + 0.1))
        longest = self.stream_longest if stream else self.longest
        return float(min(longest, self.first * 2.0 ** min(attempt - 1, 30)) * random.uniform(0.5, 1.0))

    def pause(self, error: ClientError, attempt: int, elapsed: float, *, safe: bool) -> float | None:
        """Seconds to wait before the next attempt; None: there is none."""
        match error:
            case RateLimited():  # refused at the door: nothing was done
                asked = error.retry_after
            case ServerUnavailable() if safe:
                asked = error.retry_after
            case Unreachable() if safe or not error.sent:
                asked = None
            case _:
                return None
        wait = self.backoff(attempt, asked)
        return None if attempt >= self.attempts or elapsed + wait > self.seconds else wait


class Kept:
    """Answers with their ETags, the last `most` that were used; the node says whether they still hold."""

    def __init__(self, most: int) -> None:
        self._most, self._lock = most, Lock()
        self._answers: OrderedDict[tuple[str, tuple[tuple[str, str], ...]], Received] = OrderedDict()

    def conditional(self, request: Request) -> Request:
        """The request, which can be answered by `not modified` where an answer is kept."""
        known = self._answers.get((request.path, request.query)) if self._plain(request) else None
        return request if known is None else request.having(if_none_match=known.headers["etag"])

    def whole(self, request: Request, got: Received) -> Received:
        """The answer, from what is kept where it has not changed."""
        if not self._plain(request):
            return got
        place = request.path, request.query
        with self._lock:
            if got.status == NOT_MODIFIED and place in self._answers:
                self._answers.move_to_end(place)
                return self._answers[place]
            if got.status == 200 and "etag" in got.headers and len(got.body) <= LARGEST_KEPT:
                self._answers[place] = got
                self._answers.move_to_end(place)
                while len(self._answers) > self._most:
                    self._answers.popitem(last=False)
        return got

    def _plain(self, request: Request) -> bool:
        return self._most > 0 and request.method == "GET" and not request.headers


def answered(request: Request, patience: Patience, kept: Kept) -> Plan[Received]:
    """The answer to it. Raises ApiError, Unreachable, Unreadable."""
    started, attempt = patience.clock(), 0
    while True:
        attempt += 1
        try:
            got: Received = yield Send(kept.conditional(request))
            if (error := judged(got)) is None:
                return kept.whole(request, got)
        except Unreachable as broken:
            error = broken
        wait = patience.pause(error, attempt, patience.clock() - started, safe=request.safe)
        if wait is None:
            raise error
        yield Wait(wait)


def judged(got: Received) -> ClientError | None:
    """What is wrong with an answer; None: it is good."""
    if got.status in GOOD or got.status == NOT_MODIFIED:
        return None
    request_id = got.headers.get("x-request-id")
    try:
        body = json.loads(got.body)
        told = body["error"] if "error" in body else _of_graphql(body)
    except (ValueError, TypeError, KeyError, IndexError):
        told = None
    found = refusal(got.status, told, retry_after(got), request_id)
    return found or Unreadable(
        f"HTTP {got.status} without an error of the node's: {got.body[:80]!r}", request_id
    )


def _of_graphql(body: Any) -> Any:
    """The first of the errors for which a query was refused, as an envelope has it."""
    first = body["errors"][0]
    return {**first["extensions"], "message": first["message"]}


def retry_after(got: Received) -> float | None:
    """Seconds; a date is read against the answer's own."""
    told = got.headers.get("retry-after", "").strip()
    if told.isascii() and told.isdigit():
        return float(told[:9])
    try:
        return max(
            0.0, (parsedate_to_datetime(told) - parsedate_to_datetime(got.headers["date"])).total_seconds()
        )
    except (KeyError, ValueError, TypeError):
        return None


def read_json(got: Received) -> Any:
    """The body; numbers with a point are Decimals, so that they keep every digit. Raises Unreadable."""
    try:
        return json.loads(got.body, parse_float=Decimal)
    except (ValueError, RecursionError):
        told = f"the answer is no JSON: {got.body[:80]!r}; is this the address of a node?"
        raise Unreadable(told, got.headers.get("x-request-id")) from None


def read_model(model: type[A], got: Received) -> A:
    """The body as the model. Raises Unreadable."""
    try:
        return model.model_validate(read_json(got))
    except ValidationError as error:
        found = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()[:3])
        told = f"the answer is not what {model.__name__} is: {found}; node and client are of different ages"
        raise Unreadable(told, got.headers.get("x-request-id")) from None
