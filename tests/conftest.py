"""Fixtures for every test: real servers, a local Ray, recorded data. Nothing starts unasked."""

import os

# Ray reads these when it is imported, so they come before every other import.
os.environ.pop("RAY_ADDRESS", None)  # tests never join a cluster that happens to be named here
os.environ |= {
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
    "RAY_AUTH_MODE": "disabled",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_DATA_DISABLE_PROGRESS_BARS": "1",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "WEBSOCKETS_MAX_LINE_LENGTH": "2097152",
}

import itertools
from collections.abc import Iterator
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

# The same examples in every run, and no time limit on one of them: a busy machine is not a failure.
settings.register_profile("same-every-time", derandomize=True, deadline=None)
settings.load_profile("same-every-time")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests by the servers they ask for, so that nobody has to remember it.

    Where two processes share the tests, a file stays with one of them, and so does all that starts Ray or a
    whole node: these take both cores, one after the other.
    """
    for item in items:
        for fixture in getattr(item, "fixturenames", ()):
            if fixture in MARKS:
                item.add_marker(MARKS[fixture])
        file = item.path.relative_to(REPO / "tests")
        whole = file.parts[0] in ("runtime", "soak") or file.name in ("test_up.py", "test_real_history.py")
        item.add_marker(pytest.mark.xdist_group("nodes" if whole else str(file)))


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
