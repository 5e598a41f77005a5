"""What second opinions on texts cost this month, and what the money did not reach."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ray_app.model.money import Spending, dollars
from ray_app.observe.metrics import MoneyFigures
from ray_app.process.linking import LINKER
from ray_app.process.sentiment.opinions import NO_OPINION
from ray_app.serve.node import Node
from ray_app.store.advanced import LATELY, Worth
from ray_app.store.linked import KINDS


@dataclass(frozen=True, slots=True)
class Spent:
    """The money of one upstream at a moment. `waiting`: texts that are to be asked about; `left_out`: texts of
    this month that were worth it and were not asked about in time.
    """

    state: Spending
    now: datetime
    waiting: int
    left_out: int

    @property
    def closed(self) -> str | None:
        return self.state.closed if self.state.is_closed(self.now) else None

    def told(self) -> dict[str, Any]:
        state = self.state
        return {
            "currency": "USD",
            "month": state.month,
            "budget": dollars(state.budget),
            "spent": dollars(state.spent),
            "left": dollars(state.left),
            "requests": state.requests,
            "unsettled": state.unsettled,
            "closed": self.closed,
            "closed_until": state.closed_until if self.closed is not None else None,
            "texts_waiting": self.waiting,
            "texts_left_out": self.left_out,
        }

    def part(self) -> dict[str, Any]:
        """A line of health: nothing that the node needs."""
        reason = self.closed
        if reason is not None:
            reason += f"; texts waiting: {self.waiting}, left out this month: {self.left_out}"
        state = "available" if reason is None else "degraded"
        return {"part": self.state.scope, "required": False, "state": state, "reason": reason}

    def figures(self) -> MoneyFigures:
        return MoneyFigures(
            scope=self.state.scope,
            spent=float(dollars(self.state.spent)),
            left=float(dollars(self.state.left)),
            waiting=self.waiting,
            left_out=self.left_out,
        )


async def spendings(node: Node, now: datetime) -> list[Spent]:
    """Of every upstream that charges by the token and is on; none for most nodes."""
    states = await node.store.llm_spend.states(now)
    if not states:
        return []
    store, worth = node.store.advanced, await _worth(node)
    by = [one.digest for one in await store.family()]
    month = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    waiting = [await store.count(one, by, now - LATELY, now + LATELY) for one in worth]
    left_out = [await store.count(one, by, month, max(month, now - LATELY)) for one in worth]
    return [Spent(state, now, sum(waiting), sum(left_out)) for state in states]


async def _worth(node: Node) -> list[Worth]:
    """As the collectors choose, by what is declared."""
    assets = frozenset(asset.id for asset in node.registry.tracked())
    out = []
    for kind in KINDS:
        streams = [
            one.name
            for one in await node.datasets.of(kind)
            if one.declared.get("llm_allowed") and one.source not in NO_OPINION and not one.retired
        ]
        out += [Worth(kind, streams, assets, LINKER)] if streams else []
    return out
