"""The files of an export: whole and in parts, for whom they are, and nothing else whatever is asked for."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import httpx
import pytest
from starlette.datastructures import Headers

from ray_app.serve.problems import Problem
from ray_app.serve.ranges import Wanted, wanted
from tests.serve.conftest import Start, at
from tests.serve.exporting import ROUTE, Desk
from tests.serve.test_exports import candles, desk_of


class Fetched:
    """A finished export and its first file."""

    def __init__(self, desk: Desk, export: dict[str, Any], content: bytes) -> None:
        self.desk, self.export, self.content = desk, export, content
        self.file = export["manifest"]["files"][0]
        self.path = f"{ROUTE}/{export['id']}/files/{self.file['name']}"

    async def get(self, path: str | None = None, **headers: str) -> httpx.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.desk.running.http.get(path or self.path, headers=named)

    async def raw(self, path: str) -> tuple[int, bytes]:
        """Status and body of a path as a server hands it on: a client of good manners takes the dots out itself."""
        running, sent = self.desk.running, list[Any]()
        scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET", "scheme": "http",
            "path": unquote(path), "raw_path": path.encode(), "query_string": b"", "root_path": "",
            "headers": [(b"authorization", f"Bearer {running.key}".encode())], "server": ("node", 80), "client": None,
        }  # fmt: skip

        async def receive() -> Any:
            await asyncio.Event().wait()  # the client stays and says nothing more

        async def send(message: Any) -> None:
            sent.append(message)

        await running.app(scope, receive, send)
        return sent[0]["status"], b"".join(one.get("body", b"") for one in sent[1:])


@pytest.fixture
async def fetched(start: Start, tmp_path: Path) -> AsyncIterator[Fetched]:
    desk = await desk_of(start, tmp_path)
    await candles(desk)
    made = await desk.made(what="bars")
    name = made["manifest"]["files"][0]["name"]
    yield Fetched(desk, made, (tmp_path / "exports" / made["id"] / name).read_bytes())
    await desk.close()


async def test_a_file_is_fetched_whole_and_in_parts(fetched: Fetched):
    whole = await fetched.get()
    size, etag = len(fetched.content), f'"{fetched.file["sha256"]}"'
    assert (whole.status_code, whole.content) == (200, fetched.content)
    assert whole.headers["content-type"] == "application/vnd.apache.parquet"
    assert (whole.headers["accept-ranges"], whole.headers["etag"]) == ("bytes", etag)
    assert whole.headers["content-length"] == str(size)
    assert sha256(whole.content).hexdigest() == fetched.file["sha256"]
    pieces = b""
    for first in range(0, size, 1000):
        part = await fetched.get(range=f"bytes={first}-{first + 999}", if_range=etag)
        assert part.status_code == 206
        assert part.headers["content-range"] == f"bytes {first}-{min(first + 999, size - 1)}/{size}"
        assert part.headers["content-length"] == str(len(part.content))
        pieces += part.content
    assert pieces == fetched.content
    end = await fetched.get(range="bytes=-7")
    assert (end.status_code, end.content) == (206, fetched.content[-7:])
    stale = await fetched.get(range="bytes=0-3", if_range='"another"')
    assert (stale.status_code, stale.content) == (200, fetched.content)
    same = await fetched.get(if_none_match=etag)
    assert (same.status_code, same.content) == (304, b"")
    twice = await fetched.desk.running.http.get(
        fetched.path, headers=[("range", "bytes=0-1"), ("range", "bytes=4-5")]
    )
    for answer in (
        twice,
        await fetched.get(range=f"bytes={size}-"),
        await fetched.get(range="bytes=0-1,4-5"),
    ):
        assert answer.status_code == 416
        assert answer.headers["content-range"] == f"bytes */{size}"
        assert answer.json()["error"]["code"] == "RANGE_NOT_SATISFIABLE"
    told = await fetched.get(f"{ROUTE}/{fetched.export['id']}/files/manifest.json")
    assert told.json() == fetched.export["manifest"]


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [
        ("bytes=0-0", 0, 0), ("bytes=90-", 90, 99), ("bytes=90-1000", 90, 99), ("bytes=-1000", 0, 99),
        ("bytes=-1", 99, 99),
        ("BYTES = 3-4", 3, 4), ("bytes=100-", None, 416), ("bytes=5-4", None, 416), ("bytes=-0", None, 416),
        ("bytes=-", None, 416), ("bytes=", None, 416), ("bytes=a-b", None, 416), ("bytes=0x1-2", None, 416),
        ("bytes=1-2-3", None, 416), ("bytes=--1", None, 416), ("bytes=+1-2", None, 416), ("bytes=1 - 2", None, 416),
        ("bytes=" + "9" * 5000 + "-", None, 416), ("bytes=" + "0-," * 2000, None, 416), ("bytes=٣-٤", None, 416),
        ("bytes=0-1\x00", None, 416), ("items=0-5", None, 200), ("bytes", None, 416), ("", None, 200),
    ],
)  # fmt: skip
def test_ranges(asked: str, first: int | None, last: int):
    headers = Headers(raw=[(b"range", asked.encode())])
    if first is not None:
        assert wanted(headers, '"a"', 100) == Wanted(206, first, last)
    elif last == 200:
        assert wanted(headers, '"a"', 100) == Wanted(200, 0, 99)
    else:
        with pytest.raises(Problem) as refused:
            wanted(headers, '"a"', 100)
        assert refused.value.status == 416


async def test_nothing_but_what_the_manifest_names(fetched: Fetched):
    folder, export = fetched.desk.folder, fetched.export["id"]
    (folder / "secret").write_text("a secret")
    (folder / export / "unnamed.parquet").write_text("a secret")
    name, base = fetched.file["name"], f"{ROUTE}/{export}/files"
    names = [
        "../secret", "..%2fsecret", "%2e%2e/secret", "%2e%2e%2fsecret", "%252e%252e%252fsecret", "..%5csecret",
        "..\\secret", "/etc/passwd", "%2fetc%2fpasswd", f"{folder}/secret", quote(f"{folder}/secret", ""),
        "unnamed.parquet", f"{name}%00", f"{name}%00.txt", f"./{name}/.", f"{name}/", f"{name}%20", name.upper(),
        f"..%2f{export}%2f{name}", "%ef%bc%8e%ef%bc%8e%ef%bc%8fsecret", "%c0%ae%c0%ae/secret", "．．／secret",
        "%ff%fe", "", ".", "..", "*", "%00", "x" * 5000, "manifest.json%00", "MANIFEST.JSON",
    ]  # fmt: skip
    for one in names:
        status, body = await fetched.raw(f"{base}/{one}")
        assert (status, json.loads(body)["error"]["code"]) == (404, "NOT_FOUND"), one
        assert b"secret" not in body
    assert await fetched.raw(fetched.path) == (200, fetched.content)
    for one in (
        "..",
        "%2e%2e",
        "../..",
        export[:-1],
        export + "0",
        export.upper(),
        f"{export}%00",
        "%25",
        "'",
        "ä" * 24,
    ):
        status, body = await fetched.raw(f"{ROUTE}/{one}/files/{name}")
        assert (status, json.loads(body)["error"]["code"]) == (404, "NOT_FOUND"), one


async def test_only_its_client_and_an_admin_have_it_and_only_in_time(fetched: Fetched):
    running, name = fetched.desk.running, fetched.file["name"]
    stranger, admin = await running.new_key("export"), await running.new_key("export", "admin")
    for key, status in ((stranger, 404), (admin, 200)):
        for path in (fetched.path, f"{ROUTE}/{fetched.export['id']}"):
            assert (await fetched.get(path, authorization=f"Bearer {key}")).status_code == status
    no_scope = await running.new_key("read:prices")
    assert (await fetched.get(authorization=f"Bearer {no_scope}")).status_code == 403
    waiting = await fetched.desk.ask(what="bars")
    answer = await fetched.get(f"{ROUTE}/{waiting['id']}/files/{name}")
    assert (answer.status_code, answer.json()["error"]["details"]["state"]) == (404, "queued")
    place = fetched.desk.folder / fetched.export["id"] / name
    place.write_bytes(fetched.content + b"x")
    assert "damaged" in (await fetched.get()).json()["error"]["message"]
    place.unlink()
    assert "is gone" in (await fetched.get()).json()["error"]["message"]
    assert await fetched.desk.worker().look() == 1
    running.clock.set(at(minutes=2) + timedelta(days=7))
    for _ in range(2):  # the second time its files are deleted
        for path in (fetched.path, f"{ROUTE}/{fetched.export['id']}/files/manifest.json"):
            answer = await fetched.get(path)
            assert (answer.status_code, answer.json()["error"]["details"]["state"]) == (404, "expired")
        state = await fetched.desk.state(fetched.export["id"])
        assert (state["state"], state["manifest"], state["meta"]["condition"]) == ("expired", None, "missing")
        assert await fetched.desk.worker().look() == 0
    assert not (fetched.desk.folder / fetched.export["id"]).exists()
