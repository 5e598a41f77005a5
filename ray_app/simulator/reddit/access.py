"""Who may ask Reddit: tokens, the requests of a client, and the refusals."""

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs
from weakref import WeakKeyDictionary

from ray_app.simulator.noise import key
from ray_app.simulator.quota import Fixed
from ray_app.simulator.simulation import Simulation
from ray_app.simulator.upstream import Asked
from ray_app.simulator.wire import HTML, JSON, Rejection, Reply

CLIENT, SECRET = "sim-id", "sim-secret"
PER_SLICE, SLICE_MS, ANONYMOUS = 1000, 600_000, 10
LIBRARIES = (
    "python-requests",
    "python-httpx",
    "python-urllib",
    "aiohttp",
    "curl/",
    "Go-http-client",
    "Java/",
)
INSTALLED = "https://oauth.reddit.com/grants/installed_client"


@dataclass
class Access:
    """What both hosts share. Times in virtual milliseconds."""

    expires_in: int = 86_400  # seconds
    tokens: dict[str, int] = field(default_factory=dict)  # -> when it ends
    count: Fixed = field(default_factory=lambda: Fixed(PER_SLICE, SLICE_MS))
    libraries: Fixed = field(default_factory=lambda: Fixed(ANONYMOUS, 60_000))

    def holds(self, asked: Asked) -> bool:
        scheme, _, token = asked.headers.get("authorization", "").partition(" ")
        return scheme.lower() == "bearer" and asked.now_ms < self.tokens.get(token, 0)


_ACCESS: WeakKeyDictionary[Simulation, Access] = WeakKeyDictionary()


def access(simulation: Simulation) -> Access:
    return _ACCESS.setdefault(simulation, Access())


class RedditWww:
    """www.reddit.com, as far as it gives tokens: POST /api/v1/access_token."""

    name, prefix = "reddit-www", "/reddit-www"
    secret_params: frozenset[str] = frozenset()

    def __init__(self, simulation: Simulation) -> None:
        self._access, self._seed = access(simulation), simulation.config.seed

    def limit(self, asked: Asked) -> Reply | None:
        return library_limit(self._access, asked)

    def answer(self, asked: Asked) -> Reply:
        if asked.path != "/api/v1/access_token" or asked.method != "POST":
            raise refused(404, "Not Found")
        form = {name: values[-1] for name, values in parse_qs(asked.body.decode("latin-1")).items()}
        client, secret = _basic(asked.headers)
        grant = form.get("grant_type")
        if grant == INSTALLED and client == CLIENT:
            if not 20 <= len(form.get("device_id", "")) <= 30:
                return ok({"error": "invalid_request", "error_description": "bad device_id"})
        elif (client, secret) != (CLIENT, SECRET):
            raise refused(401, "Unauthorized")
        elif grant != "client_credentials":
            return ok({"error": "unsupported_grant_type"})
        token = f"sim{key(self._seed, 'token', asked.number):016x}"
        self._access.tokens[token] = asked.now_ms + self._access.expires_in * 1000
        told = {"access_token": token, "token_type": "bearer", "expires_in": self._access.expires_in}
        return ok({**told, "scope": form.get("scope", "*")})

    own_faults: Mapping[str, str] = {"D01": "Reddit: the token route answers 200 with error=invalid_grant"}

    def spoilt(self, rule: Any, asked: Asked) -> Reply | None:  # noqa: ARG002 -- one fault for every question
        match rule.fault:
            case "D01":
                return ok({"error": str(rule.value("error", "invalid_grant"))})
            case "F01" | "F02" | "F03":
                return too_many(rule)
        return None


def library_limit(known: Access, asked: Asked) -> Reply | None:
    """Agents that name nobody but a library share very little."""
    agent = asked.headers.get("user-agent", "")
    if agent and not agent.startswith(LIBRARIES):
        return None
    return pardner(4) if known.libraries.arrive(asked.client, asked.now_ms) else None


def too_many(rule: Any) -> Reply:
    """429 in its two forms: F01 and F02 as JSON, F03 as a page, which alone says how long to wait."""
    if rule.fault == "F03":
        return pardner(int(rule.value("retry_after", 4)))
    reply = refused(429, "Too Many Requests").reply()
    if rule.fault == "F01":
        reply.headers.append(("Retry-After", str(rule.value("retry_after", 7))))
    return reply


def pardner(seconds: int) -> Reply:
    body = (
        "<!doctype html>\n<html>\n  <head>\n    <title>Too Many Requests</title>\n  </head>\n  <body>\n"
        "    <h1>whoa there, pardner!</h1>\n    <p>too many requests came from you lately.</p>\n"
        f"    <p>please wait {seconds} second(s) and try again.</p>\n  </body>\n</html>\n"
    )
    return Reply(429, body.encode(), HTML, [("Retry-After", str(seconds))])


def refused(
    status: int, message: str, reason: str | None = None, headers: tuple[tuple[str, str], ...] = ()
) -> Rejection:
    body = ({} if reason is None else {"reason": reason}) | {"message": message, "error": status}
    return Rejection(status, json.dumps(body), JSON, headers)


def ok(body: Any) -> Reply:
    return Reply(200, json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode())


def _basic(headers: Mapping[str, str]) -> tuple[str, str]:
    scheme, _, coded = headers.get("authorization", "").partition(" ")
    try:
        told = base64.b64decode(coded, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    client, _, secret = told.partition(":")
    return (client, secret) if scheme.lower() == "basic" else ("", "")
