"""Thousands of made-up requests against a node: python -m tests.conform, or `make conform`.

schemathesis reads the OpenAPI document and the schema of GraphQL from the node, makes requests that they allow and
requests that they forbid, follows the links between routes, and holds every answer against the documents.
"""

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.conform.world import World, world

HERE = Path(__file__).parent
LEAST = 2_000  # cases of a whole run


@dataclass(frozen=True)
class Part:
    """One run of schemathesis: what it reads, which phases it runs, how many cases of each operation."""

    name: str
    place: str
    phases: str
    examples: int
    without: tuple[str, ...] = ()  # checks for which hooks.py has others


WHOLE = (
    Part("REST", "/openapi.json", "examples,coverage,fuzzing", 4),
    Part("stateful", "/openapi.json", "stateful", 20),
    Part("GraphQL", "/graphql", "fuzzing", 25, ("not_a_server_error",)),
)
SHORT = (
    Part("REST", "/openapi.json", "examples,fuzzing", 2),
    Part("GraphQL", "/graphql", "fuzzing", 4, ("not_a_server_error",)),
)


@dataclass(frozen=True)
class Outcome:
    """`cases`: how many requests were made up and sent; `said`: what schemathesis printed."""

    part: Part
    cases: int
    failures: int
    seconds: float
    said: str


async def run(node: World, part: Part, seed: int, folder: Path) -> Outcome:
    """In a process of its own: it blocks, and the node runs in this one."""
    report, began = folder / f"{part.name}.json", time.monotonic()
    command = [
        str(Path(sys.executable).parent / "st"), "run", node.url + part.place,
        "--phases", part.phases, "--max-examples", str(part.examples), "--seed", str(seed),
        "--checks", "all", "--exclude-checks", ",".join(("positive_data_acceptance", *part.without)),
        "--header", f"Authorization: Bearer {node.key}", "--continue-on-failure", "--no-shrink", "--no-color",
        "--generation-database", "none", "--report", "json", "--report-json-path", str(report),
        "--suppress-health-check", "all",
    ]  # fmt: skip
    environment = os.environ | {
        "SCHEMATHESIS_HOOKS": "tests.conform.hooks",
        "PYTHONPATH": str(HERE.parents[1]),
    }
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=folder,
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said = (await process.communicate())[0].decode()
    if not report.exists():
        raise RuntimeError(said)
    told: dict[str, Any] = json.loads(report.read_text())
    return Outcome(part, *counted(told), time.monotonic() - began, said)


def counted(report: dict[str, Any]) -> tuple[int, int]:
    """Cases, and what failed of them; a run that was not completed is a failure."""
    cases = report["test_cases"]
    failed = cases["unique_failures"] + len(report["errors"]) + (not report["complete"])
    return cases["generated"], failed


async def everything(parts: tuple[Part, ...], seed: int) -> list[Outcome]:
    with tempfile.TemporaryDirectory() as folder:
        async with world(Path(folder)) as node:
            return [await run(node, part, seed, Path(folder)) for part in parts]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.conform", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--short", action="store_true", help="the part that the test suite runs")
    parser.add_argument("--only", choices=[part.name for part in WHOLE])
    options = parser.parse_args()
    parts = [part for part in (SHORT if options.short else WHOLE) if options.only in (None, part.name)]
    found = asyncio.run(everything(tuple(parts), options.seed))
    for one in found:
        print(one.said)
    for one in found:
        print(f"{one.part.name}: {one.cases:,} cases, {one.failures} failures, {one.seconds:.0f} s")
    cases = sum(one.cases for one in found)
    print(f"together: {cases:,} cases")
    enough = options.short or options.only is not None or cases >= LEAST
    return 0 if enough and not any(one.failures for one in found) else 1


if __name__ == "__main__":
    sys.exit(main())
