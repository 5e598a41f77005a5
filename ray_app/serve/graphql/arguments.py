"""The arguments that many fields take, and what they make the answer weigh."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any

import strawberry

from ray_app.serve.candles import LENGTH
from ray_app.serve.graphql.asking import Asking
from ray_app.serve.graphql.rows import Time
from ray_app.serve.points import instant
from ray_app.serve.problems import Problem
from ray_app.serve.queries import Moments
from ray_app.serve.rest.historical import DAYS, LONGEST, MOST_DAYS

Info = strawberry.Info[Asking, None]
AsOf = Annotated[Time | None, strawberry.argument(description="what this node would have answered then")]
KnownBy = Annotated[
    Time | None,
    strawberry.argument(description="only what anyone could have known then, whenever it was collected"),
]
First = Annotated[int, strawberry.argument(description="rows of the page, 1 to 1000")]
After = Annotated[str | None, strawberry.argument(description="pageInfo.endCursor of the page before")]
READ_TOLD = 10  # candles that are read weigh as one value that is told
WORDS = 500  # what looking for words in texts weighs, in values


def given(
    first: int, after: str | None, as_of: str | None, known_by: str | None, **more: Any
) -> dict[str, Any]:
    """The arguments of a paged field, as the models of REST's queries take them."""
    return {"limit": first, "cursor": after, "as_of": as_of, "known_by": known_by, **more}


def moments_of(as_of: str | None, known_by: str | None) -> Moments:
    return Moments(as_of=as_of, known_by=known_by)


def listed(names: list[str] | None) -> str | None:
    """As the routes of REST take a list."""
    return None if names is None else ",".join(names)


def rows(arguments: Mapping[str, Any]) -> int:
    """How many rows a page has at most."""
    return int(arguments["first"])


def assets(arguments: Mapping[str, Any]) -> int:
    """How many assets are named."""
    return len(arguments["symbols"])


def candles_read(arguments: Mapping[str, Any]) -> int:
    """What reading the whole range of candles weighs, of which a page is told."""
    step = LENGTH.get(arguments["interval"], min(LENGTH.values()))
    days = arguments.get("days") or DAYS
    length = timedelta(days=min(max(0, days), MOST_DAYS))  # beyond them the field is refused
    if arguments.get("start") is not None:
        length = LONGEST  # up to now, as far as is told at once
        try:
            end = arguments.get("end")
            if end is not None:
                length = min(length, instant(end, "end") - instant(arguments["start"], "start"))
        except Problem:  # the field says what is wrong with it
            return 0
    return max(0, min(length, LONGEST) // step // READ_TOLD)


def words_read(arguments: Mapping[str, Any]) -> int:
    return 0 if arguments.get("q") is None else WORDS
