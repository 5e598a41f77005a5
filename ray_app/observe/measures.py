"""Every metric of the node, declared once: name, kind, unit, meaning, labels, and how many series it can have.

The gateway's are read from the store at each scrape of /metrics. Those of actors and replicas are Ray's own
custom metrics: a scrape of Ray's exporters shows them with `ray_` in front and labels of Ray's beside theirs.
"""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["gauge", "counter", "histogram", "states"]
PER_DATASET, PER_SCOPE, PER_SHARD = "one a data set", "one a quota scope", "one a lease"
DAY = "of the last 24 h"


@dataclass(frozen=True, slots=True)
class Measure:
    """`bound`: how many series there are, in words; `states`: one series for each state, 1 for the one it is in."""

    name: str
    kind: Kind
    unit: str
    meaning: str
    labels: tuple[str, ...] = ()
    bound: str = "one"
    boundaries: tuple[float, ...] = ()  # of a histogram

    @property
    def family(self) -> str:
        """As OpenMetrics names the family: a counter's without `_total`."""
        return self.name.removesuffix("_total") if self.kind == "counter" else self.name


GATEWAY: tuple[Measure, ...] = (
    Measure("crypto_data_simulated", "gauge", "0 or 1", "1 when the store holds simulated data", ("release",)),
    Measure(
        "crypto_data_part_up", "gauge", "0 or 1",
        "1 while a part is well: store, redis, models; `required`: whether the node is down without it",
        ("part", "required"), "one a part, at most 10",
    ),
    Measure(
        "crypto_data_freshness_seconds", "gauge", "seconds", "age of the newest observation",
        ("dataset", "required"), PER_DATASET,
    ),
    Measure(
        "crypto_data_freshness_allowed_seconds", "gauge", "seconds",
        "age up to which all is well, by the cadence of the data set", ("dataset",), PER_DATASET,
    ),
    Measure(
        "crypto_data_series", "gauge", "series", "series expected, and how many of them are fresh",
        ("dataset", "state"), "two a data set",
    ),
    Measure(
        "crypto_data_completeness_ratio", "gauge", "0 to 1",
        f"of the intervals that were due {DAY}, those collected or empty upstream", ("dataset",), PER_DATASET,
    ),
    Measure(
        "crypto_data_intervals", "gauge", "intervals", f"intervals {DAY} by state", ("dataset", "state"),
        "six a data set",
    ),
    Measure(
        "crypto_data_read_rows", "gauge", "rows", f"rows read {DAY}, of what was due then", ("dataset",), PER_DATASET
    ),
    Measure(
        "crypto_data_set_aside_rows", "gauge", "rows", f"rows {DAY} that could not be read", ("dataset",), PER_DATASET
    ),
    Measure("crypto_data_stored_rows", "gauge", "rows", "revisions in the store", ("dataset",), PER_DATASET),
    Measure(
        "crypto_data_collector", "states", "0 or 1",
        "what the collector does: waiting, collecting, refused, dead, not_started", ("dataset",), "five a data set",
    ),
    Measure(
        "crypto_data_collector_errors_total", "counter", "errors", "errors by reaction since the collector started",
        ("dataset", "reaction"), "ten a data set",
    ),
    Measure("crypto_data_quota_limit_calls", "gauge", "calls", "calls per window in force", ("scope",), PER_SCOPE),
    Measure("crypto_data_quota_month_spent_calls", "gauge", "calls", "calls of this month", ("scope",), PER_SCOPE),
    Measure(
        "crypto_data_quota_month_allowance_calls", "gauge", "calls",
        "calls that a month allows; absent where the upstream has no monthly allowance", ("scope",), PER_SCOPE,
    ),
    Measure(
        "crypto_data_quota_month_left_calls", "gauge", "calls", "calls left of this month's allowance",
        ("scope",), PER_SCOPE,
    ),
    Measure(
        "crypto_data_quota_month_forecast_calls", "gauge", "calls",
        "calls at the end of this month if spending goes on as so far; absent in its first hour", ("scope",), PER_SCOPE,
    ),
    Measure(
        "crypto_data_money_dollars", "gauge", "US dollars",
        "of this month's budget for a language model, spent and left",
        ("scope", "state"), "two a scope that charges",
    ),
    Measure(
        "crypto_data_advanced_texts", "gauge", "texts",
        "texts without a second opinion: waiting, and left out of this month",
        ("scope", "state"), "two a scope that charges",
    ),
    Measure(
        "crypto_data_lease_info", "gauge", "1", "who owns a lease now; absent while nobody does",
        ("shard", "owner"), PER_SHARD,
    ),
    Measure(
        "crypto_data_lease_takings_total", "counter", "takings", "how often a lease was taken, by anyone",
        ("shard",), PER_SHARD,
    ),
    Measure(
        "crypto_data_outbox_waiting_rows", "gauge", "rows", "committed events that the relay has not numbered yet"
    ),
    Measure(
        "crypto_data_texts", "gauge", "texts",
        "texts of the last 3 days by what the model says of them: scored, without a score (`reason`), or waiting",
        ("texts", "state"), "three a kind of text",
    ),
    Measure(
        "crypto_data_scores", "gauge", "scores", f"scores {DAY} by label", ("texts", "label"), "three a kind of text"
    ),
    Measure(
        "crypto_data_score_drift_ratio", "gauge", "0 to 1",
        "how far the shares of the labels of the last 24 h are from those of the 28 days before: half of the sum of "
        "the differences; absent with fewer than 100 scores on either side",
        ("texts",), "one a kind of text",
    ),
    Measure(
        "crypto_data_feature_skew", "gauge", "of the feature",
        "largest difference between a stored feature and the same worked out again",
    ),
    Measure(
        "crypto_data_feature_skew_rows", "gauge", "rows", "rows that were worked out again: equal, differing",
        ("state",), "two",
    ),
    Measure("crypto_data_feature_skew_age_seconds", "gauge", "seconds", "time since rows were last worked out again"),
    Measure("crypto_data_raw_free_bytes", "gauge", "bytes", "free on the disk of raw pages; absent for a bucket"),
    Measure("crypto_data_raw_size_bytes", "gauge", "bytes", "size of the disk of raw pages; absent for a bucket"),
    Measure(
        "crypto_data_backup_age_seconds", "gauge", "seconds",
        "time since the last complete backup was begun, seen within five minutes; absent before the first one",
    ),
)  # fmt: skip

REQUESTS = Measure(
    "crypto_data_requests_total", "counter", "answers", "answers of the API", ("route", "status"),
    "one a route and status, some 200 a replica",
)  # fmt: skip
REQUEST_SECONDS = Measure(
    "crypto_data_request_duration_seconds", "histogram", "seconds", "time from a request to the end of its answer",
    ("route",), "ten a route and replica, some 500", (0.005, 0.02, 0.05, 0.1, 0.25, 1.0, 2.5, 10.0),
)  # fmt: skip
SLICES = Measure(
    "crypto_data_slices_total", "counter", "slices", "slices that were committed, by outcome", ("dataset", "outcome"),
    "five a data set",
)  # fmt: skip
ROWS = Measure(
    "crypto_data_committed_rows_total", "counter", "rows", "rows that were committed as new facts or revisions",
    (), "one a shard",
)  # fmt: skip
ANSWERS = Measure(
    "crypto_data_upstream_answers_total", "counter", "answers", "answers of upstreams, by HTTP status",
    ("source", "status"), "ten a source and shard",
)  # fmt: skip
ANSWER_SECONDS = Measure(
    "crypto_data_upstream_answer_seconds", "histogram", "seconds", "time from asking an upstream to its whole answer",
    ("source",), "eight a source and shard", (0.1, 0.25, 0.5, 1.0, 2.5, 10.0),
)  # fmt: skip
ACTORS: tuple[Measure, ...] = (REQUESTS, REQUEST_SECONDS, SLICES, ROWS, ANSWERS, ANSWER_SECONDS)
