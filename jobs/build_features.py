"""Build the rows of features of a range as a Ray job: ray job submit -- python jobs/build_features.py --days 365d

What is there already is left as it is, so the same command again goes on where it was stopped.
"""

import argparse
import asyncio
import json
import sys

import ray

from ray_app.app import open_node
from ray_app.cli import days, moment
from ray_app.model.errors import NodeError
from ray_app.model.timerange import TimeRange, floor
from ray_app.process.features.inputs import HOUR
from ray_app.runtime.building_job import build_job
from ray_app.runtime.opening import NAMESPACE


async def run(args: argparse.Namespace) -> int:
    node = await open_node()
    try:
        end = floor(args.end or node.clock.now(), HOUR)
        start = floor(args.start, HOUR) if args.start else end - args.days
        assets = None
        if args.symbols:
            assets = {node.registry.resolve(one.strip()).id for one in args.symbols.split(",")}
        over = TimeRange(start, end)
        receipt = await build_job(node, open_node, over, assets, again=args.again, actors=args.actors)
    finally:
        await node.close()
    print(json.dumps(receipt.as_json(), indent=2))
    return 0 if receipt.wanted == receipt.there + receipt.written + receipt.unchanged else 1


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--symbols", help="separated by commas; default: all that have hourly candles")
    parser.add_argument("--start", type=moment)
    parser.add_argument("--end", type=moment, help="default: the last whole hour")
    parser.add_argument("--days", type=days, default="30d", help="instead of a start: 30d before the end")
    parser.add_argument("--again", action="store_true", help="work out rows that are there, too")
    parser.add_argument("--actors", type=int, default=1, help="how many work side by side")
    args = parser.parse_args()
    ray.init(address="auto", namespace=NAMESPACE, log_to_driver=False)
    try:
        return asyncio.run(run(args))
    except (ValueError, NodeError) as error:
        print(f"build_features: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
