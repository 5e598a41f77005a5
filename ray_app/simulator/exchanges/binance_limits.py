"""Binance's counting: weight per clock minute and IP, 429 over it, 418 for who goes on regardless.

A ban begins with the fifth refused call of a minute and lasts two minutes, each further one longer, up
to three days. Where exactly Binance draws that line is not known; that it draws one is.
"""

import json
from collections.abc import Iterable
from math import ceil

from ray_app.simulator.quota import Fixed
from ray_app.simulator.upstream import Asked
from ray_app.simulator.wire import Reply

JSON = "application/json;charset=UTF-8"
PATIENCE = 5  # refused calls in one minute
BANS = (120, 600, 3_600, 6 * 3_600, 86_400, 3 * 86_400)  # seconds
MINUTE_MS = 60_000


def problem(
    status: int, code: int, text: str, headers: Iterable[tuple[str, str]] = ()
) -> tuple[int, str, str, Iterable[tuple[str, str]]]:
    """What a Rejection is made of."""
    return status, json.dumps({"code": code, "msg": text}, separators=(",", ":")), JSON, headers


class WeightLimit:
    """Counts weights and tells refusals."""

    def __init__(self, per_minute: int) -> None:
        self.weights = Fixed(per_minute, MINUTE_MS)
        self._refused = Fixed(PATIENCE - 1, MINUTE_MS)
        self._banned: dict[str, int] = {}  # until
        self._bans: dict[str, int] = {}

    def used(self, asked: Asked) -> tuple[str, str]:
        """The header of every answer."""
        return "x-mbx-used-weight-1m", str(self.weights.used(asked.client, asked.now_ms))

    def arrive(self, asked: Asked, weight: int) -> Reply | None:
        until = self._banned.get(asked.client, 0)
        if asked.now_ms < until:
            return self._reply_banned(asked, until)
        if not self.weights.arrive(asked.client, asked.now_ms, weight):
            return None
        if self._refused.arrive(asked.client, asked.now_ms):
            return self.ban(asked)
        return self.too_many(asked, self.weights.left_ms(asked.now_ms) / 1000)

    def too_many(self, asked: Asked, seconds: float | None) -> Reply:
        limit = self.weights.limit
        text = (
            f"Too much request weight used; current limit is {limit} request weight per 1 MINUTE. "
            "Please use WebSocket Streams for live updates to avoid polling the API."
        )
        waits = [] if seconds is None else [("Retry-After", str(max(1, ceil(seconds))))]
        status, body, content_type, _ = problem(429, -1003, text)
        return Reply(status, body.encode(), content_type, [self.used(asked), *waits])

    def ban(self, asked: Asked, seconds: int | None = None) -> Reply:
        """Ban the caller from now on, longer each time."""
        number = self._bans.get(asked.client, 0)
        self._bans[asked.client] = number + 1
        lasts = BANS[min(number, len(BANS) - 1)] if seconds is None else seconds
        self._banned[asked.client] = asked.now_ms + lasts * 1000
        return self._reply_banned(asked, asked.now_ms + lasts * 1000)

    def _reply_banned(self, asked: Asked, until: int) -> Reply:
        text = (
            f"Way too much request weight used; IP banned until {until}. "
            "Please use WebSocket Streams for live updates to avoid bans."
        )
        status, body, content_type, _ = problem(418, -1003, text)
        waits = ("Retry-After", str(max(1, ceil((until - asked.now_ms) / 1000))))
        return Reply(status, body.encode(), content_type, [self.used(asked), waits])
