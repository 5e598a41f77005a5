"""How a request shows who asks: not at all, by a key, or by a token that is bought and runs out.

Secrets are put on at the last moment. What an answer or an error repeats of them is struck out.
"""

import asyncio
import base64
import html
import json
import re
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Protocol
from urllib.parse import quote, quote_plus

import httpx

from ray_app.model.clock import Clock
from ray_app.model.errors import RateLimited, Refused, Transient
from ray_app.model.source import ApiKey, ClientCredentials, Plan

STRUCK_OUT = b"[key]"
YOUNG = timedelta(seconds=30)  # a token that is refused at this age was not refused for its age
EARLY = 0.9  # of its life; then the next one is bought
UNSTATED = 60.0  # seconds to wait where the refusal does not say
KNOWN_TOKENS = 4  # the last ones: an answer under way can still repeat an earlier one


@dataclass(frozen=True, slots=True)
class Signed:
    """What goes on a request besides what was asked."""

    headers: Mapping[str, str] = field(default_factory=dict)
    params: Mapping[str, str] = field(default_factory=dict)


class Signing(Protocol):
    async def sign(self) -> Signed:
        """Raises UpstreamError when no token is to be had."""

    def spoilt(self, signed: Signed) -> bool:
        """Told that this signature was refused; True when a new one may help."""

    @property
    def secrets(self) -> Sequence[str]: ...


def struck_out(told: bytes, secrets: Sequence[str]) -> bytes:
    """`told` without any of the secrets, in any of the forms in which a URL or a text repeats them."""
    forms = {form for secret in secrets if secret.strip() for form in _forms(secret)}
    for form in sorted(forms, key=len, reverse=True):
        told = told.replace(form.encode(), STRUCK_OUT)
    return told


def _forms(secret: str) -> set[str]:
    quoted = {quote(secret), quote_plus(secret), quote(secret, safe="")}
    lower = {re.sub("%[0-9A-F]{2}", lambda found: found[0].lower(), form) for form in quoted}
    # A key with a stray line end is refused by the HTTP client, which then quotes it without the end.
    written = {secret, secret.strip(), html.escape(secret), *quoted, *lower}
    return written | {
        json.dumps(form, ensure_ascii=plain)[1:-1] for form in written for plain in (True, False)
    }


class Unsigned:
    """For upstreams that ask nobody's name."""

    secrets: Sequence[str] = ()

    async def sign(self) -> Signed:
        return Signed()

    def spoilt(self, _: Signed) -> bool:
        return False


class KeySigning:
    """A key that lasts."""

    def __init__(self, auth: ApiKey, key: str) -> None:
        self.secrets: Sequence[str] = (key,)
        headers = {auth.header: auth.prefix + key} if auth.header else {}
        self._signed = Signed(headers, {auth.param: key} if auth.param else {})

    async def sign(self) -> Signed:
        return self._signed

    def spoilt(self, _: Signed) -> bool:
        return False


class TokenSigning:
    """A token bought with an id and a secret (OAuth 2 client credentials); shared by all who ask this upstream."""

    def __init__(
        self, source: str, id_: str, secret: str, url: str, http: httpx.AsyncClient, clock: Clock, agent: str
    ) -> None:
        self._source, self._id, self._secret, self._url = source, id_, secret, url
        self._http, self._clock, self._agent = http, clock, agent
        self._token, self._bought, self._until, self._closed = "", clock.now(), clock.now(), clock.now()
        self._basic = base64.b64encode(f"{id_}:{secret}".encode()).decode()
        self._tokens: deque[str] = deque(maxlen=KNOWN_TOKENS)
        self._buying = asyncio.Lock()

    @property
    def secrets(self) -> Sequence[str]:
        return (self._secret, self._basic, *self._tokens)

    async def sign(self) -> Signed:
        async with self._buying:  # who comes meanwhile shares the one that is being bought
            if not self._token or self._clock.now() >= self._until:
                await self._buy()
            return _bearer(self._token)

    def spoilt(self, signed: Signed) -> bool:
        if signed != _bearer(self._token):
            return True  # there is a newer one already, or there will be
        if self._clock.now() - self._bought < YOUNG:
            return False
        self._token = ""
        return True

    async def _buy(self) -> None:
        """Raises RateLimited, Transient or Refused. A 200 can hold an error; the answer is never kept."""
        now = self._clock.now()
        if now < self._closed:
            raise RateLimited(self._source, "no token: told to wait", (self._closed - now).total_seconds())
        headers = {"user-agent": self._agent} if self._agent else {}
        try:
            answer = await self._http.post(
                self._url,
                data={"grant_type": "client_credentials"},
                auth=(self._id, self._secret),
                headers=headers,
            )
        except httpx.HTTPError as error:
            raise Transient(self._source, f"no token: {type(error).__name__}") from None
        if answer.status_code == 429:
            told = answer.headers.get("retry-after", "")
            after = float(told) if told.isdecimal() and len(told) < 6 else UNSTATED
            self._closed = self._clock.now() + timedelta(seconds=after)
            raise RateLimited(self._source, "no token: HTTP 429", after)
        if answer.status_code >= 500:
            raise Transient(self._source, f"no token: HTTP {answer.status_code}")
        try:
            self._take(json.loads(answer.content))
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
            told = struck_out(answer.content, self.secrets)[:200].decode("utf-8", "replace")
            detail = "a token that cannot be used" if "access_token" in told else told
            raise Refused(self._source, f"no token: HTTP {answer.status_code}: {detail}") from None

    def _take(self, told: Any) -> None:
        token, lasts = told["access_token"], timedelta(seconds=float(told["expires_in"]) * EARLY)
        if not isinstance(token, str) or not token or not token.isascii() or not token.isprintable():
            raise ValueError("no token")
        bought = self._clock.now()
        self._token, self._bought, self._until = token, bought, bought + lasts
        self._tokens.append(token)


def _bearer(token: str) -> Signed:
    return Signed({"authorization": f"bearer {token}"})


def signing_for(
    plan: Plan,
    source: str,
    secrets: Sequence[str],
    address: Callable[[str], str],
    http: httpx.AsyncClient,
    clock: Clock,
    agent: str = "",
) -> Signing:
    """What the plan needs; `secrets` are the values of its settings, `address` tells where a URL is asked."""
    if isinstance(plan.auth, ClientCredentials) and len(secrets) == 2:
        id_, secret = secrets
        return TokenSigning(source, id_, secret, address(plan.auth.token_url), http, clock, agent)
    if isinstance(plan.auth, ApiKey) and secrets:
        return KeySigning(plan.auth, secrets[0])
    return Unsigned()
