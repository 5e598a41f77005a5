"""The node's own database user: what it needs and nothing else, tried on a real MariaDB."""

import os
from collections.abc import Iterator
from urllib.parse import urlsplit, urlunsplit

import pytest
from sqlalchemy import text

from ray_app.model.errors import StoreUnavailable
from ray_app.store.engine import Database
from tests.kuberay.manifests import KUBERAY
from tests.servers import MariaDB

USER, OURS, THEIRS = "news_collector", ("crypto_prices", "stock_market_news"), "crypto_transactions"


def statements(password: str | None, suffix: str) -> list[str]:
    """The file's statements, for names that are this test's own: the server may be somebody's."""
    sql = (KUBERAY / "news_collector.sql").read_text()
    lines = [line for line in sql.splitlines() if not line.startswith("--")]
    for name in (USER, *OURS):
        lines = [line.replace(name, name + suffix) for line in lines]
        lines = [
            line.replace(name.replace("_", r"\_"), (name + suffix).replace("_", r"\_")) for line in lines
        ]
    first = [f"SET @password = '{password}'"] if password else []
    return first + [one.strip() for one in "\n".join(lines).split(";") if one.strip()]


@pytest.fixture(scope="module")
def collector(mariadb: MariaDB) -> Iterator[tuple[str, str]]:
    """The address of the server as the node's own user, and the suffix of the names."""
    mariadb.start()
    suffix = f"_{os.getpid()}"
    names = [name + suffix for name in (*OURS, THEIRS)] + [f"cryptoXprices{suffix}"]
    mariadb.execute(*(f"CREATE DATABASE `{name}`" for name in names[2:]))
    mariadb.execute(f"CREATE TABLE `{THEIRS}{suffix}`.orders (id INT)")
    try:
        for _ in range(2):  # the second run changes nothing
            mariadb.execute(*statements("it's a secret".replace("'", "''"), suffix))
        parts = urlsplit(mariadb.base)
        who = f"{USER}{suffix}:it%27s%20a%20secret@{parts.hostname}:{parts.port or 3306}"
        yield urlunsplit(parts._replace(netloc=who)), suffix
    finally:
        mariadb.execute(
            *(f"DROP DATABASE IF EXISTS `{name}`" for name in names),
            f"DROP USER IF EXISTS '{USER}{suffix}'@'%'",
        )


@pytest.mark.parametrize("name", OURS)
async def test_it_may_migrate_write_and_delete_in_its_own(collector: tuple[str, str], name: str):
    url, suffix = collector
    database = Database(f"{url}/{name}{suffix}")
    try:
        await database.prepare(simulated=False)
        await database.prepare(simulated=False)  # as each start does
        async with database.write() as connection:
            await connection.execute(text("INSERT INTO node (name, value) VALUES ('tried', '1')"))
            await connection.execute(text("UPDATE node SET value = '2' WHERE name = 'tried'"))
            await connection.execute(text("DELETE FROM node WHERE name = 'tried'"))
        assert await database.is_simulated() is False
    finally:
        await database.close()


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM `crypto_transactions{s}`.orders",
        "INSERT INTO `crypto_transactions{s}`.orders VALUES (1)",
        "CREATE TABLE `crypto_transactions{s}`.mine (id INT)",
        "CREATE TABLE `cryptoXprices{s}`.mine (id INT)",  # an unescaped _ in a grant would let it in
        "SELECT * FROM mysql.user",
        "CREATE DATABASE `mine{s}`",
        "CREATE USER 'another{s}'@'%'",
        "GRANT SELECT ON `crypto_prices{s}`.* TO 'crypto_data'@'127.0.0.1'",
        "SELECT 1 INTO OUTFILE 'never{s}'",
    ],
)
async def test_it_may_nothing_else(collector: tuple[str, str], statement: str):
    url, suffix = collector
    database = Database(f"{url}/{OURS[0]}{suffix}")
    try:
        with pytest.raises(StoreUnavailable, match="denied"):
            async with database.write() as connection:
                await connection.execute(text(statement.format(s=suffix)))
    finally:
        await database.close()


async def test_it_does_not_even_see_the_other(collector: tuple[str, str]):
    url, suffix = collector
    database = Database(f"{url}/{OURS[0]}{suffix}")
    try:
        async with database.read() as connection:
            seen = {row[0] for row in await connection.execute(text("SHOW DATABASES"))}
    finally:
        await database.close()
    assert seen == {name + suffix for name in OURS} | {"information_schema"}


def test_without_a_password_nobody_is_made(mariadb: MariaDB):
    mariadb.start()
    with pytest.raises(Exception, match="syntax"):
        mariadb.execute(*statements(None, "_nobody"))
