"""Routes that answer by pages: one page, or all of them as an iterator or a frame.

All pages stand at the point in time of the first, so that they neither overlap nor skip.
"""

from collections.abc import AsyncIterator, Callable, Iterator
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, Self, TypeVar, overload

from ray_app.client.answers.answer import Row, Rows
from ray_app.client.asking import answered, read_model
from ray_app.client.drivers import Awaiting, Blocking, Driver
from ray_app.client.effects import Out, Plan, Request, Telling, Work
from ray_app.client.errors import Unreadable
from ray_app.client.frames import frame_of
from ray_app.client.routes import Calls, Declared, Route, bound

if TYPE_CHECKING:
    import polars as pl

P = ParamSpec("P")
A = TypeVar("A", bound=Rows[Any])
R = TypeVar("R", bound=Row)
LARGE_PAGE = 1000  # rows of a page where all of them are wanted


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
