"""`python -m benchmarks [part ...]`: measure, print figures beside their targets, write benchmarks/out/*.json.

A part is a module of this folder with `measure()`, plain or async; its `figures(measured)` say what of it has
a target. Ends with 1 when a measurement failed, not when a target was missed.
"""

import argparse
import asyncio
import importlib
import inspect
import os
import sys
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

from rich.console import Console

from ray_app.commands.up import RAY_ENVIRONMENT

# Ray reads these when it is imported, and the parts import it.
os.environ.pop("RAY_ADDRESS", None)
os.environ |= RAY_ENVIRONMENT | {"RAY_AUTH_MODE": "disabled"}


def parts() -> Iterator[str]:
    """The modules that measure something, told by their text: importing all of them would load all of Ray."""
    for path in sorted(Path(__file__).parent.glob("*.py")):
        if any(
            line.startswith(("def measure(", "async def measure(")) for line in path.read_text().splitlines()
        ):
            yield path.stem


def run(part: ModuleType, console: Console) -> None:
    """Run one part, print and write what it found."""
    from benchmarks.figures import plain, show, write

    began = time.monotonic()
    found = part.measure()
    measured = asyncio.run(found) if inspect.iscoroutine(found) else found
    figures = part.figures(measured) if hasattr(part, "figures") else list(plain(measured))
    name = part.__name__.rpartition(".")[2]
    show(name, figures, console)
    path = write(name, figures, measured, time.monotonic() - began)
    console.print(f"{time.monotonic() - began:.0f} s; written to {path}\n", highlight=False)


def main() -> int:
    known = list(parts())
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("part", nargs="*", help=f"{', '.join(known)}; default: all of them")
    wanted = parser.parse_args().part or known
    if unknown := set(wanted) - set(known):
        parser.error(f"no part {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    console, failed = Console(), 0
    for name in wanted:
        try:
            run(importlib.import_module(f"benchmarks.{name}"), console)
        except Exception:  # noqa: BLE001  # the other parts are still worth measuring
            traceback.print_exc()
            failed += 1
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
