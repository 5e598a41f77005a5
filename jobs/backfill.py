"""Cover an old range of a stream as a Ray job: ray job submit --submission-id NAME -- python jobs/backfill.py ...

The submission id names the job: the same one again goes on where it stopped, or prints the receipt.
"""

import argparse
import asyncio
import json
import os
import sys

import ray

from ray_app.app import open_node
from ray_app.cli import days, moment
from ray_app.model.errors import NodeError
from ray_app.runtime.jobs import backfill_job, request_of
from ray_app.runtime.opening import NAMESPACE


def submission_id() -> str | None:
    """What `ray job submit --submission-id` was told; None outside of a Ray job."""
    config = json.loads(os.environ.get("RAY_JOB_CONFIG_JSON_ENV_VAR", "{}"))
    found: str | None = config.get("metadata", {}).get("job_submission_id")
    return found


async def run(args: argparse.Namespace) -> int:
    node = await open_node()
    try:
        request = request_of(node, args.stream, args.partitions, args.start, args.end, args.days)
        name = args.id or submission_id()
        receipt = await backfill_job(node, request, name, near=False, show=sys.stderr.isatty())
    finally:
        await node.close()
    print(json.dumps(receipt, indent=2))
    return 0 if not set(receipt["verified"]) - {"collected", "empty_upstream"} else 1


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("stream", help="source.stream, for example coingecko.bars_1h")
    parser.add_argument("--partitions", help="comma-separated tickers or ids; default: all that are tracked")
    parser.add_argument("--start", type=moment)
    parser.add_argument("--end", type=moment)
    parser.add_argument("--days", type=days, help="instead of a start: 30d before the end")
    parser.add_argument("--id", help="name of the job; default: the submission id")
    args = parser.parse_args()
    ray.init(address="auto", namespace=NAMESPACE, log_to_driver=False)
    try:
        return asyncio.run(run(args))
    except (ValueError, NodeError) as error:
        print(f"backfill: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
