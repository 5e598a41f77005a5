"""A hub of models on 127.0.0.1: what `huggingface_hub` asks of one, over folders as their authors publish them."""

import hashlib
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

COMMIT = hashlib.sha1(b"the only commit", usedforsecurity=False).hexdigest()


class Hub:
    """`asked`: what was asked about these repositories, in order. `cut`: the file of which only the half is sent."""

    def __init__(self, repositories: Mapping[str, Path]) -> None:
        self.asked: list[str] = []
        self.cut = ""
        self._repositories = repositories
        hub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_HEAD(self) -> None:
                hub._answer(self)

            def do_GET(self) -> None:
                hub._answer(self)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def sent(self) -> set[str]:
        """The names of the files that were sent."""
        return {
            one.rpartition("/")[2] for one in self.asked if one.startswith("GET /") and "/resolve/" in one
        }

    @contextmanager
    def running(self) -> Iterator["Hub"]:
        thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            self._server.server_close()
            thread.join()

    def _answer(self, request: BaseHTTPRequestHandler) -> None:
        path = request.path.partition("?")[0]
        if any(name in path for name in self._repositories):
            self.asked.append(f"{request.command} {path}")
        for name, folder in self._repositories.items():
            if path in (f"/api/models/{name}/revision/main", f"/api/models/{name}/revision/{COMMIT}"):
                files = [{"rfilename": one.name} for one in sorted(folder.iterdir())]
                told = {"id": name, "sha": COMMIT, "siblings": files, "private": False, "tags": []}
                return self._send(request, json.dumps(told).encode(), "application/json")
            if path == f"/api/models/{name}/tree/{COMMIT}":
                tree = [
                    {"type": "file", "path": one.name, "size": one.stat().st_size, "oid": _oid(one)}
                    for one in sorted(folder.iterdir())
                ]
                return self._send(request, json.dumps(tree).encode(), "application/json")
            if path.startswith(f"/{name}/resolve/{COMMIT}/"):
                file = folder / path.rpartition("/")[2]
                if file.is_file():
                    return self._send(request, file.read_bytes(), "application/octet-stream", file.name)
        request.send_response(404)
        request.send_header("X-Error-Code", "RevisionNotFound" if "/revision/" in path else "EntryNotFound")
        request.send_header("Content-Length", "0")
        request.end_headers()
        return None

    def _send(self, request: BaseHTTPRequestHandler, body: bytes, kind: str, name: str = "") -> None:
        request.send_response(200)
        request.send_header("Content-Type", kind)
        request.send_header("Content-Length", str(len(body)))
        request.send_header("X-Repo-Commit", COMMIT)
        request.send_header("ETag", f'"{hashlib.sha1(body, usedforsecurity=False).hexdigest()}"')
        request.end_headers()
        if request.command == "GET":
            cut = bool(name) and name == self.cut
            request.wfile.write(body[: len(body) // 2] if cut else body)
            request.close_connection = cut


def _oid(file: Path) -> str:
    return hashlib.sha1(file.read_bytes(), usedforsecurity=False).hexdigest()
