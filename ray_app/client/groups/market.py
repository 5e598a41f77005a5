"""Prices, indicators, features and series, as methods. What parameters mean is in the node's own documents (/docs)."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ray_app.client.answers.events import PriceEvent
from ray_app.client.answers.market import (
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
    Queried,
    Technical,
)
from ray_app.client.effects import Plan
from ray_app.client.exports import WITHIN
from ray_app.client.groups.exports import exported
from ray_app.client.pages import paged
from ray_app.client.routes import Calls, D, Moment, Names, get, planned, post
from ray_app.client.streams import Tells

if TYPE_CHECKING:
    import polars as pl


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

    @planned
    def training_set(
        self,
        symbols: Names | None,
        start: Moment,
        end: Moment | None = None,
        *,
        features: Names | None = None,
        horizons: list[int] | None = None,
        as_of: Moment | None = None,
        known_by: Moment | None = None,
        folder: str | Path | None = None,
        within: float = WITHIN,
    ) -> "Plan[pl.DataFrame]":
        """The rows of the hours in [start, end), each worked out from what could be known at its own hour.

        `as_of` freezes it: asked for again it is the same, whatever was collected since. `symbols`: None for all.
        `features`: names or groups. `horizons`: a label future_return_{n}h for each, so many hours ahead. It is made
        as an export at the node, fetched and checked; with `folder` the files are kept there.
        """
        return (
            yield from exported(
                self._driver, what="training_set", symbols=symbols, start=start, end=end, features=features,
                horizons=horizons, as_of=as_of, known_by=known_by, folder=folder, within=within,
            )
        )  # fmt: skip


class SeriesRoutes(Calls[D]):
    """What a client has without a group."""

    @post("/graphql", Queried, safe=True)
    def graphql(
        self,
        query: str,
        *,
        variables: dict[str, Any] | None = None,
        operationName: str | None = None,  # noqa: N803  # GraphQL's own name
    ) -> None:
        """A query of GraphQL, for what would be many calls."""

    @planned
    def export(
        self,
        what: str,
        *,
        datasets: Names | None = None,
        symbols: Names | None = None,
        series: Names | None = None,
        interval: str | None = None,
        start: Moment | None = None,
        end: Moment | None = None,
        features: Names | None = None,
        horizons: list[int] | None = None,
        as_of: Moment | None = None,
        known_by: Moment | None = None,
        folder: str | Path | None = None,
        within: float = WITHIN,
    ) -> "Plan[pl.DataFrame]":
        """Stored rows of one kind in bulk, as Parquet: asked for, waited for, fetched, checked, read.

        Exact numbers are columns of text; cast those that you reckon with: `pl.col("close").cast(pl.Float64)`.
        """
        return (
            yield from exported(
                self._driver, what=what, datasets=datasets, symbols=symbols, series=series, interval=interval,
                start=start, end=end, features=features, horizons=horizons, as_of=as_of, known_by=known_by,
                folder=folder, within=within,
            )
        )  # fmt: skip

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
