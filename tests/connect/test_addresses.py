"""Where a request goes: a whole URL, the simulator's place for it, a redirect; and where none goes."""

import ipaddress
import socket
from dataclasses import replace
from typing import Any

import pytest

from ray_app.connect.addresses import Target, address_of, at_home, redirected
from ray_app.model.errors import Malformed, NotOffered, UpstreamError
from ray_app.model.source import Source
from tests.connect.served import PLAN, SOURCE, asks, served, told

FOLLOWS = replace(SOURCE, follows=True)
SIMULATOR = "http://127.0.0.1:9000/example/v1"


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("/x?a=1", "/example/v1/x?a=1"),
        ("https://www.example.com/api/token?x=1", "/example-www/api/token?x=1"),
        ("https://www.example.com", "/example-www"),
        ("https://api.example.com/v1/x", "/example/v1/x"),  # the plan's own
        ("https://api.example.com/v12/x", "/web/api.example.com/v12/x"),
        ("https://feeds.example.org/rss?a=1", "/web/feeds.example.org/rss?a=1"),
        ("https://www.example.com.evil.example/x", "/web/www.example.com.evil.example/x"),
    ],
)
def test_every_address_has_its_place_in_the_simulator(path: str, place: str):
    assert address_of(PLAN, SIMULATOR, path, simulated=True) == "http://127.0.0.1:9000" + place
    real = path if path.startswith("https://") else PLAN.base_url + path
    assert address_of(PLAN, PLAN.base_url, path, simulated=False) == real


def test_a_plan_at_the_root_of_the_simulator():
    plan = replace(PLAN, simulated_at="/web", elsewhere={})
    assert address_of(plan, "http://sim/web", "/x", simulated=True) == "http://sim/web/x"
    found = address_of(plan, "http://sim/web", "https://decrypt.co/feed", simulated=True)
    assert found == "http://sim/web/decrypt.co/feed"


@pytest.mark.parametrize(
    ("path", "ours"),
    [
        ("/x", True),
        ("https://api.example.com/v2/x", True),
        ("https://www.example.com/x", False),
        ("https://api.example.com.evil.example/v1/x", False),
        ("https://api.example.com:8443/v1/x", False),
        ("https://user@api.example.com/v1/x", False),
    ],
)
def test_which_addresses_are_signed(path: str, ours: bool):
    assert at_home(PLAN, path) is ours


async def test_a_request_for_a_whole_address_reaches_it_with_its_query():
    async with served(lambda _: told()) as server, asks(server) as made:
        page = await made().api.get("https://www.example.com/list", a="1 2")
        await made().api.get("https://feeds.example.org/rss?s=a%20b&flag")
    assert (server.seen[0].path, server.seen[0].query) == ("/example-www/list", {"a": "1 2"})
    assert (page.path, page.params) == ("https://www.example.com/list", {"a": "1 2"})
    assert server.seen[1].target == "/web/feeds.example.org/rss?s=a%20b&flag"  # as it was written


HOPS = ["https://one.example.org/a", "https://two.example.org/b", "https://three.example.org/c?d=1"]


def hopping(*locations: str, status: str = "301 Moved Permanently") -> Any:
    """Each request leads on to the next location; after the last comes the answer."""
    left = list(locations)
    return lambda _: told(b"", status, location=left.pop(0)) if left else told(b"[7]")


@pytest.mark.parametrize("status", ["301 x", "302 x", "303 x", "307 x", "308 x"])
async def test_a_redirect_is_followed(status: str):
    async with (
        served(hopping(HOPS[2], status=status)) as server,
        asks(server, source=FOLLOWS) as made,
    ):
        asked = made()
        page = await asked.api.get("/x", a=1)
    assert (page.path, page.params, page.body) == (HOPS[2], {}, b"[7]")
    assert [seen.target for seen in server.seen] == ["/example/v1/x?a=1", "/web/three.example.org/c?d=1"]
    assert {seen.method for seen in server.seen} == {"GET"}
    assert [kept.status for kept in asked.kept] == [int(status[:3]), 200]
    assert len(asked.turns.asked) == 2  # every request costs a turn


async def test_three_redirects_are_followed_and_a_fourth_is_not():
    async with served(hopping(*HOPS)) as server, asks(server, source=FOLLOWS) as made:
        assert (await made().api.get("/x")).body == b"[7]"
        assert len(server.seen) == 4
    async with (
        served(lambda _: told(b"", "302 x", location=HOPS[0])) as server,
        asks(server, source=FOLLOWS) as made,
    ):
        asked = made(attempts=3)
        with pytest.raises(NotOffered, match="more than 3 redirects"):
            await asked.api.get("/x")
        assert len(server.seen) == 4
        assert [page.status for page in asked.kept] == [302] * 4  # every answer is evidence


@pytest.mark.parametrize(
    ("location", "target"),
    [
        ("/moved/to?b=2", "/web/api.example.com/moved/to?b=2"),
        ("y", "/example/v1/y"),
        ("../v2/y", "/web/api.example.com/v2/y"),
        ("//www.example.com/y", "/example-www/y"),
        (" https://www.example.com/y ", "/example-www/y"),
        ("HTTPS://WWW.example.org/Y", "/web/WWW.example.org/Y"),
    ],
)
async def test_where_a_location_leads(location: str, target: str):
    async with served(hopping(location)) as server, asks(server, source=FOLLOWS) as made:
        await made().api.get("/x")
    assert [seen.target for seen in server.seen] == ["/example/v1/x", target]


async def test_a_location_is_relative_to_the_hop_that_names_it():
    async with (
        served(hopping("https://one.example.org/a/b", "c")) as server,
        asks(server, source=FOLLOWS) as made,
    ):
        await made().api.get("/x")
    assert server.paths()[-1] == "/web/one.example.org/a/c"


async def test_who_does_not_follow_takes_a_redirect_for_a_changed_format():
    async with served(hopping(HOPS[0])) as server, asks(server) as made:
        with pytest.raises(Malformed, match="HTTP 301"):
            await made(attempts=3).api.get("/x")
    assert len(server.seen) == 1


async def test_a_redirect_that_says_nowhere_is_no_answer():
    async with served(lambda _: told(b"", "302 x")) as server, asks(server, source=FOLLOWS) as made:
        with pytest.raises(Malformed, match="HTTP 302"):
            await made().api.get("/x")


NOT_PUBLIC = [
    "https://127.0.0.1/x", "https://127.8.9.1/", "https://10.0.0.1/", "https://172.16.0.1/", "https://192.168.1.1/",
    "https://169.254.169.254/latest/meta-data/", "https://100.64.0.1/", "https://0.0.0.0/", "https://224.0.0.1/",
    "https://240.0.0.1/", "https://255.255.255.255/", "https://192.0.2.1/", "https://198.18.0.1/",
    "https://[::1]/", "https://[::]/", "https://[fe80::1]/", "https://[fd00::1]/", "https://[ff02::1]/",
    "https://[fd00:ec2::254]/latest/", "https://[::ffff:127.0.0.1]/", "https://[::ffff:10.0.0.1]/",
    "https://[::ffff:169.254.169.254]/", "https://[::ffff:a9fe:a9fe]/", "https://[64:ff9b::7f00:1]/",
    "https://[64:ff9b::a9fe:a9fe]/", "https://[2002:7f00:1::]/", "https://[::127.0.0.1]/", "https://[2001:db8::1]/",
    "https://localhost/", "https://LOCALHOST./", "https://a.localhost/", "https://printer.local/",
    "https://metadata.google.internal/", "https://metadata.google.internal./x", "https://metadata/",
    "https://2130706433/", "https://0x7f000001/",
]  # fmt: skip
NO_HTTPS = [
    "http://feeds.example.org/rss", "ftp://feeds.example.org/", "file:///etc/passwd", "http://169.254.169.254/latest/",
    "https://user:word@feeds.example.org/", "https://user@feeds.example.org/", "https://feeds.example.org:99999/",
]  # fmt: skip
BROKEN = [
    "javascript:alert(1)", "data:text/plain,x", "https://[::1", "https://feeds.example.org:port/",
    "https://a\u2100.example/", "https://[not-an-address]/", "https://",
]  # fmt: skip


@pytest.mark.parametrize("location", NOT_PUBLIC + NO_HTTPS)
async def test_a_redirect_to_our_own_network_or_to_no_https_is_not_followed(location: str):
    async with served(hopping(location)) as server, asks(server, source=FOLLOWS) as made:
        asked = made(attempts=3)
        with pytest.raises(NotOffered) as caught:
            await asked.api.get("/x")
    assert caught.value.source == "example"
    assert len(server.seen) == 1
    assert [page.status for page in asked.kept] == [301]


@pytest.mark.parametrize("location", BROKEN)
@pytest.mark.parametrize("source", [SOURCE, FOLLOWS], ids=["stays", "follows"])
async def test_a_redirect_that_is_broken_is_an_error_of_the_upstream(location: str, source: Source):
    """Of whatever kind: the HTTP client itself stumbles over some of these."""
    async with (
        served(lambda _: told(b"", "301 x", location=location)) as server,
        asks(server, source=source) as made,
    ):
        with pytest.raises(UpstreamError):
            await made().api.get("/x")
    assert {seen.path for seen in server.seen} == {"/example/v1/x"}


@pytest.mark.parametrize("location", NOT_PUBLIC)
async def test_a_real_node_goes_there_no_more_than_a_simulated_one(location: str):
    """Literal addresses, and names that never leave this machine: nothing is looked up outside."""
    with pytest.raises(NotOffered):
        await redirected("example", "https://api.example.com/v1/x", location, simulated=False)


@pytest.mark.parametrize(
    "location", ["https://8.8.8.8/x", "https://[2606:4700:4700::1111]/x", "https://[::ffff:8.8.8.8]/x"]
)
async def test_a_public_address_is_one(location: str):
    target = await redirected("example", "https://api.example.com/", location, simulated=False)
    assert target == Target(location, (ipaddress.ip_address(location.split("/")[2].strip("[]")),))


@pytest.mark.parametrize("name", ["0x7f.1", "127.1", "0177.0.0.1"])
async def test_an_odd_way_to_write_an_address_of_this_machine_is_seen_through(name: str):
    assert ipaddress.ip_address(socket.gethostbyname(name)).is_loopback  # as any client would read it
    with pytest.raises(NotOffered, match="private address"):
        await redirected("example", "https://api.example.com/", f"https://{name}/x", simulated=False)


@pytest.mark.parametrize("name", ["a..example", ".example.org", "x" * 64 + ".example", "nothing.invalid"])
async def test_a_name_that_has_no_address_is_not_offered(name: str):
    with pytest.raises(NotOffered) as caught:
        await redirected("example", "https://api.example.com/", f"https://{name}/x", simulated=False)
    assert caught.value.source == "example"


async def test_an_address_that_no_client_can_ask_is_not_offered():
    async with served(lambda _: told()) as server, asks(server) as made:
        with pytest.raises(NotOffered, match="is no address"):
            await made().api.get("https://feeds.example.org/\x00x")
    assert server.seen == []
