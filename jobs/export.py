"""Make an export as a Ray job: ray job submit -- python jobs/export.py ID --actors 8

The node makes exports by itself, large ones with two actors. This gives one that waits, or whose worker died, as many
as the cluster has room for.
"""

import argparse
import asyncio
import os
import socket
import sys

import ray

from ray_app.app import open_node
from ray_app.model.clock import SystemClock
from ray_app.model.errors import NodeError
from ray_app.runtime.exporting import Exporting
from ray_app.runtime.exporting_job import pool_of
from ray_app.runtime.opening import NAMESPACE


async def run(args: argparse.Namespace) -> int:
    node = await open_node()
    try:
        assert node.exports is not None
        owner = f"export-job-{socket.gethostname()}-{os.getpid()}"
        work = Exporting(node, node.exports, owner, SystemClock())
        if not await work.make(args.export, pool_of(open_node, args.actors)):
            raise ValueError(f"no export {args.export} waits to be made")
        found = await node.store.exports.find(args.export)
    finally:
        await node.close()
    assert found is not None
    print(f"{found.id}: {found.state}, {found.counted} rows {found.reason}".rstrip())
    return 0 if found.state == "done" else 1


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("export", help="its id, as POST /api/v1/export told it")
    parser.add_argument("--actors", type=int, default=2, help="how many work side by side")
    args = parser.parse_args()
    ray.init(address="auto", namespace=NAMESPACE, log_to_driver=False)
    try:
        return asyncio.run(run(args))
    except (ValueError, NodeError) as error:
        print(f"export: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
