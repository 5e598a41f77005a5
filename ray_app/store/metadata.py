"""What every table shares: one list of them, and how MariaDB keeps them."""

from typing import Any

from sqlalchemy import MetaData, Table

metadata = MetaData()
_MYSQL: dict[str, Any] = {
    "mysql_charset": "utf8mb4",
    "mysql_collate": "utf8mb4_bin",
    "mysql_engine": "InnoDB",
}


def table(title: str, *parts: Any) -> Table:
    return Table(title, metadata, *parts, **_MYSQL)
