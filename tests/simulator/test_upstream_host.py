"""The host in front of every upstream: what it writes down, how it breaks and spoils answers."""

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
import pytest

from ray_app.simulator.config import SimulatorConfig
from ray_app.simulator.faults import Rule
from ray_app.simulator.quota import Bucket, Fixed, Rolling
from ray_app.simulator.server import running
from ray_app.simulator.simulation import Simulation
from ray_app.simulator.upstream import Asked, UpstreamHost
from ray_app.simulator.wire import Rejection, Reply

NOW = datetime(2026, 6, 1, 10, 3, 21, tzinfo=UTC)
DAY_S = 86_400
START_S = 1_700_006_400


@dataclass
class Daily:
    """An upstream with a row a day: a hundred of them, told as they would be at the asked moment."""

    name: str = "daily"
    prefix: str = "/daily/v1"
    secret_params: frozenset[str] = frozenset({"api_key"})
    own_faults: Mapping[str, str] = field(default_factory=lambda: {"D01": "a story", "F05": "my own words"})
    most: int = 1_000
    asked: list[Asked] = field(default_factory=list)

    def limit(self, asked: Asked) -> Reply | None:
        self.asked.append(asked)
        return Reply(429, b"enough") if len(self.asked) > self.most else None

    def lower(self, per_minute: int) -> None:
        self.most = per_minute

    def answer(self, asked: Asked) -> Reply:
        if asked.path != "/rows":
            raise Rejection(404, '{"why":"unknown"}', "application/problem+json", [("X-Why", "path")])
        rows = [{"time": START_S + n * DAY_S, "value": f"{n}.50", "count": n} for n in range(100)]
        told = {"now": asked.now_ms, "rows": rows}
        return Reply(200, json.dumps(told, separators=(",", ":")).encode())

    def spoilt(self, rule: Rule, asked: Asked) -> Reply | None:
        told = {"D01": b"once upon a time", "F05": b"sorry"}.get(rule.fault)
        return None if told is None else Reply(200, told, "text/plain")


@dataclass
class Asking:
    simulation: Simulation
    upstream: Daily
    host: UpstreamHost

    def get(self, path: str, method: str = "GET", **more: Any) -> httpx.Response:
        async def ask() -> httpx.Response:
            transport = httpx.ASGITransport(app=self.host)
            async with httpx.AsyncClient(transport=transport, base_url="http://sim") as client:
                return await client.request(method, path, **more)

        return asyncio.run(ask())

    def rows(self) -> list[dict[str, Any]]:
        read: list[dict[str, Any]] = self.get("/daily/v1/rows").json()["rows"]
        return read

    def fault(self, fault: str, **parameters: Any) -> None:
        self.simulation.faults.clear()
        self.simulation.faults.add({"fault": fault, "parameters": parameters})

    def last(self) -> Any:
        return list(self.simulation.ledger.arrivals())[-1]


@pytest.fixture
def asking() -> Asking:
    simulation = Simulation(SimulatorConfig(start=NOW, frozen=True, coins=1), NOW)
    upstream = Daily()
    return Asking(simulation, upstream, UpstreamHost(simulation, upstream))


def test_what_an_upstream_is_asked(asking: Asking) -> None:
    asking.get(
        "/daily/v1/rows?a=1&b=&a=2&api_key=secret", method="POST", content=b"x=1", headers={"X-A": "B"}
    )
    asked = asking.upstream.asked[0]
    assert (asked.method, asked.path, asked.body) == ("POST", "/rows", b"x=1")
    assert asked.params == {"a": "2", "b": "", "api_key": "secret"}
    assert asked.query == (("a", "1"), ("b", ""), ("a", "2"), ("api_key", "secret"))
    assert asked.headers["x-a"] == "B"
    assert (asked.now_ms, asked.number) == (round(NOW.timestamp() * 1000), 1)


def test_the_ledger_has_the_arrival_and_no_key(asking: Asking) -> None:
    asking.get("/daily/v1/rows?a=1&api_key=secret")
    arrival = asking.last()
    assert (arrival.path, arrival.query, arrival.plan, arrival.status) == (
        "/daily/v1/rows", "a=1", "daily", 200,
    )  # fmt: skip


def test_every_answer_says_that_it_is_simulated(asking: Asking) -> None:
    good, bad = asking.get("/daily/v1/rows"), asking.get("/daily/v1/nothing")
    assert [answer.headers["x-simulated"] for answer in (good, bad)] == ["crypto-data"] * 2
    assert parsedate_to_datetime(good.headers["date"]) == NOW
    assert (bad.status_code, bad.json(), bad.headers["x-why"]) == (404, {"why": "unknown"}, "path")
    assert bad.headers["content-type"] == "application/problem+json"
    assert set(good.headers) == {"date", "content-type", "content-length", "content-encoding", "x-simulated"}


def test_big_answers_are_packed_for_who_accepts_it(asking: Asking) -> None:
    plain = asking.get("/daily/v1/rows", headers={"Accept-Encoding": "identity"})
    packed = asking.get("/daily/v1/rows", headers={"Accept-Encoding": "gzip"})
    assert "content-encoding" not in plain.headers
    assert packed.headers["content-encoding"] == "gzip"
    assert int(packed.headers["content-length"]) < int(plain.headers["content-length"]) / 2
    assert packed.content == plain.content


def test_a_limit_is_counted_always_and_kept_where_limits_are_on(asking: Asking) -> None:
    asking.upstream.most = 1
    asking.fault("F05")
    assert [asking.get("/daily/v1/rows").text for _ in range(2)] == ["sorry", "enough"]
    asking.simulation.limits.enforced = False
    assert asking.get("/daily/v1/rows").text == "sorry"
    assert len(asking.upstream.asked) == 3


def test_own_faults_join_the_catalogue(asking: Asking) -> None:
    assert asking.simulation.faults.catalogue["D01"] == "a story"
    assert asking.simulation.faults.catalogue["F05"].endswith("; my own words")
    asking.fault("D01")
    assert asking.get("/daily/v1/rows").text == "once upon a time"
    assert asking.last().fault == "D01"
    other = Simulation(SimulatorConfig(start=NOW, coins=1), NOW)
    with pytest.raises(ValueError, match="no fault 'D01'"):
        other.faults.add({"fault": "D01"})


@pytest.mark.parametrize(
    ("fault", "parameters", "status", "kind"),
    [
        ("F01", {}, 429, "application/json; charset=utf-8"),
        ("F02", {}, 429, "application/json; charset=utf-8"),
        ("F03", {}, 429, "text/html; charset=UTF-8"),
        ("F04", {}, 200, "application/json; charset=utf-8"),
        ("F07", {}, 403, "text/html; charset=UTF-8"),
        ("F07", {"status": 451}, 451, "application/json; charset=utf-8"),
        ("F10", {"status": 502, "html": True}, 502, "text/html; charset=UTF-8"),
        ("F22", {}, 401, "application/json; charset=utf-8"),
    ],
)
def test_wrong_answers(
    asking: Asking, fault: str, parameters: dict[str, Any], status: int, kind: str
) -> None:
    asking.fault(fault, **parameters)
    answer = asking.get("/daily/v1/rows")
    assert (answer.status_code, answer.headers["content-type"]) == (status, kind)
    assert ("retry-after" in answer.headers) == (fault == "F01")
    assert (asking.last().fault, asking.last().status) == (fault, status)


def test_a_limit_that_drops_in_silence(asking: Asking) -> None:
    asking.fault("F23", per_minute=1)
    assert asking.get("/daily/v1/rows").status_code == 200
    assert asking.get("/daily/v1/rows").status_code == 429


def test_the_date_header_shifts(asking: Asking) -> None:
    asking.fault("F21", seconds=-90)
    answer = asking.get("/daily/v1/rows")
    assert parsedate_to_datetime(answer.headers["date"]).timestamp() == NOW.timestamp() - 90


def test_stale_answers(asking: Asking) -> None:
    asking.fault("F20", hours=2)
    assert asking.get("/daily/v1/rows").json()["now"] == round(NOW.timestamp() - 7_200) * 1000
    asking.fault("F20", kind="repeat")
    told = []
    for _ in range(2):
        told.append(asking.get("/daily/v1/rows?a=1").json()["now"])
        asking.simulation.clock.advance(60)
    assert told[0] == told[1]


def by_time(rows: list[dict[str, Any]]) -> dict[int, dict[str, Any]]:
    return {row["time"]: row for row in rows}


def null(right: list[dict[str, Any]], told: list[dict[str, Any]]) -> bool:
    hit = [row for row in told if None in row.values()]
    return len(told) == 100 and 10 < len(hit) < 60 and all(row["time"] is not None for row in told)


def missing(right: list[dict[str, Any]], told: list[dict[str, Any]]) -> bool:
    return 10 < sum(set(row) != {"time", "value", "count"} for row in told) < 60


def holes(right: list[dict[str, Any]], told: list[dict[str, Any]]) -> bool:
    return 60 < len(told) < 95 and all(row in right for row in told)


def doubled(right: list[dict[str, Any]], told: list[dict[str, Any]]) -> bool:
    return 100 < len(told) < 120 and by_time(told) == by_time(right)


def backwards(right: list[dict[str, Any]], told: list[dict[str, Any]]) -> bool:
    times = [row["time"] for row in told]
    return times != sorted(times) and {t + 1 for t in times if (t - START_S) % DAY_S} <= set(times)


def shuffled(right: list[dict[str, Any]], told: list[dict[str, Any]]) -> bool:
    return told != right and by_time(told) == by_time(right)


def revised(right: list[dict[str, Any]], told: list[dict[str, Any]]) -> bool:
    changed = [(a, b) for a, b in zip(right, told, strict=True) if a["value"] != b["value"]]
    return 2 < len(changed) < 25 and all(float(b["value"]) == 2 * float(a["value"]) for a, b in changed)


def cut(right: list[dict[str, Any]], told: list[dict[str, Any]]) -> bool:
    return told == right[:7]


def extra(right: list[dict[str, Any]], told: list[dict[str, Any]]) -> bool:
    return all(row.pop("simulated_new_field") for row in told) and told == right


def strings(right: list[dict[str, Any]], told: list[dict[str, Any]]) -> bool:
    return all(a["count"] == str(b["count"]) for a, b in zip(told, right, strict=True))


def milliseconds(right: list[dict[str, Any]], told: list[dict[str, Any]]) -> bool:
    return [row["time"] for row in told] == [row["time"] * 1000 for row in right]


@pytest.mark.parametrize(
    ("fault", "parameters", "holds"),
    [
        ("F12", {}, null),
        ("F12", {"kind": "missing"}, missing),
        ("F13", {}, doubled),
        ("F13", {"kind": "backwards"}, backwards),
        ("F13", {"kind": "shuffled"}, shuffled),
        ("F14", {}, holes),
        ("F16", {"factor": 2}, revised),
        ("F19", {"rows": 7}, cut),
        ("F24", {}, extra),
        ("F24", {"kind": "strings", "field": "count"}, strings),
        ("F25", {"kind": "microseconds"}, milliseconds),
    ],
)
def test_spoilt_answers(
    asking: Asking, fault: str, parameters: dict[str, Any], holds: Callable[..., bool]
) -> None:
    right = asking.rows()
    asking.fault(fault, **parameters)
    told = asking.rows()
    assert holds(right, told)
    assert asking.last().fault == fault
    assert told == asking.rows() or fault == "F24", "the same rows are hit in every answer"


def test_a_fault_that_changes_nothing_is_not_written_down(asking: Asking) -> None:
    right = asking.get("/daily/v1/rows").content
    asking.fault("F19", rows=500)
    assert asking.get("/daily/v1/rows").content == right
    assert asking.last().fault is None


def test_transports_that_fail() -> None:
    config = SimulatorConfig(start=NOW, frozen=True, limits=False)
    path = "/binance/api/v3/klines?symbol=BTCUSDT&interval=1h&limit=300"
    with running(config) as base, httpx.Client(base_url=base, timeout=5) as client:

        def broken(**parameters: Any) -> None:
            rule = {"fault": "F11", "path": "/binance/*", "count": 1, "parameters": parameters}
            assert client.post("/sim/faults", json=rule).status_code == 200

        whole = client.get(path).content
        broken(kind="reset")
        with pytest.raises(httpx.RemoteProtocolError):
            client.get(path)
        broken(kind="truncated")
        assert client.get(path).content == whole[: len(whole) * 2 // 3]
        broken(kind="empty")
        assert client.get(path).content == b""
        broken(kind="gzip")
        unpacked = client.get(path).content
        assert len(unpacked) < len(whole)
        assert whole.startswith(unpacked)
        broken(kind="slow", seconds=0.2)
        assert client.get(path).content == whole
        broken(kind="hang", seconds=0.2)
        assert client.get(path).status_code == 504
        broken(kind="hang", seconds=30)
        with pytest.raises(httpx.ReadTimeout):
            client.get(path, timeout=0.2)
        faults = client.get("/sim/ledger").json()["arrivals"]
        assert [arrival["fault"] for arrival in faults] == [None, *["F11"] * 7]
        assert [arrival["status"] for arrival in faults] == [200, None, 200, 200, 200, 200, 504, None]


def test_the_admin_speaks_of_upstreams(asking: Asking) -> None:
    with running(SimulatorConfig(start=NOW, frozen=True)) as base, httpx.Client(base_url=base) as client:
        assert client.get("/sim").json()["upstreams"]["kraken"] == "/kraken"
        assert client.get("/sim/truth/nothing").status_code == 400
        assert client.post("/sim/upstream/kraken", json={}).json() == {"error": "kraken has no settings"}
        assert client.get("/sim/truth/kraken", params={"pair": "XBTUSD"}).status_code == 400


def test_a_rolling_window_counts_what_it_refuses() -> None:
    window = Rolling(3, 1_000)
    assert [window.arrive("a", at) for at in (0, 100, 200)] == [0, 0, 0]
    assert window.arrive("a", 300) == 800
    assert window.arrive("b", 300) == 0
    assert window.arrive("a", 1_099) == 101, "100, 200, 300 and this one are within"
    assert window.arrive("a", 1_250) == 0, "300, 1099 and this one are"
    assert window.used("a", 1_250) == 3
    assert window.arrive("a", 5_000, weight=3) == 0


def test_a_fixed_window_begins_with_the_clocks() -> None:
    window = Fixed(2, 60_000)
    assert [window.arrive("a", at) for at in (59_000, 59_500)] == [0, 0]
    assert window.arrive("a", 59_900) == 100
    assert (window.arrive("a", 60_000), window.used("a", 60_000)) == (0, 1)


def test_a_bucket_fills_again() -> None:
    bucket = Bucket(per_second=2, burst=3)
    assert [bucket.arrive("a", 0) for _ in range(4)] == [0, 0, 0, 500]
    assert [bucket.arrive("a", 600) for _ in range(2)] == [0, 400]
    bucket.change(1)
    assert [bucket.arrive("a", 100_000) for _ in range(2)] == [0, 1_000]
