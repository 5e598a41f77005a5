"""Second opinions beside texts, and what they cost, in quotas, health and metrics."""

import json
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from ray_app.model.quota import next_month
from ray_app.model.source import Quota
from ray_app.model.texts import Article
from ray_app.process.linking import LINKER
from ray_app.sources import rss
from ray_app.store.advanced import LATELY, Worth
from ray_app.store.scored import Scorer, Verdict
from tests.serve.conftest import Running, Start, at, stable
from tests.serve.filling import MINUTE, REGISTRY, START
from tests.serve.sources import had
from tests.serve.test_sentiment import BTC, ready, told
from tests.serve.test_texts import CRYPTO, SOCIAL, article

MODEL = Scorer("sim-small-2026-01-01", "e" * 64, json.dumps({"family": "f"}))
UP = Verdict(Decimal("0.6"), "bullish", Decimal("0.7"), Decimal("0.1"), Decimal("0.2"), Decimal("0.7"), None)
NONE = Verdict(None, None, None, None, None, None, "refused")
NEWS = Worth(Article, ["rss.articles"], frozenset(asset.id for asset in REGISTRY.tracked()), LINKER)
DOLLAR = 10**9


@pytest.fixture
async def node(start: Start) -> Running:
    running = await start()
    await ready(running)
    return running


async def said(node: Running, moment: datetime, **verdicts: Verdict) -> None:
    """Write down what a language model says of these articles of RSS."""
    found = await node.store.advanced.wanted(NEWS, [MODEL.digest], START - LATELY, 100)
    made = [(text, verdicts[text.id.item]) for text in found if text.id.item in verdicts]
    assert len(made) == len(verdicts)
    await node.store.advanced.configure(MODEL, lambda: moment, node.fill.lease)
    await node.store.scores.write(Article, made, MODEL, lambda: moment, node.fill.lease)


async def opinions(node: Running, path: str = CRYPTO, **params: Any) -> dict[str, tuple[Any, Any]]:
    rows = (await node.get(path, **params))["data"]
    return {row["title"]: (row["advanced_sentiment"], row["advanced_sentiment_reason"]) for row in rows}


async def test_an_opinion_stands_beside_the_score_and_changes_no_sum(node: Running):
    before = stable(await node.http.get(BTC))
    assert await opinions(node) == {
        "Bitcoin rises": (None, "not_asked"),
        "An ETF for solana": (None, "not_asked"),
        "Bitcoin and the Guardian": (None, "not_allowed"),
    }
    assert {reason for _, reason in (await opinions(node, SOCIAL)).values()} == {"not_allowed"}
    await said(node, at(minutes=5), a=UP, b=NONE)
    found = await opinions(node)
    assert found["An ETF for solana"] == (None, "refused")
    assert found["Bitcoin rises"] == (
        {"score": 0.6, "label": "bullish", "confidence": 0.7, "model": {"id": MODEL.model, "digest": MODEL.digest}},
        None,
    )  # fmt: skip
    assert stable(await node.http.get(BTC)) == before
    (row,) = [row for row in (await node.get(CRYPTO))["data"] if row["title"] == "Bitcoin rises"]
    assert row["sentiment"]["model"]["id"] == "news-model"


async def test_an_answer_tells_when_it_became_so_and_the_past_stays(node: Running):
    before = await node.get(CRYPTO)
    await said(node, at(minutes=5), a=UP)
    now = await node.get(CRYPTO)
    assert now["meta"]["as_of"] == "2026-11-23T00:05:00.000Z"
    assert await opinions(node, as_of=now["meta"]["as_of"]) == await opinions(node)
    then = await node.get(CRYPTO, as_of=before["meta"]["as_of"])
    assert then["data"] == before["data"]


async def test_changed_words_do_not_wear_the_opinion_on_the_old_ones(node: Running):
    await said(node, at(minutes=5), a=UP)
    changed = article("crypto/coindesk", "a", at(minutes=-50), "Bitcoin sinks")
    await had(node, rss.SOURCE, "articles", [changed], at(minutes=6))
    assert (await opinions(node))["Bitcoin sinks"] == (None, "not_asked")


async def money(node: Running) -> Any:
    rows = (await node.get("/api/v1/quotas"))["data"]
    return {row["scope"]: row["money"] for row in rows}


async def part(node: Running) -> Any:
    return [one for one in (await node.get("/api/v1/health"))["parts"] if one["part"] == "llm-chat"]


async def test_what_it_costs_and_what_is_left_out_is_told(node: Running):
    key = await node.new_key("read:ops")
    node.http.headers["Authorization"] = f"Bearer {key}"
    purse, now = node.store.llm_spend, node.clock.now()
    await node.store.quotas.declare("coingecko-paid", Quota(1, MINUTE), now)
    assert await money(node) == {"coingecko-paid": None}
    assert await part(node) == []
    await node.store.quotas.declare("llm-chat", Quota(1, MINUTE), now)
    await purse.declare("llm-chat", 2 * DOLLAR, now)
    old = [
        article("crypto/coindesk", "last month", at(hours=-24 * 24), "Bitcoin in October"),
        article("crypto/coindesk", "old", at(hours=-24 * 4), "Bitcoin four days ago"),
    ]
    await had(node, rss.SOURCE, "articles", old, at(minutes=5))
    await told(node, at(minutes=5, seconds=10))
    await said(node, at(minutes=6), a=UP)
    reserved = await purse.reserve("llm-chat", DOLLAR, now)
    await purse.settle("llm-chat", reserved, DOLLAR // 4)
    await purse.reserve("llm-chat", DOLLAR, now)
    open_ = {
        "currency": "USD", "month": "2026-11", "budget": 2, "spent": 1.25, "left": 0.75, "requests": 2,
        "unsettled": 1, "closed": None, "closed_until": None, "texts_waiting": 1, "texts_left_out": 1,
    }  # fmt: skip
    assert (await money(node))["llm-chat"] == open_
    line = {"part": "llm-chat", "required": False, "state": "available", "reason": None}
    assert await part(node) == [line]
    await purse.close("llm-chat", "the account has no money left", next_month(now), now)
    until = "2026-12-01T00:00:00.000Z"
    assert (await money(node))["llm-chat"] == open_ | {
        "closed": "the account has no money left", "closed_until": until,
    }  # fmt: skip
    why = "the account has no money left; texts waiting: 1, left out this month: 1"
    assert await part(node) == [line | {"state": "degraded", "reason": why}]
    text = (await node.http.get("/metrics")).text
    samples = {
        (one.name, one.labels.get("state")): one.value
        for family in text_string_to_metric_families(text)
        for one in family.samples
        if one.labels.get("scope") == "llm-chat"
    }
    assert samples["crypto_data_money_dollars", "spent"] == 1.25
    assert samples["crypto_data_money_dollars", "left"] == 0.75
    assert samples["crypto_data_advanced_texts", "waiting"] == 1
    assert samples["crypto_data_advanced_texts", "left_out"] == 1
    await purse.retire()
    assert (await money(node))["llm-chat"] is None
    assert await part(node) == []


async def test_a_closed_purse_makes_a_healthy_node_degraded_and_no_worse(start: Start):
    from tests.serve.test_operations import everything_well

    node = await start()
    await node.fill.declare()
    await everything_well(node)
    assert (await node.get("/api/v1/health"))["status"] == "available"
    now = node.clock.now()
    await node.store.llm_spend.declare("llm-chat", DOLLAR, now)
    await node.store.llm_spend.close("llm-chat", "empty", next_month(now), now)
    assert (await node.get("/api/v1/health"))["status"] == "degraded"
