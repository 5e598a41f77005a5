"""Answers of an upstream, given one after the other to a source that asks for them."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

from ray_app.model.errors import UpstreamError
from ray_app.model.source import Page, Slice, Stream
from ray_app.model.timerange import TimeRange

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)


def page(
    body: Any,
    status: int = 200,
    path: str = "/",
    at: datetime = NOON,
    headers: Mapping[str, str] | None = None,
) -> Page:
    """An answer; what is not bytes is told as JSON."""
    return Page(
        source="a source",
        stream="a stream",
        path=path,
        params={},
        status=status,
        headers=headers or {},
        body=body if isinstance(body, bytes) else json.dumps(body).encode(),
        asked_at=at,
        received_at=at,
    )


def over(stream: Stream, *partitions: str, start: datetime = NOON, length: timedelta | None = None) -> Slice:
    return Slice(partitions, TimeRange(start, start + (length or stream.grain)))


@dataclass
class Replies:
    """An Api that gives these answers in their order and remembers what it was asked; an error is raised."""

    answers: Iterable[Page | UpstreamError]
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._left = iter(self.answers)

    async def get(self, path: str, **params: str | int) -> Page:
        self.asked.append((path, {name: str(value) for name, value in params.items()}))
        answer = next(self._left)
        if isinstance(answer, UpstreamError):
            raise answer
        return answer


@dataclass(frozen=True)
class Recording:
    name: str
    method: str
    page: Page


def recordings(folder: Path) -> Sequence[Recording]:
    """Every recorded exchange of a folder of X.meta.json and X.body.*, in the order of names."""
    out = []
    for path in sorted(folder.glob("*.meta.json")):
        meta: Mapping[str, Any] = json.loads(path.read_text())
        answer, asked = meta["response"], meta["request"]
        headers = {name.lower(): value for name, value in answer["headers"].items()}
        at = parsedate_to_datetime(headers["date"]) if "date" in headers else NOON
        body = folder / (answer.get("body_file") or "-")
        told = body.read_bytes() if body.is_file() else b""
        where = asked["uri"].partition("://")[2].partition("/")[2].partition("?")[0]
        answered = page(told, answer["status"], f"/{where}", at)
        answered = Page(
            **{**{n: getattr(answered, n) for n in answered.__dataclass_fields__}, "headers": headers}
        )
        out.append(Recording(path.name.removesuffix(".meta.json"), asked["method"], answered))
    return out
