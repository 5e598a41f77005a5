"""What every answer has: unknown fields are kept, what is not known is None, lists can become Polars frames.

Prices and amounts are Decimals with every digit that the node told; scores, indicators and features are floats. Times
are aware and in UTC. `model_extra` holds what this client does not know yet.
"""

from datetime import datetime
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from pydantic import BaseModel, ConfigDict, Field

from ray_app.client.frames import frame_of

if TYPE_CHECKING:
    import polars as pl


JsonObject = dict[str, Any]


class Told(BaseModel):
    """Something that the node told. A time that it tells is never naive."""

    model_config = ConfigDict(extra="allow", frozen=True, populate_by_name=True, protected_namespaces=())


class Row(Told):
    """A line of a list."""


class LeftOut(Told):
    dataset: str
    series: str
    licence: str


class Gap(Row):
    """A run of intervals that are not there. `state`: late, failed, lost, empty_upstream or not_due."""

    dataset: str
    series: str
    from_: datetime = Field(alias="from")
    to: datetime
    state: str
    reason: str | None
    intervals: int


class Meta(Told):
    """How an answer came about. `condition`: available, degraded, pending or missing; `reasons` says why.

    `as_of`: asking again with it gives the same answer, for ever. `age_seconds`: of the newest observation in it.
    """

    as_of: datetime | None = None
    known_by: datetime | None = None
    generated_at: datetime | None = None
    age_seconds: float | None = None
    condition: str | None = None
    reasons: list[str] = Field(default_factory=list)
    source: str | None = None
    attribution: str | None = None
    simulated: bool | None = None
    gaps: list[Gap] = Field(default_factory=list)
    left_out: list[LeftOut] = Field(default_factory=list)
    cursor: str | None = None


class Answer(Told):
    meta: Meta


R = TypeVar("R", bound=Row)


class Rows(Answer, Generic[R]):
    """An answer that is a list."""

    data: list[R]

    @classmethod
    def row(cls) -> type[Row]:
        """What its lines are."""
        arguments = cls.model_fields["data"].annotation.__args__  # type: ignore[union-attr]  # list[...]
        return cast(type[Row], arguments[0])

    def to_polars(self, *, exact: bool = False) -> "pl.DataFrame":
        """One line a row: times as Datetime in UTC and milliseconds, numbers as Float64.

        With `exact` prices and amounts are of Polars' Decimal type with every digit. What is nested has columns of its
        own (`sentiment.score`), lists stay lists. Fields that this client does not know are left out.
        """
        return frame_of(self.row(), self.data, exact=exact)
