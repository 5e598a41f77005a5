"""/openapi.json, /asyncapi.json and /docs: what the interface is, from the code itself. No key, no outside host."""

import json
from html import escape
from typing import Any

from fastapi import FastAPI, Request
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from starlette.responses import HTMLResponse, Response

from ray_app.serve.node import Node
from ray_app.serve.problems import STATUS
from ray_app.serve.routes import NEEDS, get
from ray_app.serve.streams import asyncapi
from ray_app.serve.wire import dumps

JSON = "application/json"
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
        for methods in made["paths"].values():
            for operation in methods.values():
                answers = operation["responses"]
                answers.pop("422", None)
                told = {JSON: {"schema": {"$ref": "#/components/schemas/Error"}, "example": ERROR}}
                answers["default"] = {"description": "any error", "content": told}
        app.openapi_schema = made
    return app.openapi_schema


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
