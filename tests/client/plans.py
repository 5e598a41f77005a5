"""Play a plan without a network: what it asks for is answered from a list, and waiting moves a clock."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from ray_app.client.asking import Patience
from ray_app.client.effects import Close, Open, Out, Read, Received, Request, Send, Wait, Work


class Over(Exception):
    """The answers are used up."""


@dataclass
class Play:
    """`answers`: Received for a Send or an Open, bytes or None for a Read, an exception to throw."""

    answers: Iterable[Any]
    now: float = 0.0
    waits: list[float] = field(default_factory=list)
    asked: list[Request] = field(default_factory=list)
    out: list[Any] = field(default_factory=list)

    def patience(self, **more: Any) -> Patience:
        return Patience(clock=lambda: self.now, **more)

    def run(self, plan: Any) -> Any:
        """What the plan returns; raises what it raises, Over where it asks for more than there is."""
        given, value, error = iter(self.answers), None, None
        while True:
            try:
                effect = plan.send(value) if error is None else plan.throw(error)
            except StopIteration as end:
                return end.value
            value = error = None
            match effect:
                case Wait(seconds):
                    self.now += seconds
                    self.waits.append(seconds)
                case Work(do):
                    value = do()
                case Out(told):
                    self.out.append(told)
                case Close():
                    pass
                case Send(request) | Open(request, _):
                    self.asked.append(request)
                    value = next(given, Over())
                case Read():
                    value = next(given, Over())
            if isinstance(value, Over):
                raise value
            if isinstance(value, Exception):
                value, error = None, value


def told(status: int, body: Any = None, **headers: str) -> Received:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Received(status, {name.replace("_", "-"): value for name, value in headers.items()}, raw)


def problem(status: int, code: str, details: Any = None, **headers: str) -> Received:
    error = {"code": code, "message": "m", "details": details or {}, "timestamp": None, "request_id": "r1"}
    return told(status, {"error": error}, **headers)
