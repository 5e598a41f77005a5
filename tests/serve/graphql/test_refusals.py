"""What a query may not be, and what it says then: the limit and the cost, or the place; never an internal error."""

import json
from typing import Any

from ray_app.serve.graphql.cost import MOST_COST
from tests.serve.conftest import Running, client
from tests.serve.graphql.asked import ask

META_QUERY = "{ __schema { types { name fields { name type { name ofType { name ofType { name } } } } } } }"
PRICE = 'price(symbol: "BTC") { quotes { price } }'


def nested(depth: int) -> str:
    return "{ a" * depth + "{ b }" + "}" * depth


COSTLY: dict[str, tuple[str, str]] = {  # what -> its query, the limit
    "deep": (nested(11), "depth"),
    "deep through fragments": (
        "{ ...a } fragment a on Query { a { a { a { ...b } } } } fragment b on Query " + nested(8),
        "depth",
    ),
    "31 aliases": ("{" + " ".join(f"a{n}: {PRICE}" for n in range(31)) + "}", "aliases"),
    "aliases through fragments": (
        "{" + "...a " * 16 + "} fragment a on Query { x: __typename y: __typename }",
        "aliases",
    ),
    "a bomb of fragments": (
        "{ ...f0 }" + " ".join(f"fragment f{n} on Query {{ ...f{n + 1} ...f{n + 1} }}" for n in range(60))
        + "fragment f60 on Query { __typename }",
        "nested fragments",
    ),
    "many fields": ("{" + "__typename " * 400 + "}", "selections"),
    "many tokens": ("{" + "__typename " * 5_000 + "}", "tokens"),
    "many comments": ("#\n" * 20_000 + "{ __typename }", "tokens"),
    "many assets": (
        "{ assets(symbols: ["
        + '"BTC" ' * 250
        + "]) { technical { indicators { name value } movingAverages { name } } features { values { name } } } }",
        "cost",
    ),
    "many rows": (
        "{ news(first: 1000) { nodes { mentions { symbol } title url "
        + "summary " * 3
        + "source feed outlet author topics language story licence recordId knownAt receivedAt firstSeenAt } } "
        + "b: news(first: 1000) { nodes { title url source feed outlet author topics language story licence "
        "recordId knownAt receivedAt firstSeenAt sentiment { score label } publishedAt updatedAt sentimentReason } "
        "edges { node { title url source feed outlet author topics language story licence } } } }",
        "cost",
    ),
    "a year of minutes, often": (
        "{"
        + " ".join(
            f'a{n}: candles(symbol: "BTC", interval: "5m", days: 365) {{ total }}' for n in range(30)
        )
        + "}",
        "cost",
    ),
    "a huge page": ("{ news(first: 2147483647) { nodes { title } } }", "cost"),
}  # fmt: skip


async def test_too_costly_names_the_limit_and_the_cost(node: Running):
    for what, (query, limit) in COSTLY.items():
        error = (await ask(node, query, 400))["error"]
        assert (error["code"], error["details"]["limit"]) == ("QUERY_TOO_COSTLY", limit), what
        cost = error["details"]["cost"]
        assert limit in error["message"], what
        assert cost is None if limit == "tokens" else cost > error["details"]["most"], what


INVALID: dict[str, tuple[Any, int, str]] = {  # what -> body, status, words of the message
    "a batch": ([{"query": "{ __typename }"}], 422, "this route takes"),
    "no query": ({"variables": {}}, 422, "this route takes"),
    "an unknown name": ({"query": "{ __typename }", "id": 1}, 422, "this route takes"),
    "variables that are a list": ({"query": "{ __typename }", "variables": [1]}, 422, "this route takes"),
    "an unknown operation": ({"query": "query a { __typename }", "operationName": "b"}, 422, "operationName"),
    "several operations": ({"query": "query a { __typename } query b { __typename }"}, 422, "operationName"),
    "a fragment in itself": (
        {"query": "{ ...a } fragment a on Query { ...b } fragment b on Query { ...a }"}, 422, "holds itself",
    ),
    "half a character": ({"query": "{ __typename }", "variables": {"a": "\ud800"}}, 422, "this route takes"),
}  # fmt: skip


async def test_what_is_no_request_gets_the_envelope(node: Running):
    for what, (body, status, words) in INVALID.items():
        answer = await node.http.post("/graphql", content=json.dumps(body))
        assert answer.status_code == status, (what, answer.text)
        error = answer.json()["error"]
        assert error["code"] == "VALIDATION_ERROR", what
        assert words in error["message"], what
        assert error["request_id"] == answer.headers["x-request-id"]


NO_GRAPHQL = {
    "nothing": "",
    "no end": "{ price(",
    "a NUL": "{ price(symbol: \x00) }",
    "an unknown field": "{ prices { usd } }",
    "an unknown argument": '{ price(symbol: "BTC", currency: "usd") { id } }',
    "no selection": '{ price(symbol: "BTC") }',
    "a wrong type": "{ price(symbol: 1) { id } }",
    "a huge number": "{ news(first: 99999999999999999999) { total } }",
    "a time that is a number": '{ price(symbol: "BTC", asOf: 5) { id } }',
    "an unknown kind": "{ news(about: GOLD) { total } }",
    "an unknown fragment": "{ ...nothing }",
    "a mutation": "mutation { buy }",
    "nested lists": "{ assets(symbols: " + "[" * 3000 + "]" * 3000 + ") { id } }",
}


async def test_what_is_no_valid_graphql_gets_its_errors(node: Running):
    for what, query in NO_GRAPHQL.items():
        answer = await node.http.post("/graphql", json={"query": query})
        assert answer.status_code == 400, (what, answer.text)
        body = answer.json()
        assert set(body) == {"errors"}, what
        for error in body["errors"]:
            assert error["message"]
            assert error["extensions"]["code"] == "VALIDATION_ERROR", what
            assert error["extensions"]["request_id"] == answer.headers["x-request-id"]


async def test_variables_of_the_wrong_type_are_refused(node: Running):
    query = "query($s: String!) { price(symbol: $s) { id } }"
    for variables in ({}, {"s": None}, {"s": 1}, {"s": ["BTC"]}, {"s": {"a": 1}}, {"s": True}, {"s": 1e400}):
        sent = json.dumps({"query": query, "variables": variables})
        answer = await node.http.post("/graphql", content=sent)
        assert answer.status_code == (422 if "Infinity" in sent else 400), answer.text


async def test_a_body_of_300_kib_is_too_large(node: Running):
    answer = await node.http.post("/graphql", json={"query": "{ __typename }" + " " * 300 * 1024})
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "PAYLOAD_TOO_LARGE")
    assert "262,144" in answer.json()["error"]["message"]
    long = "x" * 200 * 1024
    body = await ask(node, "query($s: String!) { price(symbol: $s) { id } }", s=long)
    assert body["errors"][0]["extensions"]["code"] == "INVALID_SYMBOL"


FIELD: dict[str, str | None] = {  # a field -> the code of its error
    'price(symbol: "BTC\' OR 1=1; DROP TABLE prices; --") { id }': "INVALID_SYMBOL",
    'price(symbol: "\\u0000") { id }': "INVALID_SYMBOL",
    'price(symbol: "") { id }': "INVALID_SYMBOL",
    'price(symbol: "DUP") { id }': "AMBIGUOUS_SYMBOL",
    'price(symbol: "BTC", currencies: []) { id }': "VALIDATION_ERROR",
    'price(symbol: "BTC", currencies: ["\\u0000"]) { id }': "VALIDATION_ERROR",
    'price(symbol: "BTC", asOf: "9999-12-31T23:59:59Z") { id }': "VALIDATION_ERROR",
    'price(symbol: "BTC", asOf: "yesterday") { id }': "VALIDATION_ERROR",
    'price(symbol: "BTC", knownBy: "1969-01-01") { id }': "VALIDATION_ERROR",
    'candles(symbol: "BTC", interval: "7m") { total }': "INVALID_TIMEFRAME",
    'candles(symbol: "BTC", first: -1) { total }': "VALIDATION_ERROR",
    'candles(symbol: "BTC", first: 0) { total }': "VALIDATION_ERROR",
    'candles(symbol: "BTC", days: -5) { total }': "VALIDATION_ERROR",
    'candles(symbol: "BTC", days: -2147483648) { total }': "VALIDATION_ERROR",
    'candles(symbol: "BTC", days: 2147483647) { total }': "VALIDATION_ERROR",
    'candles(symbol: "BTC", start: "8999-12-30", end: "8999-12-31") { total }': None,
    'candles(symbol: "BTC", start: "9999-12-30", end: "9999-12-31") { total }': "VALIDATION_ERROR",
    'candles(symbol: "BTC", start: "0001-01-01") { total }': "VALIDATION_ERROR",
    'candles(symbol: "BTC", after: "x") { total }': "CURSOR_INVALID",
    'news(first: -2147483648) { nodes { title } }': "VALIDATION_ERROR",
    'technical(symbol: "BTC", timeframe: "5m") { id }': "INVALID_TIMEFRAME",
    'technical(symbol: "BTC", periods: [-1]) { id }': "VALIDATION_ERROR",
    'technical(symbol: "BTC", indicators: ["none"]) { id }': "VALIDATION_ERROR",
    'technical(symbol: "BTC") { id }': "DATA_NOT_AVAILABLE",
    'sentiment(symbol: "BTC", timeframe: "9y") { id }': "INVALID_TIMEFRAME",
    'macro(series: "\' OR 1=1") { series }': "NOT_FOUND",
    'coverage(dataset: "nothing") { total }': "NOT_FOUND",
}  # fmt: skip


async def test_what_is_wrong_with_a_field_is_told_at_its_place(node: Running):
    for field, code in FIELD.items():
        body = await ask(node, f"{{ {field} }}")
        name = field.partition("(")[0]
        if code is None:
            assert body["data"][name]["total"] == 0, field
            continue
        (error,) = body["errors"]
        assert body["data"] == {name: None}, field
        assert (error["path"], error["extensions"]["code"]) == ([name], code), field
        assert error["extensions"]["request_id"]
        assert error["locations"] == [{"line": 1, "column": 3}]


async def test_one_wrong_asset_leaves_the_others(node: Running):
    body = await ask(node, '{ assets(symbols: ["BTC", "NOPE", "ETH"]) { id } }')
    assert body["data"]["assets"] == [{"id": "bitcoin"}, None, {"id": "ethereum"}]
    (error,) = body["errors"]
    assert (error["path"], error["extensions"]["code"]) == (["assets", 1], "INVALID_SYMBOL")
    assert error["extensions"]["details"]["nearest"]


async def test_the_schema_is_told_to_a_key_within_the_cost(node: Running):
    from graphql import build_client_schema, get_introspection_query, print_schema

    found = (await ask(node, get_introspection_query()))["data"]
    assert "type Query" in print_schema(build_client_schema(found))
    await ask(node, META_QUERY)
    async with client(node.app, None) as nobody:
        answer = await nobody.post("/graphql", json={"query": get_introspection_query()})
        assert (answer.status_code, answer.json()["error"]["code"]) == (401, "INVALID_API_KEY")
    assert MOST_COST == 50_000
