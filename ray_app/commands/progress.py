"""What a person sees of a start: the step under way with its seconds, and at the end how to ask."""

import sys
import time
from dataclasses import dataclass
from typing import Any

# What a person can ask first, and what a start waits for.
PRICE = "/api/v1/prices/current/BTC"
HISTORY = "/api/v1/prices/historical/ETH?interval=4h&days=7"
HEALTH = "/api/v1/health"


@dataclass(frozen=True, slots=True)
class Started:
    """A node that runs: where it answers and, when this start made one, the key to ask with."""

    address: str
    dashboard: str
    key: str | None
    simulated: bool


def say(text: str) -> None:
    """One line on standard output, at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


class Progress:
    """What a person sees while the node starts: the step under way, with its seconds."""

    def __init__(self) -> None:
        from rich.console import Console

        self._console, self._began = Console(stderr=True), time.monotonic()
        self._status: Any = None
        self._step, self._since = "", self._began

    def say(self, step: str) -> None:
        self._finish()
        self._step, self._since = step, time.monotonic()
        self._status = self._console.status(f"{step} …")
        self._status.start()

    def _finish(self) -> None:
        if self._status is not None:
            self._status.stop()
            self._status = None
            self._console.print(f"  {time.monotonic() - self._since:5.1f} s  {self._step}", highlight=False)

    def stop(self) -> None:
        self._finish()

    def done(self, started: Started) -> None:
        """Print the address, the key, and three requests that work."""
        self._finish()
        took = time.monotonic() - self._began
        kind = "simulated data" if started.simulated else "real upstreams"
        say(f"\nThe node serves after {took:.1f} s ({kind}).\n  page       {started.address}/")
        say(f"  API        {started.address}/docs")
        say(f"  dashboard  {started.dashboard} (token: ray get-auth-token)")
        if started.key:
            say(f"  API key    {started.key}")
        say("\nTry:")
        key = started.key or "$CRYPTO_DATA_API_KEY"
        for path in (PRICE, HISTORY, HEALTH):
            say(f"""  curl -s -H "Authorization: Bearer {key}" '{started.address}{path}'""")
        say("\nCtrl-C stops everything.")
