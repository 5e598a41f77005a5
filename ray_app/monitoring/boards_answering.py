"""The dashboards of what answers: the API, the models, Ray itself."""

from ray_app.monitoring.alerts import ANSWERS, OPS, worst
from ray_app.monitoring.panels import Board, Panel, Query

ERRORS = f'(sum(rate({ANSWERS}{{status=~"5.."}}[5m])) or vector(0)) / sum(rate({ANSWERS}[5m]))'


def _quantile(share: str, more: str = "") -> str:
    rate = f"rate(ray_crypto_data_request_duration_seconds_bucket{{{more}}}[5m])"
    return f"histogram_quantile({share}, sum by (le) ({rate}))"


API = Board(
    name="api", title="API",
    panels=(
        Panel(
            title="Answers", unit="rate", about="a second, by status",
            queries=(Query(f"sum by (status) (rate({ANSWERS}[5m]))", "{{status}}"),),
        ),
        Panel(
            title="Share of errors", unit="ratio", red=0.01, about="5xx of all", queries=(Query(ERRORS, "5xx"),),
        ),
        Panel(
            title="Latency", unit="seconds", about="to the end of the answer, without scrapes and models",
            queries=tuple(
                Query(_quantile(share, f'route!~"{OPS}"'), name)
                for share, name in (("0.5", "half"), ("0.95", "19 in 20"), ("0.99", "99 in 100"))
            ),
        ),
        Panel(
            title="Latency by route", unit="seconds", about="average, the ten slowest",
            queries=(
                Query(
                    "topk(10, sum by (route) (rate(ray_crypto_data_request_duration_seconds_sum[5m])) / "
                    "(sum by (route) (rate(ray_crypto_data_request_duration_seconds_count[5m])) > 0))",
                    "{{route}}",
                ),
            ),
        ),
        Panel(
            title="Answers by route", unit="rate", about="a second, the ten most asked",
            queries=(Query(f"topk(10, sum by (route) (rate({ANSWERS}[5m])))", "{{route}}"),),
        ),
        Panel(
            title="Requests in work", about="by application of Serve; an open stream counts as one",
            queries=(
                Query("sum by (application) (ray_serve_replica_processing_queries)", "{{application}}"),
            ),
        ),
        Panel(
            title="At Serve's proxy", unit="rate",
            about="requests, and those that ended with 4xx or 5xx, also without a replica",
            queries=(
                Query("sum by (application) (rate(ray_serve_num_http_requests_total[5m]))", "{{application}}"),
                Query(
                    "sum by (error_code) (rate(ray_serve_num_http_error_requests_total[5m]))", "error {{error_code}}"
                ),
            ),
        ),
    ),
)  # fmt: skip

MODELS = Board(
    name="models", title="models",
    panels=(
        Panel(
            title="Models", about="1 while a model can be loaded",
            queries=(Query('min by (part) (crypto_data_part_up{part=~"(scoring|models)[.].*"})', "{{part}}"),),
        ),
        Panel(
            title="Texts of three days", about="scored, without a score for a reason, waiting",
            queries=(Query("max by (texts, state) (crypto_data_texts)", "{{texts}} {{state}}"),),
        ),
        Panel(
            title="Shares of the labels", unit="ratio", about="of the scores of 24 h",
            queries=(
                Query(
                    "max by (texts, label) (crypto_data_scores) / on (texts) group_left () "
                    "sum by (texts) (max by (texts, label) (crypto_data_scores))",
                    "{{texts}} {{label}}",
                ),
            ),
        ),
        Panel(
            title="Drift", unit="ratio", red=0.25, about="of the shares, against the 28 days before",
            queries=(Query(worst("crypto_data_score_drift_ratio", "texts"), "{{texts}}"),),
        ),
        Panel(
            title="Features worked out again", kind="table", about="equal and differing rows",
            queries=(Query(worst("crypto_data_feature_skew_rows", "state")),),
        ),
        Panel(
            title="Largest difference of a feature", kind="stat", width=6, about="0 when all is well",
            queries=(Query("max(crypto_data_feature_skew)"),),
        ),
        Panel(
            title="Last looked at", kind="stat", width=6, unit="seconds", about="jobs/check_skew.py",
            queries=(Query("min(crypto_data_feature_skew_age_seconds)"),),
        ),
        Panel(
            title="Money", unit="dollars", about="of this month, for second opinions",
            queries=(Query("max by (scope, state) (crypto_data_money_dollars)", "{{scope}} {{state}}"),),
        ),
        Panel(
            title="Without a second opinion", about="waiting, and left out of this month",
            queries=(Query("max by (scope, state) (crypto_data_advanced_texts)", "{{scope}} {{state}}"),),
        ),
    ),
)  # fmt: skip

RAY_BOARD = Board(
    name="ray", title="Ray",
    panels=(
        Panel(
            title="Applications", about="6 is RUNNING, 5 DEPLOYING, 2 UNHEALTHY, 1 DEPLOY_FAILED",
            queries=(Query(worst("ray_serve_application_status", "application"), "{{application}}"),),
        ),
        Panel(
            title="Deployments", about="6 is HEALTHY, 3 UPDATING, 2 UNHEALTHY, 1 DEPLOY_FAILED",
            queries=(
                Query(worst("ray_serve_deployment_status", "application, deployment"), "{{deployment}}"),
            ),
        ),
        Panel(
            title="Healthy replicas", about="by deployment",
            queries=(
                Query("sum by (deployment) (ray_serve_deployment_replica_healthy)", "{{deployment}}"),
            ),
        ),
        Panel(
            title="Time in replicas", unit="milliseconds", about="the slowest request in twenty, by deployment",
            queries=(
                Query(
                    "histogram_quantile(0.95, sum by (le, deployment) "
                    "(rate(ray_serve_deployment_processing_latency_ms_bucket[5m])))",
                    "{{deployment}}",
                ),
            ),
        ),
        Panel(
            title="Processor", unit="percent", about="by node of Ray",
            queries=(Query("max by (instance) (ray_node_cpu_utilization)", "{{instance}}"),),
        ),
        Panel(
            title="Memory", unit="ratio", red=0.9, about="by node of Ray; at 95 % Ray kills workers",
            queries=(
                Query("max by (instance) (ray_node_mem_used / ray_node_mem_total)", "{{instance}}"),
            ),
        ),
        Panel(
            title="Disk free", unit="ratio", red=0.1, low_is_bad=True, about="by node of Ray",
            queries=(
                Query(
                    "min by (instance) (ray_node_disk_free / (ray_node_disk_free + ray_node_disk_usage))",
                    "{{instance}}",
                ),
            ),
        ),
        Panel(
            title="Actors", about="by state",
            queries=(Query("sum by (State) (ray_actors)", "{{State}}"),),
        ),
        Panel(
            title="Memory of processes", unit="count", about="megabytes, by kind",
            queries=(Query("topk(10, sum by (Component) (ray_component_rss_mb))", "{{Component}}"),),
        ),
    ),
)  # fmt: skip
