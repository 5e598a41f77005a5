"""The metrics of Ray itself that our rules and dashboards use, as Ray 2.60 exports them.

In HAProxy's mode Ray tells the same names from HAProxy's counters; HAProxy's own exporter is not needed.
"""

from ray_app.observe.measures import Measure

RAY: tuple[Measure, ...] = (
    Measure(
        "ray_serve_application_status", "gauge", "number",
        "1 DEPLOY_FAILED, 2 UNHEALTHY, 3 NOT_STARTED, 4 DELETING, 5 DEPLOYING, 6 RUNNING", ("application",),
    ),
    Measure(
        "ray_serve_deployment_status", "gauge", "number",
        "1 DEPLOY_FAILED, 2 UNHEALTHY, 3 UPDATING, 4 UPSCALING, 5 DOWNSCALING, 6 HEALTHY",
        ("application", "deployment"),
    ),
    Measure(
        "ray_serve_deployment_replica_healthy", "gauge", "0 or 1", "whether a replica is healthy",
        ("application", "deployment", "replica"),
    ),
    Measure(
        "ray_serve_replica_processing_queries", "gauge", "requests", "requests that a replica works on",
        ("application", "deployment", "replica"),
    ),
    Measure(
        "ray_serve_num_http_requests_total", "counter", "requests", "requests that reached Serve's proxy",
        ("application", "route", "status_code"),
    ),
    Measure(
        "ray_serve_num_http_error_requests_total", "counter", "requests", "of them, those answered with 4xx or 5xx",
        ("application", "error_code", "route"),
    ),
    Measure(
        "ray_serve_deployment_processing_latency_ms", "histogram", "milliseconds",
        "time that a replica takes for a request", ("application", "deployment", "replica", "route"),
    ),
    Measure("ray_node_cpu_utilization", "gauge", "percent", "processor of a Ray node", ("instance",)),
    Measure("ray_node_mem_used", "gauge", "bytes", "memory of a Ray node in use", ("instance",)),
    Measure("ray_node_mem_total", "gauge", "bytes", "memory of a Ray node", ("instance",)),
    Measure("ray_node_disk_free", "gauge", "bytes", "free on the disk of a Ray node", ("instance",)),
    Measure("ray_node_disk_usage", "gauge", "bytes", "used on the disk of a Ray node", ("instance",)),
    Measure("ray_actors", "gauge", "actors", "actors by state", ("State",)),
    Measure("ray_component_rss_mb", "gauge", "megabytes", "memory of the processes of a kind", ("Component",)),
)  # fmt: skip
