"""Work stored rows of features out again, as of when they were made: python jobs/check_skew.py --days 7d

Prints the largest difference and publishes it (`crypto_data_feature_skew` in /metrics). It must be 0.
"""

import argparse
import asyncio
import json
import sys
from datetime import timedelta

from ray_app.app import open_node
from ray_app.cli import days
from ray_app.model.errors import NodeError
from ray_app.model.timerange import TimeRange
from ray_app.runtime.skew import check_skew


async def run(args: argparse.Namespace) -> int:
    node = await open_node()
    try:
        now = node.clock.now()
        found = await check_skew(node, TimeRange(now - args.days, now + timedelta(hours=1)), args.most)
    finally:
        await node.close()
    print(json.dumps(found.as_json(), indent=2))
    return 0 if found.differing == 0 else 1


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=days, default="1d", help="rows of the last so many days")
    parser.add_argument("--most", type=int, help="no more than so many moments, evenly spread")
    try:
        return asyncio.run(run(parser.parse_args()))
    except (ValueError, NodeError) as error:
        print(f"check_skew: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
