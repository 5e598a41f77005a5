"""The Supervisor: a Serve deployment of one replica that owns the keeper and the collectors.

Its actors are children, not detached: they end with it, so an upgrade's second cluster neither doubles nor
loses them. Two supervisors at once are harmless: the leases decide, and of two clusters the one that came to run whole
last collects. A standby is healthy.
"""

import asyncio
import contextlib
from typing import Any

from ray import serve
from ray.exceptions import RayActorError

from ray_app.model.clock import SystemClock
from ray_app.observe.log import logger
from ray_app.runtime.collector import start_collector
from ray_app.runtime.keeper import start_keeper
from ray_app.runtime.opening import Opening

log = logger("supervisor")
PERIOD = 2.0  # seconds between looks at the collectors


def everything_runs() -> bool:
    """Whether all applications of this cluster run: what KubeRay waits for before it sends requests here."""
    try:
        found = serve.status().applications
    except Exception as error:  # noqa: BLE001  # Serve's controller may be on its way back; looked at again soon
        log.warning("no word of the applications", extra={"error": str(error)[:300]})
        return False
    return bool(found) and all(one.status == "RUNNING" for one in found.values())


@serve.deployment(
    name="Supervisor",
    num_replicas=1,
    max_ongoing_requests=16,
    graceful_shutdown_timeout_s=20,
    ray_actor_options={"num_cpus": 0.05},
)
class Supervisor:
    """Starts what collects and keeps it running. `shards`: the streams of each."""

    def __init__(self, opening: Opening, release: str, shards: dict[str, list[str]]) -> None:
        self._opening, self._release = opening, release
        self._keeper = start_keeper(opening, release)
        self._collectors = {name: start_collector(opening, name, members) for name, members in shards.items()}
        self._seen: dict[str, dict[str, Any]] = {}
        self._whole = False  # whether everything of this cluster has run once
        self._watch = asyncio.create_task(self._watching())
        self._look = asyncio.create_task(self._looking())
        self._keep = asyncio.create_task(self._keeping())

    async def _looking(self) -> None:
        """Beside the watch: what asks Serve's controller waits while there is none."""
        clock = SystemClock()
        while not self._whole:
            await clock.sleep(PERIOD)
            self._whole = await asyncio.to_thread(everything_runs)

    async def _keeping(self) -> None:
        """See that there is a keeper. The one that was found at the start may have been the child of a Supervisor
        whose node has just died: it ends when Ray notices, and Ray does not start it again."""
        clock = SystemClock()
        while True:
            await clock.sleep(PERIOD)
            try:
                await self._keeper.ping.remote()
            except RayActorError:
                log.warning("the keeper is gone")
                with contextlib.suppress(RayActorError):
                    self._keeper = await asyncio.to_thread(start_keeper, self._opening, self._release)
            except Exception as error:  # noqa: BLE001  # it lives, and a store is away
                log.warning("the keeper cannot open its stores", extra={"error": str(error)[:300]})

    async def _watching(self) -> None:
        clock = SystemClock()
        while True:
            for name, collector in self._collectors.items():
                try:
                    self._seen[name] = await collector.tick.remote(self._whole)
                except RayActorError as error:
                    log.warning(
                        "collector is restarting", extra={"shard": name, "error": type(error).__name__}
                    )
                    self._seen[name] = {"shard": name, "error": "restarting"}
                except Exception as error:  # noqa: BLE001  # whatever ended a collector is shown, and it is tried again
                    log.error("collector ended", extra={"shard": name, "error": str(error)})
                    self._seen[name] = {"shard": name, "error": str(error)[:500]}
            await clock.sleep(PERIOD)

    async def status(self) -> dict[str, dict[str, Any]]:
        """How each collector was at the last look: pid and fence, or the error that ended it."""
        return self._seen

    def check_health(self) -> None:
        """Unhealthy only when the supervisor itself is stuck; an upstream or a store that is down is not."""
        if self._watch.done():
            raise RuntimeError("the supervisor's watch has ended")

    async def __del__(self) -> None:
        self._watch.cancel()
        self._look.cancel()
        self._keep.cancel()
        stops = [collector.stop.remote() for collector in self._collectors.values()]
        await asyncio.gather(*stops, return_exceptions=True)
