"""The documents say what the code does: settings, commands, paths, routes, tables; nothing of one machine."""

import argparse
import contextlib
import io
import re
import shlex
from collections.abc import Iterator
from dataclasses import fields
from functools import cache, partial
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest
from pydantic import Field

from ray_app import cli
from ray_app.model.clock import SystemClock
from ray_app.model.source import Plan, Recheck, Source, Stream
from ray_app.model.symbols import load_registry
from ray_app.serve.gateway import Parts, build_app
from ray_app.serve.problems import STATUS
from ray_app.serve.queries import parameters
from ray_app.serve.rest.documents import document
from ray_app.serve.streams.declared import SSE, STREAMS
from ray_app.serve.streams.sse import EventsQuery
from ray_app.settings import NOT_SETTINGS, PREFIX, Settings
from ray_app.simulator import __main__ as simulator
from ray_app.store.store import Store
from tests.architecture.modules import REPO
from tests.architecture.tables import (
    ARCHITECTURE,
    ENV_EXAMPLE,
    MADE,
    OPERATE,
    README,
    SOURCES,
    block,
    env_example,
    settings,
    settings_table,
)

DOCUMENTS = [REPO / "README.md", REPO / "CHANGELOG.md", *sorted((REPO / "docs").rglob("*.md"))]
FENCED = re.compile(r"^```\w*\n(.*?)^```", re.MULTILINE | re.DOTALL)
FOLDERS = ("ray_app/", "tests/", "docs/", "jobs/", "benchmarks/", "kuberay/", ".ci/")
FILE = re.compile(r"[\w-]+\.(py|md|yaml|csv|toml|sh)|Makefile|\.env\.example")
ROUTE = re.compile(
    r"(?:^|(?<=[\s'\"`(])|(?<=:8000))(/(?:api/v1/[^\s'\"`?)]*|health|ready|metrics|docs|openapi\.json|asyncapi\.json|graphql/schema\.graphql|graphql)(?![\w./]))(?:\?([^\s'\"`]*))?"
)
OF_ONE_MACHINE = re.compile(r"(?<![\w.:/*])/(?:work|tmp|home|root|Users|mnt|opt|srv)/")
HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)


def fenced(text: str) -> list[str]:
    """The lines of code blocks, continued ones joined, without their comments."""
    whole = "\n".join(FENCED.findall(text)).replace("\\\n", " ")
    return [re.sub(r"(^|\s+)# .*$", "", line) for line in whole.splitlines()]


def spans(text: str) -> list[str]:
    return re.findall(r"`([^`\n]+)`", FENCED.sub("", text))


def lost_paths(text: str) -> list[str]:
    """Files and modules that are named and do not exist."""
    text = re.sub(r"<!-- tree: .*?<!-- end of tree -->", "", text, flags=re.DOTALL)
    words = {word.strip("(),;:") for line in fenced(text) + spans(text) for word in line.split()}
    paths = {w for w in words if w.startswith(FOLDERS) or FILE.fullmatch(w)}
    lost = {path for path in paths if not (REPO / path).exists()}
    for name in {m[0] for word in words for m in re.finditer(r"\bray_app(\.\w+)+", word)}:
        place = REPO / name.replace(".", "/")
        if not (place.is_dir() or place.with_suffix(".py").exists()):
            lost.add(name)
    return sorted(lost)


def wrong_commands(text: str) -> list[str]:
    """Lines of crypto-data, jobs, the simulator and make that would not run."""
    wrong = []
    targets = re.findall(r"^([a-z-]+):", (REPO / "Makefile").read_text(), re.MULTILINE)
    job_options = re.findall(r'"(--[\w-]+)"', (REPO / "jobs/backfill.py").read_text())
    parsers = {"crypto-data": cli.parser(), "python -m ray_app.simulator": simulator.parser()}
    for line, whole in [(line, True) for line in fenced(text)] + [(span, False) for span in spans(text)]:
        _, job, asked = line.partition("jobs/backfill.py ")
        wrong += [option for option in re.findall(r"--[\w-]+", asked) if option not in job_options]
        wrong += [line for target in re.findall(r"(?:^|\s)make ([a-z-]+)", line) if target not in targets]
        for name, parser in parsers.items():
            if job or not re.match(rf"(\.venv/bin/)?{name} ", line):
                continue
            said = io.StringIO()
            try:
                with contextlib.redirect_stderr(said), contextlib.redirect_stdout(said):
                    parser.parse_args(shlex.split(line.partition(name)[2]))
            except SystemExit as end:
                if end.code and (whole or "are required" not in said.getvalue()):
                    wrong.append(line)
    return wrong


@cache
def interface() -> dict[str, Any]:
    """The gateway's OpenAPI paths, and the event streams; its store is never opened."""
    given: dict[str, Any] = {"redis": None, "clock": SystemClock(), "simulated": True, "release": "docs"}
    app = build_app(Parts(store=Store("sqlite+aiosqlite://", "raw"), registry=load_registry(), **given))
    paths: dict[str, Any] = document(app)["paths"]
    return paths | {SSE + name: {"get": {"parameters": parameters(EventsQuery)}} for name in STREAMS}


def template(path: str) -> str | None:
    """The route that answers a path."""
    if path in interface():
        return path
    for route in interface():
        inner = re.sub(r"\\\{\w+\\\}$", ".+", re.escape(route))
        if path == route or re.fullmatch(re.sub(r"\\\{\w+\\\}", "[^/]+", inner), path):
            return route
    return None


def routes(text: str) -> Iterator[tuple[str, str]]:
    """Every route that a document names, with its query."""
    for line in fenced(text) + spans(text):
        yield from ((match[1], match[2] or "") for match in ROUTE.finditer(line))


def wrong_routes(text: str) -> list[str]:
    wrong = []
    for path, query in routes(text):
        route = template(path)
        if route is None:
            wrong.append(path)
            continue
        known = {one["name"] for told in interface()[route].values() for one in told["parameters"]}
        wrong += [f"{path}?{name}" for name, _ in parse_qsl(query) if name not in known]
    return wrong


def slug(heading: str) -> str:
    return re.sub(r"[^\w -]", "", heading.strip().lower()).replace(" ", "-")


def broken_links(path: Path, text: str) -> list[str]:
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", FENCED.sub("", text)):
        if re.match(r"https?://", target):
            continue
        name, _, anchor = target.partition("#")
        place = (path.parent / name).resolve() if name else path
        there = place.exists() and place.is_relative_to(REPO)
        if not there or (anchor and anchor not in map(slug, HEADING.findall(place.read_text()))):
            broken.append(target)
    return broken


def of_one_machine(text: str) -> list[str]:
    return [line for line in text.splitlines() if OF_ONE_MACHINE.search(line) or str(REPO) in line]


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.relative_to(REPO).as_posix())
def test_a_document_names_only_what_exists(path: Path):
    text = path.read_text()
    assert lost_paths(text) == []
    assert wrong_commands(text) == []
    assert wrong_routes(text) == []
    assert broken_links(path, text) == []
    assert of_one_machine(text) == []


def test_every_setting_is_explained_in_the_same_words():
    assert ENV_EXAMPLE.read_text() == env_example()
    variables = {name for name, _, _ in settings()} | NOT_SETTINGS
    for text in map(Path.read_text, DOCUMENTS):
        named = set(re.findall(rf"`({PREFIX}[A-Z_]+)", text))
        assert [n for n in named if n not in variables and "_TEST_" not in n and n != f"{PREFIX}X"] == []


def test_the_lines_of_env_example_are_the_defaults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for name, _, _ in settings():
        monkeypatch.delenv(name, raising=False)
    uncommented = tmp_path / "env"
    uncommented.write_text(re.sub(r"^#(\w+=.)", r"\1", ENV_EXAMPLE.read_text(), flags=re.MULTILINE))
    assert "\nCRYPTO_DATA_PORT=8000\n" in uncommented.read_text()
    read = Settings(_env_file=uncommented)
    assert read == Settings(_env_file=None)


@pytest.mark.parametrize(
    ("path", "name"), MADE, ids=lambda part: part if isinstance(part, str) else part.name
)
def test_what_is_made_from_the_code_is_up_to_date(path: Path, name: str):
    made = MADE[path, name]()
    assert block(path.read_text(), name) == made, "python -m tests.architecture.tables writes it anew"


def test_the_list_of_coins_and_the_codes_are_those_of_the_code():
    coins = (REPO / "ray_app/model/instruments.csv").read_text().splitlines()
    assert block(SOURCES.read_text(), "columns").splitlines()[1] == next(
        one for one in coins if one[0] != "#"
    )
    codes = dict(re.findall(r"^\| `(\w+)` \| (\d+) \|", block(OPERATE.read_text(), "codes"), re.MULTILINE))
    assert codes == {code: str(status) for code, status in STATUS.items()}


@pytest.mark.parametrize("word", [Source, Plan, Stream, Recheck])
def test_every_field_that_a_source_declares_is_explained(word: Any):
    explained = re.findall(r"^\| (`.*?) \|", block(SOURCES.read_text(), word.__name__.lower()), re.MULTILINE)
    assert sorted(re.findall(r"`(\w+)`", " ".join(explained))) == sorted(one.name for one in fields(word))


def test_the_tree_is_that_of_the_package():
    drawn = set(re.findall(r"^[├└]── ([\w.]+/?)", block(ARCHITECTURE.read_text(), "tree"), re.MULTILINE))
    entries = [path for path in (REPO / "ray_app").iterdir() if not path.name.startswith(("__", "py.typed"))]
    assert drawn == {path.name + "/" * path.is_dir() for path in entries}


def test_every_command_and_every_route_is_in_the_readme():
    (commands,) = (a for a in cli.parser()._actions if isinstance(a, argparse._SubParsersAction))
    lines = [line.partition("crypto-data ")[2].split()[:1] for line in fenced(README.read_text())]
    assert {"up"} | {word for line in lines for word in line} >= set(commands.choices)
    assert {template(path) for path, _ in routes(README.read_text())} == set(interface())


@pytest.mark.parametrize(
    ("check", "good", "bad"),
    [
        (lost_paths, "`ray_app/store/raw.py`", "`ray_app/store/row.py`"),
        (lost_paths, "`tests/servers.py`", "```\nsee tests/server.py\n```"),
        (lost_paths, "`pyproject.toml`", "`serve.yaml`"),
        (lost_paths, "`python -m ray_app.simulator`", "`ray_app.client.windows`"),
        (wrong_commands, "`crypto-data plan`", "`crypto-data plans`"),
        (wrong_commands, "`crypto-data explain`", "```\ncrypto-data explain\n```"),
        (wrong_commands, "```\ncrypto-data heal # now\n```", "```\ncrypto-data heal --reach 3w\n```"),
        (wrong_commands, "`crypto-data backfill --days 3d`", "`crypto-data backfill --weeks 3`"),
        (wrong_commands, "`python jobs/backfill.py x --days 3d`", "`python jobs/backfill.py x --weeks 3`"),
        (wrong_commands, "`python -m ray_app.simulator --frozen`", "`python -m ray_app.simulator --ice`"),
        (wrong_commands, "`make demo`", "`make show`"),
        (wrong_routes, "`/api/v1/prices/current/BTC`", "`/api/v1/price/current/BTC`"),
        (wrong_routes, "`/api/v1/gaps?symbol=BTC`", "```\ncurl 'http://127.0.0.1:8000/api/v1/gaps?coin=BTC'\n```"),
        (wrong_routes, "`/health`", "`/api/v1/lineage`"),
        (of_one_machine, "`~/.ray/auth_token`, `http://host/home/x`", "`/home/somebody/x`"),
        (partial(broken_links, REPO / "README.md"), "[a](docs/operate.md#keys)", "[a](docs/operate.md#lock)"),
        (partial(broken_links, REPO / "docs/operate.md"), "[a](../README.md)", "[a](README.md)"),
    ],
)  # fmt: skip
def test_the_checks_see(check: Any, good: str, bad: str):
    assert check(good) == []
    assert len(check(bad)) == 1


def test_a_setting_more_would_be_missed():
    class More(Settings):
        depth: int = Field(3, description="a setting that nobody wrote about")

    row = "| `CRYPTO_DATA_DEPTH` | `3` | a setting that nobody wrote about |\n"
    assert settings_table(More) == settings_table() + row
    lines = "\n# a setting that nobody wrote about\n#CRYPTO_DATA_DEPTH=3\n"
    assert env_example(More) == env_example() + lines
