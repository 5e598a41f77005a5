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
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any, Concatenate, Generic, ParamSpec, Self, TypeVar, cast, overload
from urllib.parse import quote

from pydantic import BaseModel

from ray_app.client.answers import Row, Rows
from ray_app.client.asking import answered, read_model
from ray_app.client.drivers import Awaiting, Blocking, Driver
from ray_app.client.effects import Out, Plan, Received, Request, Telling, Work
from ray_app.client.errors import Unreadable
from ray_app.client.frames import frame_of

if TYPE_CHECKING:
    import polars as pl

P = ParamSpec("P")
T = TypeVar("T")
M = TypeVar("M", bound=BaseModel)
A = TypeVar("A", bound=Rows[Any])
R = TypeVar("R", bound=Row)
D = TypeVar("D", bound=Driver)
Declared = Callable[Concatenate[Any, P], None]
Names = str | Iterable[str]
Moment = datetime | date | str  # a datetime has its zone; a date is its first instant in UTC
LARGE_PAGE = 1000  # rows of a page where all of them are wanted


class Calls(Generic[D]):
    """What has routes: a group of them, or a client."""

    def __init__(self, driver: D) -> None:
        self._driver = driver


class Route(Generic[P]):
    """One route as it was declared. `signature` is that of its method, without self."""

    def __init__(self, method: str, path: str, declared: Declared[P], fixed: dict[str, str]) -> None:
        self.method, self.path, self.fixed = method, path, fixed
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
            body = {name: list(v) if isinstance(v, Iterable) and not isinstance(v, str) else plain(name, v)
                    for name, v in said.items()}  # fmt: skip
            return Request("POST", path, body=json.dumps(body).encode())
        return Request("GET", path, tuple((name, plain(name, value)) for name, value in said.items()))


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


class Pages(Route[P], Generic[P, A, R]):
    """A route that answers by pages: called, it gives one page; `pages`, `rows` and `frame` go on to the last."""

    answer: type[A]
    page: int | None  # rows of a page where all of them are wanted

    @overload
    def __get__(self, at: None, owner: type) -> Self: ...
    @overload
    def __get__(self, at: Calls[Blocking], owner: type) -> "Paged[P, A, R]": ...
    @overload
    def __get__(self, at: Calls[Awaiting], owner: type) -> "AsyncPaged[P, A, R]": ...
    def __get__(self, at: Any, owner: type) -> Any:
        if at is None:
            return self
        return bound(self, (Paged if isinstance(at._driver, Blocking) else AsyncPaged)(self, at._driver))

    def plan(self, driver: Driver, *args: P.args, **kwargs: P.kwargs) -> Plan[A]:
        return self._plan(driver, self.request(*args, **kwargs))

    def all(self, driver: Driver, *args: P.args, **kwargs: P.kwargs) -> Telling[A]:
        request = self.request(*args, **kwargs)
        if self.page is not None and not any(name == "limit" for name, _ in request.query):
            request = request.asking("limit", str(self.page))
        return self._all(driver, request)

    def rows(self, driver: Driver, *args: P.args, **kwargs: P.kwargs) -> Telling[R]:
        return _each(self.all(driver, *args, **kwargs))

    def frame(self, driver: Driver, *args: P.args, **kwargs: P.kwargs) -> "Plan[pl.DataFrame]":
        return self._frame(self.all(driver, *args, **kwargs))

    def _plan(self, driver: Driver, request: Request) -> Plan[A]:
        return read_model(self.answer, (yield from answered(request, driver.patience, driver.kept)))

    def _all(self, driver: Driver, request: Request) -> Telling[A]:
        seen: set[str] = set()
        while True:
            page = yield from self._plan(driver, request)
            yield Out(page)
            cursor = page.meta.cursor
            if cursor is None:
                return
            if cursor in seen:
                raise Unreadable(f"{request.path}: the pages go in a circle")
            seen.add(cursor)
            request = request.asking("cursor", cursor)

    def _frame(self, telling: Telling[A]) -> "Plan[pl.DataFrame]":
        rows: list[Row] = []
        result = None
        while True:
            try:
                effect = telling.send(result)
            except StopIteration:
                break
            if isinstance(effect, Out):
                rows += effect.value.data
                result = None
            else:
                result = yield effect
        frame: pl.DataFrame = yield Work(lambda: frame_of(self.answer.row(), rows))
        return frame


class Paged(Generic[P, A, R]):
    """A paged route of a Client."""

    def __init__(self, route: Pages[P, A, R], driver: Blocking) -> None:
        self._route, self._driver = route, driver

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> A:
        return self._driver.run(self._route.plan(self._driver, *args, **kwargs))

    def pages(self, *args: P.args, **kwargs: P.kwargs) -> Iterator[A]:
        return self._driver.iterate(self._route.all(self._driver, *args, **kwargs))

    def rows(self, *args: P.args, **kwargs: P.kwargs) -> Iterator[R]:
        return self._driver.iterate(self._route.rows(self._driver, *args, **kwargs))

    def frame(self, *args: P.args, **kwargs: P.kwargs) -> "pl.DataFrame":
        """All rows as a Polars frame."""
        return self._driver.run(self._route.frame(self._driver, *args, **kwargs))


class AsyncPaged(Generic[P, A, R]):
    """A paged route of an AsyncClient."""

    def __init__(self, route: Pages[P, A, R], driver: Awaiting) -> None:
        self._route, self._driver = route, driver

    async def __call__(self, *args: P.args, **kwargs: P.kwargs) -> A:
        return await self._driver.run(self._route.plan(self._driver, *args, **kwargs))

    def pages(self, *args: P.args, **kwargs: P.kwargs) -> AsyncIterator[A]:
        return self._driver.iterate(self._route.all(self._driver, *args, **kwargs))

    def rows(self, *args: P.args, **kwargs: P.kwargs) -> AsyncIterator[R]:
        return self._driver.iterate(self._route.rows(self._driver, *args, **kwargs))

    async def frame(self, *args: P.args, **kwargs: P.kwargs) -> "pl.DataFrame":
        """All rows as a Polars frame."""
        return await self._driver.run(self._route.frame(self._driver, *args, **kwargs))


def get(path: str, answer: type[M], **fixed: str) -> Callable[[Declared[P]], Call[P, M]]:
    """A GET route; `fixed` are parameters that the client always sends."""
    return lambda declared: _call("GET", path, lambda got: read_model(answer, got), declared, fixed)


def get_text(path: str) -> Callable[[Declared[P]], Call[P, str]]:
    """A GET route whose answer is no JSON."""
    return lambda declared: _call("GET", path, lambda got: got.body.decode(), declared, {})


def post(path: str, answer: type[M]) -> Callable[[Declared[P]], Call[P, M]]:
    """A POST route that changes nothing, so that it can be asked again; its parameters are the body."""
    return lambda declared: _call("POST", path, lambda got: read_model(answer, got), declared, {})


def paged(
    path: str, answer: type[A], row: type[R], *, page: int | None = LARGE_PAGE, **fixed: str
) -> Callable[[Declared[P]], Pages[P, A, R]]:
    """A GET route with a cursor; `page` is None where without a limit it answers everything at once."""
    assert answer.row() is row

    def made(declared: Declared[P]) -> Pages[P, A, R]:
        route: Pages[P, A, R] = Pages("GET", path, declared, fixed)
        route.answer, route.page = answer, page
        return route

    return made


def _call(
    method: str, path: str, read: Callable[[Received], T], declared: Declared[P], fixed: dict[str, str]
) -> Call[P, T]:
    route: Call[P, T] = Call(method, path, declared, fixed)
    route.read = read
    return route


def _each(telling: Telling[Any]) -> Telling[Any]:
    """The rows of the pages."""
    result = None
    while True:
        try:
            effect = telling.send(result)
        except StopIteration:
            return
        if isinstance(effect, Out):
            for row in effect.value.data:
                yield Out(row)
            result = None
        else:
            result = yield effect


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
