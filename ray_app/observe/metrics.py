"""The gateway's metrics in the OpenMetrics text format: what any replica can tell from the store.

The figures are handed in; each scrape builds its own registry, so that nothing of an earlier one remains. What
is not known is left out, never told as nought.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, StateSetMetricFamily
from prometheus_client.openmetrics.exposition import CONTENT_TYPE_LATEST, generate_latest

from ray_app.observe.measures import GATEWAY

__all__ = [
    "CONTENT_TYPE_LATEST",
    "DatasetFigures",
    "Figures",
    "LeaseFigures",
    "MoneyFigures",
    "QuotaFigures",
    "SkewFigures",
    "TextFigures",
    "registry_of",
    "render",
]

STATES = ("waiting", "collecting", "refused", "dead", "not_started")


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetFigures:
    """One data set. None where there is nothing to tell yet."""

    name: str
    required: bool
    age_seconds: float | None
    allowed_seconds: float
    series: int
    fresh: int
    intervals: Mapping[str, int]  # of the last 24 h, by state
    read: int  # rows of the last 24 h
    set_aside: int  # rows of the last 24 h that could not be read
    rows: int  # revisions in the store
    collector: str
    errors: Mapping[str, int]  # by reaction, since the collector started


@dataclass(frozen=True, slots=True, kw_only=True)
class QuotaFigures:
    scope: str
    limit: int  # calls per window in force
    spent_month: int
    allowance_month: int | None  # None: the upstream has no monthly allowance
    forecast_month: int | None  # None: the month is too young to tell


@dataclass(frozen=True, slots=True, kw_only=True)
class MoneyFigures:
    """What an upstream that charges by the token costs, in US dollars of this month."""

    scope: str
    spent: float
    left: float
    waiting: int  # texts that are worth asking about
    left_out: int  # of this month, that were not asked about in time


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseFigures:
    shard: str
    owner: str | None  # None: nobody holds it
    takings: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TextFigures:
    """One kind of text, by what its configured model says."""

    texts: str
    scored: int  # of the last 3 days
    without: int
    waiting: int
    labels: Mapping[str, int]  # of the last 24 h
    drift: float | None  # None: too few scores to tell


@dataclass(frozen=True, slots=True, kw_only=True)
class SkewFigures:
    """Rows of features that were worked out again."""

    rows: int
    differing: int
    largest: float
    age_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """Everything that a scrape shows. `parts`: name -> (needed, well)."""

    simulated: bool
    release: str
    parts: Mapping[str, tuple[bool, bool]] = field(default_factory=dict)
    datasets: Sequence[DatasetFigures] = ()
    quotas: Sequence[QuotaFigures] = ()
    money: Sequence[MoneyFigures] = ()
    leases: Sequence[LeaseFigures] = ()
    outbox_waiting: int | None = None
    texts: Sequence[TextFigures] = ()
    skew: SkewFigures | None = None  # None: not checked yet
    raw_space: tuple[int, int] | None = None  # bytes free and in all; None: not on a disk of this machine
    backup_age_seconds: float | None = None


class _Families:
    """Collects samples into the families that are declared; a name or a label that is not is a KeyError."""

    def __init__(self) -> None:
        self._measures = {measure.name: measure for measure in GATEWAY}
        self._families: dict[str, Any] = {}

    def add(self, name: str, value: float | None, **labels: str | bool) -> None:
        """One sample; nothing where the value is not known."""
        if value is not None:
            told = {k: str(v).lower() if isinstance(v, bool) else v for k, v in labels.items()}
            self._family(name).add_metric([told.pop(label) for label in self._measures[name].labels], value)
            assert not told, f"{name} is not declared with {sorted(told)}"

    def _family(self, name: str) -> Any:
        if name not in self._families:
            measure = self._measures[name]
            kinds = {"counter": CounterMetricFamily, "states": StateSetMetricFamily}
            made = kinds.get(measure.kind, GaugeMetricFamily)
            self._families[name] = made(measure.family, measure.meaning, labels=measure.labels)
        return self._families[name]

    def add_states(self, name: str, state: str, states: Iterable[str], **labels: str) -> None:
        self._family(name).add_metric(list(labels.values()), {one: one == state for one in states})

    def collect(self) -> Iterable[Any]:
        return [self._families[name] for name in self._measures if name in self._families]


def registry_of(figures: Figures) -> CollectorRegistry:
    """A registry that holds the figures and nothing else."""
    out = _Families()
    for tell in (_node, _datasets, _quotas, _leases, _texts):
        tell(out, figures)
    registry = CollectorRegistry()
    registry.register(out)
    return registry


def render(figures: Figures) -> bytes:
    """The text that a scraper gets; its media type is CONTENT_TYPE_LATEST."""
    text: bytes = generate_latest(registry_of(figures))  # type: ignore[no-untyped-call]  # the library has no types there
    return text


def _node(out: _Families, figures: Figures) -> None:
    out.add("crypto_data_simulated", figures.simulated, release=figures.release)
    for part, (required, well) in figures.parts.items():
        out.add("crypto_data_part_up", well, part=part, required=required)
    out.add("crypto_data_outbox_waiting_rows", figures.outbox_waiting)
    if figures.raw_space is not None:
        free, size = figures.raw_space
        out.add("crypto_data_raw_free_bytes", free)
        out.add("crypto_data_raw_size_bytes", size)
    out.add("crypto_data_backup_age_seconds", figures.backup_age_seconds)
    if (skew := figures.skew) is not None:
        out.add("crypto_data_feature_skew", skew.largest)
        out.add("crypto_data_feature_skew_rows", skew.differing, state="differing")
        out.add("crypto_data_feature_skew_rows", skew.rows - skew.differing, state="equal")
        out.add("crypto_data_feature_skew_age_seconds", skew.age_seconds)


def _datasets(out: _Families, figures: Figures) -> None:
    for one in figures.datasets:
        name = one.name
        out.add("crypto_data_freshness_seconds", one.age_seconds, dataset=name, required=one.required)
        out.add("crypto_data_freshness_allowed_seconds", one.allowed_seconds, dataset=name)
        out.add("crypto_data_series", one.series, dataset=name, state="expected")
        out.add("crypto_data_series", one.fresh, dataset=name, state="fresh")
        due = sum(count for kind, count in one.intervals.items() if kind != "not_due")
        if due:
            done = one.intervals.get("collected", 0) + one.intervals.get("empty_upstream", 0)
            out.add("crypto_data_completeness_ratio", done / due, dataset=name)
        for kind, count in one.intervals.items():
            out.add("crypto_data_intervals", count, dataset=name, state=kind)
        out.add("crypto_data_read_rows", one.read, dataset=name)
        out.add("crypto_data_set_aside_rows", one.set_aside, dataset=name)
        out.add("crypto_data_stored_rows", one.rows, dataset=name)
        out.add_states("crypto_data_collector", one.collector, STATES, dataset=name)
        for reaction, count in one.errors.items():
            out.add("crypto_data_collector_errors_total", count, dataset=name, reaction=reaction)


def _quotas(out: _Families, figures: Figures) -> None:
    for one in figures.quotas:
        out.add("crypto_data_quota_limit_calls", one.limit, scope=one.scope)
        out.add("crypto_data_quota_month_spent_calls", one.spent_month, scope=one.scope)
        out.add("crypto_data_quota_month_forecast_calls", one.forecast_month, scope=one.scope)
        if one.allowance_month is not None:
            left = max(0, one.allowance_month - one.spent_month)
            out.add("crypto_data_quota_month_allowance_calls", one.allowance_month, scope=one.scope)
            out.add("crypto_data_quota_month_left_calls", left, scope=one.scope)
    for money in figures.money:
        out.add("crypto_data_money_dollars", money.spent, scope=money.scope, state="spent")
        out.add("crypto_data_money_dollars", money.left, scope=money.scope, state="left")
        out.add("crypto_data_advanced_texts", money.waiting, scope=money.scope, state="waiting")
        out.add("crypto_data_advanced_texts", money.left_out, scope=money.scope, state="left_out")


def _leases(out: _Families, figures: Figures) -> None:
    for one in figures.leases:
        if one.owner is not None:
            out.add("crypto_data_lease_info", 1, shard=one.shard, owner=one.owner)
        out.add("crypto_data_lease_takings_total", one.takings, shard=one.shard)


def _texts(out: _Families, figures: Figures) -> None:
    for one in figures.texts:
        for state, count in (("scored", one.scored), ("reason", one.without), ("waiting", one.waiting)):
            out.add("crypto_data_texts", count, texts=one.texts, state=state)
        for label, count in one.labels.items():
            out.add("crypto_data_scores", count, texts=one.texts, label=label)
        out.add("crypto_data_score_drift_ratio", one.drift, texts=one.texts)
