"""How a route is declared: its path, what it answers, and a signature whose parameters are the route's own.

    class Prices(Calls[D]):
        @get("/api/v1/prices/current/{symbol}", Current)
        def current(self, symbol: str, *, vs_currencies: Names | None = None) -> None:
            "The current price of one coin."

This is the whole definition. On a Client `prices.current("BTC")` returns a Current, on an AsyncClient it is awaited.
What is left out, or None, is not sent: the node's own default holds.
"""

import functools
import inspect
import json
from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, date, datetime
from typing import Any, Concatenate, Generic, ParamSpec, Self, TypeVar, cast, overload
from urllib.parse import quote

from pydantic import BaseModel

from ray_app.client.asking import answered, read_model
from ray_app.client.drivers import Awaiting, Blocking, Driver
from ray_app.client.effects import Plan, Received, Request

P = ParamSpec("P")
T = TypeVar("T")
M = TypeVar("M", bound=BaseModel)
D = TypeVar("D", bound=Driver)
Declared = Callable[Concatenate[Any, P], None]
Names = str | Iterable[str]
LISTED = (Names, Names | None)
Moment = datetime | date | str  # a datetime has its zone; a date is its first instant in UTC


class Calls(Generic[D]):
    """What has routes: a group of them, or a client."""

    def __init__(self, driver: D) -> None:
        self._driver = driver


class Route(Generic[P]):
    """One route as it was declared. `signature` is that of its method, without self."""

    def __init__(
        self, method: str, path: str, declared: Declared[P], fixed: dict[str, str], *, safe: bool = True
    ) -> None:
        self.method, self.path, self.fixed, self.safe = method, path, fixed, safe
        whole = inspect.signature(declared)
        self.signature = whole.replace(parameters=list(whole.parameters.values())[1:])
        functools.update_wrapper(cast(Any, self), declared)

    def request(self, *args: P.args, **kwargs: P.kwargs) -> Request:
        """Raises TypeError for what the signature lacks, ValueError for a time without a zone."""
        given = self.signature.bind(*args, **kwargs).arguments
        said = {name: value for name, value in given.items() if value is not None} | self.fixed
        path = self.path
        for name in [one for one in said if f"{{{one}}}" in path]:
            path = path.replace(f"{{{name}}}", escaped(name, said.pop(name)))
        if self.method == "POST":
            body = {name: self._json(name, value) for name, value in said.items()}
            return Request("POST", path, body=json.dumps(body).encode(), safe=self.safe)
        return Request("GET", path, tuple((name, plain(name, value)) for name, value in said.items()))

    def _json(self, name: str, value: Any) -> Any:
        if self.signature.parameters[name].annotation in LISTED:
            return [one.strip() for one in value.split(",")] if isinstance(value, str) else list(value)
        return value if isinstance(value, list | dict) else plain(name, value)


class Call(Route[P], Generic[P, T]):
    """A route that gives one answer."""

    read: Callable[[Received], T]

    @overload
    def __get__(self, at: None, owner: type) -> Self: ...
    @overload
    def __get__(self, at: Calls[Blocking], owner: type) -> Callable[P, T]: ...
    @overload
    def __get__(self, at: Calls[Awaiting], owner: type) -> Callable[P, Awaitable[T]]: ...
    def __get__(self, at: Any, owner: type) -> Any:
        if at is None:
            return self
        return bound(self, lambda *args, **kwargs: at._driver.run(self.plan(at._driver, *args, **kwargs)))

    def plan(self, driver: Driver, *args: P.args, **kwargs: P.kwargs) -> Plan[T]:
        return self._plan(driver, self.request(*args, **kwargs))

    def _plan(self, driver: Driver, request: Request) -> Plan[T]:
        return self.read((yield from answered(request, driver.patience, driver.kept)))


class planned(Generic[P, T]):  # noqa: N801  # a decorator
    """A method that is several calls: it is written as a plan, and called as if it were one route."""

    def __init__(self, plan: Callable[Concatenate[Any, P], Plan[T]]) -> None:
        self._plan = plan
        functools.update_wrapper(cast(Any, self), plan)

    @overload
    def __get__(self, at: None, owner: type) -> Self: ...
    @overload
    def __get__(self, at: Calls[Blocking], owner: type) -> Callable[P, T]: ...
    @overload
    def __get__(self, at: Calls[Awaiting], owner: type) -> Callable[P, Awaitable[T]]: ...
    def __get__(self, at: Any, owner: type) -> Any:
        if at is None:
            return self
        return functools.wraps(self._plan)(
            lambda *args, **kwargs: at._driver.run(self._plan(at, *args, **kwargs))
        )

    def plan(self, at: Calls[Any], *args: P.args, **kwargs: P.kwargs) -> Plan[T]:
        """As a part of another plan."""
        return self._plan(at, *args, **kwargs)


def get(path: str, answer: type[M], **fixed: str) -> Callable[[Declared[P]], Call[P, M]]:
    """A GET route; `fixed` are parameters that the client always sends."""
    return lambda declared: _call("GET", path, lambda got: read_model(answer, got), declared, fixed)


def get_text(path: str) -> Callable[[Declared[P]], Call[P, str]]:
    """A GET route whose answer is no JSON."""
    return lambda declared: _call("GET", path, lambda got: got.body.decode(), declared, {})


def post(path: str, answer: type[M], *, safe: bool) -> Callable[[Declared[P]], Call[P, M]]:
    """A POST route, whose parameters are its body; `safe`: asking twice does no harm."""
    return lambda declared: _call("POST", path, lambda got: read_model(answer, got), declared, {}, safe=safe)


def _call(
    method: str,
    path: str,
    read: Callable[[Received], T],
    declared: Declared[P],
    fixed: dict[str, str],
    *,
    safe: bool = True,
) -> Call[P, T]:
    route: Call[P, T] = Call(method, path, declared, fixed, safe=safe)
    route.read = read
    return route


def bound(route: Route[Any], call: Any) -> Any:
    """With the name, the words and the signature of what was declared."""
    functools.update_wrapper(call, cast(Any, route).__wrapped__)
    call.__signature__ = route.signature
    return call


def plain(name: str, value: Any) -> str:
    """As it stands in a query: times in RFC 3339, lists with commas."""
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return value
        case datetime():
            if value.tzinfo is None:
                raise ValueError(f"{name}: give the time a zone, for example tzinfo=datetime.UTC")
            return value.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
        case date():
            return value.isoformat()
        case Iterable():
            return ",".join(plain(name, one) for one in value)
    return str(value)


def escaped(name: str, value: Any) -> str:
    """As it stands in a path. Raises ValueError for what would lead to another route."""
    text = plain(name, value)
    if not text or text in (".", ".."):
        raise ValueError(f"{name} must not be {text!r}")
    return quote(text, safe=":")
