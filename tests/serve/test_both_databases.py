"""SQLite and MariaDB give the same bytes for the same pages, and the same rows in exports."""

from pathlib import Path

from ray_app.store.export_files import ExportFiles
from ray_app.store.store import Store
from tests.serve.conftest import Running, Start, at, stable
from tests.serve.exporting import Desk
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
        places = [tmp_path / "exports", tmp_path / "exports-of-maria"]
        files = [ExportFiles(str(place)) for place in places]
        both: list[Running] = [await start(exports=files[0]), await start(over=maria, exports=files[1])]
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
        desks = [Desk(running, place) for running, place in zip(both, places, strict=True)]
        for what in ("prices", "bars", "exchange_rates"):
            for point in ({}, {"as_of": "2026-11-23T00:20:00Z"}):
                rows, same = [await desk.frame(await desk.made(what=what, **point)) for desk in desks]
                assert rows.height > 0
                assert rows.equals(same), what
        for desk in desks:
            await desk.close()
    finally:
        await maria.close()
