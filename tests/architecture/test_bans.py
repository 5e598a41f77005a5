"""Time comes from the Clock. Ruff says so while one types (TID251); this sees it through every alias as well.

Wall-clock waits of sockets and processes use time.monotonic and asyncio.timeout, which are allowed.
asyncio.wait_for is not: on Python 3.11 it gives its result, and loses a cancellation that comes in the same turn.
"""

import tomllib

import pytest

from tests.architecture.modules import REPO, Module, modules

CLOCKS = "time comes from the Clock"
BANNED = {
    **dict.fromkeys(
        ("datetime.datetime.now", "datetime.datetime.utcnow", "time.time", "asyncio.sleep"), CLOCKS
    ),
    "asyncio.wait_for": "it can lose a cancellation: asyncio.timeout",
}
# The same by other names. Ruff has rules of its own for some (DTZ), or nobody types them by accident.
BANNED_TOO = {
    **dict.fromkeys(("datetime.datetime.today", "datetime.date.today", "time.time_ns"), CLOCKS),
    **dict.fromkeys(("asyncio.tasks.sleep", "anyio.sleep", "anyio.sleep_until"), CLOCKS),
    "asyncio.tasks.wait_for": BANNED["asyncio.wait_for"],
}
THE_CLOCK = "ray_app/model/clock.py"


def uses(module: Module) -> list[str]:
    """Every banned name in the module, with its line."""
    banned = BANNED | BANNED_TOO
    found = {(line, name) for line, name in module.names() if name in banned}
    return [f"{module.path}:{line}: {name}: {banned[name]}" for line, name in sorted(found)]


def test_time_comes_from_the_clock():
    assert [
        use for module in modules("ray_app", "jobs") if module.path != THE_CLOCK for use in uses(module)
    ] == []


def test_the_clock_itself_is_seen():
    (clock,) = (module for module in modules("ray_app/model") if module.path == THE_CLOCK)
    assert {name for _, name in clock.names()} & BANNED.keys() >= {"datetime.datetime.now", "asyncio.sleep"}


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("import asyncio\nasync def f():\n    await asyncio.sleep(1)", "asyncio.sleep"),
        ("import asyncio as aio\naio.sleep(1)", "asyncio.sleep"),
        ("from asyncio import sleep", "asyncio.sleep"),
        ("from asyncio import sleep as wait\nwait(1)", "asyncio.sleep"),
        ("from asyncio import tasks\ntasks.sleep(1)", "asyncio.tasks.sleep"),
        ("def f():\n    from asyncio import sleep", "asyncio.sleep"),
        ("import time\ntime.time()", "time.time"),
        ("from time import time", "time.time"),
        ("import time as t\nstarted = t.time_ns()", "time.time_ns"),
        ("import datetime\ndatetime.datetime.now()", "datetime.datetime.now"),
        ("import datetime as dt\ndt.datetime.now(dt.UTC)", "datetime.datetime.now"),
        ("from datetime import UTC, datetime\ndatetime.now(UTC)", "datetime.datetime.now"),
        ("from datetime import datetime as D\nfield(default_factory=D.utcnow)", "datetime.datetime.utcnow"),
        ("from datetime import date\ndate.today()", "datetime.date.today"),
    ],
)
def test_the_check_sees(text: str, name: str):
    found = uses(Module("ray_app/collect/planted.py", text))
    assert found
    assert all(use.endswith(f": {name}: time comes from the Clock") for use in found)


@pytest.mark.parametrize(
    "text",
    [
        "import time\ntime.monotonic()",
        "from datetime import datetime\ndatetime.fromisoformat(text)",
        "async def f(clock):\n    await clock.sleep(1)\n    return clock.now()",
        "import asyncio\nasync def f():\n    async with asyncio.timeout(5): ...",
        "def f(time, asyncio):\n    time.time(), asyncio.sleep(1)",  # parameters, not the modules
    ],
)
def test_the_check_lets_pass(text: str):
    assert uses(Module("ray_app/collect/planted.py", text)) == []


def test_ruff_bans_the_same_names_and_excuses_only_the_clock():
    lint = tomllib.loads((REPO / "pyproject.toml").read_text())["tool"]["ruff"]["lint"]
    banned = lint["flake8-tidy-imports"]["banned-api"]
    assert {name: rule["msg"] for name, rule in banned.items()} == BANNED
    excused = {path for path, rules in lint["per-file-ignores"].items() if {"TID", "TID251"} & set(rules)}
    assert excused == {
        THE_CLOCK,
        "tests/**",
        "tests/soak/__main__.py",
        "tests/kills/__main__.py",
        "benchmarks/**",
    }
    assert not {"TID", "TID251"} & set(lint["ignore"])
