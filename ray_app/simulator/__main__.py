"""`python -m ray_app.simulator`: the upstream simulator on this machine."""

import argparse
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from ray_app.simulator.clock import moment
from ray_app.simulator.config import SimulatorConfig
from ray_app.simulator.plans import ALIASES, PLANS
from ray_app.simulator.server import Server, serve


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        prog="python -m ray_app.simulator",
        description="Acts as CoinGecko (/cg-pro/api/v3, /cg-public/api/v3) and as every other upstream, each under "
        "the prefix that /sim tells, on a clock of its own.",
    )
    made.add_argument("--port", type=int, default=0, help="0 takes a free one")
    made.add_argument("--port-file", type=Path, help="the port is written there when all is ready")
    made.add_argument("--plan", default="analyst", choices=[*PLANS, *ALIASES])
    made.add_argument("--key", action="append", default=[], help="a valid key, or KEY=PLAN; default sim-key")
    made.add_argument("--speed", type=float, default=1.0, help="virtual seconds per real second")
    made.add_argument("--start", type=moment, help="virtual time at the start, ISO; default: the present")
    made.add_argument("--frozen", action="store_true", help="time moves only when told to")
    made.add_argument("--seed", type=int, default=7)
    made.add_argument("--coins", type=int, default=100, help="the registry first, then made-up")
    made.add_argument(
        "--data", type=Path, action="append", default=[], help="folder with real hourly bars (CSV)"
    )
    made.add_argument("--faults", default="none", choices=["none", "weather"])
    made.add_argument("--retry-after", default="sometimes", choices=["always", "never", "sometimes"])
    made.add_argument("--no-limits", action="store_true", help="count calls, but answer all of them")
    made.add_argument(
        "--ohlc-end-excluded", action="store_true", help="/ohlc/range leaves out the candle at `to`"
    )
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    args = parser().parse_args(arguments)
    keys = {key: plan or args.plan for key, _, plan in (text.partition("=") for text in args.key)}

    def ready(address: str, server: Server) -> None:
        def stop(*_: object) -> None:
            server.should_exit = True

        signal.signal(signal.SIGTERM, stop)
        signal.signal(signal.SIGINT, stop)
        if args.port_file is not None:
            args.port_file.write_text(address.rpartition(":")[2])
        sys.stdout.write(f"simulator {address}\n")
        sys.stdout.flush()

    try:
        config = SimulatorConfig(
            plan=args.plan, keys=keys, start=args.start, speed=args.speed, frozen=args.frozen, seed=args.seed,
            coins=args.coins, data=tuple(args.data), faults=args.faults, retry_after=args.retry_after,
            limits=not args.no_limits, ohlc_end_included=not args.ohlc_end_excluded,
        )  # fmt: skip
        serve(config, args.port, ready)
    except (ValueError, OSError) as error:
        sys.stderr.write(f"simulator: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
