"""The dashboards; those of what answers are in boards_answering.

Every expression is run against a Prometheus that scraped a node; what gives no data fails a test.

Rates look back five minutes: with a scrape every 15 to 60 s there is always something to take a rate of.
"""

from ray_app.monitoring.alerts import ANSWERS, DUE, worst
from ray_app.monitoring.boards_answering import API, MODELS, RAY_BOARD
from ray_app.monitoring.panels import Board, Panel, Query

AGE, ALLOWED = worst("crypto_data_freshness_seconds"), worst("crypto_data_freshness_allowed_seconds")
TOO_OLD = f"{AGE} / on (dataset) {ALLOWED}"
COMPLETE = "min by (dataset) (crypto_data_completeness_ratio)"
DEAD = 'count(max by (dataset) (crypto_data_collector{crypto_data_collector="dead"}) == 1) or vector(0)'
FREE = "min(crypto_data_raw_free_bytes / crypto_data_raw_size_bytes)"
BACKUP = "min(crypto_data_backup_age_seconds)"


OVERVIEW = Board(
    name="overview", title="overview",
    panels=(
        Panel(
            title="Stale data sets", kind="stat", width=4, red=1, about="older than their cadence allows",
            queries=(Query(f"count({TOO_OLD} > 1) or vector(0)"),),
        ),
        Panel(
            title="Dead collectors", kind="stat", width=4, red=1, about="missed their own next run",
            queries=(Query(DEAD),),
        ),
        Panel(
            title="Least complete", kind="stat", width=4, unit="ratio", red=0.95, low_is_bad=True,
            about="of the required data sets, over the last 24 h",
            queries=(Query(f'min({COMPLETE} and on (dataset) crypto_data_freshness_seconds{{required="true"}})'),),
        ),
        Panel(
            title="Disk free", kind="stat", width=4, unit="ratio", red=0.1, low_is_bad=True,
            about="where raw pages are written", queries=(Query(FREE),),
        ),
        Panel(
            title="Backup", kind="stat", width=4, unit="seconds", red=172_800,
            about="age of the last complete one", queries=(Query(BACKUP),),
        ),
        Panel(
            title="Applications that do not run", kind="stat", width=4, red=1, about="of Ray Serve",
            queries=(Query(f"count({worst('ray_serve_application_status', 'application')} < 6) or vector(0)"),),
        ),
        Panel(
            title="Age against what is allowed", unit="ratio", about="above 100 % a data set is stale", red=1,
            queries=(Query(f"topk(10, {TOO_OLD})", "{{dataset}}"),),
        ),
        Panel(
            title="Parts", about="1 while a part is well",
            queries=(Query("min by (part) (crypto_data_part_up)", "{{part}}"),),
        ),
        Panel(
            title="Answers of the API", unit="rate", about="a second, by status",
            queries=(Query(f"sum by (status) (rate({ANSWERS}[5m]))", "{{status}}"),),
        ),
        Panel(
            title="Kind of data", kind="table", about="1 when the store holds simulated data",
            queries=(Query("max by (release) (crypto_data_simulated)"),),
        ),
    ),
)  # fmt: skip

COLLECTORS = Board(
    name="collectors", title="collectors",
    panels=(
        Panel(
            title="State", kind="table", about="what each collector does now",
            queries=(Query("max by (dataset, crypto_data_collector) (crypto_data_collector) == 1"),),
        ),
        Panel(
            title="Owners of leases", kind="table", about="one shard, one owner",
            queries=(Query("max by (shard, owner) (crypto_data_lease_info)"),),
        ),
        Panel(
            title="Takings of leases within an hour", about="more than a few mean that owners come and go", red=5,
            queries=(
                Query(worst("increase(crypto_data_lease_takings_total[1h])", "shard"), "{{shard}}"),
            ),
        ),
        Panel(
            title="Slices", unit="rate", about="committed a second, by outcome",
            queries=(Query("sum by (outcome) (rate(ray_crypto_data_slices_total[5m]))", "{{outcome}}"),),
        ),
        Panel(
            title="Rows", unit="rate", about="new facts and revisions a second",
            queries=(Query("sum(rate(ray_crypto_data_committed_rows_total[5m]))", "rows"),),
        ),
        Panel(
            title="Answers of upstreams", unit="rate", about="a second, by upstream and status",
            queries=(
                Query("sum by (source, status) (rate(ray_crypto_data_upstream_answers_total[5m]))",
                      "{{source}} {{status}}"),
            ),
        ),
        Panel(
            title="Time of upstreams", unit="seconds", about="to the whole answer, the slowest in twenty",
            queries=(
                Query(
                    "histogram_quantile(0.95, sum by (le, source) "
                    "(rate(ray_crypto_data_upstream_answer_seconds_bucket[5m])))",
                    "{{source}}",
                ),
            ),
        ),
        Panel(
            title="Errors", about="since each collector started, by reaction",
            queries=(
                Query("sum by (reaction) (max by (dataset, reaction) (crypto_data_collector_errors_total))",
                      "{{reaction}}"),
            ),
        ),
        Panel(
            title="Events that wait for the relay", about="more than a few for long: the relay is stuck",
            queries=(Query("max(crypto_data_outbox_waiting_rows)", "rows"),),
        ),
    ),
)  # fmt: skip

QUOTA = Board(
    name="quota", title="quota",
    panels=(
        Panel(
            title="Forecast of the month", unit="ratio", red=1, about="of the allowance, if it goes on as so far",
            queries=(
                Query(
                    worst("crypto_data_quota_month_forecast_calls", "scope") + " / "
                    + worst("crypto_data_quota_month_allowance_calls", "scope"),
                    "{{scope}}",
                ),
            ),
        ),
        Panel(
            title="Left of the month", unit="ratio", red=0.02, low_is_bad=True, about="of the allowance",
            queries=(
                Query(
                    worst("crypto_data_quota_month_left_calls", "scope") + " / "
                    + worst("crypto_data_quota_month_allowance_calls", "scope"),
                    "{{scope}}",
                ),
            ),
        ),
        Panel(
            title="Calls of this month", about="by whom the upstream meters",
            queries=(Query(worst("crypto_data_quota_month_spent_calls", "scope"), "{{scope}}"),),
        ),
        Panel(
            title="Limit in force", about="calls a window; it falls for a day when an upstream refuses",
            queries=(Query(worst("crypto_data_quota_limit_calls", "scope"), "{{scope}}"),),
        ),
    ),
)  # fmt: skip

QUALITY = Board(
    name="data-quality", title="data quality",
    panels=(
        Panel(
            title="Completeness", unit="ratio", red=0.95, low_is_bad=True, about="the ten least complete, of 24 h",
            queries=(Query(f"bottomk(10, {COMPLETE})", "{{dataset}}"),),
        ),
        Panel(
            title="Lost", unit="ratio", red=0.01, about="intervals that can no longer be had, of 24 h",
            queries=(
                Query(f"""topk(10, {worst('crypto_data_intervals{state="lost"}')} / {DUE})""", "{{dataset}}"),
            ),
        ),
        Panel(
            title="Intervals", about="of all data sets, of 24 h, by state",
            queries=(
                Query("sum by (state) (max by (dataset, state) (crypto_data_intervals))", "{{state}}"),
            ),
        ),
        Panel(
            title="Backlog", about="intervals that are due and not here yet, by data set",
            queries=(
                Query(
                    "topk(10, sum by (dataset) ("
                    + worst('crypto_data_intervals{state=~"late|failed"}', "dataset, state") + "))",
                    "{{dataset}}",
                ),
            ),
        ),
        Panel(
            title="Age", unit="seconds", about="of the newest observation, the ten oldest",
            queries=(Query(f"topk(10, {AGE})", "{{dataset}}"),),
        ),
        Panel(
            title="Fresh series", unit="ratio", red=0.9, low_is_bad=True, about="the ten with the fewest",
            queries=(
                Query(
                    "bottomk(10, " + worst('crypto_data_series{state="fresh"}') + " / "
                    + worst('crypto_data_series{state="expected"}') + ")",
                    "{{dataset}}",
                ),
            ),
        ),
        Panel(
            title="Rows set aside", about="of 24 h; they could not be read",
            queries=(Query(f"topk(10, {worst('crypto_data_set_aside_rows')})", "{{dataset}}"),),
        ),
        Panel(
            title="Rows read", about="of 24 h",
            queries=(Query(f"topk(10, {worst('crypto_data_read_rows')})", "{{dataset}}"),),
        ),
        Panel(
            title="Stored rows", about="revisions, all time",
            queries=(Query(f"topk(10, {worst('crypto_data_stored_rows')})", "{{dataset}}"),),
        ),
    ),
)  # fmt: skip

BOARDS = (OVERVIEW, COLLECTORS, QUOTA, QUALITY, API, MODELS, RAY_BOARD)
