"""The page for people as it is served: open, guarded by its headers, kept by browsers for as long as it is right."""

import gzip
import re
from importlib.resources import files
from pathlib import Path

import pytest

from ray_app.serve.rest.page import INDEX, Assets
from tests.architecture.test_layers import LINES
from tests.serve.conftest import Running, client

FOLDER = Path(str(files("ray_app.serve") / "page"))
OURS = sorted(path for path in FOLDER.iterdir() if path.suffix in (".js", ".html", ".css"))
LIBRARY = "lightweight-charts/lightweight-charts.standalone.production.mjs"


def test_every_file_of_the_page_is_served():
    there = {path.relative_to(FOLDER).as_posix() for path in FOLDER.rglob("*") if path.is_file()}
    assert set(Assets(FOLDER).names) == there
    assert {
        INDEX,
        "page.js",
        "page.css",
        LIBRARY,
        "lightweight-charts/LICENSE",
        "lightweight-charts/NOTICE",
    } <= there


async def test_the_page_needs_no_key_and_nothing_from_elsewhere(node: Running):
    async with client(node.app, None) as nobody:
        page = await nobody.get("/")
        assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
        loaded = re.findall(r'(?:src|href)="([^"]+)"', page.text)
        assert [one for one in loaded if not one.startswith(("/", "#"))] == ["https://www.tradingview.com/"]
        found = [one for one in loaded if one.startswith("/assets/")]
        assert len(found) == 4
        for path in found:
            assert (await nobody.get(path)).status_code == 200, path
        assert "x-ratelimit-limit" not in page.headers


async def test_the_headers_forbid_what_the_page_does_not_need(node: Running):
    async with client(node.app, None) as nobody:
        for path in ("/", f"/assets/{Assets(FOLDER).version}/page.js"):
            headers = (await nobody.get(path)).headers
            policy = dict(one.split(" ", 1) for one in headers["content-security-policy"].split("; "))
            assert policy["default-src"] == policy["base-uri"] == policy["frame-ancestors"] == "'none'"
            assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
            assert policy["require-trusted-types-for"] == "'script'"
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["referrer-policy"] == "no-referrer"


async def test_an_asset_is_kept_for_ever_under_its_version_only(node: Running):
    version = Assets(FOLDER).version
    async with client(node.app, None) as nobody:
        mine = await nobody.get(f"/assets/{version}/page.css")
        assert mine.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert mine.content == (FOLDER / "page.css").read_bytes()
        other = await nobody.get("/assets/another/page.css")
        assert (other.status_code, other.headers["cache-control"]) == (200, "no-cache")
        page = await nobody.get("/")
        assert page.headers["cache-control"] == "no-cache"
        again = await nobody.get("/", headers={"If-None-Match": page.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")


async def test_an_asset_is_packed_for_who_can_unpack_it(node: Running):
    path = f"/assets/{Assets(FOLDER).version}/{LIBRARY}"
    async with client(node.app, None) as nobody:
        plain = await nobody.get(path, headers={"Accept-Encoding": "identity"})
        async with nobody.stream("GET", path, headers={"Accept-Encoding": "gzip"}) as answer:
            raw = b"".join([part async for part in answer.aiter_raw()])
        assert answer.headers["content-encoding"] == "gzip"
        assert len(raw) < len(plain.content) / 2
        assert gzip.decompress(raw) == plain.content
        assert plain.headers["content-type"] == "text/javascript; charset=utf-8"


@pytest.mark.parametrize("name", ["nothing.js", "../rest/page.py", "..%2frest%2fpage.py", "", "page.js/"])
async def test_other_files_are_not_served(node: Running, name: str):
    async with client(node.app, None) as nobody:
        answer = await nobody.get(f"/assets/x/{name}")
        assert answer.status_code in (401, 404)
        assert answer.json()["error"]["code"] in ("NOT_FOUND", "INVALID_API_KEY")


def test_a_new_text_has_a_new_version(tmp_path: Path):
    for folder, text in (("a", "one"), ("b", "two")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / INDEX).write_text('<link href="{assets}/page.css">')
        (tmp_path / folder / "page.css").write_text(text)
    first, second = Assets(tmp_path / "a"), Assets(tmp_path / "b")
    assert first.version != second.version
    assert first[INDEX].body == f'<link href="/assets/{first.version}/page.css">'.encode()


@pytest.mark.parametrize("path", OURS, ids=lambda path: path.name)
def test_what_we_wrote_keeps_to_the_policy(path: Path):
    text = path.read_text()
    assert len(text.splitlines()) <= LINES["ray_app"]
    for banned in (
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        "eval(",
        "Function(",
        "style=",
    ):
        assert banned not in text, banned
    addresses = set(re.findall(r"https?://[^\s\"'`<>)]+", text)) - {"http://www.w3.org/2000/svg"}
    assert addresses <= {"https://www.tradingview.com/"}
    if path.suffix == ".html":
        assert re.findall(r"<script(?![^>]*\bsrc=)", text) == re.findall(r"<style|\son\w+=", text) == []


def test_the_library_says_whose_it_is():
    notice = (FOLDER / "lightweight-charts/NOTICE").read_text()
    assert "TradingView" in notice
    assert "https://www.tradingview.com/" in (FOLDER / INDEX).read_text()
    assert "Apache License" in (FOLDER / "lightweight-charts/LICENSE").read_text()
    version = re.search(r"v(\d+\.\d+\.\d+)", (FOLDER / LIBRARY).read_text()[:300])
    assert version is not None
    assert version[0] in notice
