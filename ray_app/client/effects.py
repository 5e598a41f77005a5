"""What a call asks of the network, as values: plans yield them, a driver does them, sync or async.

A plan is a generator that decides everything (what to send, whether to wait, when to give up) and does nothing
itself. So each call is written once, and its decisions can be tried without a network.
"""

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Request:
    """`path` is escaped already. `safe`: sending it twice does no harm."""

    method: str
    path: str
    query: tuple[tuple[str, str], ...] = ()
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    safe: bool = True

    def having(self, **headers: str) -> "Request":
        """With these headers too; an underscore stands for a hyphen."""
        more = {name.replace("_", "-"): value for name, value in headers.items()}
        return replace(self, headers={**self.headers, **more})

    def asking(self, name: str, value: str) -> "Request":
        """With this parameter instead of what it was."""
        return replace(self, query=(*((n, v) for n, v in self.query if n != name), (name, value)))


@dataclass(frozen=True, slots=True)
class Received:
    """Names of headers are in lower case. `body` is empty where it is still to be read."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Send:
    """Gives a Received. Unreachable is thrown into the plan where there is none."""

    request: Request


@dataclass(frozen=True, slots=True)
class Open:
    """Gives a Received whose body is left to be read by parts, if its status is 200 or 206; one at a time."""

    request: Request
    silence: float  # seconds without a byte after which it counts as broken


@dataclass(frozen=True, slots=True)
class Read:
    """Gives the next bytes of what is open; None at its end. Unreachable is thrown where it breaks."""


@dataclass(frozen=True, slots=True)
class Close:
    """Lets go of what is open, if anything is."""


@dataclass(frozen=True, slots=True)
class Wait:
    seconds: float


@dataclass(frozen=True, slots=True)
class Work:
    """Gives what `do` returns; done beside the event loop where there is one."""

    do: Callable[[], Any]


@dataclass(frozen=True, slots=True)
class Out(Generic[T]):
    """Hands a value to whoever iterates."""

    value: T


Effect = Send | Open | Read | Close | Wait | Work
Plan = Generator[Effect, Any, T]  # returns its result
Telling = Generator[Effect | Out[T], Any, None]  # hands its results out
