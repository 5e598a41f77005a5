"""How a measurement is shown: figures with their targets in a table, everything measured in a JSON file."""

import json
import os
import platform
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

OUT = Path(__file__).parent / "out"


@dataclass(frozen=True, slots=True)
class Figure:
    """One number. `met` is None where there is nothing to reach; `target` says in words what there is."""

    name: str
    value: float
    unit: str = ""
    target: str = ""
    met: bool | None = None


def at_least(name: str, value: float, least: float, unit: str = "") -> Figure:
    return Figure(name, value, unit, f"at least {least:g}", value >= least)


def at_most(name: str, value: float, most: float, unit: str = "") -> Figure:
    return Figure(name, value, unit, f"at most {most:g}", value <= most)


def exactly(name: str, value: float, wanted: float, unit: str = "") -> Figure:
    return Figure(name, value, unit, f"{wanted:g}", value == wanted)


def plain(measured: Mapping[str, Any], name: str = "") -> Iterator[Figure]:
    """Every number of a nested result, without a target."""
    for key, value in measured.items():
        full = f"{name} {key}".strip()
        if isinstance(value, Mapping):
            yield from plain(value, full)
        elif isinstance(value, int | float):
            yield Figure(full, value)


def show(part: str, figures: Sequence[Figure], console: Console) -> None:
    """One row a figure; those with a target say whether it is met."""
    table = Table(title=part, title_justify="left")
    for column in ("figure", "value", "target", ""):
        table.add_column(column, justify="right" if column == "value" else "left")
    for figure in figures:
        verdict = {None: "", True: "[green]met[/]", False: "[bold red]not met[/]"}[figure.met]
        table.add_row(figure.name, f"{figure.value:,.6g} {figure.unit}".strip(), figure.target, verdict)
    console.print(table)


def write(part: str, figures: Sequence[Figure], measured: Mapping[str, Any], seconds: float) -> Path:
    """Everything measured, with what it was measured on, as OUT/part.json."""
    OUT.mkdir(exist_ok=True)
    path = OUT / f"{part}.json"
    machine = {"cores": os.cpu_count(), "python": platform.python_version(), "system": platform.platform()}
    told = {
        "part": part,
        "took_seconds": round(seconds, 1),
        "load_at_the_end": round(os.getloadavg()[0], 2),
        "machine": machine,
        "figures": [asdict(figure) for figure in figures],
        "measured": {name: value for name, value in measured.items() if name != "figures"},
    }
    path.write_text(json.dumps(told, indent=2) + "\n")
    return path
