"""/api/v1/export: every kind from end to end, rows as exact as the store's, frozen by as_of, closed by licence."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from ray_app.model.records import FRACTION_DIGITS, WHOLE_DIGITS, Price
from ray_app.model.series import FundingRate
from ray_app.model.symbols import load_registry
from ray_app.model.timerange import TimeRange
from ray_app.process.features.catalogue import CATALOGUE
from ray_app.process.linking import LINKER
from ray_app.serve import exports, exports_of_features
from ray_app.sources import binance, binance_futures, coinbase, coinmetrics, reddit, rss
from ray_app.sources.coingecko import SOURCE as COINGECKO
from ray_app.sources.fred import SOURCE as FRED
from ray_app.store.export_files import ExportFiles
from ray_app.store.extracts import RECORDS
from ray_app.store.store import Store
from tests.serve import filling
from tests.serve.conftest import Running, Start, at
from tests.serve.exporting import ROUTE, Desk
from tests.serve.filling import DAY, ohlc
from tests.serve.sources import answered, declared, had
from tests.serve.test_features import NAMES, SET, row, wanted
from tests.serve.test_lives import NEW, OLD, bar
from tests.serve.test_macro import GDP, YEARS
from tests.serve.test_texts import FIRST, article, linked, post


async def desk_of(start: Start, folder: Path, **more: Any) -> Desk:
    running = await start(exports=ExportFiles(str(folder / "exports")), **more)
    await running.fill.declare()
    return Desk(running, folder / "exports")


@pytest.fixture
async def desk(start: Start, tmp_path: Path) -> AsyncIterator[Desk]:
    made = await desk_of(start, tmp_path)
    yield made
    await made.close()


async def candles(desk: Desk) -> None:
    """Six hours of bitcoin and four of ethereum."""
    told = [ohlc(n) for n in range(6)]
    await desk.running.fill.bars("bitcoin", at(-6), told, at(minutes=1))
    await desk.running.fill.bars("ethereum", at(-6), told[:4], at(minutes=1))
    desk.running.clock.set(at(minutes=2))


async def test_bars_from_asking_to_reading(desk: Desk):
    await candles(desk)
    asked = await desk.ask(
        what="bars", interval="1h", symbols=["BTC", "ethereum"], start="2026-11-22T19:00:00Z"
    )
    assert (asked["state"], asked["rows_counted"], asked["meta"]["condition"]) == ("queued", None, "pending")
    assert await desk.worker().look() == 1
    assert await desk.worker().look() == 0
    made = await desk.state(asked["id"])
    rows = await desk.frame(made)
    assert rows.select("dataset", "symbol", "start", "open", "high", "revision").rows() == [
        ("coingecko.bars_1h", name, at(n - 6), *ohlc(n)[:2], 0)
        for name, count in (("bitcoin", 6), ("ethereum", 4))
        for n in range(1, count)
    ]
    assert rows["end"].to_list()[0] == at(-4) == rows["known_at"].to_list()[0]
    assert rows["received_at"].unique().to_list() == [at(minutes=1)]
    told = made["manifest"]
    assert (told["rows"], told["rows_counted"], told["simulated"], told["release"]) == (8, 8, True, "test")
    assert {one["name"]: one["type"] for one in told["schema"]} | {} == {
        name: str(ARROW[kind]) for name, kind in rows.schema.items()
    }
    assert decimal_columns(made) == {
        "open", "high", "low", "close", "volume", "taker_buy_volume", "quote_volume"
    }  # fmt: skip
    assert told["terms"] == [
        {"dataset": "coingecko.bars_1h", "source": "coingecko", "licence": "attribution",
         "attribution": "Data provided by CoinGecko"}
    ]  # fmt: skip
    assert [file["series"] for file in told["files"]] == [["bitcoin", "ethereum"]]
    assert made["expires_at"] == told["expires_at"] == "2026-11-30T00:02:00.000Z"
    assert made["meta"]["condition"] == "available"


ARROW = {
    pl.String: "string", pl.Int64: "int64", pl.Boolean: "bool", pl.Datetime("us", "UTC"): "timestamp[us, tz=UTC]",
}  # fmt: skip


def decimal_columns(made: Any) -> set[str]:
    return {one["name"] for one in made["manifest"]["schema"] if one["decimal"]}


async def test_a_price_keeps_every_digit(desk: Desk):
    """The smallest and the longest numbers that the store holds, which no decimal of 38 digits does."""
    small, long = "0." + "0" * (FRACTION_DIGITS - 1) + "7", "9" * WHOLE_DIGITS + "." + "1" * FRACTION_DIGITS
    told = {"bitcoin": long, "ethereum": small, "solana": "8.1E-06"}
    await desk.running.fill.prices(at(), told)
    desk.running.clock.set(at(minutes=1))
    rows = await desk.frame(await desk.made(what="prices"))
    found = dict(rows.select("coin", "price").iter_rows())
    assert found == {"bitcoin": long, "ethereum": small, "solana": "0.0000081"}
    stored = await desk.running.store.reading.latest(RECORDS["prices"], "coingecko.prices")
    assert {name: Decimal(text) for name, text in found.items()} == {
        name: fact.values["price"] for name, fact in stored.items()
    }
    assert rows["volume_24h"].to_list() == [None] * 3


async def test_the_same_as_of_gives_the_same_files_after_a_correction(desk: Desk):
    await candles(desk)
    body = {"what": "bars", "symbols": ["BTC"]}
    first = await desk.made(**body)
    await desk.running.fill.bars("bitcoin", at(-3), [("7", "9", "6", "8")], at(minutes=3))
    desk.running.clock.set(at(minutes=4))
    again = await desk.made(**body, as_of=first["as_of"])
    assert (await desk.frame(again)).equals(await desk.frame(first))
    hashes = [[file["sha256"] for file in one["manifest"]["files"]] for one in (first, again)]
    assert hashes[0] == hashes[1]
    now = await desk.frame(await desk.made(**body))
    before = await desk.frame(first)
    changed = now.filter(pl.col("revision") == 1)
    assert changed.select("start", "open", "received_at").rows() == [(at(-3), "7", at(minutes=3))]
    assert now.filter(pl.col("revision") == 0).equals(before.filter(pl.col("start") != at(-3)))


async def test_known_by_takes_what_was_known_whenever_it_came(desk: Desk):
    """GDP of a quarter as of its first release, its correction, and its withdrawal; all came at once."""
    await declared(desk.running, FRED)
    await answered(desk.running, FRED, "macro", ["GDP"], YEARS, GDP, at(seconds=3))
    desk.running.clock.set(at(minutes=1))
    body = {"what": "observations", "series": ["GDP"]}
    found = {
        known: (await desk.frame(await desk.made(**body, known_by=known))).select("period", "value").rows()
        for known in ("2026-02-01", "2026-03-01", "2026-04-01")
    }
    period = datetime(2025, 10, 1, tzinfo=UTC)
    assert found == {
        "2026-02-01": [(period, "30100.125")], "2026-03-01": [(period, "30150")], "2026-04-01": [(period, None)],
    }  # fmt: skip
    both = await desk.frame(await desk.made(**body))
    assert both["value"].to_list() == [None, "30500.1"]
    none = await desk.made(**body, as_of="2026-11-23T00:00:01Z")
    assert (none["manifest"]["files"], none["manifest"]["rows"]) == ([], 0)


async def test_articles_posts_and_their_sentiment(desk: Desk):
    running = desk.running
    for source in (rss.SOURCE, reddit.SOURCE):
        await declared(running, source)
    feeds = [FIRST, article("stock/cnbc-top", "c", at(minutes=-20), "Shares fall")]
    await had(running, rss.SOURCE, "articles", feeds, at(minutes=1))
    posts = [post("t3_a", at(minutes=-15), "bitcoin", likes=7), post("t3_b", at(minutes=-25), "ethereum")]
    await had(running, reddit.SOURCE, "posts", posts, at(minutes=1))
    await linked(running, at(minutes=1, seconds=10))
    running.clock.set(at(minutes=2))
    internal = await running.new_key("export", internal=True)
    rows = await desk.frame(await desk.made(internal, what="articles"), internal)
    assert rows.select("feed", "item", "title", "summary").rows() == [
        ("crypto/coindesk", "a", "Bitcoin rises", "So does Ethereum"), ("stock/cnbc-top", "c", "Shares fall", None),
    ]  # fmt: skip
    mine = {"what": "posts", "series": ["Bitcoin"]}
    rows = await desk.frame(await desk.made(internal, **mine), internal)
    assert rows.select("item", "body", "likes", "deleted").rows() == [
        ("t3_b", "ethereum", None, False), ("t3_a", "bitcoin", 7, False),
    ]  # fmt: skip
    made = await desk.made(internal, what="sentiment", symbols=["BTC"])
    said = (await desk.frame(made, internal)).select("dataset", "item", "asset", "score").rows()
    assert said == [("reddit.posts", "t3_a", "bitcoin", None), ("rss.articles", "a", "bitcoin", None)]
    assert decimal_columns(made) == {"link_confidence", "score", "confidence"}
    whole = await desk.frame(await desk.made(internal, what="sentiment"), internal)
    assert whole.height == await _mentions(running.store)


async def _mentions(store: Store) -> int:
    over, mentioning = TimeRange(at(-24), at(24)), store.opinions.mentioning
    articles = await mentioning(None, over, LINKER, None, ["rss.articles"], 1000)
    return len(articles) + len(await mentioning(None, over, LINKER, None, ["reddit.posts"], 1000))


async def test_a_post_that_is_deleted_is_in_no_later_export(desk: Desk):
    running = desk.running
    await declared(running, reddit.SOURCE)
    written = [post("t3_a", at(minutes=-15), "mine"), post("t3_b", at(minutes=-25), "yours")]
    await had(running, reddit.SOURCE, "posts", written, at(minutes=1))
    running.clock.set(at(minutes=2))
    key = await running.new_key("export", internal=True)
    before = await desk.made(key, what="posts")
    assert (await desk.frame(before, key))["body"].to_list() == ["yours", "mine"]
    gone = post("t3_a", at(minutes=-15), "", deleted=True).model_copy(update={"title": None, "body": None})
    await had(running, reddit.SOURCE, "posts", [gone], at(minutes=3))
    running.clock.set(at(minutes=4))
    again = await desk.made(key, what="posts", as_of=before["as_of"])
    assert (await desk.frame(again, key))["body"].to_list() == ["yours"]


async def test_rows_of_features_as_they_are_stored(desk: Desk):
    running = desk.running
    await declared(running, coinbase.SOURCE, ["bars_1h"], partitions=["BTC-USD"])
    write, lease = running.store.vectors.write, running.fill.lease
    await running.store.vectors.declare(SET, NAMES, at, 0, lease)
    for n in (1, 2, 3):
        made_at = partial(at, n, seconds=9)
        await write(SET, [row("bitcoin", at(n), 100 * n, made_at())], made_at, lease)
    made_at = partial(at, 3, minutes=1)
    await write(SET, [row("bitcoin", at(2), 250, made_at())], made_at, lease)
    running.clock.set(at(3, minutes=2))
    made = await desk.made(
        what="features", symbols=["BTC"], start="2026-11-23T01:00:00Z", features=["price", "rsi_14"]
    )
    assert decimal_columns(made) == set()  # they are doubles, as they are in the store
    rows = await desk.frame(made)
    shown = [name for name in rows.columns if name in NAMES]
    assert {"rsi_14", "price_usd"} <= set(shown)
    assert "macd_line" not in shown
    for found, value in zip(rows.iter_rows(named=True), (100, 250, 300), strict=True):
        assert {name: found[name] for name in shown} == wanted(value, set(shown))
    then = await desk.made(
        what="features",
        symbols=["BTC"],
        start="2026-11-23",
        features=["price_usd"],
        as_of="2026-11-23T03:00:30Z",
    )
    assert (await desk.frame(then))["price_usd"].to_list() == [100, 200, 300]
    assert then["manifest"]["feature_set"] == SET


async def test_a_training_set_leaves_out_what_a_licence_closes(desk: Desk, monkeypatch: pytest.MonkeyPatch):
    await candles(desk)
    await declared(desk.running, coinmetrics.SOURCE)
    body = {"what": "training_set", "symbols": ["BTC"], "start": "2026-11-22T20:00:00Z", "horizons": [1]}
    made = await desk.made(**body | {"horizons": [1.0]}, features=["price_usd", "onchain"])
    rows = await desk.frame(made)
    assert rows["price_usd"].to_list() == [101.25, 102.25, 103.25, 104.25, 105.25]
    assert rows["future_return_1h"].to_list()[:4] == [1 / (101.25 + n) for n in range(4)]
    assert rows["at"].to_list() == [at(-4 + n) for n in range(5)]
    inputs = {name: CATALOGUE[name].inputs for name in rows.columns if name in CATALOGUE}
    assert not [name for name, mine in inputs.items() if any("AdrActCnt" in one for one in mine)]
    assert {one["dataset"] for one in made["manifest"]["left_out"]} == {"coinmetrics.metrics"}
    closed = next(
        name for name, one in CATALOGUE.items() if any("AdrActCnt" in source for source in one.inputs)
    )
    refused = await desk.ask(403, **body, features=[closed])
    assert refused["error"]["code"] == "LICENCE_RESTRICTED"
    internal = await desk.running.new_key("export", internal=True)
    whole = await desk.made(internal, **body, features=[closed])
    assert (await desk.frame(whole, internal))[closed].to_list() == [None] * 5
    monkeypatch.setattr(exports_of_features, "MOST_CELLS", 4)
    assert (await desk.ask(400, **body))["error"]["code"] == "QUERY_TOO_COSTLY"


async def test_a_coin_is_exported_only_over_the_time_in_which_a_series_was_it(start: Start, tmp_path: Path):
    desk = await desk_of(start, tmp_path, registry=load_registry())
    running = desk.running
    await declared(running, binance.SOURCE, ["bars_1d"], partitions=["LUNAUSDT"], at=OLD)
    await had(
        running,
        binance.SOURCE,
        "bars_1d",
        [bar("LUNAUSDT", OLD, "31"), bar("LUNAUSDT", NEW, "6")],
        NEW + 2 * DAY,
    )
    running.clock.set(datetime(2026, 11, 23, tzinfo=UTC))
    old = await desk.frame(await desk.made(what="bars", symbols=["LUNC"], interval="1d"))
    new = await desk.frame(await desk.made(what="bars", symbols=["LUNA"], interval="1d"))
    assert (old["close"].to_list(), new["close"].to_list()) == (["31"], ["6"])
    both = await desk.frame(await desk.made(what="bars", series=["LUNAUSDT"]))
    assert both["close"].to_list() == ["31", "6"]
    ids = ["matic-network", "polygon-ecosystem-token"]
    await declared(running, COINGECKO, ["prices"], partitions=ids, at=OLD)
    moments = [datetime(2024, month, 2, tzinfo=UTC) for month in (8, 10)]
    told = [
        Price(coin=name, slot=moment, updated_at=moment, price=Decimal(1 + n))
        for n, (name, moment) in enumerate((name, moment) for name in ids for moment in moments)
    ]
    await had(running, COINGECKO, "prices", told, moments[1])
    running.clock.set(datetime(2026, 11, 23, 0, 1, tzinfo=UTC))  # what is declared by a moment stays so
    await declared(
        running,
        binance_futures.SOURCE,
        ["funding"],
        partitions=["POLUSDT", "1000PEPEUSDT", "BTCUSDT"],
        at=OLD,
    )
    rates = [
        FundingRate(symbol=name, at=moments[1], rate=Decimal("0.0001"))
        for name in ("1000PEPEUSDT", "BTCUSDT")
    ]
    await had(running, binance_futures.SOURCE, "funding", rates, moments[1])
    coin = await desk.frame(await desk.made(what="prices", symbols=["MATIC"]))
    assert sorted(coin.select("coin", "price").rows()) == [(ids[0], "1"), (ids[1], "4")]
    pepe = await desk.frame(await desk.made(what="funding_rates", symbols=["PEPE"]))
    assert pepe.select("symbol", "rate").rows() == [("1000PEPEUSDT", "0.0001")]
    await desk.close()


async def test_closed_series_are_refused_by_name_and_left_out_without(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
):
    running = desk.running
    monkeypatch.setattr(filling, "SOURCE", replace(COINGECKO, licence="non_commercial"))
    await running.fill.declare(at(seconds=1), names=["bars_1h"])
    await declared(running, coinbase.SOURCE, ["bars_1h"], partitions=["BTC-USD"])
    await candles(desk)
    refused = await desk.ask(403, what="bars", symbols=["BTC"], datasets=["coingecko.bars_1h"])
    assert refused["error"]["code"] == "LICENCE_RESTRICTED"
    assert refused["error"]["details"]["series"] == [
        {"dataset": "coingecko.bars_1h", "series": "bitcoin", "licence": "non_commercial"}
    ]
    made = await desk.made(what="bars")
    assert {one["dataset"] for one in made["manifest"]["left_out"]} == {"coingecko.bars_1h"}
    assert made["meta"]["left_out"] == made["manifest"]["left_out"]
    assert made["manifest"]["rows"] == 0
    internal = await running.new_key("export", internal=True)
    client = next(key.client for key in await running.store.keys.list() if key.id == internal.split("_")[1])
    whole = await desk.made(internal, what="bars")
    assert (await desk.frame(whole, internal)).height == 10
    other = await running.store.keys.create(client, frozenset({"export"}), datetime(2026, 1, 1, tzinfo=UTC))
    name = whole["manifest"]["files"][0]["name"]
    headers = {"Authorization": f"Bearer {other}"}
    answer = await running.http.get(f"{ROUTE}/{whole['id']}/files/{name}", headers=headers)
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "LICENCE_RESTRICTED")
    assert "coingecko.bars_1h (non_commercial)" in answer.json()["error"]["message"]


async def test_two_at_a_time_and_not_too_much(desk: Desk, monkeypatch: pytest.MonkeyPatch):
    await candles(desk)
    for _ in range(2):
        await desk.ask(what="bars")
    answer = await desk.running.http.post(ROUTE, json={"what": "bars"})
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "30")
    assert answer.json()["error"]["code"] == "RATE_LIMIT_EXCEEDED"
    other = await desk.running.new_key("export")
    await desk.ask(202, other, what="bars")
    assert await desk.worker().look() == 3
    monkeypatch.setattr(exports, "MOST_ROWS", 9)
    refused = await desk.ask(400, what="bars")
    assert refused["error"]["code"] == "QUERY_TOO_COSTLY"
    await desk.ask(202, what="bars", start="2026-11-22T19:00:00Z")


REFUSED: list[tuple[dict[str, Any], int, str, str]] = [
    ({}, 422, "VALIDATION_ERROR", "takes: what"),
    ({"what": "candles"}, 422, "VALIDATION_ERROR", "takes: what"),
    ({"what": "bars", "intervall": "1h"}, 422, "VALIDATION_ERROR", "takes: what"),
    ({"what": "bars", "interval": "2h"}, 422, "VALIDATION_ERROR", "takes: what"),
    ({"what": "bars", "interval": "5m"}, 404, "DATA_NOT_AVAILABLE", "no bars of 5m"),
    ({"what": "prices", "interval": "1h"}, 422, "VALIDATION_ERROR", "takes no interval"),
    ({"what": "bars", "horizons": [1]}, 422, "VALIDATION_ERROR", "takes no horizons"),
    ({"what": "training_set", "known_by": "2026-11-22"}, 422, "VALIDATION_ERROR", "its own known_by"),
    ({"what": "training_set"}, 422, "VALIDATION_ERROR", "needs start"),
    ({"what": "training_set", "start": "2026-11-22", "features": ["rsi_15"]}, 422, "VALIDATION_ERROR", "rsi_15"),
    ({"what": "training_set", "symbols": ["DUP"], "start": "2026-11-22"}, 400, "AMBIGUOUS_SYMBOL", "DUP"),
    ({"what": "training_set", "horizons": [0]}, 422, "VALIDATION_ERROR", "takes: what"),
    ({"what": "training_set", "horizons": [1.5]}, 422, "VALIDATION_ERROR", "takes: what"),
    ({"what": "training_set", "horizons": ["1"]}, 422, "VALIDATION_ERROR", "takes: what"),
    ({"what": "training_set", "horizons": [True]}, 422, "VALIDATION_ERROR", "takes: what"),
    ({"what": "bars", "symbols": []}, 422, "VALIDATION_ERROR", "takes: what"),
    ({"what": "bars", "symbols": ["BTX"]}, 404, "INVALID_SYMBOL", "nearest"),
    ({"what": "bars", "symbols": ["DUP"]}, 400, "AMBIGUOUS_SYMBOL", "DUP"),
    ({"what": "bars", "symbols": ["BTC"], "series": ["bitcoin"]}, 422, "VALIDATION_ERROR", "not both"),
    ({"what": "bars", "series": ["bitcoine"]}, 422, "VALIDATION_ERROR", "nearest: bitcoin"),
    ({"what": "bars", "datasets": ["x.y"]}, 422, "VALIDATION_ERROR", "coingecko.bars_1h"),
    ({"what": "exchange_rates", "symbols": ["BTC"]}, 422, "VALIDATION_ERROR", "by series"),
    ({"what": "bars", "as_of": "2026-12-01"}, 422, "VALIDATION_ERROR", "in the future"),
    ({"what": "bars", "start": "2026-11-22", "end": "2026-11-21"}, 422, "VALIDATION_ERROR", "before end"),
    ({"what": "posts"}, 404, "DATA_NOT_AVAILABLE", "no posts"),
    ({"what": "features"}, 404, "DATA_NOT_AVAILABLE", "features"),
]  # fmt: skip


async def test_what_cannot_be_exported_is_refused_with_a_reason(desk: Desk):
    desk.running.clock.set(at(minutes=2))
    for body, status, code, said in REFUSED:
        error = (await desk.ask(status, **body))["error"]
        assert error["code"] == code, body
        assert said in error["message"], body
    assert await desk.running.store.exports.under_way() == []


async def test_each_client_sees_its_own(desk: Desk):
    await candles(desk)
    mine = [(await desk.ask(what="bars"))["id"] for _ in range(2)]
    other = await desk.running.new_key("export")
    theirs = (await desk.ask(202, other, what="bars"))["id"]
    whole = await desk.running.get(ROUTE)
    assert {one["id"] for one in whole["data"]} == set(mine)
    first = await desk.running.get(ROUTE, limit=1)
    rest = await desk.running.get(ROUTE, limit=1, cursor=first["meta"]["cursor"])
    assert first["data"] + rest["data"] == whole["data"]
    assert rest["meta"]["cursor"] is None
    headers = {"Authorization": f"Bearer {other}"}
    answer = await desk.running.http.get(f"{ROUTE}/{mine[0]}", headers=headers)
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "NOT_FOUND")
    assert (await desk.running.get(f"{ROUTE}/{theirs}"))["id"] == theirs  # this key has the scope admin
    stolen = await desk.running.http.get(ROUTE, params={"cursor": first["meta"]["cursor"]}, headers=headers)
    assert stolen.json()["error"]["code"] == "CURSOR_INVALID"


async def test_a_node_without_a_folder_says_so(node: Running):
    answer = await node.http.post(ROUTE, json={"what": "bars"})
    assert answer.status_code == 503
    assert "makes no exports" in answer.json()["error"]["message"]
