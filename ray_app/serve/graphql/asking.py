"""One GraphQL request: whose it is, where its questions stand in time, and what they wait for together."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from typing import Any, Generic, TypeVar

from strawberry.dataloader import DataLoader

from ray_app.serve.door import check_key
from ray_app.serve.graphql.rows import Told
from ray_app.serve.node import Node
from ray_app.serve.paging import Page, page_of
from ray_app.serve.points import Standing
from ray_app.serve.queries import Moments, Paged
from ray_app.serve.rest.historical import HistoricalQuery
from ray_app.serve.sentiment import Sentiments
from ray_app.serve.texts import Texts
from ray_app.serve.wire import Answer
from ray_app.store.keys import Key

T = TypeVar("T")
Batch = Callable[[list[Any]], Awaitable[Sequence[Any]]]


class Once(Generic[T]):
    """Work that is done when it is first asked for, and shared by all who ask."""

    def __init__(self, work: Callable[[], Awaitable[T]]) -> None:
        self._work = work
        self._task: asyncio.Future[T] | None = None

    async def __call__(self) -> T:
        if self._task is None:
            self._task = asyncio.ensure_future(self._work())
        return await asyncio.shield(self._task)


class Asking:
    """The context of the resolvers."""

    def __init__(self, node: Node, key: Key) -> None:
        self.node, self.key = node, key
        self.texts, self.sentiments = Texts(node), Sentiments(node)
        self._standing: dict[Moments, Once[Standing]] = {}
        self._loaders: dict[Hashable, DataLoader[Any, Any]] = {}

    def needs(self, scope: str) -> None:
        """Raise Problem when the key lacks the scope."""
        check_key(self.key, scope)

    async def standing(self, moments: Moments) -> Standing:
        """One for all fields of the request that ask about the same points in time."""
        once = self._standing.get(moments)
        if once is None:
            once = self._standing[moments] = Once(lambda: self.node.standing(moments))
        return await once()

    async def page(self, field: str, query: Paged | HistoricalQuery, **of: Any) -> Page:
        """The page that a field asks for; `of`: what belongs to its question besides."""
        path = "graphql " + " ".join([field, *(f"{name}={value}" for name, value in sorted(of.items()))])
        return await page_of(self.node, path, query, query.limit)

    def loader(
        self, question: Hashable, batch: Batch, key: Callable[[Any], Hashable]
    ) -> DataLoader[Any, Any]:
        """Collects what fields on one level of the query ask, and asks it at once. One for each question."""
        found = self._loaders.get(question)
        if found is None:
            found = self._loaders[question] = DataLoader(batch, cache_key_fn=key)
        return found

    def meta(self, answer: Answer) -> dict[str, Any]:
        """What `meta` tells of an answer."""
        now = self.node.clock.now()
        told = {"reasons": (), "gaps": (), "left_out": (), "left_out_features": (), **answer.meta}
        return told | {"generated_at": now, "age_seconds": answer.age(now)}

    def told(self, answer: Answer, row: Mapping[str, Any] | None = None) -> Told:
        """An answer whose meta is there already, as a row."""

        async def meta() -> Mapping[str, Any]:
            return self.meta(answer)

        return Told(answer.payload if row is None else row, meta)

    def listed(self, answer: Answer) -> Told:
        """An answer whose rows are all told at once."""
        return self.told(answer, {"nodes": answer.payload["data"]})

    def connection(self, answer: Answer, nodes: Sequence[Any] | None = None, **also: Any) -> Told:
        """A paged answer; `also`: what stands beside its rows."""
        rows: Sequence[Any] = answer.payload["data"] if nodes is None else nodes
        cursor = answer.meta["cursor"]
        row = {
            "nodes": rows,
            "edges": [_Edge(answer, n, one) for n, one in enumerate(rows)],
            "page_info": {"has_next_page": cursor is not None, "end_cursor": cursor},
            "total": answer.payload.get("total"),
        }
        return self.told(answer, row | also)


class _Edge:
    """A row with its cursor, which is signed only if it is asked for."""

    def __init__(self, answer: Answer, number: int, node: Any) -> None:
        self.node, self._answer, self._number = node, answer, number

    @property
    def cursor(self) -> str | None:
        return self._answer.after(self._number) if self._answer.after is not None else None
