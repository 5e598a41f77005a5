"""Backups: whole or refused, each thing once, and gone with what was deleted."""

import asyncio
import json
import shutil
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from ray_app.model.errors import StoreUnavailable, WrongStore
from ray_app.store.backup.restoring import Restored, restore
from ray_app.store.backup.saving import Made, save
from ray_app.store.backup.sealing import PIECE, Seal, Unsealable
from ray_app.store.backup.target import HEAD, BackupError, Target
from ray_app.store.compacting import Compacting
from ray_app.store.store import Store
from tests.store.conftest import Open
from tests.store.made import DAY, HOUR, T0, collected, price
from tests.store.test_raw import no_room

KEY, OTHER = "0a" * 32, "0b" * 32
SECRET = b"seven amber lanterns"


@pytest.fixture
def database_url(tmp_path: Path) -> str:
    return f"sqlite+aiosqlite:///{tmp_path}/node.db"


@dataclass
class Backing:
    """A node and a target for its backups, one a day."""

    node: Open
    folder: Path
    key: str | None = KEY
    days: int = 0

    @property
    def path(self) -> Path:
        return self.folder / "backups"

    def target(self, key: str | None = "mine") -> Target:
        return Target(str(self.path), self.key if key == "mine" else key)

    async def commit(self, *hours: int, body: bytes | None = None) -> None:
        for n in hours:
            one = collected([price("bitcoin", str(n + 1))], at=T0 + n * HOUR, body=body)
            for page in one.pages:
                await self.node.store.raw.keep(page)
            await self.node.commit(one)

    async def save(self, days: float = 1, keep: int = 28) -> Made:
        self.days += 1
        now = T0 + 100 * DAY + self.days * days * DAY
        return await save(self.node.store, self.target(), "1.2.3", now, timedelta(days=keep))

    async def restore(self, name: str = "elsewhere", key: str | None = "mine", at: Any = None) -> Restored:
        store = Store(f"sqlite+aiosqlite:///{self.folder}/{name}.db", str(self.folder / name))
        target = self.target(key)
        try:
            target.open(make=False)
            return await restore(target, target.find(at), store)
        finally:
            await store.close()

    def files(self, *folders: str) -> dict[str, bytes]:
        found = [p for f in folders or ("",) for p in sorted((self.path / f).rglob("*")) if p.is_file()]
        return {p.relative_to(self.path).as_posix(): p.read_bytes() for p in found}


@pytest.fixture
async def backing(node: Open, tmp_path: Path) -> Backing:
    made = Backing(node, tmp_path)
    await made.commit(*range(30))
    return made


async def dump(url: str) -> list[str]:
    """Every row of every table but leases, as text."""
    store = Store(url, "unused")
    out = []
    async with store.database.read() as connection:
        names = (
            await connection.execute(text("SELECT name FROM sqlite_master WHERE type = 'table'"))
        ).scalars()
        for name in sorted(names):
            rows = (await connection.execute(text(f"SELECT * FROM {name}"))).all()
            out += sorted(f"{name} {tuple(row)}" for row in rows)
    await store.close()
    return out


def raw_files(folder: Path) -> dict[str, bytes]:
    found = (p for p in folder.rglob("*") if p.is_file() and p.name != "backed-up")
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in found}


@pytest.mark.parametrize("key", [KEY, None], ids=["sealed", "open"])
async def test_what_is_restored_is_what_was_backed_up(backing: Backing, tmp_path: Path, key: str | None):
    backing.key = key
    made = await backing.save()
    done = await backing.restore()
    assert await dump(f"sqlite+aiosqlite:///{tmp_path}/elsewhere.db") == await dump(
        f"sqlite+aiosqlite:///{tmp_path}/node.db"
    )
    assert raw_files(tmp_path / "elsewhere") == raw_files(tmp_path / "raw")
    assert (done.pages, done.tables["prices"], done.files) == (30, 30, 90)
    assert (made.rows, made.migration, made.release) == (sum(done.tables.values()), done.migration, "1.2.3")
    assert (tmp_path / "elsewhere" / "backed-up").read_text().startswith("2026-06-10T00:00:00Z")
    seen = b"".join(backing.files().values())
    assert (b"crypto-data backup" in seen or b"coingecko" in seen) is False  # packed in either case
    assert KEY.encode() not in seen


async def test_only_what_is_new_is_written(backing: Backing):
    await backing.save()
    before = backing.files("packs")
    again = await backing.save()
    assert (again.new, backing.files("packs")) == (0, before)
    await backing.commit(30)
    third = await backing.save()
    assert third.bytes_written < sum(map(len, before.values()))
    assert 3 <= third.new <= 25  # three files, three listings, a piece of each table that changed
    assert before.items() <= backing.files("packs").items()
    assert (await backing.restore()).tables["prices"] == 31
    at = T0 + 102 * DAY
    assert (await backing.restore("earlier", at=at)).tables["prices"] == 30


async def test_pages_that_became_packs_are_restored(backing: Backing, tmp_path: Path):
    await backing.save()
    Compacting(backing.node.store.raw).run(T0 + DAY)
    await backing.save(keep=1)
    done = await backing.restore()
    assert (done.pages, done.files) == (30, 6 * 3 + 1)


async def test_files_that_move_while_they_are_copied_are_found(
    backing: Backing, monkeypatch: pytest.MonkeyPatch
):
    raw = backing.node.store.raw
    moved: list[str] = []
    get = raw.files.get

    def moving(name: str) -> bytes:
        if not moved and name.startswith("pages/"):
            moved.append(name)
            Compacting(type(raw)(raw.path)).run(T0 + DAY)
        return get(name)

    monkeypatch.setattr(raw.files, "get", moving)
    await backing.save()
    monkeypatch.undo()
    assert moved
    assert (await backing.restore()).pages == 30


async def test_a_collector_goes_on_meanwhile_and_the_backup_is_of_one_moment(backing: Backing):
    async def collect() -> None:
        for n in range(30, 60):
            await backing.commit(n)

    _, made = await asyncio.gather(collect(), backing.save())
    done = await backing.restore()
    assert done.pages == done.tables["pages"] == done.tables["slices"] == done.tables["prices"]
    assert 30 <= done.pages <= 60
    assert made.rows == sum(done.tables.values())


async def test_a_wrong_key_a_missing_one_and_one_too_many_are_told(backing: Backing, tmp_path: Path):
    await backing.save()
    with pytest.raises(BackupError, match=r"is not the key of .*: use the one it was made with"):
        await backing.restore(key=OTHER)
    with pytest.raises(BackupError, match="is sealed: set CRYPTO_DATA_BACKUP_KEY to its key"):
        await backing.restore(key=None)
    with pytest.raises(ValueError, match="64 hexadecimal digits, as `openssl rand -hex 32` prints") as error:
        await backing.restore(key="secret words")
    assert "secret words" not in str(error.value)
    shutil.rmtree(backing.path)
    backing.key = None
    await backing.save()
    with pytest.raises(BackupError, match="is not sealed, and CRYPTO_DATA_BACKUP_KEY is set"):
        await backing.restore(key=KEY)
    assert (
        not (tmp_path / "elsewhere.db").exists()
        or await dump(f"sqlite+aiosqlite:///{tmp_path}/elsewhere.db") == []
    )


@pytest.mark.parametrize("key", [KEY, None], ids=["sealed", "open"])
async def test_a_changed_byte_or_a_missing_end_of_any_file_is_refused(backing: Backing, key: str | None):
    """An index that is damaged costs time only: its pack is read instead."""
    backing.key = key
    await backing.save()
    whole = backing.files()
    for number, (name, content) in enumerate(whole.items()):
        middle = bytearray(content)
        middle[len(content) // 2] ^= 1
        for spoilt in (bytes(middle), content[:-1], None):
            path = backing.path / name
            path.write_bytes(spoilt) if spoilt is not None else path.unlink()
            place = f"spoilt{number}-{len(spoilt or b'')}-{spoilt is None}"
            if name.startswith("indexes/"):
                assert (await backing.restore(place)).pages == 30
            else:
                with pytest.raises((BackupError, ValueError)) as error:
                    await backing.restore(place)
                told = str(error.value)
                assert "copy it anew" in told or "no complete backup" in told or "name the target" in told, (
                    told
                )
            path.write_bytes(content)
    assert (await backing.restore()).pages == 30


async def test_a_damaged_file_is_written_anew_once_it_is_gone(backing: Backing):
    await backing.save()
    for path in (backing.path / "packs").rglob("*.pack"):
        path.unlink()
    made = await backing.save()
    assert (made.new > 30, made.damaged) == (True, [])
    assert (await backing.restore()).pages == 30


async def test_what_an_earlier_backup_lacks_is_told_and_nothing_is_taken_away(backing: Backing):
    await backing.save()
    for path in (backing.path / "packs").rglob("*.pack"):
        path.unlink()
    await backing.commit(30)
    made = await backing.save()
    assert made.bytes_freed == 0
    assert "where the node still runs, remove that file and back up again" in made.damaged[0]
    assert (await backing.restore()).pages == 31


async def test_a_full_disk_leaves_the_backups_of_before(backing: Backing):
    await backing.save()
    before = backing.files()
    await backing.commit(30)
    with (
        no_room(),
        pytest.raises(StoreUnavailable, match=r"backups at .* cannot be written: .*free or mount"),
    ):
        await backing.save()
    assert backing.files() == before
    assert (await backing.restore()).tables["prices"] == 30
    await backing.save()
    assert (await backing.restore("later")).tables["prices"] == 31


async def test_a_backup_that_was_stopped_is_none_and_the_next_one_uses_what_it_wrote(
    backing: Backing, monkeypatch: pytest.MonkeyPatch
):
    def stopped(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Target, "commit", stopped)
    monkeypatch.setattr("ray_app.store.backup.target.PACK", 1)  # every content in a pack of its own
    with pytest.raises(KeyboardInterrupt):
        await backing.save()
    monkeypatch.undo()
    with pytest.raises(BackupError, match="no complete backup"):
        await backing.restore()
    for path in (backing.path / "indexes").iterdir():  # as if it died between a pack and its index
        path.unlink()
        break
    assert (await backing.save()).new < 20
    assert (await backing.restore()).pages == 30


async def test_nothing_is_restored_over_anything(backing: Backing, tmp_path: Path):
    await backing.save()
    await backing.restore()
    before = await dump(f"sqlite+aiosqlite:///{tmp_path}/elsewhere.db"), raw_files(tmp_path / "elsewhere")
    with pytest.raises(
        WrongStore, match=r"holds files: a restore goes into an empty place; restore elsewhere"
    ):
        await backing.restore()
    shutil.copytree(tmp_path / "elsewhere", tmp_path / "aside")
    shutil.rmtree(tmp_path / "elsewhere")
    with pytest.raises(WrongStore, match="has tables: a restore goes into an empty database"):
        await backing.restore()
    assert (
        await dump(f"sqlite+aiosqlite:///{tmp_path}/elsewhere.db"),
        raw_files(tmp_path / "aside"),
    ) == before
    with pytest.raises(BackupError, match="holds other files: give backups a place of their own"):
        Target(str(tmp_path / "aside"), KEY).open(make=True)


async def test_a_restore_that_did_not_end_is_no_node(backing: Backing, tmp_path: Path):
    await backing.save()
    packs = sorted((backing.path / "packs").rglob("*.pack"))
    packs[-1].write_bytes(b"")
    with pytest.raises(BackupError):
        await backing.restore()
    store = Store(f"sqlite+aiosqlite:///{tmp_path}/elsewhere.db", str(tmp_path / "elsewhere"))
    for start in (store.database.prepare(simulated=True), store.database.is_simulated()):
        with pytest.raises(
            WrongStore, match="was being restored and that did not end: empty it and restore again"
        ):
            await start
    await store.close()


async def test_tables_of_another_release_are_refused(backing: Backing, tmp_path: Path):
    await backing.save()
    target = backing.target()
    target.open(make=False)
    newest = target.find()
    newer = target.manifest(newest) | {"migration": "9999", "release": "9.0.0"}
    target.commit(T0 + 300 * DAY, newer)
    with pytest.raises(
        BackupError, match=r"migration 9999, which this release does not know: .* release 9\.0\.0"
    ):
        await backing.restore()
    assert not (tmp_path / "elsewhere").exists()
    async with backing.node.store.database.write() as connection:
        await connection.execute(text("UPDATE crypto_data_version SET version_num = '9999'"))
    with pytest.raises(WrongStore, match="back up with the release that runs there"):
        await backing.save()


async def test_what_was_deleted_leaves_with_the_backups_of_before(backing: Backing):
    backing.key = None  # so that the test can look
    backing.node.store.raw.files.put("bodies/aa/a.zst", SECRET)
    await backing.save()
    backing.node.store.raw.files.remove("bodies/aa/a.zst")

    def held() -> bool:
        target = backing.target()
        target.open(make=False)
        return any(SECRET in content for pack in target._packs for _, content in target._read(pack))

    for left in (2, 3):
        assert (await backing.save(keep=2)).backups_left == left
        assert held()
    last = await backing.save(keep=2)
    assert (last.backups_left, last.backups_forgotten) == (3, 1)
    assert not held()
    assert last.bytes_freed != 0
    assert (await backing.restore()).pages == 30
    backing.days += 100
    assert (await backing.save(keep=2)).backups_left == 1  # however long it had stood still, the newest stays
    assert len(backing.files("indexes")) == len(backing.files("packs"))


async def test_a_target_in_an_object_store(backing: Backing, tmp_path: Path):
    store = Store(f"sqlite+aiosqlite:///{tmp_path}/bucket.db", "memory://crypto-data-restored/raw")
    for _ in range(2):
        target = Target("memory://crypto-data-backups/here", KEY)
        await save(backing.node.store, target, "1.2.3", T0 + 100 * DAY, timedelta(days=28))
    reading = Target("memory://crypto-data-backups/here", KEY)
    reading.open(make=False)
    done = await restore(reading, reading.find(), store)
    await store.close()
    assert (done.pages, len(list(store.raw.pages()))) == (30, 30)


@pytest.mark.parametrize("size", [0, 1, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE])
def test_a_seal_opens_for_its_key_and_kind_only(size: int):
    seal, content = Seal(KEY), bytes(size)
    sealed = seal.close(content, "pack")
    assert seal.open(sealed, "pack") == content
    assert seal.close(content, "pack") != sealed
    pieces = [sealed[:-1], sealed + b"x", sealed[: len(sealed) // 2], sealed[:24], b""]
    if size == 3 * PIECE:
        step = PIECE + 16
        pieces += [sealed[:24] + sealed[24 + step :], sealed[: 24 + 2 * step]]  # without the first, the last
    for spoilt in pieces:
        with pytest.raises(Unsealable):
            seal.open(spoilt, "pack")
    for other, kind in ((seal, "index"), (Seal(OTHER), "pack")):
        with pytest.raises(Unsealable):
            other.open(sealed, kind)


async def test_the_head_says_what_it_is(backing: Backing):
    await backing.save()
    head = json.loads((backing.path / HEAD).read_text())
    assert (head["format"], head["sealed"]) == (1, True)
    (backing.path / HEAD).write_text(json.dumps(head | {"format": 2}))
    with pytest.raises(BackupError, match="is damaged"):
        await backing.restore()
