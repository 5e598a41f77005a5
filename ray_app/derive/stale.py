"""Which rows of features a change of a fact may change."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from ray_app.model.records import Bar, MarketPoint, Price, Record
from ray_app.model.series import FundingRate, MarketTotals, Metric, MoodIndex, Observation, OpenInterest
from ray_app.model.texts import Article, Post
from ray_app.model.timerange import TimeRange, ceil, floor
from ray_app.process.features.catalogue import FEATURES
from ray_app.process.features.inputs import HOUR
from ray_app.process.sentiment.aggregate import WINDOWS
from ray_app.store.ledger import Change

KINDS: Mapping[type[Record], str] = {
    Bar: "bars", Price: "points", MarketPoint: "points", Observation: "observations", Metric: "metrics",
    MoodIndex: "mood", MarketTotals: "totals", FundingRate: "funding", OpenInterest: "open_interest",
    Article: "sentiment", Post: "sentiment",
}  # fmt: skip


def reach(record: type[Record]) -> timedelta | None:
    """How long after its time a record is still looked at by a feature; None: by none."""
    kind = KINDS.get(record)
    backs = [one.lookback for one in FEATURES if any(s.partition(" ")[0] == kind for s in one.inputs)]
    if not backs:
        return None
    return max(backs) + (max(WINDOWS.values()) if kind == "sentiment" else timedelta(0))


def affected(
    changes: Iterable[Change], records: Mapping[str, type[Record]], before: datetime
) -> list[TimeRange]:
    """Per change the hours up to `before` whose rows may depend on it; `records`: the kind of each stream."""
    out = []
    for one in changes:
        record = records.get(one.stream)
        far = reach(record) if record is not None else None
        if far is None:
            continue
        start, end = floor(one.range.start, HOUR), min(ceil(one.range.end + far, HOUR), before)
        if start < end:
            out.append(TimeRange(start, end))
    return out
