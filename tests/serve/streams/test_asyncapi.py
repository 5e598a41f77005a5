"""The AsyncAPI document is that of the code: routes, parameters, messages, close codes; its examples run."""

import ast
import json
from typing import Any, get_args

import jsonschema
import pytest

from ray_app.serve.problems import STATUS
from ray_app.serve.streams import asyncapi, examples, messages, protocol
from ray_app.serve.streams.asked import CLIENT
from ray_app.serve.streams.declared import CLOSES, STREAMS
from tests.architecture.modules import REPO
from tests.serve.conftest import Running
from tests.serve.streams import subscribing
from tests.serve.streams.conftest import Node

DOCUMENT = asyncapi.document("test")
CODE = REPO / "ray_app/serve/streams"


async def test_the_gateway_gives_it_to_everybody(node: Node):
    running: Running = node.running
    answer = await running.http.get("/asyncapi.json", headers={"Authorization": ""})
    assert answer.json() == json.loads(json.dumps(DOCUMENT))


def references(part: Any) -> list[str]:
    if isinstance(part, dict):
        return [
            *([part["$ref"]] if "$ref" in part else []),
            *(r for v in part.values() for r in references(v)),
        ]
    return [r for v in part for r in references(v)] if isinstance(part, list) else []


def test_every_reference_leads_somewhere():
    found = references(DOCUMENT)
    assert len(found) > 50
    for reference in found:
        place: Any = DOCUMENT
        for name in reference.removeprefix("#/").split("/"):
            place = place[name]


def test_it_has_every_stream_twice_with_what_it_may_send():
    addresses = {channel["address"] for channel in DOCUMENT["channels"].values()}
    both = {f"{root}{name}" for root in ("/ws/", "/api/v1/stream/") for name in STREAMS}
    assert addresses == both | {"/ws/graphql"}
    for name, stream in STREAMS.items():
        sent = set(asyncapi.told(stream))
        events = DOCUMENT["channels"][f"{name}_events"]
        assert set(events["messages"]) == sent
        assert set(DOCUMENT["channels"][name]["messages"]) == sent | {
            "auth",
            "subscribe",
            "unsubscribe",
            "ping",
        }
        assert events["x-scope"] == stream.scope
        assert stream.update in sent


def test_no_message_is_sent_that_it_does_not_have():
    """Every `type` that stands in the code, and every model."""
    types = {get_args(model.model_fields["type"].annotation)[0] for model in get_args(messages.ServerMessage)}
    assert types == set(DOCUMENT["components"]["messages"]) - {*asyncapi.FROM_CLIENT, *examples.OPERATIONS}
    spoken = get_args(protocol.ServerMessage)
    types |= {get_args(model.model_fields["type"].annotation)[0] for model in spoken}
    written: set[str] = set()
    for path in CODE.glob("*.py"):
        if path.name in ("examples.py", "asyncapi.py", "messages.py"):
            continue
        for found in ast.walk(ast.parse(path.read_text())):
            if isinstance(found, ast.Dict):
                pairs = zip(found.keys, found.values, strict=True)
                written |= {
                    str(value.value)
                    for key, value in pairs
                    if isinstance(key, ast.Constant)
                    and key.value == "type"
                    and isinstance(value, ast.Constant)
                }
    assert {one for one in written if "." not in one} <= types  # the others are messages of ASGI


def test_every_close_code_is_explained():
    used: set[int] = {4000 + STATUS[code] for code in STATUS if code in EXPECTED}
    for path in CODE.glob("*.py"):
        for found in ast.walk(ast.parse(path.read_text())):
            if isinstance(found, ast.Call) and getattr(found.func, "id", "") == "Ending":
                used |= {
                    a.value for a in found.args if isinstance(a, ast.Constant) and isinstance(a.value, int)
                }
    assert used == set(CLOSES)
    assert DOCUMENT["x-close-codes"] == {str(code): text for code, text in CLOSES.items()}


EXPECTED = {  # that can end a socket
    "INVALID_API_KEY", "INSUFFICIENT_SCOPE", "LICENCE_RESTRICTED", "NOT_FOUND", "CURSOR_INVALID", "INVALID_SYMBOL",
    "AMBIGUOUS_SYMBOL", "VALIDATION_ERROR", "RATE_LIMIT_EXCEEDED", "SERVICE_UNAVAILABLE", "INTERNAL_ERROR",
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(DOCUMENT["components"]["messages"]))
def test_the_examples_fit_the_schemas(name: str):
    message = DOCUMENT["components"]["messages"][name]
    schema = {"$ref": message["payload"]["$ref"], "components": DOCUMENT["components"]}
    (example,) = message["examples"]
    jsonschema.validate(example["payload"], schema)
    adapter: Any = CLIENT if name in examples.CLIENT else messages.SERVER
    if name in examples.OPERATIONS:
        sent = DOCUMENT["operations"]["graphql_told"]["messages"]
        told = {"$ref": f"#/channels/graphql/messages/{name}"} in sent
        adapter = protocol.SERVER if told else protocol.CLIENT
    adapter.validate_json(json.dumps(example["payload"]))
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(example["payload"] | {"more": 1}, schema)


async def test_the_examples_of_clients_run(node: Node):
    client = await node.socket(key=None)
    answers = []
    for name, example in examples.CLIENT.items():
        await client.say(**(example | ({"api_key": node.key} if name == "auth" else {})))
        answers.append(await client.next("ack"))
        if name == "subscribe":
            await client.next("snapshot")
    assert [one["action"] for one in answers] == list(examples.CLIENT)
    assert [one.get("id") for one in answers] == [one.get("id") for one in examples.CLIENT.values()]


async def test_the_examples_of_a_graphql_client_run(hot: Node):
    client = await subscribing.raw(hot, None)
    init = examples.OPERATIONS["graphql_connection_init"]
    await client.say(**init | {"payload": {"Authorization": f"Bearer {hot.key}"}})
    await client.say(**examples.OPERATIONS["graphql_ping"])
    await client.say(**examples.OPERATIONS["graphql_pong"])
    await client.say(**examples.OPERATIONS["graphql_subscribe"])
    told = [await client.hear() for _ in range(4)]
    shown = [examples.OPERATIONS[f"graphql_{name}"] for name in ("connection_ack", "pong")]
    assert told[:2] == shown
    assert [one["payload"]["data"]["prices"]["__typename"] for one in told[2:]] == [
        "Subscribed",
        "PriceSnapshot",
    ]
    await hot.prices({"bitcoin": "91234.5"})
    example = examples.OPERATIONS["graphql_next"]["payload"]["data"]["prices"]
    assert await client.next() == example | {"cursor": 1}
    await client.say(**examples.OPERATIONS["graphql_complete"])
    await client.say(**examples.OPERATIONS["graphql_ping"])
    while (last := await client.hear())["type"] == "next":
        pass
    assert last == shown[1]


async def test_its_parameters_are_those_that_are_taken(node: Node):
    for channel in DOCUMENT["channels"].values():
        (binding,) = channel["bindings"].values()
        for name, shape in binding["query"]["properties"].items():
            assert shape["description"], name
    assert set(DOCUMENT["channels"]["prices"]["bindings"]["ws"]["query"]["properties"]) == {
        "symbols", "channels", "fields", "after", "batch",
    }  # fmt: skip
    for field in DOCUMENT["channels"]["prices"]["x-fields"]:
        client = await node.socket(query=f"?symbols=BTC&fields={field}")
        await client.next("ack")
