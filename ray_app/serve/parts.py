"""What the gateway is made of. Opened once per replica; the routes are handed it."""

from collections.abc import Callable
from dataclasses import dataclass

from ray_app.model.clock import Clock
from ray_app.model.symbols import Registry
from ray_app.serve.models import Models
from ray_app.store.allowance import Redis
from ray_app.store.export_files import ExportFiles
from ray_app.store.store import Store

Counted = Callable[
    [str, int, float], None
]  # told of each answer: its route, its status, how many seconds it took


def uncounted(route: str, status: int, seconds: float) -> None:
    """Where nobody counts: outside of Ray."""


@dataclass(frozen=True, kw_only=True)
class Parts:
    """`clock` tells what is due and known (it may be a simulator's); limits and keys stay on wall time.

    `models` scores a client's own texts; None where the node has none to ask.
    `counted` is told of each answer of the gateway; a replica exports it through Ray.
    `exports` has the files of exports; None where the node makes none.
    `replicas` is how many gateways are expected to share a client's limits when Redis is gone.
    """

    store: Store
    redis: Redis | None
    registry: Registry
    clock: Clock
    simulated: bool
    release: str
    models: Models | None = None
    exports: ExportFiles | None = None
    replicas: int = 1
    counted: Counted = uncounted
