"""The check of the sources, run whole against the simulator; and single points on answers that refute them."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from ray_app.commands.check_points import judged
from ray_app.commands.check_probes import probes
from ray_app.commands.check_sources import MOST_CALLS, Answers, Checking, Pace, Probe, Told, before, within
from ray_app.configured import assignments
from ray_app.model.clock import ManualClock
from ray_app.model.errors import RateLimited
from ray_app.model.quota import Priority, Refusal
from ray_app.model.series import MoodIndex
from ray_app.model.source import Page
from ray_app.model.symbols import load_registry
from ray_app.settings import Settings
from ray_app.sources import all_sources

REPO = Path(__file__).parents[1]
NOW = datetime(2026, 6, 1, 10, 3, 21, tzinfo=UTC)
DAY = timedelta(days=1)
PLANTED = "planted-key-4f1c"
KEYS = ("fred_key", "guardian_key", "x_token", "etherscan_key", "reddit_id", "reddit_secret", "contact")
POINTS_AGAINST_THE_SIMULATOR = {
    "alternative: exactly three days are missing, in April 2018": "as assumed",
    "kraken: `since` is exclusive: the first candle is a later one": "as assumed",
    "coinbase: more than 300 candles are a 400 that says so": "as assumed",
    "coinmetrics: our metrics are free": "as assumed",
    "reddit: a token lasts a day": "as assumed",
    "x: the old names of fields still work": "as assumed",
    "defillama: days of stablecoins are texts": "as assumed",
    "edgar: times are those of New York, whatever the Z says": "OTHERWISE",
    "fred: a 429 says how long to wait": "could not be told",
}


def check(folder: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("CRYPTO_DATA_")}
    environment |= {f"CRYPTO_DATA_{name.upper()}": value for name, value in settings.items()}
    command = [sys.executable, "jobs/check_sources.py", "--into", str(folder)]
    environment |= {"CRYPTO_DATA_DATA_DIR": str(folder.parent / "node"), "PYTHONPATH": str(REPO)}
    return subprocess.run(
        command, cwd=REPO, env=environment, capture_output=True, text=True, timeout=300, check=False
    )


def outcomes(report: str) -> dict[str, str]:
    """Each point with the heading that it stands under."""
    found, heading = {}, ""
    for line in report.partition("\nanswers\n")[0].splitlines():
        if line and not line.startswith(" "):
            heading = line.partition(":")[0]
        elif line.startswith("  ") and not line.startswith("   "):
            found[line.strip()] = heading
    return found


@pytest.mark.slow
def test_every_source_is_asked_within_the_calls_and_nothing_else_is_written(
    tmp_path: Path, simulate: Any
) -> None:
    address = simulate("--no-limits", "--speed", "60", "--plan", "demo", "--key", PLANTED, "--seed", "7")
    folder = tmp_path / "answers"
    done = check(folder, upstreams=address, coingecko_plan="demo", coingecko_demo_key=PLANTED)
    assert done.returncode == 1, done.stderr
    assert done.stderr.startswith(
        f"{MOST_CALLS} calls to {len(all_sources())} simulated upstreams, never more than"
    )
    report = (folder / "report.txt").read_text()
    assert report == done.stdout
    assert "SIMULATED upstreams" in report.splitlines()[0]
    found = outcomes(report)
    assert {point: found.get(point) for point in POINTS_AGAINST_THE_SIMULATOR} == POINTS_AGAINST_THE_SIMULATOR
    assert sum("every answer can be read" in point for point in found) == len(all_sources())
    assert {found[p] for p in found if "every answer can be read" in p} == {"as assumed"}

    envelopes = [json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))]
    assert {one["source"] for one in envelopes} == set(all_sources())
    for path in folder.glob("*.json"):
        page = Page(**_page(json.loads(path.read_text()), path.with_suffix(".body").read_bytes()))
        assert page.body_hash == json.loads(path.read_text())["body"]
        assert "x-simulated" in page.headers
    with httpx.Client(base_url=address) as http:
        arrivals = http.get("/sim/ledger").raise_for_status().json()["arrivals"]
    assert len(envelopes) <= len(arrivals) <= MOST_CALLS
    assert not (tmp_path / "node").exists(), "no database, no raw pages"
    for path in folder.iterdir():
        text = path.read_bytes()
        assert PLANTED.encode() not in text
        assert b"sim-secret" not in text


def _page(envelope: dict[str, Any], body: bytes) -> dict[str, Any]:
    times = {k: datetime.fromisoformat(envelope[k]) for k in ("asked_at", "received_at")}
    return envelope | times | {"body": body}


def test_what_is_not_configured_is_skipped_with_a_notice(tmp_path: Path) -> None:
    settings = Settings.model_validate({"data_dir": tmp_path})
    assigned = assignments(settings)
    asked, calls = within(probes(assigned, load_registry(), NOW), MOST_CALLS)
    lines: list[str] = []
    before(assigned, asked, calls, settings.simulated, lines.append)
    missing = {"fred", "guardian", "reddit", "x", "etherscan", "edgar"}
    assert {line.partition(" ")[0] for line in lines if "not configured" in line} == missing
    assert {probe.source for probe in asked} == set(all_sources()) - missing
    assert "real upstreams" in lines[0]
    assert "CRYPTO_DATA_FRED_KEY" in next(line for line in lines if line.startswith("fred "))


def test_with_every_key_the_calls_stay_under_100_and_each_stream_that_counts_is_asked(tmp_path: Path) -> None:
    settings = Settings.model_validate({"data_dir": tmp_path} | dict.fromkeys(KEYS, PLANTED))
    assigned = assignments(settings)
    every = probes(assigned, load_registry(), NOW)
    asked, calls = within(every, MOST_CALLS)
    assert calls == sum(probe.most for probe in asked) <= MOST_CALLS
    streams = {(probe.source, probe.stream) for probe in asked}
    needed = {(probe.source, probe.stream) for probe in every if not probe.spare}
    assert streams >= needed
    assert all(probe.spare for probe in every if probe not in asked)
    lines: list[str] = []
    before(assigned, asked, calls, settings.simulated, lines.append)
    assert "x charges for it: $0.100 at the most" in lines


def test_more_than_the_calls_are_refused() -> None:
    needed = [Probe("fred", str(n), "macro") for n in range(4)]
    assert within([*needed, replace(needed[0], name="spare", spare=True)], 4) == (needed, 4)
    with pytest.raises(ValueError, match="4 calls are planned, 3 are the most"):
        within(needed, 3)


async def test_each_source_is_asked_at_its_own_pace_and_not_again_after_a_refusal() -> None:
    (guardian,) = (
        a
        for a in assignments(Settings.model_validate({"guardian_key": PLANTED}))
        if a.source.name == "guardian"
    )
    clock = ManualClock(NOW)
    pace = Pace(guardian, clock)
    times = [(await pace.turn(Priority.BACKFILL)).not_before for _ in range(3)]
    assert times == [NOW, NOW + timedelta(seconds=189), NOW + timedelta(seconds=378)], (
        "20 an hour and 5 % less"
    )
    await pace.refused(Refusal(clock.now()))
    with pytest.raises(RateLimited, match="not asked again"):
        await pace.turn(Priority.BACKFILL)


async def test_a_purse_that_is_empty_stops_it(tmp_path: Path) -> None:
    """Redirects and tokens count too, so the plan alone does not keep it."""
    sent = 0

    def answer(request: httpx.Request) -> httpx.Response:
        nonlocal sent
        sent += 1
        return httpx.Response(200, stream=httpx.ByteStream(b'{"data": []}'))  # not read yet, as from a socket

    settings = Settings.model_validate({"data_dir": tmp_path, "sources": "alternative"})
    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as http:
        checking = Checking(
            assignments(settings), ManualClock(NOW), http, tmp_path / "answers", simulated=False
        )
        probe = Probe("alternative", "any", "fear_greed", path="/")
        answers = await checking.run([probe] * (MOST_CALLS + 5))
    assert sent == answers.calls == MOST_CALLS
    assert [told.error for told in answers.told[MOST_CALLS:]] == ["Refused: 99 calls are spent"] * 5


def page(body: Any, status: int = 200, **headers: str) -> Page:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Page(
        source="any", stream="any", path="/", params={"since": "1780300800", "end": "2026-06-01T09:00:00Z"},
        status=status, headers=named, body=content, asked_at=NOW, received_at=NOW,
    )  # fmt: skip


def verdict(point: str, source: str, name: str, *pages: Page, stream: str = "any", **more: Any) -> Any:
    told = Told(Probe(source, name, stream), list(pages), records=more.pop("records", []))
    answers = Answers([told], {source: more.pop("plan", "public")}, **more)
    return next(seen for who, assumed, seen in judged(answers) if who == source and point in assumed)


def moods(*without: datetime) -> Sequence[MoodIndex]:
    days = [datetime(2018, 2, 1, tzinfo=UTC) + n * DAY for n in range(100)]
    return [
        MoodIndex(index="fear_greed", day=d, value=Decimal(5), label="Fear") for d in days if d not in without
    ]


def test_points_turn_out_otherwise() -> None:
    filings = {
        "filings": {
            "recent": {"acceptanceDateTime": ["2026-05-29T06:05:00.000Z", "2026-05-29T16:05:00.000Z"]}
        }
    }
    assert verdict("New York", "edgar", "filings", page(filings))[0] is True
    filings["filings"]["recent"]["acceptanceDateTime"] = ["2026-05-29T23:05:00.000Z"]
    assert verdict("New York", "edgar", "filings", page(filings))[0] is False

    def candles(first: int) -> Page:
        return page({"error": [], "result": {"XXBTZUSD": [[first, "1"]], "last": first}})

    assert verdict("`since`", "kraken", "bars_1h", candles(1780304400))[0] is True
    assert verdict("`since`", "kraken", "bars_1h", candles(1780300800))[0] is False

    assert verdict("after today", "fred", "after today", page({"observations": []}))[0] is False
    told = b'{"error_code":400,"error_message":"Bad Request.  ... can not be after today\'s date."}'
    assert verdict("after today", "fred", "after today", page(told, 400))[0] is True
    assert verdict("a 429 says", "fred", "any", page(b"slow down", 429))[0] is False
    assert verdict("a 429 says", "fred", "any", page(b"slow down", 429, retry_after="5"))[0] is True

    april = [datetime(2018, 4, day, tzinfo=UTC) for day in (14, 15, 16)]
    assert verdict("three days", "alternative", "fear_greed", records=moods(*april))[0] is True
    seen = verdict(
        "three days", "alternative", "fear_greed", records=moods(*april, datetime(2018, 5, 1, tzinfo=UTC))
    )
    assert seen == (False, "missing: 2018-04-14, 2018-04-15, 2018-04-16, 2018-05-01")

    limited = page([], x_ratelimit_limit="100")
    assert verdict("30 calls", "coingecko", "prices", limited, plan="demo")[0] is False
    assert verdict("30 calls", "coingecko", "prices", limited, plan="keyless")[0] is None
    assert verdict("does not tell its limit", "coingecko", "prices", limited)[0] is False
    assert verdict("a token", "reddit", "posts", token_seconds=3600)[0] is False
    tvl = verdict(
        "of stablecoins are texts", "defillama", "stablecoins", page([{"date": 1}]), stream="stablecoins"
    )
    assert tvl == (False, "1")
    assert verdict("old names", "x", "posts", page({"data": [{"id": "1", "text": "t"}]}))[0] is False
    deep = verdict("page 25", "guardian", "deep", page(b"beyond the number of available pages", 400))
    assert deep == (None, "there are fewer pages than that")


def test_an_answer_in_another_form_gives_no_verdict() -> None:
    """Whatever an upstream answers, the report is written."""
    for source in all_sources():
        bodies: tuple[Any, ...] = (b"<html>", [], {}, {"data": None}, {"result": {}}, 7, None)
        for body in bodies:
            for name in (
                "fear_greed",
                "bars_1h",
                "catalog",
                "gas",
                "fees",
                "deep",
                "over the limit",
                "after today",
            ):
                told = Told(Probe(source, name, "tvl"), [page(body)])
                for _, _, (outcome, seen) in judged(Answers([told], {source: "public"})):
                    assert outcome in (True, False, None)
                    assert isinstance(seen, str)
