"""Play on this machine what happens to a cluster: the end of a worker, of the head, an upgrade, more load.

python -m tests.drill --only labels worker head upgrade scale
python -m tests.drill --only upgrade --small     # with one node a cluster, without labels
python -m tests.drill --only head --folder FOLDER      # leaves the stores and the logs there

Prints a line of figures for each drill and ends with 1 where a promise broke.
"""

import argparse
import asyncio
import contextlib
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.drill.drills import Report, collects, head, labels, worker
from tests.drill.manifest import Shape, small, whole
from tests.drill.scale import scale
from tests.drill.upgrade import upgrade
from tests.drill.world import world

DRILLS = ("labels", "worker", "head", "upgrade", "scale")
ON_ONE = {"labels", "worker", "head", "upgrade"}  # drills on the first cluster
SPEED = 3.0  # a slot of prices takes 100 s


async def drill(only: list[str], shape: Shape, folder: Path, speed: float) -> list[Report]:
    """Each of them in turn; those on one cluster share it."""
    reports = []

    def done(report: Report) -> None:
        reports.append(report)
        _say(f"{report.name}: {report.figures}")
        for line in report.broken[:20]:
            _say(f"  BROKEN {line}")

    async with world(folder, speed) as it:
        if ON_ONE & set(only):
            async with it.cluster("0.1.0", shape) as first:
                began = time.monotonic()
                await first.start()
                await first.deploy()
                await it.service.select(first.ports)
                await collects(it)
                _say(f"the first cluster runs and collects after {time.monotonic() - began:.0f} s")
                if "labels" in only:
                    done(await labels(first))
                if "worker" in only:
                    done(await worker(it, first))
                if "head" in only:
                    done(await head(it, first))
                if "upgrade" in only:
                    done(await upgrade(it, first, "0.2.0"))
        if "scale" in only:
            done(await scale(it, "0.3.0"))
    return reports


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.drill", description=__doc__)
    parser.add_argument("--only", nargs="+", choices=DRILLS, default=list(DRILLS))
    parser.add_argument("--small", action="store_true", help="one node a cluster; for upgrade only")
    parser.add_argument("--speed", type=float, default=SPEED, help="of the simulated upstream's time")
    parser.add_argument("--folder", type=Path, help="new, of a short path; stores and logs are left in it")
    asked = parser.parse_args()
    if asked.small and asked.only != ["upgrade"]:
        parser.error("--small is for --only upgrade: the others need nodes of their own")
    shape = small() if asked.small else whole()
    began = time.monotonic()
    with _folder(asked.folder) as folder:
        reports = asyncio.run(drill(asked.only, shape, folder, asked.speed))
    broken = [one.name for one in reports if one.broken]
    _say(
        f"{time.monotonic() - began:.0f} s; "
        + (f"promises broke in {', '.join(broken)}" if broken else "every promise was kept")
    )
    return 1 if broken else 0


@contextlib.contextmanager
def _folder(kept: Path | None) -> Iterator[Path]:
    """Short: the path of a socket has 107 letters at most."""
    if kept is not None:
        kept.mkdir()
        yield kept
        return
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
