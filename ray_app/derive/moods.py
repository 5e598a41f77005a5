"""What texts said of assets at the end of each hour, from the store: a frame per asset as features take it."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal

import polars as pl

from ray_app.model.dataset import Dataset
from ray_app.model.timerange import TimeRange, ceil
from ray_app.process.linking import LINKER
from ray_app.process.sentiment.aggregate import WINDOWS, Kind
from ray_app.process.sentiment.hourly import State, hourly
from ray_app.process.sentiment.opinions import kind_of
from ray_app.store.heard import Heard
from ray_app.store.linked import KINDS
from ray_app.store.reading import NOW, Point
from ray_app.store.store import Store

HOUR = timedelta(hours=1)
LONGEST = max(WINDOWS.values())
INSTANT = timedelta(microseconds=1)


async def moods(
    store: Store, datasets: Iterable[Dataset], assets: Sequence[str], over: TimeRange, at: Point = NOW
) -> dict[str, pl.DataFrame]:
    """`hourly.SCHEMA` of each asset at the hours within `over`, its end included; nothing where no text was collected.

    Counted are the texts that are collected now, as they stood at each hour, by the model that is served.
    """
    known = list(datasets)
    kinds: dict[str, Kind] = {}
    for dataset in known:
        if dataset.by_id and (kind := kind_of(dataset.record, dataset.source)) is not None:
            kinds[dataset.name] = kind
    begun = await store.hearing.begun(list(kinds), LINKER, at) if kinds else None
    if begun is None:
        return {}
    reach = TimeRange(over.start - LONGEST, over.end + INSTANT)
    states: dict[str, list[State]] = {asset: [] for asset in assets}
    for record in KINDS:
        mine = [one.name for one in known if one.record is record and one.name in kinds]
        if not mine:
            continue
        heard = await store.hearing.texts(assets, reach, LINKER, record, mine, at)
        for one in heard:
            for asset, some in states_of(one, kinds[one.id.stream]).items():
                states[asset] += some
    first = ceil(over.start, HOUR)
    ends = [first + n * HOUR for n in range((over.end - first) // HOUR + 1)]
    return await asyncio.to_thread(lambda: {a: hourly(some, ends, begun) for a, some in states.items()})


def states_of(text: Heard, kind: Kind) -> Mapping[str, list[State]]:
    """The states of a text by asset: a new one whenever what is known of it changed."""
    moments = sorted({one.known_at for one in text.links} | {one.known_at for one in text.scores})
    out: dict[str, list[State]] = {}
    for place, since in enumerate(moments):
        link = next((one for one in reversed(text.links) if one.known_at <= since), None)
        said = next((one for one in reversed(text.scores) if one.known_at <= since), None)
        if link is None:
            continue
        until: datetime | None = moments[place + 1] if place + 1 < len(moments) else None
        for asset, sure in link.assets.items():
            state = State(
                kind=kind,
                at=text.at,
                since=since,
                until=until,
                link=float(sure),
                story=link.story,
                engagement=said.engagement if said is not None else 0,
                score=_float(said.score) if said is not None else None,
                confidence=_float(said.confidence) if said is not None else None,
            )
            out.setdefault(asset, []).append(state)
    return out


def _float(number: Decimal | None) -> float | None:
    return None if number is None else float(number)
