"""Second opinions of a simulated chat model on stored texts: which are asked about, in which order, at what cost."""

import asyncio
import logging
from argparse import Namespace
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from ray_app.commands.operate import status
from ray_app.model.collected import Lease
from ray_app.model.errors import Fenced
from ray_app.model.quota import next_month
from ray_app.runtime import advanced as module
from ray_app.runtime.advanced import Advised
from ray_app.runtime.keeper import KeeperActor
from ray_app.sources import edgar
from ray_app.store.linked import TextId
from ray_app.store.reading import Point
from ray_app.store.scored import content_of
from tests.runtime.advising import DOWN, UP, adviser, desk, numbers, sim, told
from tests.runtime.test_linking import (
    DESK,
    GUARDIAN,
    HOUR,
    MINUTE,
    REDDIT,
    SUB,
    T0,
    TELEGRAPH,
    Desk,
    article,
    assigned,
    post,
)
from tests.simulator.texting import Sim

__all__ = ["desk", "sim"]
DAY = timedelta(days=1)


async def test_a_text_gets_the_opinion_of_the_model_under_a_digest_of_its_own(desk: Desk, sim: Sim):
    mine = await adviser(desk, sim)
    await told(desk, article("1", UP, summary="So they say."), article("2", DOWN))
    assert await mine.loop.round() == Advised(texts=2, asked=2)
    assert (await mine.label("1"), await mine.label("2")) == ("bullish", "bearish")
    one = await mine.said("1")
    assert one is not None
    said = f"{UP}\nSo they say."
    bearish, neutral, bullish = mine.right(said)
    verdict = one.verdict
    assert (verdict.bearish, verdict.neutral, verdict.bullish) == (bearish, neutral, bullish)
    assert (verdict.score, verdict.confidence, verdict.reason) == (bullish - bearish, bullish, None)
    assert (one.scorer.model, one.content, one.made_at) == (
        "sim-small-2026-01-01",
        content_of(said),
        T0 + MINUTE,
    )
    assert '"server": "api.openai.com"' in one.scorer.identity
    assert await mine.loop.round() == Advised()
    used = sim.truth("openai", what="used")
    assert used["requests"] == 2
    state = await mine.spent()
    assert state.spent == used["prompt_tokens"] * 150 + used["completion_tokens"] * 600
    assert (state.requests, state.unsettled) == (2, 0)


async def test_only_texts_that_may_be_shown_are_sent(desk: Desk, sim: Sim):
    """Every request that the server saw is searched for words of sources that do not allow it, or take no side."""
    desk.node.assigned = (*desk.node.assigned, assigned(edgar.SOURCE))
    mine = await adviser(desk, sim)
    await desk.commit(GUARDIAN, article("g", "Bitcoin guardianword rises", "crypto"))
    await desk.commit(REDDIT, post("p", "Bitcoin redditword rises", body="bodyword"))
    await desk.commit("edgar.filings", article("e", "Coinbase filingword: 8-K", "COIN"))
    await told(desk, article("r", "Bitcoin rssword rises"), article("n", "weatherword is fine"))
    for place in (
        TextId(GUARDIAN, "crypto", "g"),
        TextId(REDDIT, SUB, "p"),
        TextId("edgar.filings", "COIN", "e"),
    ):
        assert await desk.said(place)  # it speaks of an asset, and would be asked about
    assert (await mine.loop.round()).texts == 1
    seen = repr(sim.truth("openai", what="requests"))
    words = ("rssword", "guardianword", "redditword", "bodyword", "filingword", "weatherword")
    assert [word for word in words if word in seen] == ["rssword"]
    others = await adviser(desk, sim, members=(REDDIT, GUARDIAN))
    await others.loop.run()  # it has nothing to do, and ends


async def test_newest_first_of_the_last_days_and_of_what_has_words(
    desk: Desk, sim: Sim, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(module, "AT_ONCE", 2)
    mine = await adviser(desk, sim)
    titles = [f"Bitcoin number {n}" for n in range(4)]
    old = article("old", "Bitcoin long ago", at=T0 - 3 * DAY)
    await told(desk, *numbers(*titles), old)
    assert await mine.loop.round() == Advised(texts=2, asked=2, more=True)
    await told(desk, article("new", "Bitcoin now", at=T0 + MINUTE), at=T0 + MINUTE)
    assert await mine.loop.round() == Advised(texts=2, asked=2, more=True)
    assert (await mine.loop.round()).texts == 1
    assert mine.asked() == [[titles[0]], [titles[1]], ["Bitcoin now"], [titles[2]], [titles[3]]]


async def test_equal_words_are_paid_for_once_and_changed_ones_again(desk: Desk, sim: Sim):
    mine = await adviser(desk, sim)
    await told(desk, article("1", UP), article("2", UP, TELEGRAPH))
    assert await mine.loop.round() == Advised(texts=2, asked=1)
    desk.clock.set(T0 + HOUR)
    await told(desk, article("3", UP, at=T0 + MINUTE), article("1", DOWN), at=T0 + HOUR)
    assert await mine.loop.round() == Advised(texts=2, asked=1)
    assert [await mine.label(n, feed) for n, feed in (("1", DESK), ("2", TELEGRAPH), ("3", DESK))] == [
        "bearish", "bullish", "bullish",
    ]  # fmt: skip
    then = await mine.said("1", at=Point(as_of=T0 + HOUR - MINUTE))
    assert then is not None
    assert then.verdict.label == "bullish"
    assert mine.asked() == [[UP], [DOWN]]


async def test_other_languages_are_read_and_what_has_no_words_is_not_sent(desk: Desk, sim: Sim):
    mine = await adviser(desk, sim)
    german = "Der Bitcoin fällt und die Anleger sind nicht froh"
    await told(desk, article("de", german), article("long", "Bitcoin " + "on and on " * 5_000))
    assert (await mine.loop.round()).texts == 2
    assert [len(text) for (text,) in mine.asked()] == [len(german), 4_000] or mine.asked()[1] == [german]


async def test_the_month_is_never_overspent_and_what_is_left_out_is_counted(desk: Desk, sim: Sim):
    """Twelve texts and money for some: it stops, says so, survives a restart, and goes on with more money."""
    mine = await adviser(desk, sim, llm_dollars_per_month="0.0008")
    await told(desk, *numbers(*(f"Bitcoin number {n}" for n in range(12))))
    done = await mine.loop.round()
    state = await mine.spent()
    assert 0 < done.texts < 12
    assert len(mine.requests()) == done.asked == done.texts
    assert state.spent <= state.budget == 800_000
    assert "of this month's $0.0008 are left" in done.stopped
    assert (state.closed or "").startswith("$0.00")
    assert state.closed_until == next_month(desk.clock.now())
    assert await mine.loop.round() == Advised()
    desk.clock.set(T0 + HOUR)
    again = await adviser(desk, sim, llm_dollars_per_month="0.0008")  # a restart
    assert (await again.spent()).spent == state.spent
    assert (await again.loop.round()).asked == 0
    assert again.requests() == []
    more = await adviser(desk, sim, llm_dollars_per_month="0.01")
    assert (await more.loop.round()).texts == 12 - done.texts
    last = await more.spent()
    assert (last.closed, last.spent <= last.budget) == (None, True)


async def test_a_new_month_goes_on_by_itself(desk: Desk, sim: Sim):
    mine = await adviser(desk, sim, llm_dollars_per_month="0")
    await told(desk, article("1", UP, at=T0 + 29 * DAY))
    assert "$0 of this month's $0 are left" in (await mine.loop.round()).stopped
    await desk.node.store.llm_spend.declare("llm-chat", 10**9, desk.clock.now())
    await desk.node.store.llm_spend.close("llm-chat", "empty", next_month(desk.clock.now()), desk.clock.now())
    assert await mine.loop.round() == Advised()
    desk.clock.set(next_month(desk.clock.now()))
    assert (await mine.loop.round()).texts == 1
    state = await mine.spent()
    assert (state.month, state.requests) == ("2026-04", 1)


async def test_a_server_of_ones_own_needs_no_money(desk: Desk, sim: Sim):
    free: dict[str, Any] = {"llm_dollars_per_month": "0", "llm_dollars_in": "0", "llm_dollars_out": "0"}
    mine = await adviser(desk, sim, **free)
    await told(desk, article("1", UP))
    assert (await mine.loop.round()).texts == 1
    assert (await mine.spent()).spent == 0


async def test_another_name_of_the_model_is_another_digest_and_pays_for_nothing_again(desk: Desk, sim: Sim):
    mine = await adviser(desk, sim)
    await told(desk, *numbers(UP, DOWN))
    await mine.loop.round()
    with sim.fault("L10", name="sim-small-2026-02-02"):
        await told(desk, article("new", "Bitcoin now", at=T0 + MINUTE), at=T0 + MINUTE)
        assert await mine.loop.round() == Advised(texts=1, asked=1)
    assert await mine.loop.round() == Advised()
    first, second = await mine.said("0"), await mine.said("new")
    assert first is not None
    assert second is not None
    assert (first.scorer.model, second.scorer.model) == ("sim-small-2026-01-01", "sim-small-2026-02-02")
    assert first.scorer.digest != second.scorer.digest
    family = await desk.node.store.advanced.family()
    assert family == [second.scorer, first.scorer]


async def test_who_lost_the_shard_writes_nothing(desk: Desk, sim: Sim):
    mine = await adviser(desk, sim)
    await told(desk, article("1", UP))
    mine.loop._lease = Lease(desk.lease.shard, desk.lease.owner, desk.lease.fence - 1)
    with pytest.raises(Fenced):
        await mine.loop.run()
    assert await mine.said("1") is None


async def test_the_loop_goes_on_and_ends_where_real_and_simulated_meet(
    desk: Desk, sim: Sim, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    monkeypatch.setattr(module, "IDLE", 0.01)
    mine = await adviser(desk, sim)
    task = asyncio.create_task(mine.loop.run())
    await told(desk, article("1", UP))
    async with asyncio.timeout(10):
        while await mine.said("1") is None:
            pass  # each look takes its time in the database
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    caplog.set_level(logging.INFO)
    mine.loop._advising._chat = replace(mine.loop._advising._chat, simulated=False)  # type: ignore[type-var]  # a Chat
    await told(desk, article("2", DOWN))
    await mine.loop.run()
    assert [r.message for r in caplog.records if r.levelname == "ERROR"] == ["no second opinions"]
    assert await mine.said("2") is None


async def test_the_command_status_tells_the_money(desk: Desk, sim: Sim, capsys: pytest.CaptureFixture[str]):
    await adviser(desk, sim, llm_dollars_per_month="2.5")
    purse, now = desk.node.store.llm_spend, desk.clock.now()
    await purse.reserve("llm-chat", 10**9, now)
    await status(desk.node, Namespace())
    assert "llm-chat: $1 of this month's $2.5 spent\n" in capsys.readouterr().out
    await purse.close("llm-chat", "no money", now + HOUR, now)
    await status(desk.node, Namespace())
    assert "$2.5 spent; closed: no money\n" in capsys.readouterr().out


async def test_a_start_declares_its_pace_and_its_money(desk: Desk, sim: Sim):
    mine = await adviser(desk, sim, llm_calls_per_minute=45, llm_dollars_per_month="2.5")
    now = desk.clock.now()
    await desk.node.declare(now)
    (quota,) = [one for one in await desk.node.store.quotas.states(now) if one.scope == "llm-chat"]
    assert (quota.quota.calls, quota.quota.per) == (3, timedelta(seconds=4))
    assert (await mine.spent()).budget == Decimal("2.5") * 10**9

    async def opening():
        return desk.node

    assert "llm-chat" in await KeeperActor(opening).ping()
    desk.node.advanced = None
    await desk.node.declare(now)
    assert await desk.node.store.llm_spend.states(now) == []
