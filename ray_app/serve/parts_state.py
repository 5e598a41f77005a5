"""How the node's parts do: store, Redis, and the models of sentiment."""

import asyncio
from typing import Any

from ray_app.model.errors import NodeError, WrongStore
from ray_app.serve.node import Node

PATIENCE = 2.0  # seconds for a part to answer


async def parts_down(node: Node) -> dict[str, str]:
    """The parts that do not answer, with the reason. Redis is left out when the node runs without it."""
    out: dict[str, str] = {}
    try:
        async with asyncio.timeout(PATIENCE):
            if await node.store.database.is_simulated() != node.parts.simulated:
                out["store"] = "holds the other kind of data (simulated or real)"
            elif newer := await node.store.database.newer():
                out["migrations"] = newer  # what was there is still served; its collectors cannot start
    except TimeoutError:
        out["store"] = "did not answer in time"
    except NodeError as error:
        # Without the address: /ready is open.
        empty = "has no tables yet: a collector makes them at its start"
        out["store"] = empty if isinstance(error, WrongStore) else type(error).__name__
    if node.redis is not None:
        try:
            async with asyncio.timeout(PATIENCE):
                if not await node.redis.answers():
                    out["redis"] = "does not answer"
        except TimeoutError:
            out["redis"] = "did not answer in time"
    return out


async def model_parts(node: Node) -> list[dict[str, Any]]:
    """Whether the models that score texts can be loaded: in the collectors, which say so in the store, and in Serve.

    Their texts are collected all the same, so none of this is said of a data set.
    """
    found = []
    scoring = await node.store.catalog.scoring(await node.store.leases.held())
    for texts, shards in sorted(scoring.items()):
        refusals = [f"{shard}: {why}" for shard, why in shards.items() if why]
        # Where one shard has its model and another has not, some of these texts have scores.
        state = "available" if not refusals else "missing" if len(refusals) == len(shards) else "degraded"
        reason = "; ".join(refusals) or None
        found.append({"part": f"scoring.{texts}", "required": False, "state": state, "reason": reason})
    if node.parts.models is not None:
        for name, one in (await node.parts.models.states()).items():
            part = {"part": f"models.{name}", "required": False, "state": one.condition, "reason": one.reason}
            found.append(part)
    return found
