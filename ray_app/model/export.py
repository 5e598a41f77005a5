"""What an export is asked to hold, and what became of it. Both are kept as JSON in the store."""

from datetime import datetime, timedelta
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from ray_app.model.records import Instant
from ray_app.model.timerange import TimeRange
from ray_app.model.written import text

State = Literal["queued", "running", "done", "failed", "expired"]
UNDER_WAY: tuple[State, ...] = ("queued", "running")
SENTIMENT, FEATURES, TRAINING_SET = "sentiment", "features", "training_set"
COMPUTED = (FEATURES, TRAINING_SET)  # rows of hours; all other kinds are rows of data sets
REST_OF_IT = timedelta(microseconds=999)  # a moment means its whole millisecond


class _Kept(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Part(_Kept):
    """Some series of one data set; `start`, `end`: of the time only in which they were what was asked for."""

    dataset: str
    series: tuple[str, ...]
    start: Instant | None = None
    end: Instant | None = None

    def within(self, over: TimeRange) -> TimeRange:
        return TimeRange(self.start or over.start, self.end or over.end)


class Terms(_Kept):
    """On what terms a source's rows may be used."""

    dataset: str
    source: str
    licence: str
    attribution: str


class ExportRequest(_Kept):
    """All that decides the rows: the same request has the same rows whenever it is worked out.

    `what`: a table of records, or SENTIMENT, FEATURES, TRAINING_SET. `start`, `end`: of the time by which the kind is
    read, end not included. `parts`: what is read, for rows of data sets. `assets`: ids, for rows of features and for
    sentiment (none: of all); symbols of features for a training set. `names`: the features. `asked`: the body as it
    was sent.
    """

    what: str
    start: Instant
    end: Instant
    as_of: Instant
    known_by: Instant | None = None
    parts: tuple[Part, ...] = ()
    assets: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    feature_set: str | None = None
    horizons: tuple[int, ...] = ()
    terms: tuple[Terms, ...] = ()
    left_out: tuple[dict[str, str], ...] = ()
    asked: dict[str, Any]

    @property
    def over(self) -> TimeRange:
        return TimeRange(self.start, self.end)

    @property
    def bounds(self) -> tuple[datetime, datetime | None]:
        """as_of and known_by with the rest of their milliseconds."""
        return self.as_of + REST_OF_IT, None if self.known_by is None else self.known_by + REST_OF_IT


class Piece(_Kept):
    """What becomes one file: some series of a data set (of all that was asked for without one) over a range.

    Pieces of one `group` belong together: they have `counted` rows in sum, by a count that reads no row.
    """

    name: str
    dataset: str | None
    series: tuple[str, ...]
    start: Instant
    end: Instant
    group: int
    counted: int

    @property
    def over(self) -> TimeRange:
        return TimeRange(self.start, self.end)


class Made(_Kept):
    """A piece that is done: `rows` as they were read, `written` as the file says. No file where there are none."""

    piece: Piece
    rows: int
    written: int
    bytes: int
    sha256: str
    columns: tuple[tuple[str, str], ...]  # name and type in Arrow's words


def moment(value: datetime | None) -> str | None:
    """As the API tells times: UTC, to the millisecond."""
    return None if value is None else text(value)
