"""SQLite and MariaDB give the same bytes for the same pages."""

from pathlib import Path

from ray_app.store.store import Store
from tests.serve.conftest import Running, Start, at, stable
from tests.serve.test_operations import everything_well
from tests.serve.test_points import ROUTES, ask, first_hours, later_events

OPERATIONS = ("/api/v1/health", "/api/v1/stats/collectors", "/api/v1/quotas")
LINEAGE = "/api/v1/lineage/coingecko.bars_1h:bitcoin:2026-11-22T22:00:00+00:00:1"


async def test_the_same_pages_give_the_same_answers(
    start: Start, fresh_mariadb_database: str, tmp_path: Path
):
    maria = Store(fresh_mariadb_database, str(tmp_path / "raw-of-maria"))
    await maria.database.prepare(simulated=True)
    try:
        both: list[Running] = [await start(), await start(over=maria)]
        for running in both:
            running.clock.set(at())
            await running.fill.declare()
            await first_hours(running)
            await later_events(running)
            await everything_well(running)
        for point in ({}, {"as_of": "2026-11-23T01:30:00Z"}, {"known_by": "2026-11-23T00:20:00Z"}):
            for running in both:
                running.clock.set(at(hours=30))
            one, two = [await ask(running, **point) for running in both]
            for (path, params), left, right in zip(ROUTES, one, two, strict=True):
                assert stable(left) == stable(right), (path, params, point)
        for path in (*OPERATIONS, LINEAGE):
            left, right = [await running.http.get(path) for running in both]
            assert (left.status_code, stable(left)) == (200, stable(right)), path
    finally:
        await maria.close()
