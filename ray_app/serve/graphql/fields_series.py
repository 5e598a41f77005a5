"""The fields of a query about series, the ledger and the catalogue. The answers are those of REST."""

from typing import cast

import strawberry

from ray_app.serve.graphql.arguments import After, AsOf, First, Info, KnownBy, given, listed, rows
from ray_app.serve.graphql.catalog import Catalog
from ray_app.serve.graphql.rows import Connection, Gap, Time, field
from ray_app.serve.graphql.rows_texts import MacroSeries, Onchain, SeriesCoverage
from ray_app.serve.queries import checked
from ray_app.serve.rest import coverage, macro, onchain

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
        asking = info.context
        asking.needs("read:ops")
        asked = given(first, after, as_of, known_by, dataset=dataset, symbol=symbol, start=start, end=end)
        query = checked(coverage.RangeQuery, asked)
        answer = await coverage.covered(asking.node, query, await asking.page("coverage", query))
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
        return cast("Connection[SeriesCoverage]", asking.connection(answer, nodes))

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
        asking = info.context
        asking.needs("read:ops")
        asked = given(first, after, as_of, known_by, dataset=dataset, symbol=symbol, start=start, end=end)
        query = checked(coverage.RangeQuery, asked)
        answer = await coverage.lacking(asking.node, query, await asking.page("gaps", query))
        return cast("Connection[Gap]", asking.connection(answer))

    @field("What exists. Any key")
    async def catalog(self) -> Catalog:
        return Catalog()
