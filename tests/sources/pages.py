"""Answers for tests of sources: a page as it came, and an Api that gives prepared ones and judges them."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from ray_app.connect.judge import judge
from ray_app.model.source import Page, Slice, Source
from ray_app.model.timerange import TimeRange

Answer = tuple[int, bytes]  # status, body


def utc(told: str) -> datetime:
    return datetime.fromisoformat(told).replace(tzinfo=UTC)


def over(start: str, end: str, *partitions: str) -> Slice:
    """The slice of these partitions from `start` to `end`, both like 2026-06-01 or 2026-06-01T10:00."""
    return Slice(partitions, TimeRange(utc(start), utc(end)))


def page(source: Source, body: bytes, at: datetime, path: str = "", status: int = 200, **params: str) -> Page:
    return Page(
        source=source.name, stream="tested", path=path, params=params, status=status, headers={}, body=body,
        asked_at=at, received_at=at,
    )  # fmt: skip


@dataclass
class Prepared:
    """An Api whose answers are made from what is asked; each is judged as a real one would be."""

    source: Source
    answer: Callable[[str, dict[str, str]], Answer]
    at: datetime = datetime(2026, 6, 1, 12, tzinfo=UTC)
    asked: list[dict[str, str]] = field(default_factory=list)

    async def get(self, path: str, **params: str | int) -> Page:
        told = {name: str(value) for name, value in params.items()}
        self.asked.append(told)
        status, body = self.answer(path, told)
        made = page(self.source, body, self.at, path, status, **told)
        judge(self.source, made)
        return made
