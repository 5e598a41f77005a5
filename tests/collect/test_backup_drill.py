"""The drill: a node on a real MariaDB loses its database and its pages, and has both again from the second backup."""

import shutil
from datetime import timedelta
from hashlib import sha256
from pathlib import Path

import pytest
from sqlalchemy import text

from ray_app.collect.replay import replay
from ray_app.model.clock import SystemClock
from ray_app.sources import all_sources
from ray_app.sources.coingecko import BARS, PRICES
from ray_app.store.backup.restoring import restore
from ray_app.store.backup.saving import save
from ray_app.store.backup.target import Target
from ray_app.store.compacting import Compacting
from ray_app.store.compare import compare
from ray_app.store.engine import Database
from ray_app.store.store import Store
from tests.collect.conftest import Collect
from tests.collect.test_replay import Writes, taken
from tests.connect.conftest import Simulate
from tests.servers import MariaDB

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
KEY = "c3" * 32


async def checksums(database: Database) -> dict[str, tuple[int, str]]:
    """Rows and a checksum of every table, by the server's own text of each row."""
    out = {}
    async with database.read() as connection:
        for name in (await connection.execute(text("SHOW TABLES"))).scalars().all():
            rows = (await connection.execute(text(f"SELECT * FROM `{name}`"))).all()
            lines = "\n".join(sorted(repr(tuple(row)) for row in rows))
            out[name] = len(rows), sha256(lines.encode()).hexdigest()
    return out


def files(folder: Path) -> dict[str, bytes]:
    found = (path for path in folder.rglob("*") if path.is_file() and path.name != "backed-up")
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


@pytest.mark.slow
async def test_a_lost_node_comes_back_and_replays_to_the_same_facts(
    simulate: Simulate, collecting: Collect, fresh_mariadb_database: str, mariadb: MariaDB, tmp_path: Path
):
    simulated, url, raw = simulate(limits=False), fresh_mariadb_database, tmp_path / "raw"
    prices = await collecting(simulated, ["bitcoin", "ethereum", "silent"], PRICES, database=url)
    bars = await collecting(
        simulated, ["bitcoin", "delisted"], BARS, reach=3 * DAY, database=url, clock=prices.clock
    )
    bars.books.lease = prices.books.lease = await taken(bars.store)

    async def collect(looks: int) -> None:
        for _ in range(looks):
            for it in (prices, bars):
                await it.running.cycle()
            await prices.cycle_at_next_due()

    async def back_up(store: Store) -> int:
        done = await save(
            store, Target(str(tmp_path / "backups"), KEY), "test", SystemClock().now(), 28 * DAY
        )
        return done.new

    await collect(3)
    simulated.fault("F10", status=500)
    await collect(1)
    simulated.heal()
    first = await back_up(prices.store)
    before = files(tmp_path / "backups" / "packs")
    Compacting(bars.store.raw).run(prices.clock.now() + DAY)
    await collect(3)
    second = await back_up(prices.store)
    assert second < first
    assert len(files(tmp_path / "backups" / "packs")) > len(before)
    assert await back_up(prices.store) == 0  # nothing is copied twice
    wanted, pages = await checksums(prices.store.database), files(raw)
    assert min(wanted[name][0] for name in ("prices", "bars", "slices", "series", "pages", "outbox")) > 0
    assert any(name.startswith("packs/") for name in pages)

    for it in (prices, bars):
        await it.store.close()
    name = url.rpartition("/")[2]
    mariadb.drop_database(name)
    shutil.rmtree(raw)
    mariadb.create_database(name)

    target = Target(str(tmp_path / "backups"), KEY)
    target.open(make=False)
    again = Store(url, str(raw))
    done = await restore(target, target.find(), again)
    assert await checksums(again.database) == wanted
    assert files(raw) == pages
    assert done.pages == wanted["pages"][0]
    await again.database.prepare(simulated=True)  # as a start does

    replayed = Store(f"sqlite+aiosqlite:///{tmp_path}/replayed.db", str(tmp_path / "unused"))
    await replayed.database.prepare(simulated=True)
    told = await replay(again.raw, Writes(replayed, await taken(replayed)), list(all_sources().values()))
    assert told.problems == []
    equal, different = await compare(again.database, replayed.database)
    assert different == []
    assert equal["bars"] == wanted["bars"][0]

    elsewhere = Store(f"sqlite+aiosqlite:///{tmp_path}/elsewhere.db", str(tmp_path / "elsewhere"))
    assert (
        await restore(target, target.find(), elsewhere)
    ).tables == done.tables  # also on the other database
    assert (await compare(again.database, elsewhere.database))[1] == []
    for store in (again, replayed, elsewhere):
        await store.close()
