"""Every route of the node that gives data, as a method. What parameters mean is in the node's own documents (/docs)."""

from ray_app.client.events import NewsEvent, PriceEvent, SentimentEvent
from ray_app.client.market import (
    Candle,
    Candles,
    ContractRow,
    Current,
    CurrentPrices,
    Derivatives,
    FeatureRow,
    FeatureRows,
    Features,
    FeaturesOfMany,
    MetricValue,
    Observation,
    Observations,
    Onchain,
    Technical,
)
from ray_app.client.routes import Calls, D, Moment, Names, get, paged, post
from ray_app.client.streams import Tells
from ray_app.client.texts import MarketSentiment, Scores, Sentiment, Text, Texts


class Prices(Calls[D]):
    stream = Tells[PriceEvent]("prices")

    @get("/api/v1/prices/current/{symbol}", Current)
    def current(
        self,
        symbol: str,
        *,
        vs_currencies: Names | None = None,
        include_24hr_change: bool | None = None,
        include_market_cap: bool | None = None,
        as_of: Moment | None = None,
        known_by: Moment | None = None,
    ) -> None:
        """The current price of one coin."""

    @get("/api/v1/prices/current", CurrentPrices)
    def many(
        self,
        symbols: Names,
        *,
        vs_currencies: Names | None = None,
        include_24hr_change: bool | None = None,
        include_market_cap: bool | None = None,
        as_of: Moment | None = None,
        known_by: Moment | None = None,
    ) -> None:
        """The current prices of up to 250 coins."""

    @paged("/api/v1/prices/historical/{symbol}", Candles, Candle, page=None)
    def historical(
        self,
        symbol: str,
        *,
        interval: str | None = None,
        days: int | None = None,
        start: Moment | None = None,
        end: Moment | None = None,
        vs_currency: str | None = None,
        venue: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
        as_of: Moment | None = None,
        known_by: Moment | None = None,
    ) -> None:
        """Candles, oldest first; all at once without `limit`. `meta.gaps` names those that are not there."""


class FeatureRoutes(Calls[D]):
    """Rows of features of an hour; always with their names (`format=flat`)."""

    @get("/api/v1/ml-features/{symbol}", Features, format="flat", latest_only="true")
    def latest(
        self,
        symbol: str,
        *,
        feature_groups: Names | None = None,
        as_of: Moment | None = None,
        known_by: Moment | None = None,
    ) -> None:
        """The features of one coin's newest hour."""

    @get("/api/v1/ml-features", FeaturesOfMany, format="flat", latest_only="true")
    def many(
        self,
        symbols: Names,
        *,
        feature_groups: Names | None = None,
        as_of: Moment | None = None,
        known_by: Moment | None = None,
    ) -> None:
        """The features of the newest hour of up to 250 coins."""

    @paged("/api/v1/ml-features/{symbol}", FeatureRows, FeatureRow, format="flat", latest_only="false")
    def between(
        self,
        symbol: str,
        start: Moment,
        end: Moment | None = None,
        *,
        feature_groups: Names | None = None,
        limit: int | None = None,
        cursor: str | None = None,
        as_of: Moment | None = None,
        known_by: Moment | None = None,
    ) -> None:
        """One coin's rows of the hours that end at `start` or later and before `end`, oldest first."""


class TextRoutes(Calls[D]):
    """News and posts, newest first."""

    stream = Tells[NewsEvent]("news")

    @paged("/api/v1/news/crypto/latest", Texts, Text)
    def crypto(
        self,
        *,
        symbol: str | None = None,
        source: str | None = None,
        since: Moment | None = None,
        q: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
        as_of: Moment | None = None,
        known_by: Moment | None = None,
    ) -> None:
        """News on crypto, with the assets that they mention."""

    @paged("/api/v1/news/stock/latest", Texts, Text)
    def stock(
        self,
        *,
        symbol: str | None = None,
        source: str | None = None,
        since: Moment | None = None,
        q: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
        as_of: Moment | None = None,
        known_by: Moment | None = None,
    ) -> None:
        """News on stocks and the economy, filings too."""

    @paged("/api/v1/social/latest", Texts, Text)
    def social(
        self,
        *,
        symbol: str | None = None,
        source: str | None = None,
        since: Moment | None = None,
        q: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
        as_of: Moment | None = None,
        known_by: Moment | None = None,
    ) -> None:
        """Posts of social networks; what is deleted there is gone here."""


class SentimentRoutes(Calls[D]):
    stream = Tells[SentimentEvent]("sentiment")

    @get("/api/v1/sentiment/crypto/{symbol}", Sentiment)
    def crypto(
        self,
        symbol: str,
        *,
        timeframe: str | None = None,
        sources: Names | None = None,
        include_breakdown: bool | None = None,
        as_of: Moment | None = None,
        known_by: Moment | None = None,
    ) -> None:
        """What news and posts say about a coin."""

    @get("/api/v1/sentiment/stock/{symbol}", Sentiment)
    def stock(
        self,
        symbol: str,
        *,
        timeframe: str | None = None,
        sources: Names | None = None,
        include_breakdown: bool | None = None,
        as_of: Moment | None = None,
        known_by: Moment | None = None,
    ) -> None:
        """What news and posts say about a stock."""

    @get("/api/v1/sentiment/market", MarketSentiment)
    def market(
        self,
        *,
        timeframe: str | None = None,
        sources: Names | None = None,
        as_of: Moment | None = None,
        known_by: Moment | None = None,
    ) -> None:
        """Coins against stocks, fear and greed, risk appetite."""

    @post("/api/v1/models/cryptobert", Scores)
    def cryptobert(self, texts: Names) -> None:
        """What CryptoBERT says of up to 64 texts of your own."""

    @post("/api/v1/models/finbert", Scores)
    def finbert(self, texts: Names) -> None:
        """What FinBERT says of up to 64 texts of your own."""


class SeriesRoutes(Calls[D]):
    """What a client has without a group."""

    @get("/api/v1/technical/{symbol}", Technical)
    def technical(
        self,
        symbol: str,
        *,
        timeframe: str | None = None,
        indicators: Names | None = None,
        periods: list[int] | str | None = None,
        venue: str | None = None,
        as_of: Moment | None = None,
        known_by: Moment | None = None,
    ) -> None:
        """The indicators of one coin at its last complete candle."""

    @paged("/api/v1/derivatives/{symbol}", Derivatives, ContractRow)
    def derivatives(
        self,
        symbol: str,
        *,
        start: Moment | None = None,
        end: Moment | None = None,
        limit: int | None = None,
        cursor: str | None = None,
        as_of: Moment | None = None,
        known_by: Moment | None = None,
    ) -> None:
        """Funding rates and open interest: the newest of each contract, or a range, newest first."""

    @paged("/api/v1/macro/{series}", Observations, Observation)
    def macro(
        self,
        series: str,
        *,
        start: Moment | None = None,
        end: Moment | None = None,
        limit: int | None = None,
        cursor: str | None = None,
        as_of: Moment | None = None,
        known_by: Moment | None = None,
    ) -> None:
        """A macro series, newest period first; with `known_by` each value in its vintage of that time."""

    @paged("/api/v1/onchain/{symbol}", Onchain, MetricValue)
    def onchain(
        self,
        symbol: str,
        *,
        metrics: Names | None = None,
        start: Moment | None = None,
        end: Moment | None = None,
        limit: int | None = None,
        cursor: str | None = None,
        as_of: Moment | None = None,
        known_by: Moment | None = None,
    ) -> None:
        """On-chain metrics: the newest of each, or a range, newest first."""
