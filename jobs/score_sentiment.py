"""Score stored texts that the configured model has not read: python jobs/score_sentiment.py [--start ...] [--end ...]

As a Ray job or beside a running cluster. Started again it goes on with what still lacks a score. Prints a receipt;
ends with 1 when some text of the range was left without a score or a reason.
"""

import argparse
import asyncio
import json
import os
import sys
from functools import partial

import ray

from ray_app.app import open_node
from ray_app.cli import moment
from ray_app.model.errors import NodeError
from ray_app.runtime.opening import NAMESPACE
from ray_app.runtime.scoring_job import Range, score_texts
from ray_app.runtime.scoring_pool import RayPool


async def run(args: argparse.Namespace) -> int:
    node = await open_node()
    try:
        streams = tuple(filter(None, args.streams.split(",")))
        pool = partial(RayPool, actors=args.actors, cpus=args.cpus, gpus=args.gpus)
        owner = f"score-{os.getpid()}-{id(node):x}"
        receipts = await score_texts(node, Range(streams, args.start, args.end), pool, owner)
    finally:
        await node.close()
    print(json.dumps({texts: one.as_json() for texts, one in receipts.items()}, indent=2, default=str))
    return 0 if all(one.whole for one in receipts.values()) else 1


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--streams", default="", help="source.stream, comma-separated; default: all with texts"
    )
    parser.add_argument("--start", type=moment, help="texts from this time on; default: from the first")
    parser.add_argument("--end", type=moment, help="texts before this time; default: to the newest")
    parser.add_argument("--actors", type=int, default=1, help="copies of the model that work at a time")
    parser.add_argument("--cpus", type=float, default=1, help="CPUs of each")
    parser.add_argument("--gpus", type=float, default=0, help="GPUs of each")
    args = parser.parse_args()
    ray.init(address="auto", namespace=NAMESPACE, log_to_driver=False)
    try:
        return asyncio.run(run(args))
    except (ValueError, NodeError) as error:
        print(f"score_sentiment: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
