"""/api/v1/export: ask for an export, see how it is, fetch its files whole or in part."""

import asyncio
import re
from collections.abc import AsyncIterator
from datetime import datetime
from typing import IO, Any

from fastapi import FastAPI, Request
from pydantic import Field
from starlette.responses import Response, StreamingResponse

from ray_app.model.dataset import RESTRICTED
from ray_app.model.export import State, moment
from ray_app.serve.bodies import read_body
from ray_app.serve.door import key_of
from ray_app.serve.exports import ExportBody, request_of
from ray_app.serve.node import Node
from ray_app.serve.problems import Problem, unavailable
from ray_app.serve.queries import Nothing, read_query
from ray_app.serve.ranges import wanted
from ray_app.serve.rest.examples_exports import ASKED, EXPORT, EXPORT_WAITS, EXPORTS, QUEUED, QUEUED_LESS
from ray_app.serve.routes import get, post
from ray_app.serve.wire import Answer, dumps
from ray_app.store.export_files import MANIFEST, ExportFiles
from ray_app.store.exports import Export, TooMany

MOST_BYTES = 1 << 18  # of a body: a thousand names of the greatest length
MOST_UNDER_WAY = 2  # exports of one client at once
WAIT = 30  # seconds after which it is worth asking again
CHUNK = 1 << 18  # bytes that are read at once
ID = re.compile(r"[0-9a-f]{24}")
PARQUET = "application/vnd.apache.parquet"
CONDITION: dict[State, str] = {
    "queued": "pending", "running": "pending", "done": "available", "failed": "missing", "expired": "missing",
}  # fmt: skip


class ListQuery(Nothing):
    limit: int = Field(100, ge=1, le=1000, description="exports a page")
    cursor: str | None = Field(None, description="`meta.cursor` of the page before", max_length=2000)


def add(app: FastAPI, node: Node) -> None:
    async def ask(request: Request) -> Response:
        read_query(Nothing, request)
        _files(node)
        key = key_of(request.scope)
        body = await read_body(ExportBody, request, MOST_BYTES)
        made, closed = await request_of(node, body, internal=key.internal)
        try:
            export = await node.store.exports.ask(
                key.client, made, node.clock.now(), MOST_UNDER_WAY, restricted=closed
            )
        except TooMany as error:
            raise Problem(
                "RATE_LIMIT_EXCEEDED",
                f"{error.under_way} exports of this client are under way, and {error.most} may be: wait for one to end",
                {"limit": "exports under way", "most": error.most},
                {"Retry-After": str(WAIT)},
            ) from None
        now = node.clock.now()
        told = _answer(node, _told(export, now), export, now).body(now)
        headers = {"Location": f"/api/v1/export/{export.id}", "Cache-Control": "no-store"}
        return Response(told, 202, headers, media_type="application/json")

    async def listed(request: Request) -> Response:
        query = read_query(ListQuery, request)
        client, now = key_of(request.scope).client, node.clock.now()
        cursors, question = await node.cursors(), {"path": request.scope["path"], "client": client}
        before = None
        if query.cursor is not None:
            (at, name), _ = cursors.read(query.cursor, question)
            before = datetime.fromisoformat(at), name
        found = await node.store.exports.of(client, query.limit + 1, before)
        shown, cursor = found[: query.limit], None
        if len(found) > query.limit:
            cursor = cursors.write(question, [shown[-1].created_at.isoformat(), shown[-1].id], now)
        meta = {
            "as_of": now, "condition": "available", "source": "exports", "simulated": node.parts.simulated,
            "cursor": cursor,
        }  # fmt: skip
        payload = {"data": [_told(one, now) for one in shown]}
        return Answer(payload=payload, meta=meta, observed=None).response(request, now)

    async def one(export: str, request: Request) -> Response:
        read_query(Nothing, request)
        found, now = await _own(node, export, request), node.clock.now()
        state = found.state_at(now)
        told = _told(found, now) | {"manifest": found.manifest if state == "done" else None}
        return _answer(node, told, found, now).response(request, now)

    async def file(export: str, name: str, request: Request) -> Response:
        read_query(Nothing, request)
        return await _file(node, await _own(node, export, request), name, request)

    post(
        app, "/api/v1/export", ask, scope="export", takes=ExportBody, sent=ASKED, example=QUEUED,
        also=[QUEUED_LESS], status=202,
        summary="Ask for an export as Parquet files: rows of data sets, of features, or a training set",
    )  # fmt: skip
    get(
        app, "/api/v1/export", listed, scope="export", query=ListQuery, example=EXPORTS,
        summary="The exports of this client, newest first",
    )  # fmt: skip
    get(
        app, "/api/v1/export/{export}", one, scope="export", example=EXPORT, also=[EXPORT_WAITS],
        summary="How an export is; when it is done, its manifest: files, rows, hashes, columns, licences",
    )  # fmt: skip
    get(
        app, "/api/v1/export/{export}/files/{name}", file, scope="export", media_type=PARQUET,
        summary="A file that the manifest names, or manifest.json; whole, or the bytes that Range asks for",
    )  # fmt: skip


async def _own(node: Node, export: str, request: Request) -> Export:
    """The export, for its client's keys and for an admin; to all others there is none. Raises Problem."""
    key = key_of(request.scope)
    found = await node.store.exports.find(export) if ID.fullmatch(export) else None
    if found is None or (found.client != key.client and "admin" not in key.scopes):
        raise Problem("NOT_FOUND", "this client has no such export")
    return found


async def _file(node: Node, export: Export, name: str, request: Request) -> Response:
    state = export.state_at(node.clock.now())
    if state != "done" or export.manifest is None:
        why = {"expired": "its files are deleted: ask for it again", "failed": export.reason}
        raise Problem(
            "DATA_NOT_AVAILABLE",
            f"this export is {state}: {why.get(state, 'wait until it is done')}",
            {"state": state, "reason": export.reason or None, "expires_at": moment(export.expires_at)},
        )
    if export.restricted and not key_of(request.scope).internal:
        closed = [one for one in export.request.terms if not RESTRICTED.isdisjoint(one.licence.split())]
        named = ", ".join(sorted({f"{one.dataset} ({one.licence})" for one in closed}))
        raise Problem("LICENCE_RESTRICTED", f"needs a key marked internal, by the licence of {named}")
    if name == MANIFEST:
        raw = dumps(export.manifest)
        return Response(raw, headers={"Cache-Control": "private, no-cache"}, media_type="application/json")
    files = {one["name"]: one for one in export.manifest["files"]}
    if name not in files:
        raise Problem("NOT_FOUND", "the manifest of this export names no such file")
    size, etag = int(files[name]["bytes"]), f'"{files[name]["sha256"]}"'
    part = wanted(request.headers, etag, size)
    headers = {
        "ETag": etag, "Accept-Ranges": "bytes", "Cache-Control": "private, no-cache", "Vary": "authorization",
    }  # fmt: skip
    if part.status == 304:
        return Response(status_code=304, headers=headers)
    headers |= {
        "Content-Length": str(part.length),
        "Content-Disposition": f'attachment; filename="{name}"',
    }
    if part.status == 206:
        headers["Content-Range"] = f"bytes {part.first}-{part.last}/{size}"
    opened = await asyncio.to_thread(_opened, _files(node), export.id, name, size)
    return StreamingResponse(_bytes(opened, part.first, part.length), part.status, headers, PARQUET)


def _opened(files: ExportFiles, export: str, name: str, size: int) -> IO[bytes]:
    """Raises Problem when it is not the file that the manifest speaks of."""
    try:
        file = files.open(export, name)
    except FileNotFoundError:
        raise Problem("DATA_NOT_AVAILABLE", "this file is gone: ask for the export again") from None
    if (there := file.seek(0, 2)) != size:
        file.close()
        raise Problem(
            "DATA_NOT_AVAILABLE",
            f"this file is damaged: it has {there} bytes and not {size}; ask for the export again",
        )
    return file


async def _bytes(file: IO[bytes], first: int, length: int) -> AsyncIterator[bytes]:
    try:
        await asyncio.to_thread(file.seek, first)
        while length > 0 and (some := await asyncio.to_thread(file.read, min(CHUNK, length))):
            length -= len(some)
            yield some
    finally:
        file.close()


def _files(node: Node) -> ExportFiles:
    if node.parts.exports is None:
        raise unavailable("this node makes no exports: it was opened without a folder for them", ["exports"])
    return node.parts.exports


def _told(export: Export, now: datetime) -> dict[str, Any]:
    """As JSON types, without the manifest."""
    return {
        "id": export.id,
        "state": export.state_at(now),
        "reason": export.reason or None,
        "what": export.request.what,
        "asked": export.request.asked,
        "as_of": export.request.as_of,
        "known_by": export.request.known_by,
        "start": export.request.start,
        "end": export.request.end,
        "rows_counted": export.counted,
        "pieces": export.pieces,
        "pieces_done": export.pieces_done,
        "created_at": export.created_at,
        "started_at": export.started_at,
        "finished_at": export.finished_at,
        "expires_at": export.expires_at,
    }


def _answer(node: Node, told: dict[str, Any], export: Export, now: datetime) -> Answer:
    meta: dict[str, Any] = {
        "as_of": export.request.as_of,
        "known_by": export.request.known_by,
        "condition": CONDITION[export.state_at(now)],
        "source": ", ".join(sorted({one.source for one in export.request.terms})) or None,
        "attribution": "; ".join(sorted({one.attribution for one in export.request.terms} - {""})),
        "simulated": node.parts.simulated,
    }
    if export.request.left_out:
        meta["left_out"] = list(export.request.left_out)
    return Answer(payload=told, meta=meta, observed=None)
