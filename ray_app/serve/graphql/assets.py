"""An asset and what is asked of it: price, indicators, sentiment, features; for many at once in few statements."""

from functools import partial
from typing import Any, cast

import strawberry

from ray_app.model.symbols import Asset as Tracked
from ray_app.serve.graphql import batches
from ray_app.serve.graphql.arguments import AsOf, Info, KnownBy, listed, moments_of
from ray_app.serve.graphql.asking import Asking
from ray_app.serve.graphql.rows import Meta, NewestFeatures, Price, Technical, Time, field, many, meta
from ray_app.serve.graphql.rows_texts import SentimentPoint, SentimentSide, SourceSentiment
from ray_app.serve.indicators import TechnicalQuery
from ray_app.serve.queries import Moments, checked
from ray_app.serve.rest.current import currencies as currencies_named
from ray_app.serve.rest.features import FeaturesQuery
from ray_app.serve.rest.sentiment import sources_named, window_named

COMPUTED = 100  # what working out the indicators of a coin counts as, in values told
READ = 20  # what reading the texts about an asset counts as


@strawberry.type(description="What news and posts say about an asset")
class Sentiment(SentimentSide):
    id: str
    symbol: str
    name: str | None
    breakdown: list[SourceSentiment] = many(3)
    formula: str
    meta: Meta = meta()

    @field("how it became so, oldest first", size=12, counts=READ)
    async def history(self, info: Info) -> list[SentimentPoint]:
        row = cast("dict[str, Any]", self)
        sources, window, moments = row["asked"]
        batch = partial(batches.histories, info.context, sources, window, moments)
        loader = info.context.loader(("history", tuple(sources), window, moments), batch, str)
        return cast("list[SentimentPoint]", await loader.load(row["id"]))


@strawberry.type(description="A coin that is tracked")
class Asset:
    id: str
    symbol: str
    name: str
    tracked: strawberry.Private[Tracked]
    moments: strawberry.Private[Moments]

    @field("What it costs. Scope: read:prices")
    async def price(
        self,
        info: Info,
        currencies: list[str] = ["usd"],  # noqa: B006 - shown in the schema as the default, never changed
        as_of: AsOf = None,
        known_by: KnownBy = None,
    ) -> Price | None:
        info.context.needs("read:prices")
        return await price_of(info.context, self.tracked, currencies, self._moments(as_of, known_by))

    @field("Its indicators at the last complete candle. Scope: read:technical", counts=COMPUTED)
    async def technical(
        self,
        info: Info,
        timeframe: str = "1h",
        indicators: list[str] | None = None,
        periods: list[int] | None = None,
        venue: str | None = None,
        as_of: AsOf = None,
        known_by: KnownBy = None,
    ) -> Technical | None:
        info.context.needs("read:technical")
        moments = self._moments(as_of, known_by)
        query = technical_query(timeframe, indicators, periods, venue, moments)
        return await technical_of(info.context, self.tracked, query)

    @field("What news and posts say about it. Scope: read:sentiment", counts=READ)
    async def sentiment(
        self,
        info: Info,
        timeframe: str = "24h",
        sources: list[str] | None = None,
        as_of: AsOf = None,
        known_by: KnownBy = None,
    ) -> Sentiment | None:
        info.context.needs("read:sentiment")
        subject = {"symbol": self.symbol, "id": self.id, "name": self.name}
        return await sentiment_of(info.context, subject, timeframe, sources, self._moments(as_of, known_by))

    @field("Its features of the newest hour. Scope: read:features", counts=READ)
    async def features(
        self,
        info: Info,
        groups: list[str] | None = None,
        as_of: AsOf = None,
        known_by: KnownBy = None,
    ) -> NewestFeatures | None:
        info.context.needs("read:features")
        return await features_of(info.context, self.tracked, groups, self._moments(as_of, known_by))

    def _moments(self, as_of: Time | None, known_by: Time | None) -> Moments:
        """As asked here, else as asked of the asset."""
        return moments_of(as_of or self.moments.as_of, known_by or self.moments.known_by)


def asset_of(asking: Asking, symbol: str, at: Any, moments: Moments) -> Asset:
    """Raises UnknownSymbol, AmbiguousSymbol."""
    found = asking.node.resolve(symbol, at.asked)
    return Asset(
        id=found.id, symbol=found.symbol_at(at.asked), name=found.name, tracked=found, moments=moments
    )


async def price_of(asking: Asking, asset: Tracked, currencies: list[str], moments: Moments) -> Price:
    told = currencies_named(",".join(currencies))
    batch = partial(batches.prices, asking, told, moments)
    loader = asking.loader(("price", told, moments), batch, _by_id)
    return cast("Price", await loader.load(asset))


def technical_query(
    timeframe: str,
    indicators: list[str] | None,
    periods: list[int] | None,
    venue: str | None,
    moments: Moments,
) -> TechnicalQuery:
    given = {
        "timeframe": timeframe,
        "indicators": listed(indicators),
        "periods": None if periods is None else ",".join(map(str, periods)),
        "venue": venue,
    }
    return checked(TechnicalQuery, given | moments.model_dump())


async def technical_of(asking: Asking, asset: Tracked, query: TechnicalQuery) -> Technical:
    loader = asking.loader(("technical", query), partial(batches.technical, asking, query), _by_id)
    return cast("Technical", await loader.load(asset))


async def sentiment_of(
    asking: Asking, subject: dict[str, Any], timeframe: str, sources: list[str] | None, moments: Moments
) -> Sentiment:
    named, window = sources_named(listed(sources)), window_named(timeframe)
    batch = partial(batches.sentiments, asking, named, window, moments)
    loader = asking.loader(("sentiment", tuple(named), window, moments), batch, lambda one: one["id"])
    return cast("Sentiment", await loader.load(subject))


async def features_of(
    asking: Asking, asset: Tracked, groups: list[str] | None, moments: Moments
) -> NewestFeatures:
    query = checked(FeaturesQuery, {"feature_groups": listed(groups)} | moments.model_dump())
    loader = asking.loader(("features", query), partial(batches.features, asking, query), _by_id)
    return cast("NewestFeatures", await loader.load(asset))


def _by_id(asset: Tracked) -> str:
    return asset.id
