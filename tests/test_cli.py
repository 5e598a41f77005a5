"""The command line: what it says of a wrong setting, a missing store, a schedule that does not fit."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ray_app.app import open_with
from ray_app.cli import main
from ray_app.commands.config import read_config
from ray_app.settings import Settings

REPO = Path(__file__).parents[1]


def run(*arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    clean = {k: v for k, v in os.environ.items() if not k.startswith("CRYPTO_DATA_")}
    environment = clean | {f"CRYPTO_DATA_{name.upper()}": value for name, value in settings.items()}
    command = [sys.executable, "-m", "ray_app.cli", *arguments]
    return subprocess.run(
        command, cwd=REPO, env=environment, capture_output=True, text=True, timeout=120, check=False
    )


def refused(done: subprocess.CompletedProcess[str]) -> str:
    """The one line that it said; nothing else, no stack trace."""
    assert done.returncode == 2, done
    assert "Traceback" not in done.stderr
    return done.stderr.strip()


def test_an_unknown_setting_is_refused_with_the_nearest_name():
    said = refused(run("plan", coingecko_plam="demo"))
    assert said == (
        "crypto-data: CRYPTO_DATA_COINGECKO_PLAM is not a setting (did you mean CRYPTO_DATA_COINGECKO_PLAN?); "
        "remove it or see .env.example"
    )


def test_a_wrong_value_names_its_setting():
    said = refused(run("plan", coingecko_plan="golden"))
    assert said.startswith(
        "crypto-data: CRYPTO_DATA_COINGECKO_PLAN: Input should be 'keyless', 'demo' or 'paid'"
    )


@pytest.mark.parametrize(
    "command",
    [("status",), ("backed-up",), ("verify",), ("heal",), ("keys", "list"), ("explain", "a:b:2026-01-01:0")],
)
def test_without_a_store_it_says_how_to_get_one(command: tuple[str, ...], tmp_path: Path):
    said = refused(run(*command, data_dir=str(tmp_path / "nothing")))
    assert (
        said
        == f"crypto-data: there is no store at {tmp_path / 'nothing' / 'node.db'}: start the node once (crypto-data up)"
    )


def test_plan_prints_the_sums_and_refuses_what_does_not_fit():
    fits = run("plan", coingecko_plan="demo")
    assert fits.returncode == 0
    assert "10,000 calls a month" in fits.stdout
    assert "fits:" in fits.stdout
    too_much = run("plan", coingecko_plan="demo", coingecko_minutes="5")
    assert too_much.returncode == 1
    assert "REFUSED: coingecko on plan demo:" in too_much.stdout
    assert "17,856" in too_much.stdout, "8,928 calls x 2 attempts"


async def test_a_schedule_that_does_not_fit_refuses_to_start(
    settings_for: Callable[..., Settings], simulate: Any
):
    node = await open_with(settings_for(simulate(), coingecko_plan="demo", coingecko_minutes=5))
    await node.store.database.prepare(simulated=True)
    with pytest.raises(ValueError, match="more than 10,000 calls a month"):
        await node.declare(node.clock.now())
    await node.close()


def test_up_refuses_a_schedule_that_does_not_fit(tmp_path: Path, simulate: Any):
    settings = {"data_dir": str(tmp_path), "upstreams": simulate(), "port": "0", "dashboard_port": "0"}
    said = refused(run("up", **settings, coingecko_plan="demo", coingecko_minutes="5"))
    assert said.splitlines()[-1].startswith("crypto-data: coingecko on plan demo: ")
    assert "more than 10,000 calls a month" in said


def test_up_names_the_key_that_the_only_source_lacks(tmp_path: Path):
    alone = {"sources": "coingecko", "coingecko_plan": "paid", "port": "0", "dashboard_port": "0"}
    said = refused(run("up", data_dir=str(tmp_path), **alone))
    assert said.splitlines()[-1] == (
        "crypto-data: no source is configured: set CRYPTO_DATA_COINGECKO_PRO_KEY in .env, "
        "or choose a plan that needs no key"
    )


@pytest.fixture
def own_store(tmp_path: Path, monkeypatch: Any) -> Path:
    """An empty store of real data that the settings name; its folder."""
    monkeypatch.setenv("CRYPTO_DATA_DATA_DIR", str(tmp_path))
    import asyncio

    from ray_app.store.store import Store

    async def prepare() -> None:
        store = Store(Settings.read().database, str(tmp_path))
        await store.database.prepare(simulated=False)
        await store.close()

    asyncio.run(prepare())
    return tmp_path


def test_a_backup_is_reported_and_not_from_the_future(own_store: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["backed-up", "--at", "2026-11-20T01:00:00Z"]) == 0
    assert capsys.readouterr().out == "backed up at 2026-11-20T01:00:00Z\n"
    assert main(["backed-up", "--at", "2126-01-01"]) == 2
    assert (
        "2126-01-01T00:00:00+00:00 is in the future: say when the backup was begun" in capsys.readouterr().err
    )
    assert (own_store / "raw" / "backed-up").read_text() == "2026-11-20T01:00:00Z\n"


def test_keys_are_made_shown_once_listed_and_revoked(own_store: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["keys", "create", "desk", "--scopes", "read:prices,read:ops", "--per-hour", "50"]) == 0
    key = capsys.readouterr().out.strip()
    identity = key.split("_")[1]
    assert main(["keys", "list"]) == 0
    listed = capsys.readouterr().out
    assert identity in listed
    assert key not in listed
    assert main(["keys", "create", "desk", "--scopes", "read:everything"]) == 2
    assert "unknown scopes read:everything; there are read:prices" in capsys.readouterr().err
    assert main(["keys", "create", "desk"]) == 0
    capsys.readouterr()
    assert main(["keys", "create", "desk"]) == 2
    assert "desk has 2 live keys already" in capsys.readouterr().err
    assert main(["keys", "revoke", identity]) == 0
    assert main(["keys", "revoke", identity]) == 2
    assert main(["keys", "create", "desk"]) == 0


def test_a_misspelt_key_in_serve_config_is_named(tmp_path: Path):
    good = (REPO / "serve_config.yaml").read_text()
    assert read_config(REPO / "serve_config.yaml").applications[0].name == "collection"
    for right, wrong, named in (
        ("num_replicas: 1", "num_replica: 1", "applications[0].deployments[0].num_replica"),
        ("http_options:", "http_option:", "http_option"),
        ("  port: 8000", "  portt: 8000", "http_options.portt"),
        ("    args:", "    arg:", "applications[0].arg"),
    ):
        path = tmp_path / "serve_config.yaml"
        path.write_text(good.replace(right, wrong, 1))
        with pytest.raises(ValueError, match="would ignore") as error:
            read_config(path)
        assert named in str(error.value)


def test_an_unknown_argument_of_an_application_is_refused():
    from pydantic import ValidationError

    from ray_app.app import CollectionArgs

    with pytest.raises(ValidationError, match="shard"):
        CollectionArgs.model_validate({"release": "x", "shard": 2})


def test_a_store_of_the_other_kind_is_not_written_to(tmp_path: Path, simulate: Any):
    address = simulate()
    import asyncio

    from ray_app.store.store import Store

    async def prepare() -> None:
        store = Store(f"sqlite+aiosqlite:///{tmp_path / 'node.db'}", str(tmp_path / "raw"))
        await store.database.prepare(simulated=False)
        await store.close()

    asyncio.run(prepare())
    said = refused(run("heal", data_dir=str(tmp_path), upstreams=address, coingecko_plan="paid"))
    assert (
        said
        == "crypto-data: the store holds real data and the setting `upstreams` says simulated: change one"
    )


def test_no_simulator_at_the_address_is_said(tmp_path: Path):
    said = refused(run("status", data_dir=str(tmp_path), upstreams="http://127.0.0.1:9"))
    assert "no simulator answers at http://127.0.0.1:9" in said


@pytest.mark.slow
def test_backfill_heal_explain_verify_on_a_simulated_store(tmp_path: Path, simulate: Any):
    address = simulate("--coins", "90", "--no-limits")
    settings = {"data_dir": str(tmp_path), "upstreams": address, "coingecko_plan": "paid"}
    settings["sources"] = "coingecko"  # the others would be healed too, at their own pace
    import asyncio

    from ray_app.store.store import Store

    async def prepare() -> None:
        store = Store(f"sqlite+aiosqlite:///{tmp_path / 'node.db'}", str(tmp_path / "raw"))
        await store.database.prepare(simulated=True)
        await store.close()

    asyncio.run(prepare())
    ask = (
        "backfill",
        "coingecko.bars_1h",
        "--partitions",
        "BTC,shiba-inu",
        "--start",
        "2026-02-01",
        "--end",
        "2026-03-01",
    )
    done = run(*ask, **settings)
    assert done.returncode == 0, done.stderr
    receipt = json.loads(done.stdout)
    assert (receipt["requested"], receipt["new"], receipt["verified"]) == (
        2 * 28 * 24,
        2 * 28 * 24,
        {"collected": 2 * 28 * 24},
    )
    assert json.loads(run(*ask, **settings).stdout)["note"].startswith("done already at")
    wrong = refused(run("backfill", "coingecko.bars_1h", "--partitions", "NOPE", "--days", "3d", **settings))
    assert "NOPE is not collected by this stream; it has bitcoin, ethereum" in wrong
    assert "there are coingecko.prices" in refused(
        run("backfill", "coingecko.bars", "--days", "3d", **settings)
    )
    shown = run("explain", "coingecko.bars_1h:shiba-inu:2026-02-03T04:00:00+00:00:0", **settings)
    assert shown.returncode == 0, shown.stderr
    assert "/coins/shiba-inu/ohlc/range" in shown.stdout
    assert "undamaged" in shown.stdout
    healed = run("heal", "--reach", "2d", **settings)
    assert healed.returncode == 0, healed.stderr
    assert json.loads(healed.stdout)["filled"] > 0
    assert json.loads(run("heal", "--reach", "2d", **settings).stdout)["gaps"] == 0
    verified = run("verify", **settings)
    assert verified.returncode == 0, verified.stdout
    assert "DIFFERENT" not in verified.stdout
    (body, *_) = sorted((tmp_path / "raw" / "bodies").rglob("*.zst"))
    body.write_bytes(body.read_bytes()[:-20])
    damaged = run("verify", **settings)
    assert damaged.returncode == 1
    assert "could not replay" in damaged.stdout


def test_a_start_allows_as_many_open_files_as_the_machine_does():
    """Each open stream is one; many systems begin with 1,024."""
    script = (
        "import resource; _, hard = resource.getrlimit(resource.RLIMIT_NOFILE);"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard));"
        "from ray_app.commands.up import allow_open_files; allow_open_files();"
        "print(resource.getrlimit(resource.RLIMIT_NOFILE) == (hard, hard))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=REPO, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "True"
