"""/openapi.json, /asyncapi.json and /docs: what the interface is, from the code itself. No key, no outside host."""

import json
from html import escape
from typing import Any

from fastapi import FastAPI, Request
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from starlette.responses import HTMLResponse, Response

from ray_app.serve.graphql.endpoint import INVALID
from ray_app.serve.node import Node
from ray_app.serve.problems import STATUS
from ray_app.serve.routes import NEEDS, get
from ray_app.serve.shapes import shape
from ray_app.serve.streams import asyncapi
from ray_app.serve.wire import dumps

JSON, PARQUET = "application/json", "application/vnd.apache.parquet"
ABOUT = """A crypto market data node. Every record leads to the raw answer it came from; nothing is made up.

Times are RFC 3339 in UTC with milliseconds, numbers keep every digit, what is not known is null.
`as_of=T` asks what this node would have answered at T; `known_by=T` what anyone could have known at T.
"""
ERROR = {
    "error": {
        "code": "INVALID_SYMBOL",
        "message": "unknown symbol 'BTX'; nearest: BTC, BTT, STX",
        "details": {"symbol": "BTX", "nearest": ["BTC", "BTT", "STX"]},
        "timestamp": "2026-11-23T01:05:00.000Z",
        "request_id": "b65a5700229a5c4adb3ab9d9",
    }
}
STOCK = ("a ticker of a stock", "AAPL")
PLACES = {  # what stands in a path: in words, and an example
    "symbol": ("a coin id, a ticker in any case, or a pair", "BTC"),
    "series": ("a macro series, as /api/v1/catalog/series names it", "GDP"),
    "record_id": ("`record_id` of any row", "coingecko.prices:bitcoin:2026-11-23T01:00:00+00:00:0"),
    "job": ("the id of a backfill", "heal-1"),
    "export": ("`id` of an export", "5f0c1d2e3a4b5c6d7e8f9a0b"),
    "name": ("a file that the manifest names, or manifest.json", "manifest.json"),
}
NEVER_KEPT = {"/api/v1/health", "/metrics"}  # how things stand: no ETag
PRICE, LINEAGE, NEXT = "/api/v1/prices/current/{symbol}", "/api/v1/lineage/{record_id}", "/meta/cursor"
LINKS: dict[str, dict[str, tuple[str, str, str]]] = {  # from what an answer holds to a route that takes it
    "/api/v1/catalog/symbols": {
        "price": (PRICE, "path.symbol", "/data/0/id"),
        "candles": ("/api/v1/prices/historical/{symbol}", "path.symbol", "/data/0/id"),
        "technical": ("/api/v1/technical/{symbol}", "path.symbol", "/data/0/id"),
        "next": ("/api/v1/catalog/symbols", "query.cursor", NEXT),
    },
    "/api/v1/catalog/datasets": {
        "quality": ("/api/v1/quality", "query.dataset", "/data/0/dataset"),
        "coverage": ("/api/v1/coverage", "query.dataset", "/data/0/dataset"),
    },
    "/api/v1/catalog/series": {"next": ("/api/v1/catalog/series", "query.cursor", NEXT)},
    PRICE: {"evidence": (LINEAGE, "path.record_id", "/record_id")},
    "/api/v1/macro/{series}": {"evidence": (LINEAGE, "path.record_id", "/data/0/record_id")},
    "/api/v1/onchain/{symbol}": {"evidence": (LINEAGE, "path.record_id", "/data/0/record_id")},
    "/api/v1/revisions": {
        "before": (LINEAGE, "path.record_id", "/data/0/old_record_id"),
        "next": ("/api/v1/revisions", "query.cursor", NEXT),
    },
    "/api/v1/export": {"state": ("/api/v1/export/{export}", "path.export", "/data/0/id")},
}
RECORD_ID = "^[^:]+:.+:.+:[0-9]+$"
BY_PARTS = {"/api/v1/export/{export}/files/{name}"}
_TEXT, _COUNT = {"type": "string"}, {"type": "string", "pattern": "^[0-9]+$"}
HEADERS: dict[str, dict[str, Any]] = {
    "always": {
        "X-Request-Id": {
            "description": "made by the node; it leads to the log line of a failure",
            "required": True,
            "schema": {"type": "string", "pattern": "^[0-9a-f]{24}$"},
        }
    },
    "limited": {
        "X-RateLimit-Limit": {"description": "requests an hour", "required": True, "schema": _COUNT},
        "X-RateLimit-Remaining": {"description": "of them left", "required": True, "schema": _COUNT},
        "X-RateLimit-Reset": {"description": "when the hour ends, in seconds since 1970", "required": True,
                              "schema": _COUNT},
    },
    "202": {"Location": {"description": "where to ask how it is", "required": True, "schema": _TEXT}},
    "206": {"Content-Range": {"description": "which bytes these are", "required": True, "schema": _TEXT}},
    "304": {"ETag": {"description": "as before", "required": True, "schema": _TEXT}},
    "401": {"WWW-Authenticate": {"description": "Bearer", "required": True, "schema": _TEXT}},
    "416": {"Content-Range": {"description": "how many bytes there are", "required": True, "schema": _TEXT}},
    "429": {"Retry-After": {"description": "seconds", "required": True, "schema": _COUNT}},
    "5XX": {"Retry-After": {"description": "seconds; with 503", "schema": _COUNT}},
}  # fmt: skip
STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;"
    "padding:0 1rem;color:#1b1f24;background:#fff}"
    "section{border-top:1px solid #d0d7de;padding:1rem 0}code,pre{font:13px/1.45 ui-monospace,monospace}"
    "pre{background:#f6f8fa;padding:.8rem;overflow:auto;max-height:22rem}"
    "td,th{text-align:left;padding:.15rem .8rem .15rem 0;vertical-align:top}"
    "@media(prefers-color-scheme:dark){body{background:#0d1117;color:#e6edf3}pre{background:#161b22}section{border-color:#30363d}}"
)


def add(app: FastAPI, node: Node) -> None:
    async def openapi(request: Request) -> Response:  # noqa: ARG001 - a route's form
        return Response(dumps(document(app)), media_type=JSON)

    async def docs(request: Request) -> Response:  # noqa: ARG001 - a route's form
        return HTMLResponse(page(document(app)))

    async def streams(request: Request) -> Response:  # noqa: ARG001 - a route's form
        return Response(dumps(asyncapi.document(node.parts.release)), media_type=JSON)

    get(app, "/asyncapi.json", streams, scope=None, summary="The streams as an AsyncAPI document")
    get(app, "/openapi.json", openapi, scope=None, summary="This interface as an OpenAPI document")
    get(app, "/docs", docs, scope=None, summary="This interface for people", media_type="text/html")


def document(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI document; made once."""
    if app.openapi_schema is None:
        made = get_openapi(title=app.title, version=app.version, description=ABOUT, routes=app.routes)
        parts = made.setdefault("components", {})
        parts.pop("schemas", None)
        parts["securitySchemes"] = {
            "key": {"type": "http", "scheme": "bearer", "description": "an API key: cdk_…"}
        }
        parts["schemas"] = {"Error": _error()}
        for route in app.routes:  # FastAPI leaves null out, and in an example null is something to know
            if isinstance(route, APIRoute) and route.include_in_schema:
                for method in route.methods or ():
                    status = route.status_code or 200
                    shown = made["paths"][route.path_format][method.lower()]["responses"][str(status)]
                    shown["content"] = route.responses[status]["content"]
        for path, methods in made["paths"].items():
            for method, operation in methods.items():
                _complete(path, method, operation)
        app.openapi_schema = made
    return app.openapi_schema


def _complete(path: str, method: str, operation: dict[str, Any]) -> None:
    """What FastAPI does not know: what stands in a path, which errors there are, which headers come along."""
    for one in operation.get("parameters", ()):
        if one["in"] == "path":
            about, example = STOCK if "/stock/" in path else PLACES[one["name"]]
            form = {"pattern": RECORD_ID} if one["name"] == "record_id" else {"minLength": 1}
            one |= {"description": about, "schema": {"type": "string", **form, "examples": [example]}}
    answers = operation["responses"]
    answers.pop("422", None)
    for status, about in _errors(path, operation).items():
        answers[status] = {
            "description": about,
            "content": {JSON: {"schema": {"$ref": "#/components/schemas/Error"}, "example": ERROR}},
        }
    if path == "/graphql":
        told = answers["400"]["content"][JSON]
        told["schema"] = {"anyOf": [told["schema"], shape(INVALID)]}
    for name, (route, place, value) in LINKS.get(path, {}).items() if method == "get" else ():
        reference = "#/paths/" + route.replace("~", "~0").replace("/", "~1") + "/get"
        told = {"operationRef": reference, "parameters": {place: f"$response.body#{value}"}}
        answers["200"].setdefault("links", {})[name] = told
    if path in BY_PARTS:
        good = answers["200"]
        good["content"] |= {
            PARQUET: {"schema": {"type": "string", "format": "binary"}},
            JSON: {"schema": {"type": "object"}},
        }
        answers["206"] = {"description": "the bytes that Range asks for", "content": good["content"]}
        answers["416"] = {"description": "the file has no such bytes", "content": answers["404"]["content"]}
    keyed = NEEDS in operation
    if keyed and method == "get" and path not in NEVER_KEPT:
        answers["304"] = {"description": "unchanged since the answer with the ETag of If-None-Match"}
    for status, answer in answers.items():
        limited = keyed and status not in ("401", "5XX")
        answer["headers"] = (
            HEADERS["always"] | (HEADERS["limited"] if limited else {}) | HEADERS.get(status, {})
        )


def _errors(path: str, operation: dict[str, Any]) -> dict[str, str]:
    """By status: what may go wrong on a route, by what it takes."""
    names = {one["name"] for one in operation.get("parameters", ())}
    keyed = NEEDS in operation
    found = {}
    if names & {"symbol", "symbols", "cursor"} or "requestBody" in operation:
        found["400"] = "an ambiguous symbol, a cursor of another question, a question that costs too much"
    if keyed:
        found["401"] = "no key, or none that holds"
        found["403"] = "a key without the scope, or without the mark that a licence asks for"
    if keyed and (names or "requestBody" in operation):
        found["404"] = "there is no such thing, or no data of it"
    if "requestBody" in operation:
        found["413"] = "a body that is too large"
    if keyed:
        found["422"] = "a parameter or a body that is not valid"
        found["429"] = "a limit of the key is reached"
    if path != "/health":
        found["5XX"] = "a part of the node is down (503), or a failure of ours (500)"
    return found


def _error() -> dict[str, Any]:
    inner = {
        "code": {"type": "string", "enum": sorted(STATUS)},
        "message": {"type": "string"},
        "details": {"type": "object"},
        "timestamp": {"type": "string", "format": "date-time"},
        "request_id": {"type": "string"},
    }
    error = {"type": "object", "required": list(inner), "properties": inner}
    return {"type": "object", "required": ["error"], "properties": {"error": error}}


def page(document: dict[str, Any]) -> str:
    """The document as HTML: one section per route, nothing to load."""
    sections = []
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            sections.append(_section(method.upper(), path, operation))
    about = escape(document["info"]["description"]).replace("\n\n", "</p><p>")
    title = f"{escape(document['info']['title'])} {escape(document['info']['version'])}"
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title><style>{STYLE}</style>'
        f"<h1>{title}</h1><p>{about}</p>"
        "<p>Send <code>Authorization: Bearer KEY</code>. "
        "As a document: <a href='/openapi.json'>/openapi.json</a>; "
        "the streams: <a href='/asyncapi.json'>/asyncapi.json</a>.</p>"
        f"{''.join(sections)}</html>"
    )


def _section(method: str, path: str, operation: dict[str, Any]) -> str:
    needs = operation.get(NEEDS)
    asked = operation.get("requestBody", {}).get("content", {}).get(JSON, {})
    explained = [(one["name"], one) for one in operation.get("parameters", ())]
    explained += asked.get("schema", {}).get("properties", {}).items()
    rows = "".join(
        f"<tr><td><code>{escape(name)}</code><td>{escape(str(one.get('description', '')))}"
        for name, one in explained
    )
    good = next(one for status, one in operation["responses"].items() if status.startswith("2"))
    content: dict[str, Any] = next(iter(good.get("content", {}).values()), {})
    example = content.get("example")
    shown = f"<pre>{escape(_pretty(example))}</pre>" if example is not None else ""
    if asked:
        shown = f"<p>Send</p><pre>{escape(_pretty(asked['example']))}</pre><p>Answer</p>{shown}"
    key = f"<p>Scope: <code>{escape(needs)}</code></p>" if needs else "<p>No key needed.</p>"
    return (
        f"<section><h3><code>{method} {escape(path)}</code></h3><p>{escape(operation['summary'])}</p>"
        f"{key}<table>{rows}</table>{shown}</section>"
    )


def _pretty(example: Any) -> str:
    return json.dumps(example, indent=2, ensure_ascii=False)
