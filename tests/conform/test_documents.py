"""Each example of the documents runs: those of the OpenAPI document, and each request that a page of docs/ shows.

The examples of docs/client.md run in tests/client/test_examples.py, the queries of docs/graphql.md in
tests/serve/graphql/test_schema.py.
"""

import asyncio
import json
import re
import subprocess
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import jsonschema
import pytest

from tests.architecture.modules import REPO
from tests.conform.world import World, world

PAGES = [REPO / "README.md", *sorted((REPO / "docs").glob("*.md"))]
SHELL = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)
ASK = re.compile(r"^ask\(\) .*\n", re.MULTILINE)
AT = "127.0.0.1:8000"
JSON = "application/json"
SECONDS = 6  # an event stream does not end: so long it is listened to
# What the store of the test does not have, by a part of the example: what its answer says then.
NOT_COLLECTED = {"venue=binance": "VALIDATION_ERROR", "venue=coinbase": "DATA_NOT_AVAILABLE",
                 "Last-Event-ID: 4711": "CURSOR_INVALID"}  # fmt: skip


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[World]:
    async with world(tmp_path) as made:
        yield made


def requests() -> Iterator[tuple[str, str]]:
    """Each line of a shell example that asks a node: the page's name and the command."""
    for page in PAGES:
        for block in SHELL.findall(page.read_text()):
            ask = "".join(ASK.findall(block))
            for line in ASK.sub("", block).replace("\\\n", " ").splitlines():
                if line.startswith(("ask ", "curl ")) and (ask or AT in line):
                    yield page.name, ask + line


async def test_each_request_of_the_pages_is_answered(node: World):
    asked = [*requests()]
    assert {page for page, _ in asked} >= {"README.md", "graphql.md", "sentiment.md", "streams.md"}
    assert len(asked) > 30
    loop = asyncio.get_running_loop()
    with ThreadPoolExecutor(4) as askers:  # of their own: the node that answers needs the loop's threads
        told = await asyncio.gather(
            *(loop.run_in_executor(askers, _run, node, command) for _, command in asked)
        )
    answers = {command: one for (_, command), one in zip(asked, told, strict=True)}
    wrong = {command: found for command, told in answers.items() if (found := _wrong(command, *told))}
    assert not wrong, json.dumps(wrong, indent=1)


def _wrong(command: str, status: int, body: str) -> str | None:
    """What is wrong with an answer."""
    missing = [code for part, code in NOT_COLLECTED.items() if part in command]
    if missing:
        return None if f'"code":"{missing[0]}"' in body else body
    if status not in (200, 202):
        return f"{status}: {body}"
    good = "\nevent: ack\n" in f"\n{body}" if "/stream/" in command else "errors" not in json.loads(body)
    return None if good else body


def _run(node: World, command: str) -> tuple[int, str]:
    """Status and body, as a reader has them who pastes the line."""
    most = SECONDS if "/stream/" in command else 120
    seen = f"curl() {{ command curl --max-time {most} -w '\\n%{{http_code}}' \"$@\"; }}\n"
    ran = subprocess.run(
        ["bash", "-c", seen + command.replace(AT, node.url.removeprefix("http://"))],
        env={"KEY": node.key, "PATH": "/usr/local/bin:/usr/bin:/bin"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    body, _, status = ran.stdout.rpartition("\n")
    assert status.isdigit(), (command, ran.stdout, ran.stderr)
    return int(status), body


def filled(path: str, operation: dict[str, Any], export: str) -> tuple[str, dict[str, Any]]:
    """The address and the query of the document's examples; what is told of an export, of one that there is."""
    query: dict[str, Any] = {}
    for one in operation.get("parameters", ()):
        example = (one["schema"].get("examples") or [None])[0]
        if one["in"] == "path":
            path = path.replace(f"{{{one['name']}}}", export if one["name"] == "export" else example)
        elif one["required"]:
            query[one["name"]] = example
    return path, query


async def test_each_example_of_the_openapi_document_is_true(node: World):
    """Its examples have the form that it states, and so has what the node answers to them; one parameter at a time."""
    headers = {"Authorization": f"Bearer {node.key}"}
    async with httpx.AsyncClient(base_url=node.url, headers=headers, timeout=30) as http:
        document = (await http.get("/openapi.json")).json()
        wrong: dict[str, str] = {}
        checked = 0
        for path, operations in document["paths"].items():
            for method, operation in operations.items():
                wrong |= {f"{method} {path}": found for found in _untrue(operation, document)}
                for address, query, sent in examples(path, operation, node.export):
                    answer = await http.request(method, address, params=query, json=sent)
                    if "as_of" in query and "DATA_NOT_AVAILABLE" in answer.text:
                        continue  # of then: what is collected later in the store of the test
                    found = _unlike(answer, operation, document)
                    wrong |= {f"{method} {address} {query}": found} if found else {}
                    checked += 1
        assert not wrong, json.dumps(wrong, indent=1)
        assert checked > 60


def _body(operation: dict[str, Any]) -> dict[str, Any]:
    content: dict[str, Any] = operation.get("requestBody", {}).get("content", {}).get(JSON, {})
    return content


def examples(path: str, operation: dict[str, Any], export: str) -> Iterator[tuple[str, dict[str, Any], Any]]:
    """The examples of a route as requests: as little as it takes, and with each parameter that has an example."""
    address, query = filled(path, operation, export)
    sent = _body(operation).get("example")
    yield address, query, sent
    for one in operation.get("parameters", ()):
        if one["in"] == "query" and not one["required"]:
            for example in one["schema"].get("examples", ())[:1]:
                yield address, query | {one["name"]: example}, sent


def _untrue(operation: dict[str, Any], document: dict[str, Any]) -> Iterator[str]:
    """Examples of a route that have another form than it states."""
    stated = [one for answer in operation["responses"].values() for one in answer.get("content", {}).values()]
    for content in (*stated, _body(operation)):
        if "example" in content and "schema" in content:
            yield from _errors(content["example"], content["schema"], document)


def _unlike(answer: httpx.Response, operation: dict[str, Any], document: dict[str, Any]) -> str | None:
    """How an answer differs from what is stated of it."""
    stated = operation["responses"].get(str(answer.status_code), {}).get("content", {})
    kind = answer.headers["content-type"].partition(";")[0]
    if not answer.is_success or kind not in stated:
        return f"{answer.status_code} {kind}: {answer.text[:300]}"
    if kind != JSON or "schema" not in stated[kind]:
        return None
    return next(_errors(answer.json(), stated[kind]["schema"], document), None)


def _errors(value: Any, schema: dict[str, Any], document: dict[str, Any]) -> Iterator[str]:
    whole = schema | {"components": document["components"]}
    for error in jsonschema.Draft202012Validator(whole).iter_errors(value):
        yield f"{error.json_path}: {error.message[:300]}"
