"""GET / and its assets: the page for people. Open: it holds no data, its scripts ask for them with the reader's key.

What surprises: an asset's address holds a digest over all of them, so that it may be kept for ever and a page never
mixes releases. The headers forbid the browser everything that the page does not need: no script or style in the
HTML, no other host, and by Trusted Types no text that becomes HTML.
"""

import gzip
from dataclasses import dataclass
from hashlib import sha256
from importlib.resources import files
from importlib.resources.abc import Traversable

from fastapi import FastAPI, Request
from starlette.responses import Response

from ray_app.serve.node import Node
from ray_app.serve.problems import Problem
from ray_app.serve.queries import Nothing, read_query
from ray_app.serve.routes import get
from ray_app.serve.wire import matches

INDEX = "index.html"
HERE = "{assets}"  # stands in the HTML for the folder of this version's assets
TYPES = {
    "css": "text/css; charset=utf-8",
    "html": "text/html; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "mjs": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}
PLAIN = "text/plain; charset=utf-8"  # of licences
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
)
GUARDS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
FOR_EVER = "public, max-age=31536000, immutable"
ASK_FIRST = "no-cache"


@dataclass(frozen=True, slots=True)
class Asset:
    """One file, as it is and packed, with its type and its tag."""

    body: bytes
    packed: bytes
    media_type: str
    etag: bytes

    def response(self, request: Request, kept: str) -> Response:
        headers = GUARDS | {"ETag": self.etag.decode(), "Cache-Control": kept, "Vary": "accept-encoding"}
        if matches(request.headers.get("if-none-match", "").encode(), self.etag):
            return Response(status_code=304, headers=headers)
        if "gzip" in request.headers.get("accept-encoding", ""):
            headers["Content-Encoding"] = "gzip"
            return Response(self.packed, headers=headers, media_type=self.media_type)
        return Response(self.body, headers=headers, media_type=self.media_type)


class Assets:
    """Every file of the page, read once; `version` is a digest over all of them."""

    def __init__(self, folder: Traversable) -> None:
        found = dict(_files(folder, ""))
        whole = sha256()
        for name in sorted(found):
            whole.update(name.encode() + b"\0" + sha256(found[name]).digest())
        self.version = whole.hexdigest()[:16]
        found[INDEX] = found[INDEX].replace(HERE.encode(), f"/assets/{self.version}".encode())
        self._files = {name: _asset(name, body) for name, body in found.items()}

    def __getitem__(self, name: str) -> Asset:
        """Raises Problem for one that does not exist."""
        if name not in self._files:
            raise Problem("NOT_FOUND", "the page has no such file")
        return self._files[name]

    @property
    def names(self) -> list[str]:
        return sorted(self._files)


def _files(folder: Traversable, below: str) -> list[tuple[str, bytes]]:
    found: list[tuple[str, bytes]] = []
    for one in folder.iterdir():
        found += (
            _files(one, f"{below}{one.name}/") if one.is_dir() else [(below + one.name, one.read_bytes())]
        )
    return found


def _asset(name: str, body: bytes) -> Asset:
    media_type = TYPES.get(name.rpartition(".")[2], PLAIN)
    return Asset(
        body, gzip.compress(body, mtime=0), media_type, b'"' + sha256(body).hexdigest()[:32].encode() + b'"'
    )


def add(app: FastAPI, node: Node) -> None:  # noqa: ARG001 - a part's form
    assets = Assets(files("ray_app.serve") / "page")

    async def page(request: Request) -> Response:
        return assets[INDEX].response(request, ASK_FIRST)

    async def asset(version: str, file: str, request: Request) -> Response:
        read_query(Nothing, request)
        # Another release's address, as while replicas are exchanged: what is here, but nobody keeps it.
        return assets[file].response(request, FOR_EVER if version == assets.version else ASK_FIRST)

    get(app, "/", page, scope=None, summary="The page for people", media_type="text/html", listed=False)
    get(
        app, "/assets/{version}/{file:path}", asset, scope=None, summary="Its files", media_type="*/*",
        listed=False,
    )  # fmt: skip
