"""How a database's tables differ from those that this code speaks of, types and indexes included."""

from typing import Any

from sqlalchemy import Connection

from ray_app.store.tables import metadata
from ray_app.store.types import Instant

_MEANS = {"add": "is missing", "remove": "is unknown"}


def differences(connection: Connection, version_table: str) -> list[str]:
    """One line per difference, none when the shape is ours. Other tables are not looked at."""
    from alembic.autogenerate import compare_metadata  # here, since only a start needs it
    from alembic.migration import MigrationContext

    def ours(name: str | None, kind: str, _: Any) -> bool:
        return kind != "table" or name in metadata.tables

    options = {"compare_type": _other_type, "version_table": version_table, "include_name": ours}
    found = compare_metadata(MigrationContext.configure(connection, opts=options), metadata)
    return [_told(one[0] if isinstance(one, list) else one) for one in found]


def _other_type(_context: Any, _column: Any, _ours: Any, there: Any, wanted: Any) -> bool | None:
    """Alembic does not look at a DATETIME's digits. None leaves the answer to it."""
    return there.fsp != 6 if isinstance(wanted, Instant) and hasattr(there, "fsp") else None


def _told(difference: tuple[Any, ...]) -> str:
    """Alembic says what it would do: ("add_column", schema, table, column), ("modify_type", ..., new)."""
    what = difference[0].partition("_")
    if what[0] == "modify":
        _, _, table, column, _, there, wanted = difference
        return f"{table}.{column} is {there!r} instead of {wanted!r}"
    if what[2] == "column":
        name = f"{difference[2]}.{difference[3].name}"
    elif what[2] == "table":
        name = f"table {difference[1].name}"
    else:
        name = f"{what[2]} {difference[1].name} of {difference[1].table.name}"
    return f"{name} {_MEANS[what[0]]}"
