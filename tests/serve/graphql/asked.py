"""How a node is asked by GraphQL, and what it asks of its database meanwhile."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import event

from tests.serve.conftest import Running


async def ask(node: Running, query: str, status: int = 200, /, **variables: Any) -> Any:
    """The body; fails with it when the status is another."""
    answer = await node.http.post("/graphql", json={"query": query, "variables": variables})
    assert answer.status_code == status, answer.text
    return answer.json()


async def data(node: Running, query: str, /, **variables: Any) -> Any:
    """The data of an answer without errors."""
    body = await ask(node, query, **variables)
    assert "errors" not in body, body["errors"]
    return body["data"]


@contextmanager
def statements(node: Running) -> Iterator[list[str]]:
    """What a query sends to the database. What the door does every few seconds about keys is none of it."""
    found: list[str] = []

    def note(connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
        if not statement.startswith(("PRAGMA", "BEGIN")) and "api_keys" not in statement:
            found.append(statement)

    engine = node.store.database.engine.sync_engine
    event.listen(engine, "before_cursor_execute", note)
    try:
        yield found
    finally:
        event.remove(engine, "before_cursor_execute", note)
