"""Kept answers: no reading while nothing was committed, and at every moment what a reading would give."""

import asyncio
from datetime import timedelta

import pytest

from ray_app.model.clock import SystemClock
from ray_app.serve import kept
from ray_app.serve.kept import Kept
from ray_app.sources import rss
from tests.serve.conftest import Running, Start, at, client, stable
from tests.serve.filling import MINUTE
from tests.serve.hot import (
    CHANGES,
    HOT,
    NEWS,
    NOW,
    PRICE,
    SOCIAL,
    VECTOR,
    filled,
    taken_back,
    told_and_linked,
    wiped,
)
from tests.serve.sources import had
from tests.serve.statements import statements
from tests.serve.test_crosscheck import TRADED
from tests.serve.test_texts import article


@pytest.fixture
async def node(start: Start) -> Running:
    running = await start(registry=TRADED)
    await filled(running)
    running.http.headers["Authorization"] = f"Bearer {await all_scopes(running)}"
    return running


async def all_scopes(running: Running, *, internal: bool = True) -> str:
    from ray_app.store.keys import SCOPES

    return await running.new_key(*SCOPES, per_hour=100_000, burst=100_000, internal=internal)


async def replica(start: Start, node: Running) -> Running:
    """Another gateway over the same store."""
    other = await start(registry=TRADED)
    other.http.headers["Authorization"] = node.http.headers["Authorization"]
    node.fill.lease = other.fill.lease  # taken anew, under the same name
    return other


async def ask(node: Running, path: str) -> bytes:
    answer = await node.http.get(path)
    assert answer.status_code == 200, (path, answer.text)
    return stable(answer)


async def read_anew(node: Running, path: str) -> bytes:
    """What a reading gives, whatever was kept."""
    node.node.kept._held.clear()
    node.node.datasets.forget()
    return await ask(node, path)


def held(node: Running) -> Kept:
    found: Kept = node.node.kept
    return found


@pytest.mark.parametrize("path", HOT)
async def test_a_question_asked_again_reads_nothing(node: Running, path: str):
    first = await node.http.get(path)
    node.clock.set(NOW + timedelta(seconds=7))
    with statements(node.store) as sent:
        again = await node.http.get(path)
        unchanged = await node.http.get(path, headers={"If-None-Match": first.headers["etag"]})
    assert sent == [], "the numbers of commits alone were asked for, by the driver itself"
    assert (again.status_code, stable(again)) == (200, stable(first))
    assert again.headers["etag"] == first.headers["etag"]
    assert again.headers["x-request-id"] != first.headers["x-request-id"]
    before, now = first.json()["meta"], again.json()["meta"]
    assert now["generated_at"] == "2026-11-23T03:02:07.000Z"
    assert now["age_seconds"] == pytest.approx(before["age_seconds"] + 7)
    assert (unchanged.status_code, unchanged.content) == (304, b"")


@pytest.mark.parametrize("change", CHANGES)
async def test_each_commit_shows_in_the_next_answer_of_each_replica(start: Start, node: Running, change: str):
    commit, concerned = CHANGES[change]
    other, anew = await replica(start, node), await replica(start, node)
    before = {path: await ask(node, path) for path in HOT}
    for running in (node, other):
        assert {path: await ask(running, path) for path in HOT} == before
    await commit(node)
    for path in HOT:
        now = await read_anew(anew, path)
        assert await ask(node, path) == await ask(other, path) == now, path
        assert (now != before[path]) is (path in concerned), path


async def test_the_passing_of_time_shows_at_once(start: Start, node: Running):
    """Hours in which nothing is committed: conditions, gaps and moments change when they would have been read."""
    other = await replica(start, node)
    seen: dict[str, set[bytes]] = {path: set() for path in HOT}
    moment = NOW
    for n in range(120):
        moment += timedelta(minutes=13 if n % 3 else 1, seconds=n)
        node.clock.set(moment)
        for path in HOT:
            answer = await ask(node, path)
            assert answer == await read_anew(other, path), (moment, path)
            seen[path].add(answer)
    assert all(len(found) > 1 for found in seen.values())


async def test_to_the_microsecond(start: Start, node: Running):
    other = await replica(start, node)
    for path in (PRICE, VECTOR, NEWS):
        node.clock.set(NOW)
        await ask(node, path)
        place = next(one for one in held(node)._held if path.startswith(one[0]))
        until = held(node)._held[place].answer.until
        assert until is not None
        for moment in (until - timedelta(microseconds=1), until, until + timedelta(microseconds=1)):
            node.clock.set(moment)
            assert await ask(node, path) == await read_anew(other, path), (path, moment)


async def test_an_article_that_is_not_published_yet_shows_when_it_is(node: Running):
    await told_and_linked(node, at(3, minutes=4), NOW)
    for seconds, shown in ((0, False), (60, False), (119, False), (120, True), (180, True)):
        node.clock.set(NOW + timedelta(seconds=seconds))
        for _ in range(2):
            assert (b"A bitcoin ETF" in await ask(node, NEWS)) is shown, seconds


async def test_a_commit_while_an_answer_is_read_is_in_the_next_one(
    node: Running, monkeypatch: pytest.MonkeyPatch
):
    latest, reading, go = node.store.vectors.latest, asyncio.Event(), asyncio.Event()

    async def slow(*given, **more):
        found = await latest(*given, **more)
        reading.set()
        await go.wait()
        return found

    monkeypatch.setattr(node.store.vectors, "latest", slow)
    early = asyncio.create_task(ask(node, VECTOR))
    await reading.wait()
    await CHANGES["a row of features corrected"][0](node)
    go.set()
    assert b'"price_usd":300' in await early
    assert b'"price_usd":301' in await ask(node, VECTOR)


async def test_what_is_declared_while_it_is_read_is_in_the_next_answer(
    node: Running, monkeypatch: pytest.MonkeyPatch
):
    streams, reading, go = node.store.catalog.streams, asyncio.Event(), asyncio.Event()

    async def slow(*given):
        found = await streams(*given)
        reading.set()
        await go.wait()
        return found

    with monkeypatch.context() as patched:
        patched.setattr(node.node.datasets._catalog, "streams", slow)
        early = asyncio.create_task(node.node.datasets.all())
        await reading.wait()
    await CHANGES["what is declared"][0](node)
    assert b"as told since" in await ask(node, PRICE)
    go.set()
    await early
    assert b"as told since" in await ask(node, NEWS)


async def test_other_keys_have_answers_of_their_own(start: Start, node: Running):
    outside = await all_scopes(node, internal=False)
    async with client(node.app, outside) as other:
        for _ in range(2):
            open_ = await other.get(NEWS)
            assert (open_.status_code, "Bitcoin rises" in open_.text) == (403, False)
            assert b"Bitcoin rises" in await ask(node, NEWS)
    lacking = await node.new_key("read:prices")
    async with client(node.app, lacking) as other:
        assert (await other.get(PRICE)).status_code == 200
        for path in (VECTOR, NEWS, SOCIAL):
            await ask(node, path)
            assert (await other.get(path)).json()["error"]["code"] == "INSUFFICIENT_SCOPE"
    await node.store.keys.revoke(lacking.split("_")[1], SystemClock().now())
    node.node.ring._known.clear()  # what is known of keys is 3 s old at most
    async with client(node.app, lacking) as other:
        assert (await other.get(PRICE)).status_code == 401


async def test_a_deleted_text_stays_in_no_memory(start: Start, node: Running):
    other = await replica(start, node)
    for running in (node, other):
        assert b"sold my ethereum" in await ask(running, SOCIAL)
    await taken_back(node)
    for running in (node, other):
        await held(running).sweep()
        assert not any(b"sold my" in one.answer.head for one in held(running)._held.values())
    await wiped(node)
    for running in (node, other):
        assert b"sold my" not in await ask(running, SOCIAL)


async def test_answers_about_other_moments_are_read_each_time(node: Running):
    paths = [f"{path}{'&' if '?' in path else '?'}{name}=2026-11-23T03:01:30Z" for path in HOT for name in
             ("as_of", "known_by") if (path, name) != (VECTOR, "known_by")]  # fmt: skip
    node.clock.set(NOW + MINUTE)
    before = [await ask(node, path) for path in paths]
    assert len(held(node)._held) == 0
    for change in ("a price", "an article", "a candle corrected", "a row of features corrected"):
        await CHANGES[change][0](node)
    assert [await ask(node, path) for path in paths if "as_of" in path] == [
        one for path, one in zip(paths, before, strict=True) if "as_of" in path
    ]


async def test_what_is_kept_is_bounded(node: Running, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(kept, "MOST_KEPT", 20)
    for number in range(50):
        await ask(node, f"/api/v1/prices/current/BTC?vs_currencies=usd{',usd' * number}")
        with statements(node.store) as sent:
            await ask(node, PRICE)
        assert len(held(node)._held) <= 20
        assert (sent == []) is (number > 0), "what is asked for often stays"
    many = [
        article("crypto/coindesk", f"m{n}", at(2, minutes=n), f"Bitcoin {n}", summary="word " * 400)
        for n in range(50)
    ]
    await had(node, rss.SOURCE, "articles", many, NOW)
    monkeypatch.setattr(kept, "MOST_BYTES", 400_000)
    for limit in range(20, 60):
        await ask(node, f"/api/v1/news/crypto/latest?limit={limit}")
        mine = sum(len(one.answer.head) for one in held(node)._held.values())
        assert mine == held(node)._bytes <= 400_000
    assert held(node)._held


async def test_answers_are_read_again_after_a_minute(node: Running, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(kept, "KEPT_SECONDS", 0.0)
    await ask(node, PRICE)
    with statements(node.store) as sent:
        await ask(node, PRICE)
    assert len(sent) > 1


async def test_many_who_ask_at_once_are_answered_by_one_reading(node: Running):
    with statements(node.store) as alone:
        one = await read_anew(node, VECTOR)
    node.node.kept._held.clear()
    with statements(node.store) as together:
        found = await asyncio.gather(*(ask(node, VECTOR) for _ in range(50)))
    assert set(found) == {one}
    assert len(together) <= len(alone) + 1


async def test_options_have_answers_of_their_own(node: Running):
    path = "/api/v1/prices/current"
    for _ in range(2):
        assert (await node.get(f"{path}/BTC"))["current_price"] == {"usd": 64000}
        assert (await node.get(f"{path}/BTC", vs_currencies="eur"))["current_price"] == {"eur": 60000}
        assert (await node.get(f"{path}/ETH", vs_currencies="eur"))["current_price"] == {"eur": 2812.5}
        assert "market_cap" not in await node.get(f"{path}/BTC", include_market_cap="false")
        many = await node.get(path, symbols="BTC", vs_currencies="eur")
        assert many["data"][0]["current_price"] == {"eur": 60000}
