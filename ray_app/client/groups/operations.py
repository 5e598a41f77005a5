"""The routes about the node itself, as methods: how it is doing, what is missing, where a record came from."""

from ray_app.client.answers.answer import Gap
from ray_app.client.answers.catalog import (
    CatalogSeries,
    Datasets,
    FeatureList,
    SeriesList,
    Sources,
    Symbol,
    Symbols,
)
from ray_app.client.answers.operations import (
    Alive,
    Backfill,
    Collectors,
    Coverage,
    CoverageRow,
    Gaps,
    Health,
    Lineage,
    Quality,
    Quotas,
    Ready,
    Revision,
    Revisions,
)
from ray_app.client.pages import paged
from ray_app.client.routes import Calls, D, Moment, get, get_text


class Operations(Calls[D]):
    """All but `alive` and `ready` need the scope read:ops."""

    @get("/health", Alive)
    def alive(self) -> None:
        """Whether the node answers. Needs no key."""

    @get("/ready", Ready)
    def ready(self) -> None:
        """Whether it can serve; ServerUnavailable names what is down. Needs no key."""

    @get("/api/v1/health", Health)
    def health(self) -> None:
        """Every data set's condition; the worst required part counts."""

    @get_text("/metrics")
    def metrics(self) -> None:
        """What a scraper reads, as OpenMetrics text."""

    @get("/api/v1/stats/collectors", Collectors)
    def collectors(self) -> None:
        """Per collector: state, runs, rows stored, errors, lag."""

    @get("/api/v1/quotas", Quotas)
    def quotas(self) -> None:
        """Per upstream: allowance, used, reserved, forecast."""

    @get("/api/v1/backfills/{job}", Backfill)
    def backfill(self, job: str) -> None:
        """A backfill job: request, progress, receipt."""

    @paged("/api/v1/coverage", Coverage, CoverageRow)
    def coverage(
        self,
        *,
        dataset: str | None = None,
        symbol: str | None = None,
        start: Moment | None = None,
        end: Moment | None = None,
        limit: int | None = None,
        cursor: str | None = None,
        as_of: Moment | None = None,
        known_by: Moment | None = None,
    ) -> None:
        """The state of every due interval, a row for each series; without a range the last 24 hours."""

    @paged("/api/v1/gaps", Gaps, Gap)
    def gaps(
        self,
        *,
        dataset: str | None = None,
        symbol: str | None = None,
        start: Moment | None = None,
        end: Moment | None = None,
        limit: int | None = None,
        cursor: str | None = None,
        as_of: Moment | None = None,
        known_by: Moment | None = None,
    ) -> None:
        """What is not there, with reasons; without a range in the last 24 hours."""

    @get("/api/v1/quality", Quality)
    def quality(
        self,
        dataset: str,
        *,
        day: Moment | None = None,
        series: str | None = None,
        as_of: Moment | None = None,
        known_by: Moment | None = None,
    ) -> None:
        """A day of a data set: intervals, rows, what was set aside and what looks wrong."""

    @get("/api/v1/lineage/{record_id}", Lineage)
    def lineage(self, record_id: str, *, as_of: Moment | None = None, known_by: Moment | None = None) -> None:
        """From a record to the raw answer it came from."""

    @paged("/api/v1/revisions", Revisions, Revision)
    def revisions(
        self,
        *,
        dataset: str | None = None,
        symbol: str | None = None,
        start: Moment | None = None,
        end: Moment | None = None,
        limit: int | None = None,
        cursor: str | None = None,
        as_of: Moment | None = None,
        known_by: Moment | None = None,
    ) -> None:
        """What changed after it was first seen."""


class Catalog(Calls[D]):
    """What there is; for any key."""

    @paged("/api/v1/catalog/symbols", Symbols, Symbol)
    def symbols(
        self,
        *,
        limit: int | None = None,
        cursor: str | None = None,
        as_of: Moment | None = None,
        known_by: Moment | None = None,
    ) -> None:
        """The assets that are tracked."""

    @get("/api/v1/catalog/datasets", Datasets)
    def datasets(self, *, as_of: Moment | None = None, known_by: Moment | None = None) -> None:
        """The data sets that are declared."""

    @paged("/api/v1/catalog/series", SeriesList, CatalogSeries)
    def series(
        self,
        *,
        dataset: str | None = None,
        symbol: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
        as_of: Moment | None = None,
        known_by: Moment | None = None,
    ) -> None:
        """Every series: what it is, its unit and its licence."""

    @get("/api/v1/catalog/features", FeatureList)
    def features(self, *, as_of: Moment | None = None, known_by: Moment | None = None) -> None:
        """Indicators, signals and features, with their formulas."""

    @get("/api/v1/catalog/sources", Sources)
    def sources(self, *, as_of: Moment | None = None, known_by: Moment | None = None) -> None:
        """The upstreams and their terms."""
