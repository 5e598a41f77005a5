"""What the node says that it collects: a line per stream, stored at start, read by everyone else."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from ray_app.model.completeness import Schedule
from ray_app.model.records import Bar, ExchangeRate, MarketPoint, Price, Record
from ray_app.model.series import (
    FundingRate,
    MarketTotals,
    Metric,
    MoodIndex,
    Observation,
    OpenInterest,
    Trending,
)
from ray_app.model.source import Plan, Source, Stream
from ray_app.model.texts import Article, Post
from ray_app.model.timerange import ALWAYS, EVER, NEVER, Coverage, TimeRange

KINDS = (
    Price,
    ExchangeRate,
    MarketPoint,
    Bar,
    Observation,
    Metric,
    MoodIndex,
    FundingRate,
    OpenInterest,
    MarketTotals,
    Trending,
    Article,
    Post,
)
RECORDS: dict[str, type[Record]] = {kind.__name__: kind for kind in KINDS}


def declare(
    source: Source,
    plan: Plan,
    stream: Stream,
    partitions: tuple[str, ...],
    reach: timedelta,
    *,
    missing: str = "",
    lives: Mapping[str, Coverage] = {},
) -> dict[str, Any]:
    """The stream's declaration as JSON types. `missing` names the setting without which it cannot run."""
    offers = stream.offers
    return {
        "source": source.name,
        "stream": stream.name,
        "plan": plan.name,
        "record": stream.record.__name__,
        "describes": stream.describes,
        "every_seconds": stream.every.total_seconds(),
        "grain_seconds": stream.grain.total_seconds(),
        "settle_seconds": stream.settle.total_seconds(),
        "offers_seconds": offers.total_seconds() if isinstance(offers, timedelta) else None,
        "offers_since": offers.isoformat() if isinstance(offers, datetime) else None,
        "reach_seconds": 0.0 if offers is None else reach.total_seconds(),
        "attempts": stream.attempts,
        "batch": stream.batch,
        "required": stream.required,
        "unit": stream.unit,
        "topic": stream.topic,
        "parser": stream.parser,
        "patience_seconds": stream.patience.total_seconds(),
        "quiet_seconds": stream.quiet.total_seconds() if stream.quiet is not None else None,
        "llm_allowed": source.llm_allowed,
        "about": {
            p: {"title": a.title, "unit": a.unit, "licence": a.licence, "frequency": a.frequency}
            for p, a in stream.about.items()
        },
        "licence": source.licence,
        "attribution": source.attribution,
        "docs": source.docs,
        "partitions": list(partitions),
        "lives": {p: _ends(life) for p, life in lives.items() if p in partitions and life != ALWAYS},
        "not_configured": missing,
    }


def _ends(life: Coverage) -> list[list[str | None]]:
    """Each range's start and end, None where it is open."""
    return [
        [
            None if one.start == EVER else one.start.isoformat(),
            None if one.end == NEVER else one.end.isoformat(),
        ]
        for one in life.ranges
    ]


def lives(declared: Mapping[str, Any]) -> dict[str, Coverage]:
    """The lives of the series that have not always been; lines from before there were lives have none."""
    return {
        partition: Coverage(
            tuple(
                TimeRange(
                    datetime.fromisoformat(start) if start else EVER,
                    datetime.fromisoformat(end) if end else NEVER,
                )
                for start, end in ends
            )
        )
        for partition, ends in declared.get("lives", {}).items()
    }


def schedule(declared: dict[str, Any]) -> Schedule:
    """What is expected of each of the stream's series while it lives, from the declaration and its `declared_at`."""
    since, span = declared["offers_since"], declared["offers_seconds"]
    return Schedule(
        grain=timedelta(seconds=declared["grain_seconds"]),
        every=timedelta(seconds=declared["every_seconds"]),
        settle=timedelta(seconds=declared["settle_seconds"]),
        offers=datetime.fromisoformat(since) if since else timedelta(seconds=span) if span else None,
        wanted_from=declared["declared_at"] - timedelta(seconds=declared["reach_seconds"]),
    )


def record_of(declared: dict[str, Any]) -> type[Record]:
    return RECORDS[declared["record"]]
