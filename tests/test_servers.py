"""The servers that other tests rely on do what they promise."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import asyncmy
import pytest
import redis
from asyncmy.errors import Error
from redis.backoff import NoBackoff
from redis.retry import Retry
from sqlalchemy.engine import make_url

from tests.server_process import Process, free_port, missing
from tests.servers import MARIADB_URL, REDIS_URL, MariaDB, Redis, Server

REPO = Path(__file__).parents[1]


async def query(url: str, *statements: str) -> list[tuple[object, ...]]:
    """Run statements on one connection and return the rows of the last."""
    address = make_url(url)
    connection = await asyncmy.connect(
        host=address.host,
        port=address.port,
        user=address.username,
        password=address.password,
        database=address.database,
        autocommit=True,
    )
    try:
        async with connection.cursor() as cursor:
            for statement in statements:
                await cursor.execute(statement)
            return list(await cursor.fetchall())
    finally:
        await connection.ensure_closed()


def alive(pid: int) -> bool:
    """Running, and not a zombie that nobody has waited for."""
    with suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def running(server: Server | Process) -> int:
    """The number of its process, which there must be."""
    assert server.pid
    assert alive(server.pid)
    return server.pid


async def test_mariadb_restarts_on_its_port_with_its_data(mariadb: MariaDB, fresh_mariadb_database: str):
    await query(fresh_mariadb_database, "CREATE TABLE t (a INT)", "INSERT INTO t VALUES (1), (2)")
    first = running(mariadb)
    with mariadb.outage():
        assert mariadb.pid is None
        assert not alive(first)
        with pytest.raises(Error):
            await query(fresh_mariadb_database, "SELECT 1")
    assert running(mariadb) != first
    assert await query(fresh_mariadb_database, "SELECT a FROM t ORDER BY a") == [(1,), (2,)]


async def test_mariadb_keeps_a_commit_through_a_crash(mariadb: MariaDB, fresh_mariadb_database: str):
    await query(fresh_mariadb_database, "CREATE TABLE t (a INT)", "INSERT INTO t VALUES (7)")
    mariadb.kill()
    mariadb.start()
    assert await query(fresh_mariadb_database, "SELECT a FROM t") == [(7,)]


async def test_mariadb_is_durable_and_far_from_utc(mariadb: MariaDB):
    assert mariadb.pid
    rows = await query(mariadb.url(), "SELECT @@innodb_flush_log_at_trx_commit, @@time_zone, CURRENT_USER()")
    assert rows == [(1, "-09:30", "crypto_data@127.0.0.1")]


async def test_mariadb_needs_the_password(mariadb: MariaDB):
    wrong = make_url(mariadb.url()).set(password="wrong").render_as_string(hide_password=False)
    with pytest.raises(Error, match="Access denied"):
        await query(wrong, "SELECT 1")


async def test_each_fresh_database_is_empty_and_not_handed_out_twice(
    mariadb: MariaDB, fresh_mariadb_database: str
):
    assert await query(fresh_mariadb_database, "SHOW TABLES") == []
    name = make_url(fresh_mariadb_database).database or ""
    with pytest.raises(Error, match="database exists"):
        mariadb.create_database(name)


def test_redis_restarts_on_its_port_with_its_data(redis_server: Redis, fresh_redis_url: str):
    with redis.Redis.from_url(fresh_redis_url) as client:
        assert client.keys() == []
        client.set("price", "1.50")
        first = running(redis_server)
        with redis_server.outage():
            assert redis_server.pid is None
            assert not alive(first)
            with pytest.raises(redis.ConnectionError):
                client.get("price")
        assert running(redis_server) != first
        assert client.get("price") == b"1.50"
        redis_server.kill()
        redis_server.start()
        assert client.get("price") == b"1.50"


def test_redis_needs_the_password(redis_server: Redis, fresh_redis_url: str):
    host, port = fresh_redis_url.partition("@")[2].removesuffix("/0").split(":")
    once = Retry(NoBackoff(), 0)
    with (
        redis.Redis(host=host, port=int(port), retry=once) as client,
        pytest.raises(redis.AuthenticationError),
    ):
        client.ping()


def test_starting_twice_starts_one(redis_server: Redis):
    before = redis_server.pid
    redis_server.start()
    assert redis_server.pid == before


def test_a_server_that_cannot_start_tells_its_log(tmp_path: Path):
    def answers() -> None:
        raise ConnectionError("nobody there")

    broken = Process("sh", ["sh", "-c", "echo disk on fire; exit 3"], tmp_path / "log", answers)
    with pytest.raises(RuntimeError, match="disk on fire"):
        broken.start()
    assert broken.pid is None


def test_a_server_deaf_to_sigterm_is_killed_and_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("tests.server_process.STOP_SECONDS", 0.2)
    log = tmp_path / "log"

    def answers() -> None:
        assert "ready" in log.read_text()

    deaf = Process("deaf", ["sh", "-c", "trap '' TERM; echo ready; sleep 60"], log, answers)
    deaf.start()
    pid = running(deaf)
    with pytest.raises(RuntimeError, match="did not end"):
        deaf.stop()
    assert not alive(pid)
    os.killpg(pid, signal.SIGKILL)  # the shell's sleep, which is in its session


def test_no_server_outlives_a_run_that_is_killed(tmp_path: Path):
    run = """
import os, sys
from pathlib import Path
from tests.server_process import Process
sleeper = Process("sleep", ["sleep", "600"], Path(sys.argv[1]), lambda: None)
sleeper.start()
print(sleeper.pid, flush=True)
os.kill(os.getpid(), 9)
"""
    done = subprocess.run(
        [sys.executable, "-c", run, tmp_path / "log"], cwd=REPO, capture_output=True, check=False
    )
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    pid, deadline = int(done.stdout), time.monotonic() + 20
    while alive(pid):
        assert time.monotonic() < deadline, f"process {pid} still runs"
        time.sleep(0.02)


def test_ports_are_ours_while_a_server_is_down():
    ports = [free_port() for _ in range(50)]
    lowest_ephemeral = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    assert len(set(ports)) == 50
    assert max(ports) < lowest_ephemeral
    assert not any(listening(port) for port in ports)


def test_an_address_from_the_environment_is_used_and_left_running(
    redis_server: Redis, mariadb: MariaDB, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.setenv(REDIS_URL, redis_server.base)
    monkeypatch.setenv(MARIADB_URL, mariadb.base)
    for named, real in ((Redis(tmp_path), redis_server), (MariaDB(tmp_path), mariadb)):
        assert named.url() == real.url()
        with pytest.raises(pytest.skip.Exception, match="not ours to stop"):
            named.stop()
        named.close()
        assert running(real)


def test_a_missing_server_fails_in_ci_and_skips_elsewhere(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="not installed"):
        missing("mariadbd is not installed")
    monkeypatch.delenv("CI")
    with pytest.raises(pytest.skip.Exception, match="not installed"):
        missing("mariadbd is not installed")


async def test_ray_runs_a_task_defined_in_a_test(ray_session):
    class Adder:
        async def add(self, a: int, b: int) -> tuple[int, int]:
            return a + b, os.getpid()

    adder = ray_session.remote(Adder).remote()
    total, pid = await asyncio.wait_for(adder.add.remote(2, 3), 60)
    assert total == 5
    assert pid != os.getpid()
    ray_session.kill(adder)
