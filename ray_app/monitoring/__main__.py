"""Write rules and dashboards: python -m ray_app.monitoring [--runbooks ADDRESS] [--into FOLDER]."""

import argparse
from pathlib import Path

from ray_app.monitoring.written import RUNBOOKS, files

FOLDER = Path(__file__).parents[2] / "kuberay" / "monitoring"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m ray_app.monitoring", description=__doc__)
    parser.add_argument("--runbooks", default=RUNBOOKS, help="address under which people find docs/runbooks")
    parser.add_argument("--into", type=Path, default=FOLDER, help="folder to write to")
    args = parser.parse_args()
    for name, text in files(args.runbooks).items():
        path = args.into / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


if __name__ == "__main__":
    main()
