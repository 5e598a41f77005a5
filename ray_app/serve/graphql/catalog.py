"""The fields of the catalogue: what exists. Any key may ask."""

from typing import cast

import strawberry

from ray_app.serve.graphql.arguments import After, AsOf, First, Info, KnownBy, given, moments_of, rows
from ray_app.serve.graphql.rows import Connection, field
from ray_app.serve.graphql.rows_catalog import ComputedNames, DataSets, DeclaredSeries, Sources, Symbol
from ray_app.serve.queries import Paged, checked
from ray_app.serve.rest import catalog

EXTENTS = 1_000  # what reading the ends of every data set counts as


@strawberry.type(description="What exists")
class Catalog:
    @field("The assets that are tracked", size=rows)
    async def symbols(
        self,
        info: Info,
        first: First = 100,
        after: After = None,
        as_of: AsOf = None,
        known_by: KnownBy = None,
    ) -> Connection[Symbol] | None:
        query = checked(Paged, given(first, after, as_of, known_by))
        page = await info.context.page("symbols", query)
        answer = await catalog.symbols_told(info.context.node, page, query.limit)
        return cast("Connection[Symbol]", info.context.connection(answer))

    @field("Every series: what it is, its unit and its licence", size=rows)
    async def series(
        self,
        info: Info,
        dataset: str | None = None,
        symbol: str | None = None,
        first: First = 100,
        after: After = None,
        as_of: AsOf = None,
        known_by: KnownBy = None,
    ) -> Connection[DeclaredSeries] | None:
        asked = given(first, after, as_of, known_by, dataset=dataset, symbol=symbol)
        query = checked(catalog.SeriesQuery, asked)
        answer = await catalog.series_told(info.context.node, query, await info.context.page("series", query))
        return cast("Connection[DeclaredSeries]", info.context.connection(answer))

    @field("The data sets that are declared", size=60, counts=EXTENTS)
    async def datasets(self, info: Info, as_of: AsOf = None, known_by: KnownBy = None) -> DataSets | None:
        asking = info.context
        answer = await catalog.datasets_told(asking.node, await asking.standing(moments_of(as_of, known_by)))
        return cast("DataSets", asking.listed(answer))

    @field("The indicators, signals and features that are computed, with their formulas", size=300)
    async def features(
        self, info: Info, as_of: AsOf = None, known_by: KnownBy = None
    ) -> ComputedNames | None:
        asking = info.context
        answer = await catalog.features_told(asking.node, await asking.standing(moments_of(as_of, known_by)))
        return cast("ComputedNames", asking.listed(answer))

    @field("The upstreams and their terms", size=40)
    async def sources(self, info: Info, as_of: AsOf = None, known_by: KnownBy = None) -> Sources | None:
        asking = info.context
        answer = await catalog.sources_told(asking.node, await asking.standing(moments_of(as_of, known_by)))
        return cast("Sources", asking.listed(answer))
