"""The commands backup, restore and compact: what they print, what they refuse, and that a backup's age is told."""

import asyncio
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from ray_app.cli import main
from ray_app.model.clock import SystemClock
from ray_app.settings import Settings
from ray_app.store.store import Store
from tests.store.made import collected, price
from tests.test_cli import own_store

__all__ = ["own_store"]
KEY = "5e" * 32
Said = pytest.CaptureFixture[str]


async def filled(data: Path) -> None:
    """Ten days of one price a day, up to yesterday."""
    settings = Settings.read()
    store = Store(settings.database, settings.raw)
    lease = await store.leases.acquire("shard", "me")
    assert lease is not None
    for n in range(1, 11):
        at = SystemClock().now() - timedelta(days=n)
        one = collected([price("bitcoin", str(n), at.replace(minute=0, second=0, microsecond=0))], at=at)
        for kept in one.pages:
            await store.raw.keep(kept)
        await store.commit([one], lease)
    await store.outbox.number(lease)
    await store.close()


@pytest.fixture
def data(own_store: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CRYPTO_DATA_BACKUP_PATH", str(own_store / "backups"))
    monkeypatch.setenv("CRYPTO_DATA_BACKUP_KEY", KEY)
    asyncio.run(filled(own_store))
    return own_store


def told(said: Said) -> Any:
    out = said.readouterr()
    assert KEY not in out.out + out.err
    return json.loads(out.out)


def refused(said: Said, *arguments: str) -> str:
    assert main(arguments) == 2
    out = said.readouterr()
    assert KEY not in out.out + out.err
    return out.err.strip()


def test_a_node_is_backed_up_verified_and_restored(data: Path, capsys: Said, tmp_path: Path):
    assert main(["backup"]) == 0
    made = told(capsys)
    assert (made["files"], made["damaged"], made["backups_left"]) == (30, [], 1)
    age = SystemClock().now().timestamp() - (data / "raw" / "backed-up").stat().st_mtime
    assert age < 60
    assert main(["backup", "--verify"]) == 0
    assert told(capsys)["pages"] == 10
    assert main(["backup", "--list"]) == 0
    assert "dev" in capsys.readouterr().out
    assert "holds files: a restore goes into an empty place" in refused(capsys, "restore")
    assert main(["restore", "--to", str(tmp_path / "elsewhere")]) == 0
    done = told(capsys)
    assert done["tables"]["prices"] == 10
    assert done["raw"] == str(tmp_path / "elsewhere" / "raw")
    assert "no complete backup of 2020-01-01" in refused(capsys, "restore", "--at", "2020-01-01")


def test_what_is_missing_or_wrong_is_said(data: Path, capsys: Said, monkeypatch: pytest.MonkeyPatch):
    assert "there is no backup at" in refused(capsys, "restore", "--from", str(data / "nowhere"))
    monkeypatch.setenv("CRYPTO_DATA_BACKUP_PATH", "")
    assert "say where backups are: --to, or CRYPTO_DATA_BACKUP_PATH" in refused(capsys, "backup")
    assert "say where backups are: --from" in refused(capsys, "restore")
    monkeypatch.setenv("CRYPTO_DATA_BACKUP_KEY", "hunter2 and more")
    said = refused(capsys, "backup", "--to", str(data / "backups"))
    assert "64 hexadecimal digits" in said
    assert "hunter2" not in said
    assert "two days at least" in refused(capsys, "compact", "--pages-older", "12h")


def test_two_do_not_do_it_at_once(data: Path, capsys: Said):
    async def held() -> int:
        store = Store(Settings.read().database, Settings.read().raw)
        assert await store.leases.acquire("upkeep", "another") is not None
        await store.close()
        return await asyncio.to_thread(main, ["compact"])

    assert asyncio.run(held()) == 2
    assert "upkeep is running elsewhere" in capsys.readouterr().err


def test_old_pages_are_packed_with_a_receipt(data: Path, capsys: Said):
    assert main(["compact", "--pages-older", "5d", "--events-older", "3d"]) == 0
    receipt = told(capsys)
    pages = receipt["pages"]
    assert pages["before"] == pages["after"]
    assert pages["before"]["pages"] == len(pages["days"]) >= 5
    assert pages["files_before"] == 3 * pages["before"]["pages"]
    assert pages["files_after"] == 0
    assert receipt["forgotten"]["events"]["prices"] >= 6
    assert main(["compact", "--pages-older", "5d"]) == 0
    assert told(capsys)["pages"]["days"] == []
