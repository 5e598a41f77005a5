"""How connections end: a client that does not read, a replica that goes."""

import asyncio
import socket
import time
from statistics import median

import pytest

from ray_app.serve.streams import hub, topic
from ray_app.serve.streams.items import Frames
from ray_app.serve.streams.outlet import Bounds, Ending, Outlet
from tests.serve.filling import COINS
from tests.serve.streams import conftest
from tests.serve.streams.conftest import Begin, Client, Node

LARGE = dict.fromkeys(COINS, "1")


def frames(messages: int = 1, size: int = 10, name: str = "x") -> Frames:
    return Frames((name,), messages, size)


WARNING = frames(name="warning")
TOO_SLOW = "too slow; resume after the last cursor that you have"


async def taken(outlet: Outlet) -> list[str]:
    """What waits, in order."""
    out = []
    while outlet._waiting:
        got = await outlet.next()
        assert got is not None
        out.append(str(got.payloads[0]))
        outlet.sent()
    return out


async def test_a_queue_warns_once_at_half_and_ends_when_it_is_full():
    outlet = Outlet(lambda: WARNING, Bounds(messages=10, size=1000))
    for number in range(5):
        outlet.put(frames(name=str(number)))
    assert await taken(outlet) == ["0", "warning", "1", "2", "3", "4"]
    outlet.put(frames(messages=5))
    assert await taken(outlet) == ["x", "warning"]  # it was nearly empty in between
    for _ in range(9):
        outlet.put(frames())
    assert outlet.ending is None
    outlet.put(frames())
    assert outlet.ending == Ending(4408, TOO_SLOW)
    assert await outlet.next() is None
    outlet.put(frames())
    assert await outlet.next() is None


async def test_a_queue_counts_bytes_as_well():
    outlet = Outlet(lambda: WARNING, Bounds(messages=1000, size=100))
    outlet.put(frames(size=500))  # larger than the queue, but nothing waited
    outlet.put(frames(size=1))
    assert outlet.ending is not None
    assert outlet.ending.code == 4408


async def test_a_replay_waits_for_its_reader_and_gives_up_in_the_end(monkeypatch: pytest.MonkeyPatch):
    from ray_app.serve.streams import outlet as module

    monkeypatch.setattr(module, "STUCK_SECONDS", 0.2)
    outlet = Outlet(lambda: WARNING, Bounds(messages=8, size=1000))
    assert await outlet.feed(frames(messages=2))
    feeding = asyncio.create_task(outlet.feed(frames()))
    await asyncio.sleep(0.05)
    assert not feeding.done()
    assert await taken(outlet) == ["x"]
    assert await feeding
    assert await outlet.feed(frames(messages=2))
    assert not await outlet.feed(frames())
    assert outlet.ending is not None
    assert outlet.ending.code == 4408


async def stalled(node: Node, query: str) -> Client:
    """A client that hardly takes in what it does not read."""
    raw = socket.socket()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    raw.setblocking(False)
    await asyncio.get_running_loop().sock_connect(raw, ("127.0.0.1", int(node.ws.rpartition(":")[2])))
    return await node.socket(query=query, sock=raw, max_queue=1)


async def test_who_does_not_read_is_warned_closed_with_4408_and_delays_nobody(
    streams: Begin, fresh_redis_url: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(topic, "COALESCE", 0.0)
    monkeypatch.setattr(conftest, "SEND_BUFFER", 4096)
    node = await streams(fresh_redis_url, bounds=Bounds(messages=40))
    slow, quick = await stalled(node, "?symbols=*"), await node.socket(query="?symbols=*")
    for one in (slow, quick):
        await one.updates(2, "ack", "snapshot")
    mine = node.sockets.hub
    waits, total = list[float](), 0
    while len(mine._connections) == 2:
        assert total < 4_000, "the slow one is never closed"
        began = time.monotonic()
        await node.prices(LARGE)
        told = await quick.updates(4)
        waits.append(time.monotonic() - began)
        total += 4
        assert told[-1]["cursor"] == total
    assert await slow.closed() == (4408, TOO_SLOW)
    places = [one["cursor"] for one in slow.seen if one["type"] in ("price_update", "interval_complete")]
    assert places == list(range(1, len(places) + 1)), "what it got has no hole"
    assert len(places) < total
    again = await node.socket(query=f"?symbols=*&after={places[-1]}")
    await again.next("ack")
    rest = await again.updates(total - places[-1])
    assert [one["cursor"] for one in rest] == list(range(places[-1] + 1, total + 1))
    alone = list[float]()
    for _ in range(20):
        began = time.monotonic()
        await node.prices(LARGE)
        await quick.updates(4)
        alone.append(time.monotonic() - began)
    assert median(waits) < 2 * median(alone) + 0.05, "as quick beside the slow one as without it"


async def test_a_replica_that_goes_sends_everybody_away_one_after_the_other(
    streams: Begin, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(hub, "LOOK", 0.05)
    going = [False]
    node = await streams(draining=lambda: going[0])
    clients = [await node.socket(query="?symbols=BTC") for _ in range(20)]
    events = await node.sse()
    await events.next("ack")
    for one in clients:
        await one.updates(2)
    going[0] = True
    ended = await asyncio.gather(*(_ended(one) for one in clients))
    assert {code for code, _, _ in ended} == {1012}
    delays = [int(reason.split()[-2]) for _, reason, _ in ended]
    assert all(0 <= delay <= 1000 * 20 * hub.SPREAD_EACH for delay in delays)
    assert len(set(delays)) > 10, "all would come back at once"
    for one, delay in zip(clients, delays, strict=True):
        error = one.seen[-1]["error"]
        assert (error["code"], error["details"]["retry_after_ms"]) == ("SERVICE_UNAVAILABLE", delay)
    while (told := await events.next())["type"] != "error":
        pass
    with pytest.raises(EOFError):
        await events.next()
    assert events.retries == [3000, told["error"]["details"]["retry_after_ms"]]
    late = await node.socket()
    assert (await late.closed())[0] == 1012


async def _ended(client: Client) -> tuple[int, str, float]:
    code, reason = await client.closed()
    return code, reason, time.monotonic()


async def test_a_server_that_stops_says_1012(streams: Begin):
    node = await streams()
    client = await node.socket(query="?symbols=BTC")
    await client.updates(2)
    await node.sockets.hub.stop()
    assert (await client.closed())[0] == 1012
    assert client.seen[-1]["error"]["code"] == "SERVICE_UNAVAILABLE"
