"""What a node sends to its database, counted where few statements are promised."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import event

from ray_app.store.store import Store


@contextmanager
def statements(store: Store) -> Iterator[list[str]]:
    """What goes to the database. What the door asks about keys every few seconds is none of it."""
    found: list[str] = []

    def note(connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
        if not statement.startswith(("PRAGMA", "BEGIN")) and "api_keys" not in statement:
            found.append(statement)

    engine = store.database.engine.sync_engine
    event.listen(engine, "before_cursor_execute", note)
    try:
        yield found
    finally:
        event.remove(engine, "before_cursor_execute", note)
