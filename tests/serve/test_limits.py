"""Limits across replicas that share a Redis, and without it."""

import asyncio
import time

from ray_app.serve.auth import WallTime
from ray_app.serve.limits import Limits, OverLimit
from ray_app.store.allowance import RequestCounts
from ray_app.store.hot import redis_client
from ray_app.store.keys import Key
from tests.serve.conftest import Running, Start, at
from tests.servers import Redis

PATH = "/api/v1/catalog/sources"


class Wall(WallTime):
    """A wall clock that stands where it is told."""

    def __init__(self, seconds: float = 1_800_000_000.0) -> None:
        super().__init__()
        self.at = seconds

    def seconds(self) -> float:
        return self.at


def key(per_hour: int, burst: int = 10_000, name: str = "k") -> Key:
    return Key(
        name, "c", frozenset(), "standard", per_hour, burst, False, WallTime().now(), None, None, None, 0
    )


async def spend(limits: Limits, mine: Key, times: int) -> int:
    done = 0
    for _ in range(times):
        try:
            await limits.take(mine)
        except OverLimit:
            continue
        done += 1
    return done


async def test_the_headers_count_down_and_the_limit_is_exact(node: Running):
    sent = {"Authorization": f"Bearer {await node.new_key('read:ops', per_hour=5, burst=100)}"}
    left = []
    for _ in range(5):
        answer = await node.http.get(PATH, headers=sent)
        assert answer.status_code == 200
        left.append(int(answer.headers["x-ratelimit-remaining"]))
        assert answer.headers["x-ratelimit-limit"] == "5"
        assert 0 < int(answer.headers["x-ratelimit-reset"]) - time.time() <= 3600
    assert left == [4, 3, 2, 1, 0]
    answer = await node.http.get(PATH, headers=sent)
    assert answer.status_code == 429
    error = answer.json()["error"]
    assert (error["code"], error["details"]["limit"], error["details"]["requests"]) == (
        "RATE_LIMIT_EXCEEDED",
        "hour",
        5,
    )
    assert 0 < int(answer.headers["retry-after"]) <= 3600
    assert answer.headers["x-ratelimit-remaining"] == "0"


async def test_the_burst_is_a_limit_of_its_own_and_costs_nothing_of_the_hour(node: Running):
    sent = {"Authorization": f"Bearer {await node.new_key('read:ops', per_hour=1000, burst=3)}"}
    wall = Wall()
    node.node.limits._wall = wall
    statuses = [(await node.http.get(PATH, headers=sent)).status_code for _ in range(5)]
    assert statuses == [200, 200, 200, 429, 429]
    answer = await node.http.get(PATH, headers=sent)
    assert answer.json()["error"]["details"]["limit"] == "burst"
    assert int(answer.headers["retry-after"]) <= 60
    assert answer.headers["x-ratelimit-remaining"] == "997"
    wall.at += 60
    assert (await node.http.get(PATH, headers=sent)).headers["x-ratelimit-remaining"] == "996"


async def test_tiers(node: Running):
    for tier, per_hour in (("standard", "1000"), ("premium", "10000")):
        made = await node.new_key("read:ops", tier=tier)
        answer = await node.http.get(PATH, headers={"Authorization": f"Bearer {made}"})
        assert answer.headers["x-ratelimit-limit"] == per_hour


async def test_two_gateways_share_one_limit(start: Start, fresh_redis_url: str):
    one, two = await start(fresh_redis_url, replicas=2), await start(fresh_redis_url, replicas=2)
    made = await one.new_key("read:ops", per_hour=50, burst=1000)
    sent = {"Authorization": f"Bearer {made}"}
    statuses = []
    for number in range(80):
        gateway = (one, two)[number % 2]
        statuses.append((await gateway.http.get(PATH, headers=sent)).status_code)
    assert statuses.count(200) == 50
    assert set(statuses) == {200, 429}


async def test_concurrent_requests_on_two_replicas_never_exceed_the_limit(fresh_redis_url: str):
    redis = redis_client(fresh_redis_url)
    wall, mine = Wall(), key(per_hour=300)
    replicas = [Limits(RequestCounts(redis), wall, 2) for _ in range(2)]
    done = await asyncio.gather(*(spend(replicas[n % 2], mine, 20) for n in range(40)))
    assert sum(done) == 300
    await redis.aclose()


async def test_what_a_quiet_replica_holds_comes_back(fresh_redis_url: str):
    redis = redis_client(fresh_redis_url)
    wall, mine = Wall(), key(per_hour=100)
    one, two = (Limits(RequestCounts(redis), wall, 2) for _ in range(2))
    assert await spend(one, mine, 1) == 1
    bucket = one._buckets["hour", "k"]
    assert bucket.in_hand == 9
    wall.at += 6
    await one.give_back()
    assert bucket.in_hand == 0
    assert await spend(two, mine, 120) == 99
    await redis.aclose()


async def test_a_new_hour_is_a_new_allowance(fresh_redis_url: str):
    redis = redis_client(fresh_redis_url)
    wall, mine = Wall(), key(per_hour=10)
    limits = Limits(RequestCounts(redis), wall)
    assert await spend(limits, mine, 15) == 10
    wall.at += 3600
    assert await spend(limits, mine, 15) == 10
    await limits.give_back()
    assert all(
        bucket.number == int(wall.at // 3600) for bucket in limits._buckets.values() if bucket.kind == "hour"
    )
    await redis.aclose()


async def test_without_redis_each_replica_has_its_share():
    wall, mine = Wall(), key(per_hour=100)
    assert await spend(Limits(None, wall, replicas=4), mine, 200) == 25
    assert await spend(Limits(None, wall, replicas=1), mine, 200) == 100


async def test_with_redis_stopped_the_api_goes_on_and_counts_afterwards(
    start: Start, redis_server: Redis, fresh_redis_url: str
):
    running = await start(fresh_redis_url, replicas=2)
    await running.fill.declare()
    await running.fill.prices(at(), {"bitcoin": "100"})
    running.clock.set(at(minutes=1))
    made = await running.new_key("read:prices", "read:ops", per_hour=40, burst=1000)
    sent = {"Authorization": f"Bearer {made}"}
    price = "/api/v1/prices/current/BTC"
    assert (await running.http.get(price, headers=sent)).status_code == 200
    with redis_server.outage():
        began = time.monotonic()
        statuses = [(await running.http.get(price, headers=sent)).status_code for _ in range(30)]
        assert statuses == [200] * 19 + [429] * 11  # half of 40, one of them spent before
        assert time.monotonic() - began < 3
        assert (await running.get("/ready"))["degraded"] == ["redis"]
        await running.fill.prices(at(minutes=5), {"bitcoin": "101"})
        await asyncio.sleep(1.1)
        assert (await running.get(price))["current_price"]["usd"] == 101
    await asyncio.sleep(2.1)  # the pause before Redis is tried again
    left = [await running.http.get(price, headers=sent) for _ in range(30)]
    assert [answer.status_code for answer in left].count(200) in (20, 21)


async def test_a_redis_that_came_back_empty_is_told_what_was_spent(fresh_redis_url: str):
    redis = redis_client(fresh_redis_url)
    wall, mine = Wall(), key(per_hour=100)
    limits = Limits(RequestCounts(redis), wall)
    assert await spend(limits, mine, 60) == 60
    await redis.flushall()
    assert await spend(limits, mine, 100) == 40
    await redis.aclose()


async def test_what_was_spent_without_redis_counts_for_the_other_replica_too(fresh_redis_url: str):
    redis = redis_client(fresh_redis_url)
    wall, mine = Wall(), key(per_hour=100)
    cut_off, other = (Limits(RequestCounts(redis), wall, 2) for _ in range(2))
    assert await spend(other, mine, 60) == 60
    cut_off._try_again = time.monotonic() + 60  # as after Redis failed
    assert await spend(cut_off, mine, 30) == 30
    cut_off._try_again = 0.0
    wall.at += 6
    await cut_off.give_back()
    await other.give_back()
    assert await spend(other, mine, 50) == 10
    await redis.aclose()
