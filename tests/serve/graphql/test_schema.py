"""The schema as a document: served openly, kept in docs/, and its examples run."""

import json
import re

from ray_app.serve.graphql.schema import sdl
from tests.architecture.modules import REPO
from tests.serve.conftest import Running, client

KEPT = REPO / "docs/schema.graphql"
GUIDE = REPO / "docs/graphql.md"


def test_the_kept_schema_is_that_of_the_code():
    said = "write it anew: python -m ray_app.serve.graphql.schema > docs/schema.graphql"
    assert KEPT.read_text() == sdl(), said


async def test_the_schema_is_served_to_everybody(node: Running):
    async with client(node.app, None) as nobody:
        answer = await nobody.get("/graphql/schema.graphql")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain")
    assert answer.text == sdl()


async def test_each_example_of_the_guide_runs(full: Running):
    examples = re.findall(r"```graphql\n(.*?)```(?:\s+```json\n(.*?)```)?", GUIDE.read_text(), re.DOTALL)
    assert len(examples) >= 3
    for query, variables in examples:
        if query.startswith("subscription"):  # tried where sockets are: test_subscriptions.py
            continue
        sent = {"query": query, "variables": json.loads(variables) if variables else {}}
        answer = await full.http.post("/graphql", json=sent)
        body = answer.json()
        assert answer.status_code == 200, (query, body)
        assert "errors" not in body, (query, body["errors"])


async def test_every_field_of_the_query_takes_both_points_in_time():
    query = re.search(r"^type Query \{(.*?)^\}", sdl(), re.MULTILINE | re.DOTALL)
    assert query is not None
    fields = re.findall(r"^  (\w+)(\(.*?^  \))?:", query[1], re.MULTILINE | re.DOTALL)
    assert len(fields) >= 16
    for name, arguments in fields:
        assert name == "catalog" or ("asOf: Time" in arguments and "knownBy: Time" in arguments), name
