"""The address that was checked is the one that is asked: a name that moves meanwhile leads nowhere else."""

import asyncio
import ssl
import subprocess
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import httpx
import pytest

from ray_app.model.errors import NotOffered, Transient
from tests.connect.conftest import http_answer
from tests.connect.served import SOURCE, asks, served

HOST = "feeds.example.org"
PUBLIC, OTHER, OURS = "93.184.216.34", "2606:4700:4700::1111", "127.0.0.1"
FOLLOWS = replace(SOURCE, follows=True)


@dataclass
class Net:
    """Every address of the world: where it really leads, and what was asked of it."""

    port: int = 0
    answers: frozenset[str] = frozenset({PUBLIC})
    asked: list[str] = field(default_factory=list)
    names: list[str] = field(default_factory=list)  # that TLS was told
    hosts: list[str] = field(default_factory=list)  # in the header
    connections: int = 0

    def transport(self, trusted: ssl.SSLContext) -> httpx.AsyncBaseTransport:
        return Led(self, httpx.AsyncHTTPTransport(verify=trusted))


class Led(httpx.AsyncBaseTransport):
    """Leads a connection to an address of the world to the server of this test, as a router would."""

    def __init__(self, net: Net, below: httpx.AsyncHTTPTransport) -> None:
        self.net, self.below = net, below

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if request.url.scheme == "https":
            self.net.asked.append(request.url.host)
            if request.url.host not in self.net.answers:
                raise httpx.ConnectError("no route to host", request=request)
            if request.url.host == HOST:  # TLS would be told the name of the URL
                request.extensions = {"sni_hostname": HOST} | request.extensions
            request.url = request.url.copy_with(host=OURS, port=self.net.port)
        return await self.below.handle_async_request(request)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """For the host's name only, with its key; it is its own authority."""
    file = tmp_path_factory.mktemp("tls") / "host.pem"
    command = [
        "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
        "-subj", f"/CN={HOST}", "-addext", f"subjectAltName=DNS:{HOST}", "-out", str(file),
        "-keyout", str(file) + ".key",
    ]  # fmt: skip
    subprocess.run(command, check=True, capture_output=True)
    return file


@asynccontextmanager
async def world(certificate: Path) -> AsyncIterator[tuple[Net, httpx.AsyncClient]]:
    net, context = Net(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, str(certificate) + ".key")
    context.sni_callback = lambda _, name, __: net.names.append(name)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        net.connections += 1
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            net.hosts += [
                line.split(": ")[1] for line in head.split("\r\n") if line.lower().startswith("host:")
            ]
            writer.write(http_answer(b"[7]"))
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, OURS, 0, ssl=context)
    net.port = server.sockets[0].getsockname()[1]
    async with httpx.AsyncClient(
        transport=net.transport(ssl.create_default_context(cafile=str(certificate)))
    ) as http:
        yield net, http
    server.close()
    await server.wait_closed()


def moving(*answers: Sequence[str]) -> tuple[Callable[[str], object], list[str]]:
    """A resolver that answers differently each time; after the last always so."""
    asked: list[str] = []

    async def lookup(host: str) -> Sequence[str]:
        asked.append(host)
        return answers[min(len(asked), len(answers)) - 1]

    return lookup, asked


async def get(certificate: Path, net: Net, http: httpx.AsyncClient, lookup: object) -> bytes:
    moved = http_answer(b"", "301 x", location=f"https://{HOST}/rss?a=1")
    async with served(lambda _: moved) as server, asks(server, source=FOLLOWS) as made:
        asked = made(http=http, simulated=False, lookup=lookup)
        page = await asked.api.get("/x")
    assert (page.path, page.params) == (f"https://{HOST}/rss?a=1", {})
    return page.body


async def test_the_checked_address_is_asked_under_the_name_of_the_host(certificate: Path):
    lookup, asked = moving([PUBLIC], [OURS])
    async with world(certificate) as (net, http):
        assert await get(certificate, net, http, lookup) == b"[7]"
        assert (asked, net.asked) == ([HOST], [PUBLIC])  # looked up once, and never asked where it moved to
        assert (net.names, net.hosts) == ([HOST], [HOST])
        with pytest.raises(NotOffered, match="a private address"):
            await get(certificate, net, http, lookup)
        assert (asked, net.asked) == ([HOST, HOST], [PUBLIC])


async def test_one_private_address_among_others_is_too_many(certificate: Path):
    lookup, _ = moving([PUBLIC, OURS])
    async with world(certificate) as (net, http):
        with pytest.raises(NotOffered, match="a private address"):
            await get(certificate, net, http, lookup)
        assert net.asked == []


async def test_an_address_that_does_not_answer_is_followed_by_the_next(certificate: Path):
    lookup, _ = moving([OTHER, PUBLIC])
    async with world(certificate) as (net, http):
        assert await get(certificate, net, http, lookup) == b"[7]"
        assert net.asked == [OTHER, PUBLIC]
        net.answers, net.asked = frozenset(), []
        with pytest.raises(Transient, match="no route to host"):
            await get(certificate, net, http, lookup)
        assert net.asked == [OTHER, PUBLIC]


async def test_a_connection_to_an_address_is_for_one_host_only(certificate: Path):
    lookup, _ = moving([PUBLIC])
    async with world(certificate) as (net, http):
        for _ in range(2):
            await get(certificate, net, http, lookup)
        assert net.connections == 2
        assert net.names == [HOST, HOST]


async def test_the_certificate_must_be_the_hosts(certificate: Path):
    lookup, _ = moving([PUBLIC])
    async with world(certificate) as (net, http):
        moved = http_answer(b"", "301 x", location="https://another.example.org/rss")
        async with served(lambda _: moved) as server, asks(server, source=FOLLOWS) as made:
            with pytest.raises(Transient, match="CERTIFICATE_VERIFY_FAILED"):
                await made(http=http, simulated=False, lookup=lookup).api.get("/x")
    assert net.hosts == []


async def test_behind_a_proxy_the_proxy_is_asked_for_the_name(
    certificate: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    lookup, _ = moving([PUBLIC])
    async with world(certificate) as (
        net,
        http,
    ):  # this client knows no proxy: its transport sees what it would
        net.answers = frozenset({HOST})
        assert await get(certificate, net, http, lookup) == b"[7]"
        assert net.asked == [HOST]
