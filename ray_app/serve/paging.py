"""Paging: every page of a question stands at the same point in time, so pages neither overlap nor skip."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from starlette.requests import Request

from ray_app.serve.cursors import Cursors
from ray_app.serve.node import Node
from ray_app.serve.points import Standing, standing
from ray_app.serve.queries import Moments
from ray_app.serve.wire import text


@dataclass(frozen=True, slots=True)
class Page:
    """Which page is asked for: after which position (None: from the start), and how many rows."""

    standing: Standing
    limit: int | None
    after: list[Any] | None
    _question: Mapping[str, Any]
    _cursors: Cursors

    def next(self, position: list[Any], as_of: datetime) -> str:
        """The cursor of the page that follows `position`."""
        return self._cursors.write(self._question, position, as_of)


async def pinned(node: Node, request: Request, query: Moments, limit: int | None) -> Page:
    """Where the asked page stands: as the first page did. Raises Problem for a cursor of another question."""
    return await page_of(node, request.scope["path"], query, limit)


async def page_of(node: Node, path: str, query: Moments, limit: int | None) -> Page:
    """The same for the questions of `path`, which is part of what a cursor belongs to."""
    cursors = await node.cursors()
    question = query.model_dump(exclude={"cursor", "limit"}) | {"path": path}
    cursor: str | None = getattr(query, "cursor", None)
    if cursor is None:
        return Page(await node.standing(query), limit, None, question, cursors)
    position, as_of = cursors.read(cursor, question)
    return Page(await standing(node.clock, text(as_of), query.known_by), limit, position, question, cursors)
