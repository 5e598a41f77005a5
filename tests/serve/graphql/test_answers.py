"""Every field of a query tells what its route of REST tells: the same rows, the same meta, to the last digit."""

import json
import re
from decimal import Decimal
from typing import Any

import pytest

from tests.serve.conftest import Running
from tests.serve.graphql.asked import ask, data

META = "meta { asOf knownBy ageSeconds condition reasons source simulated }"
GAPS = "gaps { dataset series from to state reason intervals }"
MODEL = "model { id digest }"
SAID = f"score label confidence {MODEL}"
TEXT = f"""source feed outlet url title summary publishedAt updatedAt firstSeenAt language author topics story
    mentions {{ symbol asset kind confidence }} sentiment {{ {SAID} }} sentimentReason
    advancedSentiment {{ {SAID} }} advancedSentimentReason licence llmAllowed knownAt receivedAt recordId"""
POST = f"{TEXT} likes replies shares views likeRatio"
KNOWN = "knownAt receivedAt recordId"
SIDE = """timeframe start end overallSentiment { score label confidence reason } sampleSize effectiveSampleSize
    texts unscored truncated"""
CANDLE = "timestamp end open high low close volume complete"
HISTORICAL = f"id symbol name interval vsCurrency nodes {{ {CANDLE} }} meta {{ asOf condition {GAPS} }}"
SERIES = "provider title unit frequency licence"
MARKET = f"""timeframe crypto {{ {SIDE} }} stock {{ {SIDE} }} cryptoMinusStock fearAndGreed {{ value label day reason }}
    riskAppetite {{ score label reason formula }} formula {META}"""
ONCHAIN = f"""id symbol name metrics {{ metric dataset series {SERIES} }}
    nodes {{ metric provider time value unit {KNOWN} }} {META}"""
GAP = "nodes { dataset series from to state reason intervals } total"
PAIRS: dict[str, tuple[str, str, str]] = {  # field -> its arguments, what it tells, its route
    "news": ("first: 2", f"nodes {{ {TEXT} }} {META}", "/api/v1/news/crypto/latest?limit=2"),
    "social": ("first: 9", f"nodes {{ {POST} }} {META}", "/api/v1/social/latest"),
    "candles": ('symbol: "BTC", days: 2', HISTORICAL, "/api/v1/prices/historical/BTC?days=2"),
    "macro": (
        'series: "gdp"', f"series {SERIES} nodes {{ period value vintage {KNOWN} }} {META}", "/api/v1/macro/gdp",
    ),
    "onchain": (
        'symbol: "BTC"',
        ONCHAIN,
        "/api/v1/onchain/BTC",
    ),
    "gaps": ("first: 5", f"{GAP} {META}", "/api/v1/gaps?limit=5"),
    "marketSentiment": ('timeframe: "24h"', MARKET, "/api/v1/sentiment/market"),
}  # fmt: skip


def camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(part.capitalize() for part in rest)


def spelt(value: Any) -> Any:
    """An answer of REST with the names of GraphQL."""
    if isinstance(value, dict):
        return {camel(name): spelt(one) for name, one in value.items()}
    return [spelt(one) for one in value] if isinstance(value, list) else value


def part_of(mine: Any, whole: Any, place: str = "") -> list[str]:
    """What `mine` has that `whole` has otherwise."""
    if isinstance(mine, dict):
        return [
            said
            for name, one in mine.items()
            if (name, one) != ("reasons", [])  # which some routes leave out
            for said in (
                part_of(one, whole[name], f"{place}.{name}") if name in whole else [f"{place}.{name}"]
            )
        ]
    if isinstance(mine, list):
        if len(mine) != len(whole):
            return [f"{place}: {len(mine)} and {len(whole)}"]
        return [said for n, one in enumerate(mine) for said in part_of(one, whole[n], f"{place}[{n}]")]
    return [] if mine == whole else [f"{place}: {mine!r} is {whole!r}"]


async def exact(node: Running, query: str) -> Any:
    answer = await node.http.post("/graphql", json={"query": query})
    assert answer.status_code == 200, answer.text
    body = json.loads(answer.content, parse_float=Decimal)
    assert "errors" not in body, body["errors"]
    return body["data"]


async def of_rest(node: Running, path: str) -> Any:
    answer = await node.http.get(path)
    assert answer.status_code == 200, answer.text
    return spelt(json.loads(answer.content, parse_float=Decimal))


async def test_a_field_tells_what_its_route_tells(full: Running):
    for field, (arguments, wanted, route) in PAIRS.items():
        mine = (await exact(full, f"{{ {field}({arguments}) {{ {wanted} }} }}"))[field]
        theirs = await of_rest(full, route)
        if "nodes" in mine:
            mine["data"] = mine.pop("nodes")
            assert mine["data"], field
        assert part_of(mine, theirs) == [], field


async def test_an_asset_tells_what_the_routes_tell(full: Running):
    query = f"""{{ assets(symbols: ["BTC", "eth"]) {{
        id symbol name
        price(currencies: ["usd", "eur"]) {{
          symbol name lastUpdated dataSource recordId {META}
          quotes {{ currency price marketCap volume24h priceChange24h priceChangePercentage24h }} }}
        technical(timeframe: "1h") {{
          timeframe vsCurrency candle {{ {CANDLE} }} movingAverages {{ name value }} indicators {{ name value }}
          rsi {{ value signal period thresholds {{ oversold overbought }} }}
          macd {{ line signalLine histogram crossover }}
          bollingerBands {{ upper middle lower position percent bandwidth squeeze }}
          overallSignal {{ direction strength confidence }} meta {{ asOf condition reasons dataset {GAPS} }} }}
        sentiment {{ {SIDE} formula {META}
          breakdown {{ source score label confidence reason count stories unscored {MODEL} }}
          history {{ end score label confidence reason sampleSize }} }}
        features {{ timestamp dataQualityScore candles inputsAsOf madeAt featureVersion featureCount
          values {{ name group value }} {META} }}
    }} }}"""
    for asset in (await exact(full, query))["assets"]:
        name = asset["symbol"]
        price = await of_rest(full, f"/api/v1/prices/current/{name}?vs_currencies=usd,eur")
        for quote in asset["price"].pop("quotes"):
            currency = quote.pop("currency")
            names = {"price": "currentPrice"}
            assert quote == {one: price[names.get(one, one)][currency] for one in quote}
        assert part_of(asset["price"], price) == []
        technical = await of_rest(full, f"/api/v1/technical/{name}")
        raw = (await full.http.get(f"/api/v1/technical/{name}")).json()
        for block, column in (("movingAverages", "moving_averages"), ("indicators", "indicators")):
            told = {one["name"]: one["value"] for one in asset["technical"].pop(block)}
            assert {n: None if v is None else float(v) for n, v in told.items()} == raw[column]
        assert part_of(asset["technical"], technical) == []
        sentiment = await of_rest(full, f"/api/v1/sentiment/crypto/{name}")
        for part in asset["sentiment"].pop("breakdown"):
            assert part_of(part, {"source": part["source"], **sentiment["breakdown"][part["source"]]}) == []
        assert part_of(asset["sentiment"], sentiment) == []
        features = json.loads(
            (await full.http.get(f"/api/v1/ml-features/{name}")).content, parse_float=Decimal
        )
        told = {(one["group"], one["name"]): one["value"] for one in asset["features"].pop("values")}
        structured = features["features"]
        assert told == {(group, n): v for group, mine in structured.items() for n, v in mine.items()}
        assert part_of(asset["features"], spelt(features)) == []


async def test_the_digits_of_a_price_are_all_there(full: Running):
    answer = await full.http.post("/graphql", json={"query": '{ price(symbol: "BTC") { quotes { price } } }'})
    assert re.search(r'"price":68000\.123456789012[,}]', answer.text)


async def test_states_add_up_and_the_catalogue_is_there(full: Running):
    found = await data(
        full,
        """{ coverage(first: 3) { nodes { series states { state intervals percent } spans { state } } }
             catalog { symbols { nodes { id symbol former { symbol until } datasets } total }
                       series(dataset: "coingecko.prices") { nodes { series unit life { from to } restricted } }
                       datasets { nodes { dataset source grainSeconds lastTime } meta { condition } }
                       features { nodes { name formula inputs lookback } }
                       sources { nodes { source licence datasets } } } }""",
    )
    rows = found["coverage"]["nodes"]
    assert len(rows) == 3
    assert all(sum(one["percent"] for one in row["states"]) == pytest.approx(100) for row in rows)
    catalog = found["catalog"]
    rest = {
        "symbols": "/api/v1/catalog/symbols", "series": "/api/v1/catalog/series?dataset=coingecko.prices",
        "datasets": "/api/v1/catalog/datasets", "features": "/api/v1/catalog/features",
        "sources": "/api/v1/catalog/sources",
    }  # fmt: skip
    for name, route in rest.items():
        theirs = spelt((await full.http.get(route)).json())["data"]
        assert catalog[name]["nodes"]
        assert part_of(catalog[name]["nodes"], theirs) == []


async def test_pages_follow_each_other_and_each_row_has_its_cursor(full: Running):
    query = """query($after: String) { candles(symbol: "BTC", days: 1, first: 10, after: $after) {
        nodes { timestamp } edges { cursor node { timestamp } } pageInfo { hasNextPage endCursor } total } }"""
    seen, after = list[str](), None
    while True:
        page = (await data(full, query, after=after))["candles"]
        seen += [row["timestamp"] for row in page["nodes"]]
        assert [edge["node"] for edge in page["edges"]] == page["nodes"]
        if not page["pageInfo"]["hasNextPage"]:
            break
        after = page["pageInfo"]["endCursor"]
        assert page["edges"][-1]["cursor"] == after
    theirs = (await full.get("/api/v1/prices/historical/BTC", days=1))["data"]
    assert seen == [row["timestamp"] for row in theirs]
    middle = (await data(full, query, after=None))["candles"]["edges"][3]["cursor"]
    assert (await data(full, query, after=middle))["candles"]["nodes"][0]["timestamp"] == seen[4]
    other = 'query($after: String) { candles(symbol: "ETH", days: 1, first: 10, after: $after) { total } }'
    wrong = await ask(full, other, after=middle)
    assert wrong["data"] == {"candles": None}
    assert wrong["errors"][0]["extensions"]["code"] == "CURSOR_INVALID"
