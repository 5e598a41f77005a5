"""Soak: simulated days over all sources with seeded faults and kills, against the same days without.

python -m tests.soak --days 30 --seed 1
"""

import argparse
import asyncio
import json
import random
import subprocess
import sys
import tempfile
from datetime import timedelta
from pathlib import Path

from ray_app.model.source import Stream
from ray_app.observe.log import set_level
from ray_app.runtime.opening import Assigned
from tests.soak.account import Account, account
from tests.soak.changed import changed
from tests.soak.prove import differences
from tests.soak.world import FAULTS, START, world

Streams = list[tuple[Assigned, Stream]]
HEALING = timedelta(hours=3)  # without faults at the end, so that what can be healed is
MEMORY = (
    Path("/dev/shm") if Path("/dev/shm").is_dir() else None
)  # a soak proves what is written, not that the disk is


async def run(
    days: float, seed: int, series: int, sources: str, *, stormy: bool, quick: bool
) -> tuple[Account, Streams]:
    """One run; its account, and the streams."""
    chance = random.Random(seed)
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        async with world(Path(folder), seed, series, FAULTS if stormy else (), sources, quick=quick) as made:
            left = timedelta(days=days)
            while left > timedelta(0):
                _say(f"{'stormy' if stormy else 'calm'}: {made.clock.now():%Y-%m-%d %H:%M}, {left} to go")
                step = min(left, timedelta(hours=chance.uniform(3, 18)))
                await made.pass_time(step)
                left -= step
                if stormy and left > timedelta(0):
                    await made.kill()
                    down = timedelta(minutes=chance.choice((0, 1, 12)))
                    await made.pass_nothing(down)
                    left -= down
                    await made.begin()
            made.simulation.faults.clear()
            end = START + timedelta(days=days) + HEALING  # for both runs to the last microsecond
            await made.pass_time(end - made.clock.now())
            assert made.node is not None
            found = await account(made.node, list(made.simulation.ledger.arrivals()))
            if stormy:
                since, until = START - timedelta(days=10), made.clock.now()
                subreddits = [feed for stream, feed in found.answers if stream == "reddit.posts"]
                found.changed = await changed(made.upstreams, since, until, subreddits)
            return found, made.node.streams()


def _say(progress: str) -> None:
    if sys.stderr.isatty() or "--progress" in sys.argv:
        print(progress, file=sys.stderr, flush=True)


def calm_in_a_process(
    days: float, seed: int, series: int, sources: str, *, quick: bool
) -> "subprocess.Popen[str]":
    """The run without faults, beside the other one: a machine has two cores."""
    flags = ["--quick"] * quick + ["--progress"] * ("--progress" in sys.argv)
    command = [sys.executable, "-m", "tests.soak", "--calm", "--days", str(days), *flags]
    return subprocess.Popen(
        [*command, "--seed", str(seed), "--series", str(series), "--sources", sources],
        stdout=subprocess.PIPE,
        text=True,
    )


def soak(
    days: float, seed: int, series: int, *, quick: bool, sources: str = "all"
) -> tuple[Account, Account, list[str]]:
    """Both runs; (calm, stormy, what differs)."""
    other = calm_in_a_process(days, seed, series, sources, quick=quick)
    try:
        stormy, streams = asyncio.run(run(days, seed, series, sources, stormy=True, quick=quick))
        told, _ = other.communicate()
    finally:
        other.kill()
        other.wait()
    if other.returncode:
        raise RuntimeError("the run without faults failed; its error is above")
    calm = Account.of_json(json.loads(told.splitlines()[-1]))
    moment = frozenset(f"{a.source.name}.{s.name}" for a, s in streams if s.offers is None or s.restated)
    quiet = frozenset(f"{a.source.name}.{s.name}" for a, s in streams if s.quiet is not None)
    return calm, stormy, differences(calm, stormy, moment, quiet)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=float, default=30)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--series", type=int, default=2, help="of each stream, at most")
    parser.add_argument("--sources", default="all", help="their names, separated by commas")
    parser.add_argument(
        "--quick", action="store_true", help="nothing more often than every quarter of an hour"
    )
    parser.add_argument("--progress", action="store_true", help="say how far it is, also into a file")
    parser.add_argument("--calm", action="store_true", help="only the run without faults; prints its account")
    args = parser.parse_args()
    set_level("ERROR")
    if args.calm:
        found, _ = asyncio.run(
            run(args.days, args.seed, args.series, args.sources, stormy=False, quick=args.quick)
        )
        print(json.dumps(found.as_json()))
        return 0
    calm, stormy, differ = soak(args.days, args.seed, args.series, quick=args.quick, sources=args.sources)
    for name, one in (("without faults", calm), ("with faults", stormy)):
        print(f"{name}: {one.calls} calls, {len(one.facts)} facts, {one.expected} intervals due")
        print("  " + ", ".join(f"{state} {count}" for state, count in sorted(one.states.items())))
        print(f"  injected: {dict(one.faults)}; refused for rate: {len(one.refused)}")
    problems = [*differ, *stormy.unexplained, *stormy.refused, *calm.unexplained, *calm.refused]
    for problem in problems[:50]:
        print("PROBLEM", problem)
    print(f"{len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
