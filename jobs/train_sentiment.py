"""Trains the head of the embedded sentiment model: python jobs/train_sentiment.py --out head.json FILE [FILE ...]

A FILE is a CSV with the columns text and label (bearish, neutral, bullish or negative, neutral, positive), or lines of
text@label. Its licence is the caller's to mind: `FILE=LICENCE` writes it into the head. The texts that this project
brings along are always trained on too. Prints the quality by cross-validation, and on what --evaluate names.
"""

import argparse
import os
import sys
from pathlib import Path

from ray_app.process.sentiment.embedded import Features
from ray_app.process.sentiment.errors import ModelError
from ray_app.process.sentiment.training import cross_validated, evaluated, fit, read, written


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("files", nargs="+", metavar="FILE[=LICENCE]")
    parser.add_argument("--out", type=Path, required=True, help="where the head is written")
    parser.add_argument("--evaluate", type=Path, nargs="*", default=[], help="labelled files not trained on")
    asked = parser.parse_args()
    try:
        features = Features(os.cpu_count() or 1)
        named = [file.partition("=") for file in asked.files]
        sets = [*(read(Path(path), licence or "not stated") for path, _, licence in named), written()]
        for quality in cross_validated(features, sets):
            print(f"cross-validated, {quality}")
        trained = fit(features, sets)
        for path in asked.evaluate:
            print(f"not trained on, {evaluated(features, trained, read(path, ''))}")
        asked.out.write_text(trained.as_json(), "utf-8")
    except (ModelError, OSError) as e:
        print(f"train-sentiment: {e}", file=sys.stderr)
        return 1
    print(f"written to {asked.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
