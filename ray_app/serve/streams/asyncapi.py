"""/asyncapi.json: the streams as an AsyncAPI document, made from the declarations and the models of the messages."""

from typing import Any, get_args

from pydantic import BaseModel, TypeAdapter

from ray_app.serve.queries import Nothing, parameters
from ray_app.serve.streams import asked, messages, protocol
from ray_app.serve.streams.declared import CLOSES, GRAPHQL, SSE, STREAMS, WS, Stream
from ray_app.serve.streams.examples import CLIENT, OPERATIONS, SERVER
from ray_app.serve.streams.sockets import SocketQuery
from ray_app.serve.streams.sse import EventsQuery

ABOUT = """What a crypto market data node collects, as it is committed.

Every message is a JSON object. `cursor` only grows; whoever comes back with the last one that he has is told what he
missed, once and in order, for at least 24 hours. Server-sent events are the same messages: `event` is the type, `id`
the cursor, and `Last-Event-ID` resumes. At /ws/graphql the same events are cut by a selection of GraphQL.
"""
FROM_CLIENT: dict[str, type[BaseModel]] = {
    "auth": asked.Auth,
    "subscribe": asked.Subscribe,
    "unsubscribe": asked.Unsubscribe,
    "ping": asked.Ping,
}
OF_ALL: dict[str, type[BaseModel]] = {
    "ack": messages.Ack,
    "error": messages.Error,
    "warning": messages.SlowClient,
    "heartbeat": messages.Heartbeat,
    "snapshot": messages.Snapshot,
    "interval_complete": messages.IntervalComplete,
    "gap": messages.Gap,
}
OF_STREAM: dict[str, dict[str, type[BaseModel]]] = {
    "prices": {"price_update": messages.PriceUpdate, "ticks": messages.Ticks},
    "news": {"news_update": messages.NewsUpdate, "delete": messages.Delete},
    "sentiment": {"sentiment_update": messages.SentimentUpdate},
}

OVER_GRAPHQL: dict[str, tuple[type[BaseModel], ...]] = {  # who sends what of the protocol
    "receive": (
        protocol.ConnectionInit, protocol.Subscribe, protocol.Complete, protocol.Ping, protocol.Pong,
    ),
    "send": (protocol.ConnectionAck, protocol.Next, protocol.Error, protocol.Pong),
}  # fmt: skip


def told(stream: Stream) -> dict[str, type[BaseModel]]:
    """The messages that a stream may send, by type."""
    return OF_ALL | OF_STREAM[stream.name]


def document(release: str) -> dict[str, Any]:
    """AsyncAPI 3.0."""
    server = {name: model for stream in STREAMS.values() for name, model in told(stream).items()}
    channels, operations = {}, {}
    for stream in STREAMS.values():
        sent = list(told(stream))
        channels[stream.name] = _channel(
            stream, WS, {"ws": {"query": _query(SocketQuery)}}, sent, FROM_CLIENT
        )
        channels[f"{stream.name}_events"] = _channel(
            stream, SSE, {"http": {"method": "GET", "query": _query(EventsQuery)}}, sent, ()
        )
        for name in (stream.name, f"{stream.name}_events"):
            operations[f"{name}_told"] = _operation("send", name, sent)
        operations[f"{stream.name}_asked"] = _operation("receive", stream.name, list(FROM_CLIENT))
    spoken = {of_protocol(model): model for models in OVER_GRAPHQL.values() for model in models}
    channels["graphql"] = _graphql(list(spoken))
    for action, models in OVER_GRAPHQL.items():
        names = [of_protocol(model) for model in models]
        operations[f"graphql_{'told' if action == 'send' else 'asked'}"] = _operation(
            action, "graphql", names
        )
    return {
        "asyncapi": "3.0.0",
        "info": {"title": "crypto-data streams", "version": release, "description": ABOUT},
        "defaultContentType": "application/json",
        "servers": {
            "sockets": {
                "host": "127.0.0.1:8000",
                "protocol": "ws",
                "security": [_ref("securitySchemes", "key")],
            },
            "events": {
                "host": "127.0.0.1:8000",
                "protocol": "http",
                "security": [_ref("securitySchemes", "key")],
            },
        },
        "channels": channels,
        "operations": operations,
        "components": {
            "messages": _messages(FROM_CLIENT, CLIENT)
            | _messages(server, SERVER)
            | _messages(spoken, OPERATIONS),
            "schemas": _schemas([*FROM_CLIENT.values(), *server.values(), *spoken.values()]),
            "securitySchemes": {
                "key": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "an API key in the Authorization header, or in the first message of a WebSocket",
                }
            },
        },
        "x-close-codes": {str(code): meaning for code, meaning in CLOSES.items()},
    }


def of_protocol(model: type[BaseModel]) -> str:
    """The name of a message of graphql-transport-ws: `ping` is also one of the streams."""
    return f"graphql_{get_args(model.model_fields['type'].annotation)[0]}"


def _graphql(names: list[str]) -> dict[str, Any]:
    return {
        "address": GRAPHQL,
        "description": "subscriptions of GraphQL over graphql-transport-ws; the schema is /graphql/schema.graphql",
        "servers": [{"$ref": "#/servers/sockets"}],
        "messages": {name: _ref("messages", name) for name in names},
        "bindings": {"ws": {"query": _query(Nothing), "headers": _PROTOCOL}},
        "x-subscriptions": protocol.MOST_OPERATIONS,
    }


_PROTOCOL = {
    "type": "object",
    "properties": {"Sec-WebSocket-Protocol": {"const": protocol.PROTOCOL}},
    "required": ["Sec-WebSocket-Protocol"],
}


def _channel(stream: Stream, root: str, bindings: Any, sent: Any, said: Any) -> dict[str, Any]:
    names = [*sent, *said]
    return {
        "address": root + stream.name,
        "description": stream.describes,
        "servers": [{"$ref": f"#/servers/{'sockets' if root == WS else 'events'}"}],
        "messages": {name: _ref("messages", name) for name in names},
        "bindings": bindings,
        "x-scope": stream.scope,
        "x-fields": sorted(stream.fields),
        "x-channels": list(stream.channels),
    }


def _operation(action: str, channel: str, names: list[str]) -> dict[str, Any]:
    return {
        "action": action,
        "channel": {"$ref": f"#/channels/{channel}"},
        "messages": [{"$ref": f"#/channels/{channel}/messages/{name}"} for name in names],
    }


def _messages(models: dict[str, type[BaseModel]], examples: dict[str, Any]) -> dict[str, Any]:
    return {
        name: {
            "name": name,
            "title": name,
            "summary": (model.__doc__ or "").strip(),
            "payload": _ref("schemas", _schema_of(model)),
            "examples": [{"payload": examples[name]}],
        }
        for name, model in models.items()
    }


def _schema_of(model: type[BaseModel]) -> str:
    """What a model is called among the schemas."""
    return f"GraphQL{model.__name__}" if model.__module__ == protocol.__name__ else model.__name__


def _schemas(models: list[type[BaseModel]]) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for model in models:
        name = _schema_of(model)
        template = "#/components/schemas/" + name.removesuffix(model.__name__) + "{model}"
        schema = TypeAdapter(model).json_schema(ref_template=template)
        inner = schema.pop("$defs", {})
        out |= {name.removesuffix(model.__name__) + one: shape for one, shape in inner.items()}
        out[name] = schema
    return out


def _query(model: type[BaseModel]) -> dict[str, Any]:
    """The query of an address as a schema."""
    found = parameters(model)
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": {one["name"]: one["schema"] | {"description": one["description"]} for one in found},
    }


def _ref(kind: str, name: str) -> dict[str, str]:
    return {"$ref": f"#/components/{kind}/{name}"}
