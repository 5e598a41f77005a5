"""News, posts and sentiment, as methods."""

from ray_app.client.answers.events import NewsEvent, SentimentEvent
from ray_app.client.answers.texts import MarketSentiment, Scores, Sentiment, Text, Texts
from ray_app.client.pages import paged
from ray_app.client.routes import Calls, D, Moment, Names, get, post
from ray_app.client.streams import Tells


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

    @post("/api/v1/models/cryptobert", Scores, safe=True)
    def cryptobert(self, texts: list[str]) -> None:
        """What CryptoBERT says of up to 64 texts of your own."""

    @post("/api/v1/models/finbert", Scores, safe=True)
    def finbert(self, texts: list[str]) -> None:
        """What FinBERT says of up to 64 texts of your own."""
