"""Fixtures for every test: real servers, a local Ray, recorded data. Nothing starts unasked."""

import os

# Ray reads these when it is imported, so they come before every other import.
os.environ.pop("RAY_ADDRESS", None)  # tests never join a cluster that happens to be named here
os.environ |= {
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
    "RAY_AUTH_MODE": "disabled",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_DATA_DISABLE_PROGRESS_BARS": "1",
    "RAY_worker_niceness": "0",  # else a Ray's processes wait for the tests of another process
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "WEBSOCKETS_MAX_LINE_LENGTH": "2097152",
}

import asyncio
import itertools
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from tests.servers import MariaDB, Redis

REPO = Path(__file__).parents[1]
pytest_plugins = ["tests.nodes"]
MARKS = {
    "mariadb": "mariadb",
    "redis_server": "redis",
    "ray_session": "ray",
    "browser": "chromium",
}
database_numbers = itertools.count(1)
MEMORY = Path("/dev/shm")
ROOM = 4 * 2**30  # bytes; those of a test that passed are removed at once

# The same examples in every run, and no time limit on one of them: a busy machine is not a failure.
settings.register_profile("same-every-time", derandomize=True, deadline=None)
settings.load_profile("same-every-time")


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups (tests/architecture/test_groups.py)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark tests by the servers they ask for, so that nobody has to remember it.

    Where processes share the tests, a file stays with one of them, and so does all that starts a Ray: there is one
    at a time. Those begin first, then the other files with slow tests: what is left for the end is short, so both
    processes end at about the same time.
    """
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    places = {}
    for item in items:
        for fixture in getattr(item, "fixturenames", ()):
            if fixture in MARKS:
                item.add_marker(MARKS[fixture])
        file = item.path.relative_to(REPO / "tests")
        ray = item.get_closest_marker("ray") is not None or file.name == "test_up.py"
        alone = str(file) if file.parts[0] != "soak" else item.nodeid  # each takes two processes for minutes
        item.add_marker(pytest.mark.xdist_group("ray" if ray else alone))
        places[item] = (not ray, file.parts[0] != "soak", item.path not in slow)
    if hasattr(config, "workerinput"):
        items.sort(key=places.__getitem__)


def pytest_configure() -> None:
    """Temporary folders are in memory where it has room: what is written is proved, not that a disk keeps it.

    A process that is killed loses nothing of either. PYTEST_DEBUG_TEMPROOT, or --basetemp, names another place.
    """
    if MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > ROOM and _available() > 2 * ROOM:
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))


def _available() -> int:
    """Bytes of memory that nobody uses."""
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return 0


@pytest.fixture(scope="session")
def prepared_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A prepared store without data, to be copied: making one takes longer than most tests."""
    from ray_app.store.store import Store

    path = tmp_path_factory.mktemp("prepared") / "node.db"

    async def prepare() -> None:
        store = Store(f"sqlite+aiosqlite:///{path}", str(path.parent / "raw"))
        await store.database.prepare(simulated=True)
        await store.close()

    with ThreadPoolExecutor(1) as thread:
        thread.submit(lambda: asyncio.run(prepare())).result()
    return path


@pytest.fixture(scope="session")
def mariadb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MariaDB]:
    """A MariaDB for the whole run. Stop it only with `with mariadb.outage():`, others use it too."""
    server = MariaDB(tmp_path_factory.mktemp("mariadb"))
    try:
        yield server
    finally:
        server.close()


@pytest.fixture
def fresh_mariadb_database(mariadb: MariaDB) -> Iterator[str]:
    """The URL of a new, empty database; dropped after the test."""
    mariadb.start()
    name = f"test_{os.getpid()}_{next(database_numbers)}"
    yield mariadb.create_database(name)
    mariadb.start()
    mariadb.drop_database(name)


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Redis]:
    """A Redis for the whole run. Stop it only with `with redis_server.outage():`, others use it too."""
    server = Redis(tmp_path_factory.mktemp("redis"))
    try:
        yield server
    finally:
        server.close()


@pytest.fixture
def fresh_redis_url(redis_server: Redis) -> str:
    """The URL of the Redis, its database 0 emptied (also that of a server named by the environment)."""
    redis_server.start()
    redis_server.empty()
    return redis_server.url()


@pytest.fixture(scope="session")
def ray_session() -> Iterator[Any]:
    """Ray on this machine, for the whole run: the module, initialised. Name what you start by your test."""
    import ray

    ray.init(
        address="local",
        num_cpus=4,  # what tasks may claim together; they mostly wait, so a machine with 2 will do
        labels={"pool": "tests"},  # as on a cluster; `crypto-data up` has none
        include_dashboard=False,
        object_store_memory=100 * 1024 * 1024,
        log_to_driver=False,
    )
    try:
        yield ray
    finally:
        ray.shutdown()


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder with recorded real data. Not part of the repository: not all of it may be passed on."""
    folder = Path(os.environ.get("CRYPTO_DATA_SHARED") or REPO / "../shared/data").resolve()
    if not folder.is_dir():
        pytest.skip(f"no recorded data: {folder} does not exist (CRYPTO_DATA_SHARED names another folder)")
    return folder
