"""Ask the real upstreams under 100 calls and see what they answer: python jobs/check_sources.py [--into FOLDER]

Needs a network and the keys of `.env`; needs no running node and writes to no database. Every answer goes to a folder,
with report.txt: which of our assumptions hold. Ends with 1 when one turned out otherwise."""

import argparse
import asyncio
import sys
from pathlib import Path

from ray_app.app import open_clock
from ray_app.commands.check_points import judged
from ray_app.commands.check_probes import probes
from ray_app.commands.check_sources import MOST_CALLS, Checking, before, report, within
from ray_app.configured import assignments
from ray_app.connect.api import client
from ray_app.model.errors import NodeError
from ray_app.model.symbols import load_registry
from ray_app.settings import Settings


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


async def run(settings: Settings, folder: Path | None) -> int:
    clock, assigned = await open_clock(settings), assignments(settings)
    began = clock.now()
    into = folder or settings.data_dir / f"check-{began:%Y%m%d-%H%M%S}"
    if into.exists():
        raise ValueError(f"{into} is there already: name a folder that is not, by --into")
    asked, calls = within(probes(assigned, load_registry(settings.instruments), began), MOST_CALLS)
    before(assigned, asked, calls, settings.simulated, say)
    async with client() as http:
        answers = await Checking(assigned, clock, http, into, settings.simulated).run(asked)
    found = judged(answers)
    text = report(answers, found, settings.simulated, began)
    (into / "report.txt").write_text(text)
    print(text, end="")
    say(f"written to {into}")
    return 1 if any(verdict is False for _, _, (verdict, _) in found) else 0


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--into", type=Path, help="a folder to be made; default: check-TIME in the data folder"
    )
    args = parser.parse_args()
    try:
        return asyncio.run(run(Settings.read(), args.into))
    except (ValueError, NodeError, OSError) as error:
        say(f"check_sources: {error}")
        return 2


if __name__ == "__main__":
    sys.exit(main())
