"""The way of a request: written down, its key judged, counted, perhaps spoiled, answered.

A limit that is really reached goes before a fault on request. Every arrival counts, whatever follows.
"""

import math
from collections.abc import Mapping
from datetime import timedelta
from urllib.parse import parse_qsl, urlencode

from starlette.types import Receive, Scope, Send

from ray_app.simulator.clock import instant
from ray_app.simulator.coingecko.answers import (
    MISSING_KEY,
    MONTH_SPENT,
    RATE_LIMIT,
    TO_PRO_HOST,
    TO_PUBLIC_HOST,
    plain_error,
    status_error,
)
from ray_app.simulator.coingecko.cache import Cache, Copy
from ray_app.simulator.coingecko.query import Ask
from ray_app.simulator.coingecko.routes import answer
from ray_app.simulator.fault_answers import server_error, wrong_answer
from ray_app.simulator.fault_bodies import spoil
from ray_app.simulator.faults import Rule
from ray_app.simulator.ledger import Arrival
from ray_app.simulator.noise import fraction, key
from ray_app.simulator.plans import PLANS, Caller, OverLimit
from ray_app.simulator.simulation import Simulation
from ray_app.simulator.wire import Rejection, Reply, client_left, send_broken, send_reply

PRO_KEY, DEMO_KEY = "x-cg-pro-api-key", "x-cg-demo-api-key"
KEYS_IN_QUERY = {"x_cg_pro_api_key": PRO_KEY, "x_cg_demo_api_key": DEMO_KEY}
IN_FRONT = [("Vary", "Accept-Encoding, Origin"), ("Server", "cloudflare")]
UNCACHED = [("Cache-Control", "no-cache"), ("CF-Cache-Status", "MISS")]


class Host:
    """One of the two hosts, as an ASGI application: paid keys here, demo keys and none there."""

    def __init__(self, simulation: Simulation, prefix: str, paid: bool) -> None:
        self._simulation, self._prefix, self._paid = simulation, prefix, paid
        self._cache = Cache()
        self._labels = {k: f"key-{n}" for n, k in enumerate(simulation.keys, start=1)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        now_ms = self._simulation.clock.now_ms()
        headers = {
            name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]
        }
        query = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        params = {name: value for name, value in query if name not in KEYS_IN_QUERY}
        path: str = scope["path"]
        shown = urlencode([(name, value) for name, value in query if name not in KEYS_IN_QUERY])
        arrival = self._simulation.ledger.open(now_ms, path, shown)
        rule = self._simulation.faults.strike(path)
        try:
            caller = self._caller(headers, dict(query), scope["client"])
            arrival.plan, arrival.key = caller.plan, caller.label
            over = self._simulation.limits.arrive(caller, now_ms)
            if over is not None:
                reply, rule = self._over(over, caller, arrival, now_ms), None
            elif scope["method"] != "GET":
                raise plain_error(404, "Only GET is answered here")
            else:
                if rule is not None and rule.fault == "F11" and rule.kind() == "hang":
                    _mark(rule, arrival)
                    if await client_left(receive, float(rule.value("seconds", 30))):
                        return
                    raise server_error(504)  # as the proxy in front gives up on it
                reply = self._reply(path, params, caller, arrival, rule, headers.get("if-none-match"))
        except Rejection as rejected:
            rule = None if rule is not None and rule.fault == "F11" else rule
            reply = Reply(rejected.status, rejected.body.encode(), headers=list(UNCACHED))
        request_id = f"{key(self._simulation.config.seed, 'request', arrival.number):016x}"
        reply.headers += [*IN_FRONT, ("X-Request-Id", request_id)]
        date_ms = now_ms
        if rule is not None and rule.fault == "F21":
            _mark(rule, arrival)
            date_ms += round(float(rule.value("seconds", 3600)) * 1000)
        if rule is not None and rule.fault == "F11":
            _mark(rule, arrival)
            if await send_broken(rule, receive, send, reply, date_ms):
                arrival.status = reply.status
            return
        arrival.status = reply.status
        await send_reply(send, reply, date_ms, "gzip" in headers.get("accept-encoding", ""))

    def _caller(
        self, headers: Mapping[str, str], query: Mapping[str, str], client: tuple[str, int]
    ) -> Caller:
        """Who asks. Raises Rejection for a key that is missing, unknown or on the wrong host."""
        given = {name: headers[name] for name in (PRO_KEY, DEMO_KEY) if name in headers}
        for in_query, name in KEYS_IN_QUERY.items():
            if in_query in query:
                given.setdefault(name, query[in_query])
        right, wrong = (PRO_KEY, DEMO_KEY) if self._paid else (DEMO_KEY, PRO_KEY)
        keys = self._simulation.keys
        if right in given:
            plan = keys.get(given[right])
            if plan is None:
                raise status_error(401, 10002, MISSING_KEY)
            if PLANS[plan].paid == self._paid:
                return Caller(plan, self._labels[given[right]])
        elif wrong not in given:
            if self._paid:
                raise status_error(401, 10002, MISSING_KEY)
            return Caller("keyless", f"ip-{client[0]}")
        if self._paid:
            raise status_error(400, 10011, TO_PUBLIC_HOST)
        raise status_error(400, 10010, TO_PRO_HOST)

    def _over(self, over: OverLimit, caller: Caller, arrival: Arrival, now_ms: int) -> Reply:
        rejected = status_error(429, 429, MONTH_SPENT if over.reason == "month" else RATE_LIMIT)
        reply = Reply(429, rejected.body.encode(), headers=list(UNCACHED))
        config = self._simulation.config
        sometimes = fraction(config.seed, "retry-after", arrival.number) < 0.5
        told = config.retry_after == "always" or (config.retry_after == "sometimes" and sometimes)
        if over.seconds is not None and told:
            reply.headers.append(("Retry-After", str(max(1, math.ceil(over.seconds)))))
        if over.seconds is not None and caller.plan == "demo":
            free = instant(now_ms) + timedelta(seconds=over.seconds)
            reset = (free + timedelta(minutes=1)).replace(second=0, microsecond=0)
            reply.headers += [
                ("x-ratelimit-limit", str(self._simulation.limits.plan("demo").per_minute)),
                ("x-ratelimit-remaining", "0"),
                ("x-ratelimit-reset", reset.strftime("%Y-%m-%d %H:%M:%S +0000")),
            ]
        return reply

    def _reply(
        self,
        path: str,
        params: dict[str, str],
        caller: Caller,
        arrival: Arrival,
        rule: Rule | None,
        known: str | None,
    ) -> Reply:
        now_ms = arrival.at_ms
        if rule is not None:
            wrong = wrong_answer(rule, now_ms)
            if wrong is not None:
                _mark(rule, arrival)
                more = [] if wrong.retry_after is None else [("Retry-After", str(wrong.retry_after))]
                return Reply(wrong.status, wrong.body.encode(), wrong.content_type, [*UNCACHED, *more])
            if rule.fault == "F23":
                _mark(rule, arrival)
                self._simulation.limits.change(caller.plan, int(rule.value("per_minute", 10)))
        route = path.removeprefix(self._prefix)
        if rule is not None and rule.fault == "F17":
            route, params = _under_old_name(rule, arrival, route, params)
        copy = self._copy(route, params, caller, arrival, rule)
        headers = [
            ("Cache-Control", "public, max-age=30"),
            ("CF-Cache-Status", arrival.cache or "MISS"),
            ("Access-Control-Expose-Headers", "link, per-page, total"),
        ]
        if rule is not None:
            body = spoil(copy.body.decode(), rule, now_ms).encode()
            if body != copy.body:
                _mark(rule, arrival)
                return Reply(200, body, headers=headers)
        if arrival.cache == "HIT":
            headers.append(("Age", str((now_ms - copy.made_ms) // 1000)))
        headers.append(("ETag", copy.etag))
        if known is not None and copy.etag in known:
            return Reply(304, b"", headers=headers)
        return Reply(200, copy.body, headers=headers, packed=copy.packed)

    def _copy(
        self, route: str, params: dict[str, str], caller: Caller, arrival: Arrival, rule: Rule | None
    ) -> Copy:
        """The right answer, from the cache where it is young enough; an F20 rule tells an older one."""
        simulation, now_ms = self._simulation, arrival.at_ms
        question = f"{caller.plan} {route}?{urlencode(sorted(params.items()))}"
        plan = simulation.limits.plan(caller.plan)
        if rule is not None and rule.fault == "F20":
            _mark(rule, arrival)
            if rule.kind() == "repeat":
                now_ms = rule.memory.setdefault(question, now_ms)
            else:
                now_ms -= round(float(rule.value("hours", 6)) * 3_600_000)
            told = answer(route, Ask(simulation.world, plan, self._paid, params, now_ms), simulation, caller)
            return Copy(told.body.encode(), now_ms, now_ms)
        copy = self._cache.find(question, now_ms)
        if copy is not None:
            arrival.cache = "HIT"
            return copy
        arrival.cache = "MISS"
        ask = Ask(simulation.world, plan, self._paid, params, now_ms)
        return self._cache.keep(question, answer(route, ask, simulation, caller), now_ms)


def _under_old_name(
    rule: Rule, arrival: Arrival, route: str, params: dict[str, str]
) -> tuple[str, dict[str, str]]:
    """Ask under the name that a renamed coin had. Raises Rejection where the old name itself is asked for."""
    gone, new = str(rule.value("id", "")), rule.value("renamed_to", None)
    if route.startswith(f"/coins/{gone}/"):
        _mark(rule, arrival)
        raise plain_error(404, "coin not found")
    if new is None:
        return route, params
    if route.startswith(f"/coins/{new}/"):
        _mark(rule, arrival)
    ids = [gone if name == new else "" if name == gone else name for name in params.get("ids", "").split(",")]
    renamed = params | ({"ids": ",".join(name for name in ids if name) or "-"} if params.get("ids") else {})
    return route.replace(f"/coins/{new}/", f"/coins/{gone}/", 1), renamed


def _mark(rule: Rule, arrival: Arrival) -> None:
    """Write an injected fault into the ledger, once."""
    if arrival.fault is None:
        arrival.fault = rule.fault
        rule.injected += 1
