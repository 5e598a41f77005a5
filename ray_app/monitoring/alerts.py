"""The alerts. Each names what the operator must know, and has a page of what to do under docs/runbooks.

Several gateways tell the same of the store, so that a rule takes the worst of what they say and fires once.
"""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """`lasts`: how long it must be so, in Prometheus' words. `critical` wakes somebody, `warning` waits for the day."""

    name: str
    group: str
    expr: str
    lasts: str
    severity: Literal["critical", "warning"]
    summary: str  # one line; {{ $labels.x }} and {{ $value }} are Prometheus'
    description: str

    @property
    def runbook(self) -> str:
        """The page's name, without its folder: DatasetStale is dataset-stale.md."""
        return "".join(f"-{c.lower()}" if c.isupper() else c for c in self.name).lstrip("-") + ".md"


def worst(metric: str, by: str = "dataset") -> str:
    return f"max by ({by}) ({metric})"


def _per_dataset(metric: str) -> str:
    return worst(f"crypto_data_{metric}")


DUE = "sum by (dataset) (" + worst('crypto_data_intervals{state!="not_due"}', "dataset, state") + ")"
OPS = "/metrics|/api/v1/health|/api/v1/models/.*"  # a scrape reads the whole store, a sleeping model is loaded first
ANSWERS = "ray_crypto_data_requests_total"
NOT_SCRAPED = "absent(crypto_data_simulated)"  # whatever the job is called: every gateway tells this one

ALERTS: tuple[Alert, ...] = (
    Alert(
        name="GatewayNotScraped", group="absence", lasts="2m", severity="critical",
        expr=NOT_SCRAPED,
        summary="No gateway answers the scraper",
        description="No /metrics of a gateway was read for two minutes: nothing below is watched meanwhile.",
    ),
    Alert(
        name="RayNotScraped", group="absence", lasts="5m", severity="warning",
        expr="absent(ray_node_mem_total)",
        summary="No exporter of Ray answers the scraper",
        description="Errors and latency of the API and the state of Serve are not watched meanwhile.",
    ),
    Alert(
        name="NoRequiredDataset", group="absence", lasts="10m", severity="critical",
        expr='absent(crypto_data_freshness_seconds{required="true"})',
        summary="No required data set has any observation",
        description="The store answers and has no observation of a required data set, or /metrics cannot be read.",
    ),
    Alert(
        name="DatasetNeverCollected", group="absence", lasts="30m", severity="warning",
        expr=f"{_per_dataset('completeness_ratio')} unless on (dataset) {_per_dataset('freshness_seconds')}",
        summary="{{ $labels.dataset }} was due and never collected",
        description="Intervals of it are due and there is no observation of it at all.",
    ),
    Alert(
        name="DatasetStale", group="freshness", lasts="2m", severity="critical",
        expr=(
            worst('crypto_data_freshness_seconds{required="true"}')
            + f" > on (dataset) {_per_dataset('freshness_allowed_seconds')}"
        ),
        summary="{{ $labels.dataset }} is stale",
        description="The newest observation is {{ $value | humanizeDuration }} old, more than its cadence allows.",
    ),
    Alert(
        name="OptionalDatasetStale", group="freshness", lasts="30m", severity="warning",
        expr=(
            worst('crypto_data_freshness_seconds{required="false"}')
            + f" > on (dataset) {_per_dataset('freshness_allowed_seconds')}"
        ),
        summary="{{ $labels.dataset }} is stale",
        description="The newest observation is {{ $value | humanizeDuration }} old, more than its cadence allows.",
    ),
    Alert(
        name="SeriesLate", group="freshness", lasts="30m", severity="warning",
        expr=(
            worst('crypto_data_series{state="fresh"}') + " / "
            + worst('crypto_data_series{state="expected"}') + " < 0.9"
        ),
        summary="More than a tenth of the series of {{ $labels.dataset }} are late",
        description="{{ $value | humanizePercentage }} of its series are fresh.",
    ),
    Alert(
        name="DatasetIncomplete", group="completeness", lasts="2h", severity="warning",
        expr="min by (dataset) (crypto_data_completeness_ratio) < 0.95",
        summary="{{ $labels.dataset }} has gaps",
        description="{{ $value | humanizePercentage }} of the intervals of the last 24 h are there or empty upstream.",
    ),
    Alert(
        name="IntervalsLost", group="completeness", lasts="15m", severity="warning",
        expr=f"""{worst('crypto_data_intervals{state="lost"}')} / {DUE} > 0.01""",
        summary="{{ $labels.dataset }} lost intervals",
        description="{{ $value | humanizePercentage }} of the intervals of the last 24 h can no longer be had.",
    ),
    Alert(
        name="RowsSetAside", group="completeness", lasts="10m", severity="warning",
        expr=(
            f"{_per_dataset('set_aside_rows')}"
            f" / ({_per_dataset('set_aside_rows')} + {_per_dataset('read_rows')}) > 0.01"
            f" and {_per_dataset('set_aside_rows')} > 10"
        ),
        summary="{{ $labels.dataset }} has rows that cannot be read",
        description="{{ $value | humanizePercentage }} of the rows of the last 24 h were set aside.",
    ),
    Alert(
        name="CollectorDead", group="collectors", lasts="5m", severity="critical",
        expr=worst('crypto_data_collector{crypto_data_collector="dead"}') + " == 1",
        summary="The collector of {{ $labels.dataset }} is dead",
        description="It missed its own next run.",
    ),
    Alert(
        name="CollectorRefused", group="collectors", lasts="15m", severity="warning",
        expr=worst('crypto_data_collector{crypto_data_collector="refused"}') + " == 1",
        summary="The upstream of {{ $labels.dataset }} refuses the collector",
        description="A key, a plan or a block: it is tried once an hour.",
    ),
    Alert(
        name="LeaseFlapping", group="collectors", lasts="0m", severity="warning",
        expr=worst("increase(crypto_data_lease_takings_total[30m])", "shard") + " > 5",
        summary="The lease {{ $labels.shard }} changes hands again and again",
        description="It was taken {{ $value | humanize }} times within half an hour.",
    ),
    Alert(
        name="OutboxStuck", group="collectors", lasts="0m", severity="warning",
        expr="max(min_over_time(crypto_data_outbox_waiting_rows[15m])) > 0",
        summary="Committed events are not passed on",
        description="At least {{ $value }} committed events have waited for the relay for a quarter of an hour.",
    ),
    Alert(
        name="QuotaForecastExceeded", group="quota", lasts="2h", severity="warning",
        expr=(
            worst("crypto_data_quota_month_forecast_calls", "scope")
            + " > " + worst("crypto_data_quota_month_allowance_calls", "scope")
        ),
        summary="{{ $labels.scope }} will spend its month's allowance too soon",
        description="At this pace it needs {{ $value | humanize }} calls this month, more than it may make.",
    ),
    Alert(
        name="QuotaSpent", group="quota", lasts="10m", severity="critical",
        expr=worst("crypto_data_quota_month_left_calls", "scope") + " == 0",
        summary="{{ $labels.scope }} has no calls left this month",
        description="Nothing is asked of it until the next month begins (UTC).",
    ),
    Alert(
        name="PartDown", group="parts", lasts="5m", severity="warning",
        expr=worst('crypto_data_part_up{part!~"(scoring|models)[.].*"}', "part") + " == 0",
        summary="{{ $labels.part }} is down",
        description="A part that the node can do without for a while does not answer.",
    ),
    Alert(
        name="ModelFailed", group="models", lasts="15m", severity="warning",
        expr=worst('crypto_data_part_up{part=~"(scoring|models)[.].*"}', "part") + " == 0",
        summary="{{ $labels.part }} cannot work",
        description="Its model cannot be loaded: texts are collected and get no score.",
    ),
    Alert(
        name="TextsUnscored", group="models", lasts="1h", severity="warning",
        expr=worst('crypto_data_texts{state="waiting"}', "texts") + " > 1000",
        summary="Scoring of {{ $labels.texts }} is behind",
        description="{{ $value }} texts of the last three days wait for a score.",
    ),
    Alert(
        name="ModelDrift", group="models", lasts="1h", severity="warning",
        expr=worst("crypto_data_score_drift_ratio", "texts") + " > 0.25",
        summary="The scores of {{ $labels.texts }} are not what they were",
        description="The shares of the labels differ by {{ $value | humanizePercentage }} from the 28 days before.",
    ),
    Alert(
        name="FeatureSkew", group="models", lasts="0m", severity="warning",
        expr='max(crypto_data_feature_skew_rows{state="differing"}) > 0',
        summary="Stored features cannot be worked out again",
        description="{{ $value }} rows differ from what the facts of their time give.",
    ),
    Alert(
        name="ApiErrors", group="api", lasts="5m", severity="critical",
        expr=f'sum(rate({ANSWERS}{{status=~"5.."}}[5m])) / sum(rate({ANSWERS}[5m])) > 0.01',
        summary="The API answers with errors",
        description="{{ $value | humanizePercentage }} of its answers are 5xx.",
    ),
    Alert(
        name="ApiSlow", group="api", lasts="10m", severity="warning",
        expr=(
            "histogram_quantile(0.95, sum by (le) (rate(ray_crypto_data_request_duration_seconds_bucket"
            f'{{route!~"{OPS}"}}[5m]))) > 1'
        ),
        summary="The API is slow",
        description="One answer in twenty takes longer than {{ $value | humanizeDuration }}.",
    ),
    Alert(
        name="ServeApplicationFailed", group="ray", lasts="1m", severity="critical",
        expr=worst("ray_serve_application_status", "application") + " <= 2",
        summary="The Serve application {{ $labels.application }} failed",
        description="Its status is {{ $value }}: 1 is DEPLOY_FAILED, 2 is UNHEALTHY.",
    ),
    Alert(
        name="ServeApplicationNotRunning", group="ray", lasts="15m", severity="warning",
        expr=worst("ray_serve_application_status", "application") + " < 6",
        summary="The Serve application {{ $labels.application }} does not run",
        description="Its status is {{ $value }}: 3 is NOT_STARTED, 4 is DELETING, 5 is DEPLOYING.",
    ),
    Alert(
        name="RayDiskFull", group="disk", lasts="10m", severity="warning",
        expr=(
            "min by (instance) (ray_node_disk_free / (ray_node_disk_free + ray_node_disk_usage)) < 0.1"
        ),
        summary="The disk of Ray on {{ $labels.instance }} is nearly full",
        description="{{ $value | humanizePercentage }} are free; below 5 % Ray can no longer put objects on it.",
    ),
    Alert(
        name="DiskNearlyFull", group="disk", lasts="10m", severity="critical",
        expr="min(crypto_data_raw_free_bytes / crypto_data_raw_size_bytes) < 0.1",
        summary="The disk of the raw pages is nearly full",
        description="{{ $value | humanizePercentage }} are free; when nothing is, nothing is collected.",
    ),
    Alert(
        name="DiskFullSoon", group="disk", lasts="1h", severity="warning",
        expr=(
            "min(predict_linear(crypto_data_raw_free_bytes[6h], 4 * 86400)) < 0"
            " and min(crypto_data_raw_free_bytes / crypto_data_raw_size_bytes) < 0.5"
            " and min(crypto_data_raw_free_bytes offset 3h) > 0"
        ),
        summary="The disk of the raw pages will be full within four days",
        description="At the pace of the last six hours; told from three hours on.",
    ),
    Alert(
        name="BackupOld", group="backup", lasts="1h", severity="warning",
        expr="min(crypto_data_backup_age_seconds) > 2 * 86400",
        summary="The last backup is old",
        description="It is {{ $value | humanizeDuration }} old.",
    ),
    Alert(
        name="BackupUnknown", group="backup", lasts="1d", severity="warning",
        expr=(
            "absent(crypto_data_backup_age_seconds)"
            " unless on () (max(crypto_data_simulated) == 1)"
            f" unless on () {NOT_SCRAPED}"
        ),
        summary="No backup is known",
        description="Nobody ever said that a backup of this node is complete.",
    ),
)  # fmt: skip
