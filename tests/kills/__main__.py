"""Kill processes of a node at random while clients read its streams: each client must get every event once, in order.

Others ask its routes with the client library meanwhile: none may see an error.

python -m tests.kills --kills 200 --clients 100
"""

import argparse
import asyncio
import os
import subprocess
import sys
import tempfile
from pathlib import Path

os.environ.pop("RAY_ADDRESS", None)
os.environ |= {
    "RAY_AUTH_MODE": "disabled",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
}

from ray_app.settings import Settings
from ray_app.store.embedded import EmbeddedValkey
from tests.kills.world import run
from tests.server_process import free_port


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.kills", description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--clients", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    import ray

    command = [sys.executable, "-m", "ray_app.simulator", "--port", "0", "--speed", "60", "--no-limits"]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        upstream = subprocess.Popen([*command, "--coins", "90"], stdout=subprocess.PIPE, text=True)
        valkey = EmbeddedValkey(folder / "valkey")
        try:
            assert upstream.stdout is not None
            settings = Settings.model_validate(
                {
                    "data_dir": folder, "upstreams": upstream.stdout.readline().split()[1], "sources": "coingecko",
                    "coingecko_plan": "paid", "release": folder.name, "redis_url": valkey.start(),
                }
            )  # fmt: skip
            ray.init(
                address="local",
                num_cpus=4,
                include_dashboard=False,
                object_store_memory=10**8,
                log_to_driver=False,
            )
            found = asyncio.run(
                run(
                    settings,
                    free_port(),
                    kills=asked.kills,
                    clients=asked.clients,
                    seed=asked.seed,
                    redeploy=True,
                    say=_say,
                )
            )
        finally:
            ray.shutdown()
            valkey.stop()
            upstream.terminate()
            upstream.wait()
    _say(
        f"{found.seconds:.0f} s; {found.events} events; {found.answers} answers of routes; kills {found.kills};"
        f" clients came back {found.came_back} times"
    )
    _say(f"close codes of sockets {dict(sorted(found.closes.items()))}")
    for line in found.wrong:
        _say(f"WRONG {line}")
    _say(
        "every client got every event once, in order, and no client of the routes saw an error"
        if not found.wrong
        else f"{len(found.wrong)} things were wrong"
    )
    return 1 if found.wrong else 0


def _say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
