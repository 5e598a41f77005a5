"""From the settings to the score: a shard collects simulated news, links them, and asks the simulated model."""

import asyncio
import json
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from ray_app.app import open_with
from ray_app.configured import advanced
from ray_app.model.clock import SystemClock
from ray_app.model.money import Prices
from ray_app.model.symbols import Registry
from ray_app.model.texts import Article
from ray_app.model.timerange import TimeRange
from ray_app.runtime import advanced as asking
from ray_app.runtime import linking
from ray_app.runtime.collector import Shard
from ray_app.runtime.keeper import keeper_for
from ray_app.runtime.opening import Node
from ray_app.settings import Settings
from ray_app.store.linked import TextId
from ray_app.store.reading import Fact
from ray_app.store.scored import said_in
from tests.runtime.advising import settings
from tests.simulator.texting import Sim, simulated

RSS, GUARDIAN = ("rss.articles", ("crypto/coindesk", "crypto/decrypt")), ("guardian.articles", ("crypto",))
MEMBERS = [RSS[0], GUARDIAN[0]]
ON = {
    "llm_url": "http://127.0.0.1:8080/v1/", "llm_model": "m", "llm_dollars_per_month": "5", "llm_dollars_in": "0.1",
    "llm_dollars_out": "0.4",
}  # fmt: skip


@pytest.fixture(scope="module")
def sim() -> Iterator[Sim]:
    with simulated(frozen=False) as started:
        yield started


async def opened(made: Settings) -> Node:
    """A node that collects two feeds of RSS and one section of the Guardian."""
    node = await open_with(made)
    await node.store.database.prepare(simulated=True)
    few = []
    for one, (_, feeds) in zip(
        sorted(node.assigned, key=lambda a: a.source.name), (GUARDIAN, RSS), strict=True
    ):
        streams = tuple(replace(s, partitions=partial(_only, feeds)) for s in one.plan.streams)
        few.append(replace(one, plan=replace(one.plan, streams=streams)))
    node.assigned = tuple(few)
    await node.declare(node.clock.now())
    return node


def _only(feeds: tuple[str, ...], _: Registry) -> tuple[str, ...]:
    return feeds


async def articles(node: Node, stream: str, feeds: tuple[str, ...]) -> list[Fact]:
    now = node.clock.now()
    over = TimeRange(now - timedelta(days=30), now + timedelta(days=1))
    return await node.store.reading.between(Article, stream, feeds, over)


def asked(sim: Sim) -> set[str]:
    """All texts that the model saw."""
    bodies = [json.loads(one["body"]) for one in sim.truth("openai", what="requests")]
    lines = [json.loads(body["messages"][1]["content"].split("\n")[1]) for body in bodies]
    return {row["text"] for line in lines for row in line["texts"]}


async def test_news_are_collected_linked_and_rated_by_the_truth_of_the_simulator(
    sim: Sim, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    for module, name, seconds in ((linking, "PAUSE", 0.1), (linking, "IDLE", 0.2), (asking, "IDLE", 0.1)):
        monkeypatch.setattr(module, name, seconds)
    fast: dict[str, Any] = {"llm_calls_per_minute": 6000, "llm_tokens": 100, "sentiment": "off"}
    node = await opened(settings(sim, data_dir=tmp_path, sources="rss,guardian", **fast))
    shard = Shard(node, "texts", MEMBERS, SystemClock(), "me", lambda one: keeper_for(node, one))
    running = asyncio.create_task(shard.run())
    deadline = time.monotonic() + 60
    rated: dict[TextId, Any] = {}
    facts: list[Fact] = []
    while len(rated) < 10 or not await articles(node, *GUARDIAN):
        assert time.monotonic() < deadline
        assert not running.done()
        await asyncio.sleep(0.1)
        facts = await articles(node, *RSS)
        ids = [TextId(RSS[0], fact.partition, str(fact.key)) for fact in facts]
        rated = await node.store.advanced.scores_of(ids)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    for fact in facts:
        for one in rated.get(TextId(RSS[0], fact.partition, str(fact.key)), []):
            said, verdict = said_in(fact.values), one.verdict
            shares = sim.truth("openai", what="rating", text=said).values()
            found = (verdict.bearish, verdict.neutral, verdict.bullish)
            assert found == tuple(Decimal(share) / 100 for share in shares)
    titles = {fact.values["title"] for fact in await articles(node, *GUARDIAN)}
    assert titles
    assert not titles & {text.partition("\n")[0] for text in asked(sim)}
    kept = [json.loads(path.read_text()) for path in (tmp_path / "raw" / "pages").rglob("*.json")]
    assert {page["source"] for page in kept} == {"rss", "guardian"}  # what the model answers is not kept
    now, used = node.clock.now(), sim.truth("openai", what="used")
    state = await node.store.llm_spend.state("llm-chat", now)
    assert state.spent >= used["prompt_tokens"] * 150 + used["completion_tokens"] * 600
    (quota,) = [one for one in await node.store.quotas.states(now) if one.scope == "llm-chat"]
    assert quota.spent >= used["requests"] >= len(rated)
    await node.close()


def test_the_settings_make_the_model():
    assert advanced(Settings(_env_file=None)) is None
    made = advanced(Settings.model_validate(ON | {"llm_key": "a key", "llm_texts_per_call": 3}))
    assert made is not None
    assert (made.model, made.prices, made.budget) == ("m", Prices(Decimal("0.1"), Decimal("0.4")), 5 * 10**9)
    assert (made.most, made.together) == (300, 3)
    assigned = made.assigned
    assert (assigned.scope, assigned.base_url, assigned.secrets) == (
        "llm-chat", "http://127.0.0.1:8080/v1", ("a key",),
    )  # fmt: skip
    assert "a key" not in repr(made)
    keyless = advanced(Settings.model_validate(ON))
    assert keyless is not None
    assert keyless.assigned.secrets == ()
    simulated_ = advanced(Settings.model_validate(ON | {"upstreams": "http://127.0.0.1:9999"}))
    assert simulated_ is not None
    assert simulated_.assigned.base_url == "http://127.0.0.1:9999/openai/v1"
    assert simulated_.assigned.plan.base_url == "http://127.0.0.1:8080/v1"


@pytest.mark.parametrize(
    ("change", "wrong"),
    [
        ({"llm_model": ""}, "CRYPTO_DATA_LLM_MODEL: set it, or CRYPTO_DATA_LLM_URL=off"),
        ({"llm_dollars_per_month": None}, "CRYPTO_DATA_LLM_DOLLARS_PER_MONTH: set it"),
        ({"llm_dollars_in": None}, "CRYPTO_DATA_LLM_DOLLARS_IN: set it"),
        ({"llm_dollars_out": None}, "CRYPTO_DATA_LLM_DOLLARS_OUT: set it"),
        ({"llm_url": "api.openai.com"}, r"CRYPTO_DATA_LLM_URL: 'api\.openai\.com' is no plain address"),
        ({"llm_url": "ftp://host/v1"}, "'host' is no plain address"),
        ({"llm_url": "https://user:word@host/v1"}, "'host' is no plain address"),
        ({"llm_url": "https://host/v1?key=word"}, "'host' is no plain address"),
        ({"llm_url": ""}, "'' is no plain address"),
    ],
)
def test_a_start_says_what_is_missing(change: dict[str, Any], wrong: str):
    with pytest.raises(ValueError, match=wrong) as raised:
        advanced(Settings.model_validate(ON | change))
    assert "word" not in str(raised.value)
