"""How a request shows who asks: by a key in a header or in the query, or by a token that runs out."""

import asyncio
import base64
import json
import re
import traceback
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, quote, quote_plus

import pytest

from ray_app.connect.signing import STRUCK_OUT, struck_out
from ray_app.model.clock import ManualClock
from ray_app.model.errors import RateLimited, Refused, Transient, UpstreamError
from ray_app.model.source import ApiKey, ClientCredentials, Page
from tests.connect.served import NEWS, NOW, PLAN, Asked, Seen, Served, asks, served, told

KEY = "k3y/with+odd=signs &ä"
PLAIN = "planted-5ecret-9f8e7d6c"
IN_HEADER = replace(PLAN, auth=ApiKey("x_token", header="authorization", prefix="Bearer "))
IN_QUERY = replace(PLAN, auth=ApiKey("fred_key", param="api_key"))


def everything(page: Page) -> str:
    """All of a page that is kept, as text."""
    return json.dumps(page.envelope()) + page.body.decode("latin-1") + repr(page)


async def test_a_key_in_a_header_comes_after_its_prefix():
    async with served(lambda _: told()) as server, asks(server, plan=IN_HEADER, secrets=(PLAIN,)) as made:
        await made().api.get("/x", a=1)
    (seen,) = server.seen
    assert seen.headers["authorization"] == f"Bearer {PLAIN}"
    assert (seen.path, seen.query) == ("/example/v1/x", {"a": "1"})


async def test_a_key_in_the_query_is_sent_and_not_kept():
    async with served(lambda _: told()) as server, asks(server, plan=IN_QUERY, secrets=(KEY,)) as made:
        asked = made()
        page = await asked.api.get("/x", a=1)
    (seen,) = server.seen
    assert seen.query == {"a": "1", "api_key": KEY}
    assert (page.path, page.params) == ("/x", {"a": "1"})
    assert asked.kept == [page]
    assert KEY not in repr(asked.api)


FORMS = {
    "as it is": KEY,
    "in a path": quote(KEY),
    "in a form": quote_plus(KEY),
    "wholly quoted": quote(KEY, safe=""),
    "quoted in small letters": re.sub("%..", lambda found: found[0].lower(), quote(KEY, safe="")),
    "in JSON": json.dumps(KEY)[1:-1],
    "in HTML": KEY.replace("&", "&amp;"),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("status", ["200 OK", "403 Forbidden", "302 Found"])
async def test_a_key_that_an_answer_repeats_is_in_nothing_that_is_kept(form: str, status: str):
    repeated = FORMS[form]

    def answer(_: Seen) -> bytes:
        body = f'[{{"url": "https://api.example.com/v1/x?api_key={repeated}&a=1"}}]'.encode()
        return told(body, status, location=f"https://www.example.com/?k={repeated}", etag=f'"{repeated}"')

    errors: list[UpstreamError] = []
    async with served(answer) as server, asks(server, plan=IN_QUERY, secrets=(KEY,)) as made:
        asked = made()
        try:
            await asked.api.get("/x")
        except UpstreamError as error:
            errors.append(error)
    (page,) = asked.kept
    assert STRUCK_OUT.decode() in page.body.decode()
    assert STRUCK_OUT.decode() in page.headers["location"]
    texts = [everything(page), *("".join(traceback.format_exception(e)) for e in errors)]
    for text in texts:
        for name, secret in FORMS.items():
            assert secret not in text, name
    assert len(errors) == (status != "200 OK")


def test_nothing_is_struck_out_for_an_empty_secret():
    assert struck_out(b"abc", ("", " ")) == b"abc"
    assert struck_out(b"key=abc&x", ("abc",)) == b"key=[key]&x"


async def test_a_key_with_a_line_end_is_not_told_by_the_error_about_it():
    """A key read from a file, say: the HTTP client refuses the header and quotes it."""
    async with (
        served(lambda _: told()) as server,
        asks(server, plan=IN_HEADER, secrets=(f"{PLAIN}\n",)) as made,
    ):
        with pytest.raises(Transient) as caught:
            await made().api.get("/x")
    assert server.seen == []
    assert PLAIN not in "".join(traceback.format_exception(caught.value))


async def test_a_refused_key_is_refused_at_once():
    async with (
        served(lambda _: told(b"{}", "401 Unauthorized")) as server,
        asks(server, plan=IN_HEADER, secrets=(PLAIN,)) as made,
    ):
        with pytest.raises(Refused):
            await made(attempts=3).api.get("/x")
    assert len(server.seen) == 1


@pytest.mark.parametrize("plan", [IN_HEADER, IN_QUERY])
async def test_a_key_is_shown_to_its_own_host_only(plan: Any):
    other = "https://feeds.example.org/rss?a=1"

    def answer(seen: Seen) -> bytes:
        if seen.path == "/example/v1/moved":
            return told(b"", "301 Moved", location=other)
        return told()

    async with served(answer) as server, asks(server, plan=plan, secrets=(PLAIN,)) as made:
        api = made(source=replace(made().api.source, follows=True)).api
        await api.get("/moved")
        await api.get(other)
        await api.get("https://api.example.com.evil.example/x")
        await api.get("https://api.example.com/v1/y")
    shown = {seen.path: PLAIN in seen.target or PLAIN in str(seen.headers) for seen in server.seen}
    assert shown == {
        "/example/v1/moved": True,
        "/web/feeds.example.org/rss": False,
        "/web/api.example.com.evil.example/x": False,
        "/example/v1/y": True,
    }
    assert server.seen[1].query == {"a": "1"}


# Tokens

OAUTH = replace(
    PLAN, auth=ClientCredentials("reddit_id", "reddit_secret", "https://www.example.com/api/v1/access_token")
)
ID, SECRET = "the-id", "the-planted-secret"


@dataclass
class Shop:
    """Sells tokens t-1, t-2, ... and knows which of them are good."""

    lasts: Any = 3600
    delay: float = 0.0
    instead: Callable[[Seen], bytes] | None = None  # of a token
    good: set[str] = field(default_factory=set)
    sold: int = 0

    async def answer(self, seen: Seen) -> bytes:
        if seen.path == "/example-www/api/v1/access_token":
            return await self._sell(seen)
        if seen.headers.get("authorization", "").removeprefix("bearer ") in self.good:
            return told(b"[1]")
        return told(b'{"message": "Unauthorized", "error": 401}', "401 Unauthorized")

    async def _sell(self, seen: Seen) -> bytes:
        if self.delay:
            await asyncio.sleep(self.delay)  # a real server takes real time
        if self.instead is not None:
            return self.instead(seen)
        self.sold += 1
        token = f"t-{self.sold}-planted"
        self.good.add(token)
        body = {"access_token": token, "token_type": "bearer", "expires_in": self.lasts, "scope": "*"}
        return told(json.dumps(body).encode())


@asynccontextmanager
async def selling(shop: Shop) -> AsyncIterator[tuple[Served, Callable[..., Asked], ManualClock]]:
    clock = ManualClock(NOW)
    async with (
        served(shop.answer) as server,
        asks(server, plan=OAUTH, secrets=(ID, SECRET), clock=clock) as made,
    ):
        yield server, made, clock


async def test_a_token_is_bought_with_id_and_secret_and_shown():
    shop = Shop()
    async with selling(shop) as (server, made, _):
        page = await made().api.get("/x")
        await made(replace(NEWS, name="more")).api.get("/y")  # another stream of the same upstream
    bought, first, second = server.seen
    assert (bought.method, bought.target) == ("POST", "/example-www/api/v1/access_token")
    assert bought.headers["authorization"] == "Basic " + base64.b64encode(f"{ID}:{SECRET}".encode()).decode()
    assert bought.headers["user-agent"] == "node of a test"
    assert parse_qs(bought.body.decode()) == {"grant_type": ["client_credentials"]}
    assert [s.headers["authorization"] for s in (first, second)] == ["bearer t-1-planted"] * 2
    assert page.body == b"[1]"


async def test_requests_at_once_buy_one_token():
    shop = Shop(delay=0.05)
    async with selling(shop) as (server, made, _):
        pages = await asyncio.gather(*(made().api.get(f"/{n}") for n in range(6)))
    assert shop.sold == 1
    assert [page.status for page in pages] == [200] * 6
    assert server.paths().count("/example-www/api/v1/access_token") == 1


async def test_a_token_is_renewed_before_it_runs_out():
    shop = Shop(lasts=1000)
    async with selling(shop) as (server, made, clock):
        await made().api.get("/x")
        clock.set(NOW + timedelta(seconds=899))
        await made().api.get("/x")
        assert shop.sold == 1
        clock.set(NOW + timedelta(seconds=900))
        await made().api.get("/x")
    assert shop.sold == 2
    assert server.seen[-1].headers["authorization"] == "bearer t-2-planted"


async def test_after_a_401_one_new_token_is_bought_and_the_request_tried_again():
    shop = Shop()
    async with selling(shop) as (server, made, clock):
        await made().api.get("/x")
        clock.set(NOW + timedelta(minutes=10))
        shop.good.clear()  # revoked upstream
        asked = made(attempts=3)
        page = await asked.api.get("/x")
    assert (page.status, shop.sold) == (200, 2)
    assert [kept.status for kept in asked.kept] == [401, 200]
    assert server.seen[-1].headers["authorization"] == "bearer t-2-planted"


async def test_of_many_whose_token_was_revoked_none_is_refused():
    """Each learns of it by a 401 of its own; the first buys, the others must not take theirs for a refusal."""
    shop = Shop(delay=0.02)
    async with selling(shop) as (_, made, clock):
        await made().api.get("/x")
        clock.set(NOW + timedelta(minutes=10))
        shop.good.clear()
        pages = await asyncio.gather(*(made(attempts=3).api.get(f"/{n}") for n in range(6)))
    assert [page.status for page in pages] == [200] * 6
    assert shop.sold == 2


async def test_who_learns_of_it_when_another_has_bought_takes_the_new_token():
    """Its 401 speaks of the old token, although the one that is held now was bought a moment ago."""
    shop, bought = Shop(), asyncio.Event()

    async def answer(seen: Seen) -> bytes:
        told_now = await shop.answer(seen)
        if shop.sold == 2:
            bought.set()
        if seen.path.endswith("/slow") and b" 401 " in told_now:
            await bought.wait()
        return told_now

    clock = ManualClock(NOW)
    async with served(answer) as server, asks(server, plan=OAUTH, secrets=(ID, SECRET), clock=clock) as made:
        await made().api.get("/x")
        clock.set(NOW + timedelta(minutes=10))
        shop.good.clear()
        slow, fast = await asyncio.gather(
            made(attempts=3).api.get("/slow"), made(attempts=3).api.get("/fast")
        )
    assert (slow.status, fast.status, shop.sold) == (200, 200, 2)


async def test_a_new_token_that_is_refused_means_that_we_are():
    shop = Shop()

    def answer(seen: Seen) -> Any:
        if seen.method == "POST":
            return shop.answer(seen)
        return told(b"{}", "401 Unauthorized")

    async with served(answer) as server, asks(server, plan=OAUTH, secrets=(ID, SECRET)) as made:
        with pytest.raises(Refused):
            await made(attempts=5).api.get("/x")
    assert shop.sold == 1
    assert len(server.seen) == 2


NO_TOKEN = {
    "an error with 200": (b'{"error": "unsupported_grant_type"}', "200 OK", "unsupported_grant_type"),
    "an error with 400": (b'{"error": "invalid_grant"}', "400 Bad Request", "HTTP 400: .*invalid_grant"),
    "a wrong secret": (b'{"message": "Unauthorized", "error": 401}', "401 Unauthorized", "HTTP 401"),
    "HTML": (b"<html>blocked</html>", "403 Forbidden", "HTTP 403: <html>blocked"),
    "nothing": (b"", "200 OK", "HTTP 200"),
    "a list": (b"[]", "200 OK", "HTTP 200"),
    "no life": (b'{"access_token": "t-planted"}', "200 OK", "a token that cannot be used"),
    "an odd life": (b'{"access_token": "t-planted", "expires_in": NaN}', "200 OK", "cannot be used"),
    "an endless life": (b'{"access_token": "t-planted", "expires_in": 1e400}', "200 OK", "cannot be used"),
    "a very long life": (b'{"access_token": "t-planted", "expires_in": 1e13}', "200 OK", "cannot be used"),
    "no words": (b'{"access_token": null, "expires_in": 3600}', "200 OK", "cannot be used"),
    "an empty one": (b'{"access_token": "", "expires_in": 3600}', "200 OK", "cannot be used"),
    "two lines": (b'{"access_token": "t-planted\\r\\nx: y", "expires_in": 3600}', "200 OK", "cannot be used"),
    "too deep": (b"[" * 100_000, "200 OK", "HTTP 200"),
    "a redirect": (b"", "302 Found", "HTTP 302"),
}


@pytest.mark.parametrize("case", NO_TOKEN)
async def test_an_answer_without_a_token_is_a_refusal(case: str):
    body, status, match = NO_TOKEN[case]
    async with selling(Shop(instead=lambda _: told(body, status))) as (server, made, _):
        with pytest.raises(Refused, match=match) as caught:
            await made(attempts=3).api.get("/x")
    assert "t-planted" not in str(caught.value)
    assert len(server.seen) == 1  # the upstream itself was not asked


async def test_a_token_route_that_is_down_is_tried_again():
    shop = Shop()
    answers = [told(b"oops", "503 Service Unavailable"), told(b"oops", "500 Internal Server Error")]
    shop.instead = lambda _: answers.pop()
    async with selling(shop) as (server, made, _):
        with pytest.raises(Transient, match="no token: HTTP 500"):
            await made().api.get("/x")
        with pytest.raises(Transient, match="no token: HTTP 503"):
            await made().api.get("/x")
        shop.instead = None
        assert (await made().api.get("/x")).status == 200
        assert len(server.seen) == 4


async def test_a_token_route_that_nobody_answers_is_tried_again():
    shop = Shop(instead=lambda _: b"")
    async with selling(shop) as (_, made, _), asyncio.timeout(10):
        with pytest.raises(Transient, match="no token: RemoteProtocolError"):
            await made().api.get("/x")


@pytest.mark.parametrize(
    ("header", "waits"), [({"retry_after": "90"}, 90), ({}, 60), ({"retry_after": "²"}, 60)]
)
async def test_a_token_route_that_says_wait_is_left_alone_so_long(header: dict[str, str], waits: int):
    shop = Shop(instead=lambda _: told(b"{}", "429 Too Many Requests", **header))
    async with selling(shop) as (server, made, clock):
        with pytest.raises(RateLimited) as caught:
            await made(attempts=3).api.get("/x")
        assert caught.value.retry_after == pytest.approx(waits)
        assert len(server.seen) == 1
        clock.set(NOW + timedelta(seconds=waits - 1))
        with pytest.raises(RateLimited):
            await made().api.get("/x")
        assert len(server.seen) == 1
        clock.set(NOW + timedelta(seconds=waits))
        shop.instead = None
        assert (await made().api.get("/x")).status == 200


async def test_secret_and_token_are_in_no_page_and_no_error():
    """The upstream repeats all that it was shown, the renewed token and the one before."""
    shop = Shop(lasts=100)
    basic = base64.b64encode(f"{ID}:{SECRET}".encode()).decode()

    async def answer(seen: Seen) -> bytes:
        if seen.method == "POST":
            return await shop.answer(seen)
        body = (
            f"secret {SECRET}, basic {basic}, shown {seen.headers['authorization']}, sold {sorted(shop.good)}"
        )
        return told(
            body.encode(), "403 Forbidden" if seen.path.endswith("bad") else "200 OK", etag=f'"{SECRET}"'
        )

    errors: list[UpstreamError] = []
    clock = ManualClock(NOW)
    async with served(answer) as server, asks(server, plan=OAUTH, secrets=(ID, SECRET), clock=clock) as made:
        asked = made()
        for path in ("/x", "/bad", "/x", "/bad"):
            try:
                await asked.api.get(path)
            except UpstreamError as error:
                errors.append(error)
            clock.set(clock.now() + timedelta(seconds=60))
        assert shop.sold == 2
        assert not [s for s in (SECRET, basic, "planted") if s in repr(asked.api)]
        shop.instead = lambda seen: told(f"{'x' * 190}{SECRET} {basic} {seen.headers}".encode(), "400 Bad")
        clock.set(clock.now() + timedelta(seconds=200))
        with pytest.raises(Refused) as caught:
            await asked.api.get("/x")
        errors.append(caught.value)
    assert len(asked.kept) == 4
    assert len(errors) == 3
    texts = [everything(page) for page in asked.kept]
    texts += ["".join(traceback.format_exception(error)) for error in errors]
    for text in texts:
        assert "planted" not in text
        assert basic not in text
        assert SECRET[:10] not in text  # nor a part of it
