"""What a replica of the gateway tells Ray's exporters of its requests."""

from ray.util.metrics import Counter, Histogram

from ray_app.observe.measures import REQUEST_SECONDS, REQUESTS


class RayRequests:
    """Counts in this process; its Ray node exports the sums, so that a scrape sees every replica."""

    def __init__(self) -> None:
        self._answers = Counter(REQUESTS.name, description=REQUESTS.meaning, tag_keys=REQUESTS.labels)
        self._seconds = Histogram(
            REQUEST_SECONDS.name,
            description=REQUEST_SECONDS.meaning,
            boundaries=list(REQUEST_SECONDS.boundaries),
            tag_keys=REQUEST_SECONDS.labels,
        )

    def add(self, route: str, status: int, seconds: float) -> None:
        self._answers.inc(1, {"route": route, "status": str(status)})
        self._seconds.observe(seconds, {"route": route})
