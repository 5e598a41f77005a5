"""A desk whose texts a simulated chat model is asked about."""

import json
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from ray_app.configured import advanced
from ray_app.model.clock import SystemClock
from ray_app.model.money import Spending
from ray_app.model.symbols import load_registry
from ray_app.model.texts import Article
from ray_app.process.linking import Linker
from ray_app.runtime.advanced import AdvancedScoring
from ray_app.settings import Settings
from ray_app.store.reading import NOW, Point
from ray_app.store.scored import Scored
from ray_app.store.tables import llm_spend, scorers, text_scores
from tests.connect.conftest import Counted
from tests.runtime.test_linking import DESK, GUARDIAN, MINUTE, REDDIT, RSS, T0, Desk, article, at_desk
from tests.simulator.texting import Sim, simulated

UP, DOWN = "Bitcoin climbs 5.1% to $100 as buyers return", "Why Bitcoin's price is down 3.2% today"
EVERY = (RSS, REDDIT, GUARDIAN, "edgar.filings")


@pytest.fixture
async def desk(tmp_path: Path, prepared_sqlite: Path) -> AsyncIterator[Desk]:
    shutil.copy(prepared_sqlite, tmp_path / "node.db")
    desk = Desk(tmp_path)
    lease = await desk.node.store.leases.acquire("texts", "me")
    assert lease is not None
    desk.lease = lease
    yield desk
    await desk.node.close()


@pytest.fixture(scope="module")
def sim() -> Iterator[Sim]:
    with simulated() as started:
        yield started


def settings(sim: Sim, **changes: Any) -> Settings:
    values = {
        "upstreams": str(sim.http.base_url), "llm_url": "https://api.openai.com/v1", "llm_model": "sim-small",
        "llm_dollars_per_month": "1", "llm_dollars_in": "0.15", "llm_dollars_out": "0.6",
    }  # fmt: skip
    return Settings.model_validate(values | changes)


@dataclass
class Adviser:
    """The loop, and what it can be asked."""

    desk: Desk
    sim: Sim
    loop: AdvancedScoring
    turns: Counted
    before: int  # requests of earlier tests

    def requests(self) -> list[dict[str, Any]]:
        """The bodies that the model's server saw, in order."""
        found = self.sim.truth("openai", what="requests")[self.before :]
        return [json.loads(one["body"]) for one in found]

    def asked(self) -> list[list[str]]:
        """The texts of each request."""
        lines = (one["messages"][1]["content"].split("\n")[1] for one in self.requests())
        return [[row["text"] for row in json.loads(line)["texts"]] for line in lines]

    async def spent(self) -> Spending:
        return await self.desk.node.store.llm_spend.state("llm-chat", self.desk.clock.now())

    async def said(self, item: str, feed: str = DESK, at: Point = NOW) -> Scored | None:
        """What was said last of the text."""
        found = await self.desk.node.store.advanced.scores_of([at_desk(item, feed)], at)
        return next(iter(found.get(at_desk(item, feed), [])), None)

    async def label(self, item: str, feed: str = DESK) -> str | None:
        """Its label, or its reason, or None where it was not asked about."""
        one = await self.said(item, feed)
        return None if one is None else one.verdict.label or one.verdict.reason

    def right(self, text: str) -> tuple[Decimal, ...]:
        """What the model says of a text when nothing disturbs it."""
        shares = self.sim.truth("openai", what="rating", text=text)
        return tuple(Decimal(share) / 100 for share in shares.values())

    async def is_right(self, item: str, text: str, feed: str = DESK) -> bool:
        one = await self.said(item, feed)
        assert one is not None
        verdict = one.verdict
        return (verdict.bearish, verdict.neutral, verdict.bullish) == self.right(text)


async def adviser(desk: Desk, sim: Sim, members: tuple[str, ...] = EVERY, **changes: Any) -> Adviser:
    """As a start makes it, by the settings."""
    made = advanced(settings(sim, **changes))
    assert made is not None
    desk.node.advanced = made
    await desk.node.store.llm_spend.declare(made.assigned.scope, made.budget, desk.clock.now())
    turns = Counted(desk.clock)
    chat = desk.node.chat(made, turns)
    loop = AdvancedScoring(desk.node, made, chat, desk.lease, members, SystemClock())
    return Adviser(desk, sim, loop, turns, len(sim.truth("openai", what="requests")))


@cache
def linker() -> Linker:
    """Made once: it reads long lists."""
    return Linker(load_registry())


async def told(desk: Desk, *articles: Article, at: datetime = T0) -> None:
    """Articles that are committed and linked."""
    await desk.commit(RSS, *articles, at=at)
    linking = desk.linking(*EVERY)
    linking._linker = linker()
    await linking.round()


@contextmanager
def obeying(sim: Sim) -> Iterator[None]:
    """The model does what texts tell it."""
    sim.adjust("openai", obeys=True)
    try:
        yield
    finally:
        sim.adjust("openai", obeys=False)


async def everything(desk: Desk) -> AsyncIterator[str]:
    """All that the tables of scores and of the money hold, as text."""
    async with desk.node.store.database.read() as connection:
        for table in (llm_spend, scorers, text_scores):
            for row in await connection.execute(select(table)):
                yield repr(tuple(row))


def numbers(*titles: str) -> list[Article]:
    """Articles with these titles, the first one newest."""
    return [article(str(n), title, at=T0 - n * MINUTE) for n, title in enumerate(titles)]
