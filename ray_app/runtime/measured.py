"""What a collector tells Ray's exporters of its work: slices, rows, and how upstreams answer."""

from collections.abc import Sequence
from typing import Protocol

from ray_app.model.collected import Collected
from ray_app.model.source import Page
from ray_app.observe.measures import ANSWER_SECONDS, ANSWERS, ROWS, SLICES
from ray_app.store.facts import Committed


class Measured(Protocol):
    def committed(self, collected: Sequence[Collected], done: Committed) -> None: ...
    def answered(self, page: Page) -> None: ...


class Unmeasured:
    """Outside of Ray nobody exports anything."""

    def committed(self, collected: Sequence[Collected], done: Committed) -> None: ...
    def answered(self, page: Page) -> None: ...


class RayMeasured:
    """Counts in this process; its Ray node exports the sums."""

    def __init__(self) -> None:
        from ray.util.metrics import Counter, Histogram  # here, since commands open parts without Ray

        self._slices, self._rows, self._answers = (
            Counter(one.name, description=one.meaning, tag_keys=one.labels) for one in (SLICES, ROWS, ANSWERS)
        )
        self._seconds = Histogram(
            ANSWER_SECONDS.name,
            description=ANSWER_SECONDS.meaning,
            boundaries=list(ANSWER_SECONDS.boundaries),
            tag_keys=ANSWER_SECONDS.labels,
        )

    def committed(self, collected: Sequence[Collected], done: Committed) -> None:
        for one in collected:
            self._slices.inc(1, {"dataset": one.name, "outcome": one.outcome})
        if done.new + done.revised:
            self._rows.inc(done.new + done.revised)

    def answered(self, page: Page) -> None:
        self._answers.inc(1, {"source": page.source, "status": str(page.status)})
        self._seconds.observe((page.received_at - page.asked_at).total_seconds(), {"source": page.source})
