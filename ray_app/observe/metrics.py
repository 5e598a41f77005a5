"""Metrics in the OpenMetrics text format: what any replica can tell from the store, and its own requests.

The figures are handed in; each scrape builds its own registry, so that nothing of an earlier one remains.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, StateSetMetricFamily
from prometheus_client.openmetrics.exposition import CONTENT_TYPE_LATEST, generate_latest

__all__ = ["CONTENT_TYPE_LATEST", "DatasetFigures", "Figures", "MoneyFigures", "QuotaFigures", "render"]

STATES = ("waiting", "collecting", "refused", "dead", "not_started")


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetFigures:
    """One data set. None where there is nothing to tell yet."""

    name: str
    required: bool
    age_seconds: float | None
    series: int
    fresh: int
    intervals: Mapping[str, int]  # of the last 24 h, by state
    set_aside: int  # rows of the last 24 h that could not be read
    rows: int  # revisions in the store
    collector: str
    errors: Mapping[str, int]  # by reaction, since the collector started


@dataclass(frozen=True, slots=True, kw_only=True)
class QuotaFigures:
    scope: str
    limit: int  # calls per window in force
    spent_month: int
    left_month: int | None  # None: the upstream has no monthly allowance


@dataclass(frozen=True, slots=True, kw_only=True)
class MoneyFigures:
    """What an upstream that charges by the token costs, in US dollars of this month."""

    scope: str
    spent: float
    left: float
    waiting: int  # texts that are worth asking about
    left_out: int  # of this month, that were not asked about in time


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """Everything that a scrape shows. `requests` counts by (route, status), `seconds` by route."""

    simulated: bool
    release: str
    datasets: Sequence[DatasetFigures] = ()
    quotas: Sequence[QuotaFigures] = ()
    money: Sequence[MoneyFigures] = ()
    requests: Mapping[tuple[str, int], int] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)
    skew: Mapping[str, float] | None = None  # of features: rows, differing, largest; None: not checked yet


class _Once:
    """A collector over families that are ready."""

    def __init__(self, families: Iterable[Any]) -> None:
        self._families = list(families)

    def collect(self) -> Iterable[Any]:
        return self._families


def render(figures: Figures) -> bytes:
    """The text that a scraper gets; its media type is CONTENT_TYPE_LATEST."""
    registry = CollectorRegistry()
    families = (_node, _datasets, _quotas, _money, _requests)
    registry.register(_Once([one for family in families for one in family(figures)]))
    text: bytes = generate_latest(registry)  # type: ignore[no-untyped-call]  # the library has no types there
    return text


def _node(figures: Figures) -> Iterable[Any]:
    simulated = GaugeMetricFamily(
        "crypto_data_simulated", "1 when the store holds simulated data", labels=["release"]
    )
    simulated.add_metric([figures.release], float(figures.simulated))
    yield simulated
    if figures.skew is not None:
        apart = GaugeMetricFamily(
            "crypto_data_feature_skew",
            "largest difference between a stored feature and the same worked out again",
        )
        apart.add_metric([], figures.skew["largest"])
        checked = GaugeMetricFamily(
            "crypto_data_feature_skew_rows", "rows that were worked out again", labels=["state"]
        )
        checked.add_metric(["differing"], figures.skew["differing"])
        checked.add_metric(["equal"], figures.skew["rows"] - figures.skew["differing"])
        yield from (apart, checked)


def _datasets(figures: Figures) -> Iterable[Any]:
    name = ["dataset"]
    age = GaugeMetricFamily(
        "crypto_data_freshness_seconds", "age of the newest observation", labels=["dataset", "required"]
    )
    series = GaugeMetricFamily(
        "crypto_data_series", "series expected and how many are fresh", labels=["dataset", "state"]
    )
    share = GaugeMetricFamily(
        "crypto_data_completeness_ratio",
        "of the intervals due in the last 24 h, those collected or empty upstream",
        labels=name,
    )
    intervals = GaugeMetricFamily(
        "crypto_data_intervals", "intervals of the last 24 h by state", labels=["dataset", "state"]
    )
    aside = GaugeMetricFamily(
        "crypto_data_set_aside_rows", "rows of the last 24 h that could not be read", labels=name
    )
    rows = GaugeMetricFamily("crypto_data_stored_rows", "revisions in the store", labels=name)
    state = StateSetMetricFamily("crypto_data_collector", "what the collector does", labels=name)
    errors = GaugeMetricFamily(
        "crypto_data_collector_errors", "errors since the collector started", labels=["dataset", "reaction"]
    )
    for one in figures.datasets:
        if one.age_seconds is not None:
            age.add_metric([one.name, str(one.required).lower()], one.age_seconds)
        series.add_metric([one.name, "expected"], one.series)
        series.add_metric([one.name, "fresh"], one.fresh)
        due = sum(count for kind, count in one.intervals.items() if kind != "not_due")
        if due:
            done = one.intervals.get("collected", 0) + one.intervals.get("empty_upstream", 0)
            share.add_metric([one.name], done / due)
        for kind, count in one.intervals.items():
            intervals.add_metric([one.name, kind], count)
        aside.add_metric([one.name], one.set_aside)
        rows.add_metric([one.name], one.rows)
        state.add_metric([one.name], {kind: one.collector == kind for kind in STATES})
        for reaction, count in one.errors.items():
            errors.add_metric([one.name, reaction], count)
    return [age, series, share, intervals, aside, rows, state, errors]


def _quotas(figures: Figures) -> Iterable[Any]:
    limit = GaugeMetricFamily("crypto_data_quota_limit", "calls per window in force", labels=["scope"])
    spent = GaugeMetricFamily("crypto_data_quota_spent_month", "calls of this month", labels=["scope"])
    left = GaugeMetricFamily(
        "crypto_data_quota_left_month", "calls left of this month's allowance", labels=["scope"]
    )
    for one in figures.quotas:
        limit.add_metric([one.scope], one.limit)
        spent.add_metric([one.scope], one.spent_month)
        if one.left_month is not None:
            left.add_metric([one.scope], one.left_month)
    return [limit, spent, left]


def _money(figures: Figures) -> Iterable[Any]:
    dollars = GaugeMetricFamily(
        "crypto_data_money_dollars", "of this month's budget, spent and left", labels=["scope", "state"]
    )
    texts = GaugeMetricFamily(
        "crypto_data_advanced_texts",
        "texts without a second opinion: waiting, and left out of this month",
        labels=["scope", "state"],
    )
    for one in figures.money:
        dollars.add_metric([one.scope, "spent"], one.spent)
        dollars.add_metric([one.scope, "left"], one.left)
        texts.add_metric([one.scope, "waiting"], one.waiting)
        texts.add_metric([one.scope, "left_out"], one.left_out)
    return [dollars, texts]


def _requests(figures: Figures) -> Iterable[Any]:
    requests = CounterMetricFamily(
        "crypto_data_requests", "answers of this replica", labels=["route", "status"]
    )
    for (route, status), count in sorted(figures.requests.items()):
        requests.add_metric([route, str(status)], count)
    seconds = CounterMetricFamily("crypto_data_request_seconds", "time spent answering", labels=["route"])
    for route, spent in sorted(figures.seconds.items()):
        seconds.add_metric([route], spent)
    return [requests, seconds]
