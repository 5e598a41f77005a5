"""The short part of `make drill`: an upgrade between two clusters of one node each, on MariaDB and Redis."""

import tempfile
from pathlib import Path

import pytest

from tests.drill.drills import collects
from tests.drill.manifest import small
from tests.drill.upgrade import upgrade
from tests.drill.world import world


@pytest.mark.slow
@pytest.mark.mariadb
@pytest.mark.redis
@pytest.mark.ray
async def test_an_upgrade_loses_nothing_doubles_nothing_and_answers_throughout() -> None:
    with tempfile.TemporaryDirectory() as name:  # short: the path of a socket has 107 letters at most
        async with world(Path(name), 10.0) as it, it.cluster("0.1.0", small()) as first:
            await first.start()
            await first.deploy()
            it.service.target = first.port
            await collects(it)
            report = await upgrade(it, first, "0.2.0")
    assert report.broken == [], report.figures
