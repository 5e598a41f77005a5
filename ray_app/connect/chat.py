"""Ask a chat model of OpenAI, or of a server that answers alike, politely: a turn, money, a key, another try.

What surprises: HTTP 429 means three things (`chat_answers.py`). Money is set aside before each attempt at the most
that it can cost, and put right by what the answer says was used; an attempt whose end nobody saw is taken to have
cost it all. Nothing of an answer is kept or quoted: it may repeat a text, the rules or a key.

In clear (http) only this machine and private networks are asked, since texts and the key go along. Redirects are
not followed: the operator names the address.
"""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx

from ray_app.connect.addresses import Address, Lookup, in_clear, looked_up, pinned
from ray_app.connect.api import EXPIRED_TURNS, MOST_ADDRESSES, SIMULATED, HttpClient
from ray_app.connect.body import NotPackedSo, TooLarge, read_body
from ray_app.connect.chat_answers import Told, completion, judge
from ray_app.connect.retry import pause
from ray_app.connect.signing import Signing, Unsigned
from ray_app.model.chat import Completion
from ray_app.model.clock import Clock
from ray_app.model.errors import RateLimited, Transient, UpstreamError, WrongStore
from ray_app.model.money import Prices, Purse, Usage, short_of
from ray_app.model.quota import Priority, Refusal, Turns

PATH = "/chat/completions"
LARGEST = 2**20  # bytes of an answer that are read
CONNECT_SECONDS = 10.0
TOTAL_SECONDS = 120.0  # for one attempt; a model that thinks takes its time
BESIDE = 500  # tokens of a prompt that no byte of the request stands for: what a server puts around messages


class NeverSent(Exception):
    """Nothing left this machine: nothing can have been charged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chat:
    """One model's server. `url` reaches to /v1; `scope`: who is metered together, and whose money it is."""

    scope: str
    url: str
    prices: Prices
    purse: Purse
    turns: Turns
    clock: Clock
    http: HttpClient
    simulated: bool
    signing: Signing = field(default_factory=Unsigned, repr=False)
    attempts: int = 3
    lookup: Lookup = looked_up
    total_seconds: float = TOTAL_SECONDS

    async def ask(self, question: Mapping[str, Any], most: int) -> Completion:
        """See Asks."""
        payload = json.dumps(question, separators=(",", ":"), ensure_ascii=False).encode()
        # A token is a byte or more, so a prompt has no more tokens than bytes.
        worst = self.prices.cost(Usage(len(payload) + BESIDE, most))
        attempt = 0
        while True:
            attempt += 1
            try:
                return await self._once(payload, worst)
            except UpstreamError as error:
                wait = pause(error, attempt)
                if wait is None or attempt >= self.attempts:
                    raise
                await self.clock.sleep(wait)

    async def _once(self, payload: bytes, worst: int) -> Completion:
        state = await self.purse.state(self.scope, self.clock.now())
        if state.left < worst:  # before a turn is spent on it
            raise short_of(state, worst)
        await self._turn()
        signed = await self.signing.sign()
        reserved = await self.purse.reserve(self.scope, worst, self.clock.now())
        cost = worst  # if nobody sees the end of it
        try:
            told = await self._send(payload, dict(signed.headers))
            if told.simulated is not self.simulated:
                raise self._other_kind()
            cost = worst if told.status == 200 else 0  # an error is not charged
            judge(self.scope, told)
            answer = completion(self.scope, told)
            cost = worst if answer.usage is None else self.prices.cost(answer.usage)
            return answer
        except NeverSent as error:
            cost = 0
            raise Transient(self.scope, str(error)) from None
        except RateLimited as error:
            await self.turns.refused(Refusal(self.clock.now(), error.retry_after))
            raise
        finally:
            await self.purse.settle(self.scope, reserved, cost)

    async def _turn(self) -> None:
        for _ in range(EXPIRED_TURNS):
            turn = await self.turns.turn(Priority.LIVE)
            if self.clock.now() <= turn.expires:
                return
        raise Transient(self.scope, f"{EXPIRED_TURNS} turns in a row came too late: do the clocks agree?")

    async def _send(self, payload: bytes, signed: dict[str, str]) -> Told:
        """One request. In clear it goes to the address that was looked at."""
        url = httpx.URL(self.url + PATH)
        addresses: Sequence[Address] = ()
        if url.scheme == "http":
            addresses = await in_clear(self.scope, url.host, self.lookup)
        try:
            async with asyncio.timeout(self.total_seconds):
                answer = await self._connected(url, payload, signed, addresses)
                try:
                    packed = answer.headers.get("content-encoding", "")
                    body = await read_body(answer.aiter_raw(), packed, LARGEST)
                finally:
                    await answer.aclose()
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise NeverSent(f"no connection: {type(error).__name__}") from None
        except TooLarge:
            raise Transient(self.scope, f"an answer of more than {LARGEST} bytes") from None
        except (httpx.HTTPError, httpx.InvalidURL, NotPackedSo, TimeoutError) as error:
            # Its words may hold a header: a key with a line end is refused by the client, and quoted.
            raise Transient(self.scope, f"no answer: {type(error).__name__}") from None
        headers = {name.lower(): value for name, value in answer.headers.items()}
        return Told(answer.status_code, headers, body, self.clock.now(), SIMULATED in headers)

    async def _connected(
        self, url: httpx.URL, payload: bytes, signed: dict[str, str], addresses: Sequence[Address]
    ) -> httpx.Response:
        """The first of the addresses that can be connected to; without them the URL's host."""
        headers = {"content-type": "application/json", **signed}
        patience = httpx.Timeout(self.total_seconds, connect=CONNECT_SECONDS)
        tried = list(addresses[:MOST_ADDRESSES])
        while tried:
            to = pinned(url, tried.pop(0))
            request = self.http.build_request(
                "POST",
                to.url,
                content=payload,
                headers=headers | to.headers,
                extensions=to.extensions,
                timeout=patience,
            )
            try:
                return await self.http.send(request, stream=True)
            except (httpx.ConnectError, httpx.ConnectTimeout):
                if not tried:
                    raise
        request = self.http.build_request("POST", url, content=payload, headers=headers, timeout=patience)
        return await self.http.send(request, stream=True)

    def _other_kind(self) -> WrongStore:
        real, ours = ("a real server", "the simulator"), ("the simulator", "real upstreams")
        found, holds = real if self.simulated else ours
        return WrongStore(f"{self.scope} at {self.url} is {found}, but this store holds data of {holds}")
