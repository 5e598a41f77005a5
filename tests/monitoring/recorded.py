"""Two scrapes of a real Ray 2.60 with our applications, a minute apart: the metrics that we use.

    python -m tests.monitoring.recorded FIRST SECOND

makes them anew from what `crypto-data up --demo` exports at the addresses in its list of targets.
"""

import re
import sys
from collections.abc import Iterable
from pathlib import Path

from tests.monitoring.names import declared, exported

FOLDER = Path(__file__).parent / "recorded"
FILES = (FOLDER / "first.txt", FOLDER / "second.txt")
OF_ONE_RUN = re.compile(r'(?<=[{,])(otel_scope_\w+|SessionName|NodeAddress|ip)="[^"]*",?')


def kept(lines: Iterable[str]) -> list[str]:
    """The lines of our families, without help texts and without labels that only name the machine and the run."""
    names = {name for name in exported(declared()) if name.startswith("ray_")}
    mine = (line for line in lines if line.partition("{")[0] in names)
    return [OF_ONE_RUN.sub("", line).replace(",}", "}") for line in mine]


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for source, file in zip(sys.argv[1:], FILES, strict=True):
        file.write_text("".join(kept(Path(source).read_text().splitlines(keepends=True))))
