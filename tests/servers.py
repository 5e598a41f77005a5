"""Real servers for the tests: MariaDB and Redis, each a child process with its own folder, port and password.

They can be stopped, killed and started again on the same port with the same data, so that a test can see what
an outage does. Where an environment variable names a running server, that one is used instead; it cannot be
stopped from here.
"""

import asyncio
import os
import secrets
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit, urlunsplit

import pytest

from tests.server_process import Process, free_port, program

MARIADB_URL = "CRYPTO_DATA_TEST_MARIADB_URL"  # mysql+asyncmy://user:password@host:port
REDIS_URL = "CRYPTO_DATA_TEST_REDIS_URL"  # redis://:password@host:port


class Server:
    """What MariaDB and Redis have in common: an address, and a process unless the environment named it."""

    process: Process | None = None
    named_by = ""

    def own(self) -> Process:
        if self.process is None:
            pytest.skip(f"the server that {self.named_by} names is not ours to stop")
        return self.process

    @property
    def pid(self) -> int | None:
        """Of the running process; None while it is down."""
        return self.own().pid

    def start(self) -> None:
        if self.process:
            self.process.start()

    def stop(self) -> None:
        self.own().stop()

    def kill(self) -> None:
        self.own().kill()

    @contextmanager
    def outage(self) -> Iterator[None]:
        """Down inside the block, and up again after it whatever happened there."""
        self.stop()
        try:
            yield
        finally:
            self.start()

    def close(self) -> None:
        """End for good. Called once, by the fixture."""
        if self.process:
            self.process.stop()


class MariaDB(Server):
    """A MariaDB with its defaults for durability: a commit is on the disk before it is answered.

    Its time zone is far from UTC on purpose: what mixes the server's local time with UTC fails here and not
    only in somebody's cluster.
    """

    named_by = MARIADB_URL

    def __init__(self, folder: Path, *options: str) -> None:
        """`options`: more of the daemon's own; with any it is always one of ours."""
        self.base = "" if options else os.environ.get(MARIADB_URL, "")
        if self.base:
            return
        daemon = program("mariadbd")
        install = program("mariadb-install-db", "mysql_install_db")
        data, init, log = folder / "data", folder / "init.sql", folder / "server.log"
        user = ["--user=root"] if os.getuid() == 0 else []
        subprocess.run(
            [install, "--no-defaults", *user, f"--datadir={data}", "--skip-test-db"],
            check=True,
            capture_output=True,
            stdin=subprocess.DEVNULL,
        )
        password, port = secrets.token_hex(12), free_port()
        # One statement a line, run at every start before the first connection is taken.
        init.write_text(
            f"CREATE USER IF NOT EXISTS 'crypto_data'@'127.0.0.1' IDENTIFIED BY '{password}';\n"
            "GRANT ALL PRIVILEGES ON *.* TO 'crypto_data'@'127.0.0.1' WITH GRANT OPTION;\n"
        )
        self.base = f"mysql+asyncmy://crypto_data:{password}@127.0.0.1:{port}"
        self.process = Process(
            "mariadbd",
            [
                daemon,
                "--no-defaults",
                *user,
                f"--datadir={data}",
                f"--init-file={init}",
                f"--pid-file={folder / 'server.pid'}",
                # A socket's path holds at most 107 bytes; relative to the data folder it is short.
                "--socket=server.sock",
                "--bind-address=127.0.0.1",
                f"--port={port}",
                "--skip-name-resolve",
                "--skip-log-bin",
                "--innodb-flush-log-at-trx-commit=1",
                "--innodb-buffer-pool-size=48M",
                "--innodb-log-file-size=16M",
                "--performance-schema=OFF",
                "--max-connections=100",
                "--default-time-zone=-09:30",
                *options,
            ],
            log,
            lambda: self.execute("SELECT 1"),
        )
        self.process.start()

    def url(self, database: str = "") -> str:
        """SQLAlchemy's address of one database: mysql+asyncmy://user:password@host:port/database."""
        parts = urlsplit(self.base)
        return urlunsplit(parts._replace(path=f"/{database}"))

    def execute(self, *statements: str) -> list[tuple[Any, ...]]:
        """Run SQL from any test, async or not: on a connection, loop and thread of its own; the last one's rows."""

        async def run() -> list[tuple[Any, ...]]:
            import asyncmy

            parts = urlsplit(self.base)
            connection = await asyncmy.connect(
                host=parts.hostname,
                port=parts.port or 3306,
                user=unquote(parts.username or ""),
                password=unquote(parts.password or ""),
                autocommit=True,
                connect_timeout=5,
            )
            try:
                async with connection.cursor() as cursor:
                    for statement in statements:
                        await cursor.execute(statement)
                    return list(await cursor.fetchall())
            finally:
                await connection.ensure_closed()

        with ThreadPoolExecutor(1) as thread:
            return thread.submit(lambda: asyncio.run(run())).result()

    def create_database(self, name: str) -> str:
        """Make an empty database and return its URL. An existing one is an error: it may be somebody's."""
        self.execute(f"CREATE DATABASE `{name}`")
        return self.url(name)

    def statements(self, name: str) -> list[str]:
        """What makes the same tables with the same rows again, in the database that is used then."""
        made = ["SET FOREIGN_KEY_CHECKS = 0"]
        for (table,) in self.execute(f"SHOW TABLES FROM `{name}`"):
            [(_, create)] = self.execute(f"SHOW CREATE TABLE `{name}`.`{table}`")
            made += [create, f"INSERT INTO `{table}` SELECT * FROM `{name}`.`{table}`"]
        return made

    def drop_database(self, name: str) -> None:
        self.execute(f"DROP DATABASE `{name}`")


class Redis(Server):
    """A Redis that appends every write to its file before it answers."""

    named_by = REDIS_URL

    def __init__(self, folder: Path, **more: str | int | Path) -> None:
        """`more`: further settings of the daemon; with any it is always one of ours."""
        self.base = "" if more else os.environ.get(REDIS_URL, "")
        if self.base:
            return
        daemon = program("redis-server")
        password, port = secrets.token_hex(12), free_port()
        self.base = f"redis://:{password}@127.0.0.1:{port}"
        options = {
            "bind": "127.0.0.1",
            "port": port,
            "requirepass": password,
            "dir": folder,
            "appendonly": "yes",
            "appendfsync": "always",
            "save": "",
            "daemonize": "no",
            "maxmemory": "64mb",
            "maxmemory-policy": "noeviction",
            **more,
        }
        command = [daemon, *(part for name, value in options.items() for part in (f"--{name}", str(value)))]
        self.process = Process("redis-server", command, folder / "server.log", self.ping)
        self.process.start()

    def url(self, database: int = 0) -> str:
        """redis://:password@host:port/database"""
        return urlunsplit(urlsplit(self.base)._replace(path=f"/{database}"))

    def ping(self) -> None:
        import redis

        with redis.Redis.from_url(self.url(), socket_timeout=5) as client:
            client.ping()

    def empty(self, database: int = 0) -> None:
        """Remove every key of one database."""
        import redis

        with redis.Redis.from_url(self.url(database), socket_timeout=5) as client:
            client.flushdb()
