"""`crypto-data validate`: look at a running node as a user does, and stop at the first thing that a user would miss."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx

Say = Callable[[str], None]
TIMEOUT = 15.0  # seconds; each route answers in far less
WELL = {"available", "pending", "degraded"}
NEW_KEY = "make one: crypto-data keys create NAME --scopes all (docs/deploy.md)"


class Missed(Exception):
    """What a user would miss, with what to do about it."""


@dataclass
class Validation:
    """Checks against one address; each returns what it found, or raises Missed."""

    url: str
    key: str | None  # None: only what is open to everyone is looked at
    release: str | None
    say: Say

    def run(self) -> None:
        """Raises Missed at the first check that fails."""
        headers = {} if self.key is None else {"Authorization": f"Bearer {self.key}"}
        checks = [alive, self._ready, documented]
        checks += [authorised, collected, priced, history, streamed, socketed] if self.key is not None else []
        with httpx.Client(base_url=self.url.rstrip("/"), timeout=TIMEOUT, headers=headers) as http:
            for check in checks:
                try:
                    found = check(http)
                except (KeyError, TypeError, AttributeError) as error:
                    what = f"{type(error).__name__} {error}"
                    raise Missed(
                        f"{check.__name__}: the answer has another form ({what}): another release?"
                    ) from None
                self.say(f"{check.__name__.strip('_')}: {found}")

    def _ready(self, http: httpx.Client) -> str:
        answer = _get(http, "/ready", allowed=(200, 503))
        body = _json(answer)
        if answer.status_code == 503:
            details = body.get("error", {}).get("details", {})
            reasons = details.get("reasons") or dict.fromkeys(
                details.get("down", ["a part"]), "does not answer"
            )
            raise Missed("; ".join(f"the {part} {why}{_store_hint(why)}" for part, why in reasons.items()))
        if "migrations" in body.get("degraded", ()):
            raise Missed(
                f"the database was {body['reasons']['migrations']}: its collectors cannot start; "
                "deploy that release, or restore a backup from before"
            )
        if self.release is not None and body.get("release") != self.release:
            raise Missed(
                f"release {body.get('release')} answers instead of {self.release}: the new one has no requests yet"
            )
        down = [f"{part} {why}" for part, why in body.get("reasons", {}).items()]
        return f"release {body.get('release')}" + (f", without {'; '.join(down)}" if down else "")


def alive(http: httpx.Client) -> str:
    _get(http, "/health")
    return "it answers"


def authorised(http: httpx.Client) -> str:
    """The key works, and may read what is looked at here."""
    body = _json(_get(http, "/api/v1/catalog/datasets"))
    return f"{len(body['data'])} data sets"


def collected(http: httpx.Client) -> str:
    """Every required data set comes in; one that does not is named with its reason."""
    body = _json(_get(http, "/api/v1/health"))
    for part in body["parts"]:
        if part["required"] and part["state"] not in WELL:
            raise Missed(f"the {part['part']} is {part['state']}: {part['reason']}")
    bad = [one for one in body["datasets"] if one["required"] and one["state"] not in WELL]
    bad += [one for one in body["datasets"] if not one["required"] and one["state"] == "dead"]
    bad.sort(key=lambda one: not one["last_error"])  # first the one that says why
    if bad:
        raise Missed(_dataset(bad[0]) + (f"; and {len(bad) - 1} more" if bad[1:] else ""))
    full = [one for one in body["datasets"] if "cannot be written" in (one["last_error"] or "")]
    if full:
        raise Missed(f"{full[0]['last_error']}: free the volume of raw pages; collecting goes on by itself")
    late = [one["dataset"] for one in body["datasets"] if one["state"] in ("degraded", "missing")]
    return f"{body['status']}" + (f"; late: {', '.join(late)}" if late else "")


def priced(http: httpx.Client) -> str:
    price = _json(_get(http, "/api/v1/prices/current/BTC"))["current_price"]["usd"]
    if price is None:
        raise Missed("there is no price of BTC: is CoinGecko collected? see /api/v1/health")
    return f"BTC ${price}"


def history(http: httpx.Client) -> str:
    data = _json(_get(http, "/api/v1/prices/historical/BTC?interval=1h&days=1"))["data"]
    if not data:
        raise Missed("there are no hourly candles of BTC of the last day: see /api/v1/gaps?symbol=BTC")
    return f"{len(data)} hours of BTC"


def documented(http: httpx.Client) -> str:
    paths = _json(_get(http, "/openapi.json"))["paths"]
    return f"{len(paths)} routes"


def streamed(http: httpx.Client) -> str:
    """Server-sent events begin to come: Serve's second way in."""
    path = "/api/v1/stream/prices?symbols=BTC"
    with _errors(path), http.stream("GET", path, headers={"Accept": "text/event-stream"}) as answer:
        if answer.status_code != 200:
            answer.read()
            raise Missed(_problem(path, answer))
        for line in answer.iter_lines():
            if line.startswith(("event:", "data:", "id:")):
                return "events come"
    raise Missed(f"{path} ends without an event: is the application streams-sse running?")


def socketed(http: httpx.Client) -> str:
    """A WebSocket opens and says something."""
    from websockets.exceptions import InvalidStatus, WebSocketException
    from websockets.sync.client import connect

    address = str(http.base_url).rstrip("/").replace("http", "ws", 1) + "/ws/prices"
    try:
        with connect(
            address,
            additional_headers={"Authorization": http.headers["Authorization"]},
            open_timeout=TIMEOUT,
            close_timeout=1,
            proxy=None,
        ) as socket:
            socket.send(json.dumps({"action": "subscribe", "symbols": ["BTC"]}))
            socket.recv(timeout=TIMEOUT)
    except InvalidStatus as error:
        raise Missed(
            f"/ws/prices refuses a socket with {error.response.status_code}: streams-ws running?"
        ) from None
    except (WebSocketException, OSError, TimeoutError) as error:
        raise Missed(
            f"/ws/prices gives no message ({type(error).__name__}): is streams-ws running?"
        ) from None
    return "a socket tells"


def _get(http: httpx.Client, path: str, allowed: tuple[int, ...] = (200,)) -> httpx.Response:
    with _errors(path):
        answer = http.get(path)
    if answer.status_code not in allowed:
        raise Missed(_problem(path, answer))
    return answer


@contextmanager
def _errors(path: str) -> Iterator[None]:
    try:
        yield
    except httpx.ConnectError as error:
        raise Missed(
            f"nothing answers: {error}; is the address right, and may you reach it from here? "
            "(kubectl -n crypto-data-collection port-forward svc/data-api-gateway 8000)"
        ) from None
    except httpx.HTTPError as error:
        raise Missed(f"{path}: {type(error).__name__} {error}".rstrip()) from None


def _json(answer: httpx.Response) -> Any:
    try:
        return answer.json()
    except ValueError:
        raise Missed(f"{answer.url.path} is answered by something else: {answer.text[:80]!r}") from None


def _problem(path: str, answer: httpx.Response) -> str:
    try:
        error = answer.json()["error"]
        said = f"{error['code']}: {error['message']}"
    except (ValueError, KeyError, TypeError):
        said = answer.text[:200] or "no body"
    if answer.status_code == 401:
        return f"the key is wrong, expired or revoked: {NEW_KEY}"
    if answer.status_code == 403:
        return f"{path}: {said}; look with a key that may read it: {NEW_KEY}"
    if answer.status_code == 503 and "SERVICE_UNAVAILABLE" not in said:
        return f"{path}: no replica takes requests ({said.strip()[:100]}); is the application running?"
    return f"{path} gives {answer.status_code}: {said}"


def _store_hint(why: str) -> str:
    if "no tables" in why:
        return "; is the collector running, and may its user make tables (kuberay/news_collector.sql)?"
    if "Unavailable" in why or "in time" in why:
        return ": is the database up, and its address the one in addresses.yaml?"
    return ""


def _dataset(one: dict[str, Any]) -> str:
    why = one["last_error"] or "; ".join(one["reasons"]) or "nothing has come yet"
    key = f"; set {one['not_configured']}" if one["not_configured"] else ""
    return f"{one['dataset']} is {one['state']} (collector {one['collector']}): {why}{key}"
