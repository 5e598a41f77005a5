"""The fields of a query about coins: prices, candles, indicators, features. The answers are those of REST."""

from typing import Any, cast

import strawberry

from ray_app.serve.graphql import assets as tracked
from ray_app.serve.graphql.arguments import (
    After,
    AsOf,
    First,
    Info,
    KnownBy,
    candles_read,
    given,
    listed,
    moments_of,
    rows,
)
from ray_app.serve.graphql.arguments import assets as named_assets
from ray_app.serve.graphql.batches import row_of_features
from ray_app.serve.graphql.rows import (
    Candles,
    FeatureRows,
    NewestFeatures,
    Price,
    Technical,
    Time,
    field,
)
from ray_app.serve.problems import invalid
from ray_app.serve.queries import checked
from ray_app.serve.rest import features, historical
from ray_app.serve.rest.current import MOST_SYMBOLS


@strawberry.type
class MarketFields:
    @field("One coin, by id, ticker or pair")
    async def asset(
        self, info: Info, symbol: str, as_of: AsOf = None, known_by: KnownBy = None
    ) -> tracked.Asset | None:
        moments = moments_of(as_of, known_by)
        return tracked.asset_of(info.context, symbol, await info.context.standing(moments), moments)

    @field("Many coins at once, up to 250; one that there is not is null, with an error", size=named_assets)
    async def assets(
        self, info: Info, symbols: list[str], as_of: AsOf = None, known_by: KnownBy = None
    ) -> list[tracked.Asset | None]:
        asking, moments = info.context, moments_of(as_of, known_by)
        if len(symbols) > MOST_SYMBOLS:
            raise invalid(f"at most {MOST_SYMBOLS} symbols at once, not {len(symbols)}", parameter="symbols")
        at = await asking.standing(moments)
        out: list[Any] = []
        for symbol in symbols:
            try:
                out.append(tracked.asset_of(asking, symbol, at, moments))
            except Exception as error:  # noqa: BLE001 - it is the error of this place in the list
                out.append(error)
        return out

    @field("What a coin costs. Scope: read:prices")
    async def price(
        self,
        info: Info,
        symbol: str,
        currencies: list[str] = ["usd"],  # noqa: B006 - shown in the schema as the default, never changed
        as_of: AsOf = None,
        known_by: KnownBy = None,
    ) -> Price | None:
        info.context.needs("read:prices")
        moments = moments_of(as_of, known_by)
        at = await info.context.standing(moments)
        asset = info.context.node.resolve(symbol, at.asked)
        return await tracked.price_of(info.context, asset, currencies, moments)

    @field("Candles of a coin, oldest first. Scope: read:prices", size=rows, counts=candles_read)
    async def candles(
        self,
        info: Info,
        symbol: str,
        interval: str = "1h",
        days: int | None = None,
        start: Time | None = None,
        end: Time | None = None,
        currency: str | None = None,
        venue: str | None = None,
        first: First = 100,
        after: After = None,
        as_of: AsOf = None,
        known_by: KnownBy = None,
    ) -> Candles | None:
        asking = info.context
        asking.needs("read:prices")
        asked = given(
            first, after, as_of, known_by,
            interval=interval, days=days, start=start, end=end, vs_currency=currency, venue=venue,
        )  # fmt: skip
        query = checked(historical.HistoricalQuery, asked)
        page = await asking.page("candles", query, symbol=symbol)
        answer = await historical.told(asking.node, symbol, query, page, internal=asking.key.internal)
        row = answer.payload
        also = {name: row[name] for name in ("id", "symbol", "name", "interval", "vs_currency")}
        return cast("Candles", asking.connection(answer, total=row["total_points"], **also))

    @field(
        "The indicators of a coin at its last complete candle. Scope: read:technical", counts=tracked.COMPUTED
    )
    async def technical(
        self,
        info: Info,
        symbol: str,
        timeframe: str = "1h",
        indicators: list[str] | None = None,
        periods: list[int] | None = None,
        venue: str | None = None,
        as_of: AsOf = None,
        known_by: KnownBy = None,
    ) -> Technical | None:
        asking, moments = info.context, moments_of(as_of, known_by)
        asking.needs("read:technical")
        query = tracked.technical_query(timeframe, indicators, periods, venue, moments)
        asset = asking.node.resolve(symbol, (await asking.standing(moments)).asked)
        return await tracked.technical_of(asking, asset, query)

    @field("The features of a coin of the newest hour. Scope: read:features", counts=tracked.READ)
    async def features(
        self,
        info: Info,
        symbol: str,
        groups: list[str] | None = None,
        as_of: AsOf = None,
        known_by: KnownBy = None,
    ) -> NewestFeatures | None:
        asking, moments = info.context, moments_of(as_of, known_by)
        asking.needs("read:features")
        asset = asking.node.resolve(symbol, (await asking.standing(moments)).asked)
        return await tracked.features_of(asking, asset, groups, moments)

    @field(
        "The features of a coin of a range of hours, oldest first. Scope: read:features",
        size=rows,
        counts=50 * tracked.READ,
    )
    async def feature_rows(
        self,
        info: Info,
        symbol: str,
        groups: list[str] | None = None,
        start: Time | None = None,
        end: Time | None = None,
        first: First = 100,
        after: After = None,
        as_of: AsOf = None,
        known_by: KnownBy = None,
    ) -> FeatureRows | None:
        asking = info.context
        asking.needs("read:features")
        asked = given(first, after, as_of, known_by, feature_groups=listed(groups), start=start, end=end)
        query = checked(features.FeaturesQuery, asked)
        page = await asking.page("featureRows", query, symbol=symbol)
        asset = asking.node.resolve(symbol, page.standing.asked)
        answer = await features.told_range(asking.node, asset, query, page, internal=asking.key.internal)
        row = answer.payload
        also = {name: row[name] for name in ("id", "symbol", "name", "feature_version", "feature_count")}
        nodes = [row_of_features(one) for one in row["data"]]
        return cast("FeatureRows", asking.connection(answer, nodes, **also))
