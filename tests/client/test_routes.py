"""Every route and every parameter of the node has its place in the client, and every answer its fields."""

import json
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

from ray_app.client import AsyncClient, Client
from ray_app.client.answers.answer import Meta
from ray_app.client.answers.events import OF_STREAM
from ray_app.client.asking import Patience
from ray_app.client.client import Node
from ray_app.client.drivers import Blocking
from ray_app.client.exports import FILE
from ray_app.client.pages import Pages
from ray_app.client.routes import Route
from ray_app.client.streams import Tells
from ray_app.serve.rest.documents import document
from ray_app.serve.streams.asyncapi import told
from ray_app.serve.streams.declared import STREAMS
from tests.client.conftest import in_process
from tests.client.declared import declared
from tests.serve.conftest import Running

NO_DATA = {"/openapi.json", "/asyncapi.json", "/docs", "/graphql/schema.graphql"}
ALWAYS_THE_SAME = {"format", "latest_only"}  # parameters that the client gives by itself
# The newest hour of features takes no range, and no extensions of GraphQL are known.
LEFT = {"/api/v1/ml-features": {"start", "end", "limit", "cursor"}, "/graphql": {"extensions"}}


def by_route() -> dict[tuple[str, str], list[Route[Any]]]:
    found: dict[tuple[str, str], list[Route[Any]]] = {}
    for _, one in declared():
        if isinstance(one, Route):
            found.setdefault((one.method, one.path), []).append(one)
    return found


def parameters(operation: dict[str, Any]) -> set[str]:
    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
    return {one["name"] for one in operation.get("parameters", ())} | set(
        body.get("schema", {}).get("properties", {})
    )


def test_every_route_has_its_method(node: Running):
    paths = document(node.app)["paths"]
    there = {(m.upper(), path) for path, some in paths.items() for m in some if path not in NO_DATA}
    assert {*by_route(), ("GET", FILE)} == there  # a file comes by parts, and not as an answer
    assert {one.name for _, one in declared() if isinstance(one, Tells)} == set(STREAMS)


def test_every_parameter_has_its_argument(node: Running):
    paths = document(node.app)["paths"]
    for (method, path), routes in by_route().items():
        mine = {name for one in routes for name in one.signature.parameters} | {
            name for one in routes for name in one.fixed
        }
        left = LEFT.get(path, set())
        assert mine | left == parameters(paths[path][method.lower()]) | {
            name for name in mine if f"{{{name}}}" in path
        }, path


def test_every_data_route_can_be_asked_as_of_a_moment():
    without = {
        name for name, one in declared() if isinstance(one, Route) and "as_of" not in one.signature.parameters
    }
    assert without == {
        "operations.alive", "operations.ready", "operations.health", "operations.metrics", "operations.collectors",
        "operations.quotas", "operations.backfill", "sentiment.cryptobert", "sentiment.finbert", "exports.mine",
        "exports.state", "graphql",
    }  # fmt: skip


def test_every_message_of_a_stream_has_its_type():
    for name, stream in STREAMS.items():
        plain = {"heartbeat", "error"}  # these are not handed out
        assert set(told(stream)) - plain <= set(OF_STREAM[name])
        for kind, model in told(stream).items():
            if kind in plain:
                continue
            fields = {about.alias or field for field, about in model.model_fields.items()}
            mine = OF_STREAM[name][kind]
            known = {about.alias or field for field, about in mine.model_fields.items()}
            assert fields <= known | {"action", "id"} if kind == "ack" else fields <= known, kind


ASKED: dict[str, dict[str, Any]] = {
    "prices.current": {"symbol": "BTC", "vs_currencies": ["usd", "eur"]},
    "prices.many": {"symbols": ["BTC", "ETH"]},
    "prices.historical": {"symbol": "BTC", "days": 2},
    "features.latest": {"symbol": "BTC", "feature_groups": ["price", "technical"]},
    "features.many": {"symbols": "BTC,ETH"},
    "features.between": {"symbol": "BTC", "start": "2026-11-23"},
    "technical": {"symbol": "BTC", "venue": "coinbase"},
    "graphql": {
        "query": "query($s: [String!]!) { assets(symbols: $s) { symbol } }",
        "variables": {"s": ["BTC"]},
    },
    "derivatives": {"symbol": "BTC"},
    "macro": {"series": "GDP"},
    "onchain": {"symbol": "BTC"},
    "news.crypto": {"symbol": "BTC"},
    "news.stock": {},
    "news.social": {},
    "sentiment.crypto": {"symbol": "BTC"},
    "sentiment.stock": {"symbol": "COIN"},
    "sentiment.market": {},
    "sentiment.cryptobert": {"texts": ["Bitcoin soars", "🚀"]},
    "sentiment.finbert": {"texts": ["Shares fall"]},
    "exports.ask": {"what": "bars", "symbols": "BTC, ETH", "start": "2026-11-22"},
    "exports.mine": {},
    "exports.state": {"export": "that was asked for"},
    "operations.alive": {},
    "operations.ready": {},
    "operations.health": {},
    "operations.metrics": {},
    "operations.collectors": {},
    "operations.quotas": {},
    "operations.backfill": {"job": "heal-1"},
    "operations.coverage": {"dataset": "coingecko.bars_1h"},
    "operations.gaps": {},
    "operations.quality": {"dataset": "coingecko.prices", "day": "2026-11-23"},
    "operations.lineage": {"record_id": "rss.articles:crypto/coindesk:a:0"},
    "operations.revisions": {},
    "catalog.symbols": {},
    "catalog.datasets": {},
    "catalog.series": {},
    "catalog.features": {},
    "catalog.sources": {},
}
# Where an answer says more than the client names: what only some answers have, and free-form objects of figures.
MORE = {"Meta", "Ready", "Lineage", "Money"}


def unknown(found: Any, where: str) -> Iterator[str]:
    """Fields that the node told and no declaration names."""
    if isinstance(found, BaseModel):
        if type(found).__name__ not in MORE:
            yield from (f"{where}.{name}" for name in found.model_extra or {})
        for name in type(found).model_fields:
            yield from unknown(getattr(found, name), f"{where}.{name}")
    elif isinstance(found, list):
        for one in found:
            yield from unknown(one, where)
    elif isinstance(found, dict):
        for name, one in found.items():
            yield from unknown(one, f"{where}.{name}")


async def test_every_answer_is_read_and_every_field_has_a_name(full: Running):
    assert set(ASKED) == {name for name, one in declared() if isinstance(one, Route)}
    strange: set[str] = set()
    async with in_process(full) as client:
        for name, question in ASKED.items():
            call: Any = client
            for part in name.split("."):
                call = getattr(call, part)
            mine = {"export": (await client.exports.mine()).data[0].id} if name == "exports.state" else {}
            found = await call(**question | mine)
            strange |= set(unknown(found, name))
            if hasattr(found, "data"):
                assert found.data, f"{name}: nothing was told, so nothing was tried"
            if hasattr(found, "to_polars"):
                frame = found.to_polars()
                assert frame.height == len(found.data), name
                assert frame.columns[: found.to_polars()[:0].width] == found.to_polars()[:0].columns
    # Of the fear and greed index the row's evidence, of prices in the catalogue what they are checked against.
    assert {one for one in strange if "fear_and_greed" not in one} == {"catalog.datasets.data.cross_check"}


def test_the_same_question_is_asked_by_both(node: Running):
    blocking, awaiting = Client("http://node"), AsyncClient("http://node")
    for name, one in declared():
        if isinstance(one, Route):
            for client in (blocking, awaiting):
                call: Any = client
                for part in name.split("."):
                    call = getattr(call, part)
                assert call.__doc__ == one.__doc__, name
                assert call.__signature__ == one.signature, name


def test_nothing_is_loaded_that_is_not_used():
    import subprocess
    import sys

    heavy = ("polars", "ray", "fastapi", "sqlalchemy", "numpy", "ray_app.model", "ray_app.serve")
    code = f"import sys, ray_app.client; print(*(n for n in {heavy!r} if n in sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (run.returncode, run.stdout.split()) == (0, []), run.stderr


def test_what_surrounds_a_route_is_plain():
    client = Client("http://node/base/", "cdk_secret")
    assert "secret" not in repr(client) + repr(client.prices._driver)
    request = client.prices.historical  # bound, with its own words
    assert (
        request.__doc__
        == "Candles, oldest first; all at once without `limit`. `meta.gaps` names those that are not there."
    )
    route = next(one for name, one in declared() if name == "operations.lineage")
    assert (
        route.request("rss.articles:crypto/x+y:a:0").path == "/api/v1/lineage/rss.articles:crypto%2Fx%2By:a:0"
    )
    sent = next(one for name, one in declared() if name == "sentiment.finbert").request(["a", "b"])
    assert json.loads(sent.body) == {"texts": ["a", "b"]}
    assert isinstance(next(one for name, one in declared() if name == "macro"), Pages)
    assert isinstance(client, Node)
    assert Meta().cursor is None
    assert isinstance(client.prices._driver, Blocking)
    assert client.prices._driver.patience == Patience()
