"""What a trading engine asks of a node, for Locust; `python -m benchmarks.under_load` runs it, in a process of its own.

Locust replaces the sockets of its process by gevent's, so nothing else may be done there. Address, key, routes and what
they are asked for come by the environment: a key must not stand among the arguments of a process.
"""

import json
import os
import random
from typing import Any

import gevent
from locust import FastHttpUser, constant_throughput, events, task

# route -> how often among the others, and the paths to ask; of GraphQL the symbols
ROUTES: dict[str, tuple[int, list[str]]] = json.loads(os.environ["LOAD_ROUTES"])
GRAPHQL = """query($symbols: [String!]!) { assets(symbols: $symbols) {
  symbol price { quotes { currency price } lastUpdated meta { condition } } } }"""
UNCHANGED = 304
MOST = int(os.environ["LOAD_MOST"])  # answers after which it is enough; 0: only the time ends it


@events.init.add_listener
def _enough(environment: Any, **_: Any) -> None:
    def count(**_: Any) -> None:
        if MOST and environment.stats.total.num_requests >= MOST:
            environment.events.request.remove_listener(count)
            # By another greenlet: it waits for the users to end, and one of them is counting here.
            gevent.spawn(environment.runner.quit)

    environment.events.request.add_listener(count)


class Engine(FastHttpUser):
    """Asks one route after the other; what it has already it asks for again by its ETag, as an engine does."""

    host = os.environ["LOAD_URL"]
    wait_time = constant_throughput(float(os.environ["LOAD_PER_SECOND"]))
    network_timeout = connection_timeout = 10.0

    def on_start(self) -> None:
        self.client.auth_header = None
        self._headers = {"Authorization": f"Bearer {os.environ['LOAD_KEY']}"}
        self._known: dict[str, str] = {}

    @task
    def ask(self) -> None:
        """One question, chosen by its share."""
        (route,) = random.choices(list(ROUTES), [share for share, _ in ROUTES.values()])
        paths = ROUTES[route][1]
        if route == "/graphql":
            asked: dict[str, Any] = {"query": GRAPHQL, "variables": {"symbols": paths}}
            with self.client.post(
                route, json=asked, headers=self._headers, name=route, catch_response=True
            ) as answer:
                if answer.status_code != 200 or "errors" in answer.json():
                    answer.failure(_why(answer))
            return
        path = random.choice(paths)
        headers = dict(self._headers)
        if path in self._known:
            headers["If-None-Match"] = self._known[path]
        with self.client.get(path, headers=headers, name=route, catch_response=True) as answer:
            if answer.status_code == UNCHANGED and path in self._known:
                answer.success()
            elif answer.status_code != 200:
                answer.failure(_why(answer))
            elif "meta" not in answer.json() or "etag" not in answer.headers:
                answer.failure("an answer without meta or ETag")
            else:
                self._known[path] = answer.headers["etag"]


def _why(answer: Any) -> str:
    """The code of the error, and of a limit which: the words would make each failure another one."""
    try:
        error = answer.json()["error"]
        return f"{answer.status_code} {error['code']} {error['details'].get('limit', '')}".strip()
    except Exception:  # noqa: BLE001  # whatever came instead of an envelope
        return f"{answer.status_code} without an envelope"
