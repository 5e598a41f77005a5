"""The fields of a query about series, the ledger and the catalogue. The answers are those of REST."""

from collections.abc import Awaitable, Callable
from typing import Any, cast

import strawberry

from ray_app.serve.graphql.arguments import After, AsOf, First, Info, KnownBy, given, listed, rows
from ray_app.serve.graphql.asking import Asking
from ray_app.serve.graphql.catalog import Catalog
from ray_app.serve.graphql.rows import Connection, Gap, Time, field
from ray_app.serve.graphql.rows_texts import MacroSeries, Onchain, SeriesCoverage
from ray_app.serve.node import Node
from ray_app.serve.paging import Page
from ray_app.serve.queries import checked
from ray_app.serve.rest import coverage, macro, onchain
from ray_app.serve.wire import Answer

Told = Callable[[Node, coverage.RangeQuery, Page], Awaitable[Answer]]

LEDGER = 2_000  # what working out the states of intervals weighs, in values


@strawberry.type
class SeriesFields:
    @field(
        "A macro series, newest period first; knownBy gives each value's vintage of that time. Scope: read:macro",
        size=rows,
    )
    async def macro(
        self,
        info: Info,
        series: str,
        start: Time | None = None,
        end: Time | None = None,
        first: First = 100,
        after: After = None,
        as_of: AsOf = None,
        known_by: KnownBy = None,
    ) -> MacroSeries | None:
        asking = info.context
        asking.needs("read:macro")
        query = checked(macro.MacroQuery, given(first, after, as_of, known_by, start=start, end=end))
        page = await asking.page("macro", query, series=series)
        answer = await macro.told(asking.node, series, query, page, internal=asking.key.internal)
        also = {name: value for name, value in answer.payload.items() if name != "data"}
        return cast("MacroSeries", asking.connection(answer, **also))

    @field(
        "On-chain metrics of an asset: the newest of each, or a range, newest first. Scope: read:onchain",
        size=rows,
    )
    async def onchain(
        self,
        info: Info,
        symbol: str,
        metrics: list[str] | None = None,
        start: Time | None = None,
        end: Time | None = None,
        first: First = 100,
        after: After = None,
        as_of: AsOf = None,
        known_by: KnownBy = None,
    ) -> Onchain | None:
        asking = info.context
        asking.needs("read:onchain")
        asked = given(first, after, as_of, known_by, metrics=listed(metrics), start=start, end=end)
        query = checked(onchain.OnchainQuery, asked)
        page = await asking.page("onchain", query, symbol=symbol)
        answer = await onchain.told(asking.node, symbol, query, page, internal=asking.key.internal)
        also = {name: answer.payload[name] for name in ("id", "symbol", "name", "metrics")}
        return cast("Onchain", asking.connection(answer, **also))

    @field("The state of every due interval, per series. Scope: read:ops", size=rows, counts=LEDGER)
    async def coverage(
        self,
        info: Info,
        dataset: str | None = None,
        symbol: str | None = None,
        start: Time | None = None,
        end: Time | None = None,
        first: First = 100,
        after: After = None,
        as_of: AsOf = None,
        known_by: KnownBy = None,
    ) -> Connection[SeriesCoverage] | None:
        asked = given(first, after, as_of, known_by, dataset=dataset, symbol=symbol, start=start, end=end)
        answer = await _of_ledger(info.context, "coverage", coverage.covered, asked)
        nodes = [
            row
            | {
                "states": [
                    {"state": state, "intervals": number, "percent": row["percent"][state]}
                    for state, number in row["intervals"].items()
                ]
            }
            for row in answer.payload["data"]
        ]
        return cast("Connection[SeriesCoverage]", info.context.connection(answer, nodes))

    @field("What is not there, with reasons. Scope: read:ops", size=rows, counts=LEDGER)
    async def gaps(
        self,
        info: Info,
        dataset: str | None = None,
        symbol: str | None = None,
        start: Time | None = None,
        end: Time | None = None,
        first: First = 100,
        after: After = None,
        as_of: AsOf = None,
        known_by: KnownBy = None,
    ) -> Connection[Gap] | None:
        asked = given(first, after, as_of, known_by, dataset=dataset, symbol=symbol, start=start, end=end)
        answer = await _of_ledger(info.context, "gaps", coverage.lacking, asked)
        return cast("Connection[Gap]", info.context.connection(answer))

    @field("What exists. Any key")
    async def catalog(self) -> Catalog:
        return Catalog()


async def _of_ledger(asking: Asking, name: str, told: Told, asked: dict[str, Any]) -> Answer:
    asking.needs("read:ops")
    query = checked(coverage.RangeQuery, asked)
    return await told(asking.node, query, await asking.page(name, query))
