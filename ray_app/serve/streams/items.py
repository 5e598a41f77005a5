"""One event as clients get it, and what is sent of it. Clients that want the same share what was encoded once."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, Protocol

from ray_app.serve.wire import dumps, text


class Cutting(Protocol):
    """Writes messages as a client has worded them; clients with the same wording share one, and what it made."""

    def of_item(self, item: "Item", *, internal: bool) -> str | None:
        """An event as it is sent; None when such a key may not have it, or wants nothing of it."""

    def of_message(self, message: Mapping[str, Any]) -> str | None:
        """The same of a message of ours that is no event."""


Form = Literal["frames", "batches", "sse"] | Cutting
MOST_IN_FRAME = 100  # messages of a batch
MOST_ENTRIES = 8  # ways of cutting one item that are kept


@dataclass(slots=True, eq=False)
class Item:
    """One numbered event. `whole` is for keys marked internal; `open_` for others, None: not for them at all.

    `assets`: whom it is about, by id or ticker; None: it concerns everybody. `about`: what it is a word on (an asset, a
    text), and `rank` the time of that word, where the newest is part of a snapshot. `size`: bytes, about.
    """

    number: int
    type: str
    whole: Mapping[str, Any]
    open_: Mapping[str, Any] | None
    assets: frozenset[str] | None
    about: str | None = None
    rank: datetime | None = None
    size: int = 0
    _entries: dict[tuple[frozenset[str] | None, bool], str | None] = field(default_factory=dict)

    def entry(self, fields: frozenset[str] | None, internal: bool) -> str | None:
        """As a JSON object without type and cursor; None when such a key may not have it."""
        place = (fields, internal)
        if place in self._entries:
            return self._entries[place]
        body = self.whole if internal else self.open_
        if body is not None and fields is not None and "data" in body:
            body = {**body, "data": {k: v for k, v in body["data"].items() if k in fields}}
        entry = None if body is None else dumps(body).decode()
        if len(self._entries) < MOST_ENTRIES:
            self._entries[place] = entry
        return entry

    def message(self, view: "View") -> str | None:
        """As a JSON object; None when it is not for this view."""
        if not view.wants(self.assets):
            return None
        if not isinstance(view.form, str):
            return view.form.of_item(self, internal=view.internal)
        entry = self.entry(view.fields, view.internal)
        return None if entry is None else f'{{"type":"{self.type}",{entry[1:-1]},"cursor":{self.number}}}'


@dataclass(frozen=True, slots=True)
class View:
    """What of a stream a client gets, and in which form. `everything`: of all assets, else of these."""

    everything: bool = False
    assets: frozenset[str] = frozenset()
    fields: frozenset[str] | None = None
    internal: bool = False
    form: Form = "frames"

    def wants(self, assets: frozenset[str] | None) -> bool:
        return self.everything or (
            bool(self.assets) if assets is None else not self.assets.isdisjoint(assets)
        )


@dataclass(frozen=True, slots=True)
class Frames:
    """What is sent together: texts of WebSocket frames, or bytes of an event stream; shared among clients."""

    payloads: tuple[str | bytes, ...]
    messages: int
    size: int


def frames_of(view: View, items: Iterable[Item]) -> Frames | None:
    """These items for a view; None when there is nothing for it in them."""
    found = [(one, made) for one in items if (made := one.message(view)) is not None]
    if not found:
        return None
    if view.form == "sse":
        return sse_frames([(one.type, one.number, made) for one, made in found])
    return text_frames([made for _, made in found], view.form)


def text_frames(texts: Sequence[str], form: Form) -> Frames:
    """Messages of a WebSocket: one a frame, or many as a JSON list."""
    payloads: tuple[str, ...] = tuple(texts)
    if form == "batches":
        parts = (texts[n : n + MOST_IN_FRAME] for n in range(0, len(texts), MOST_IN_FRAME))
        payloads = tuple(f"[{','.join(part)}]" for part in parts)
    return Frames(payloads, len(texts), sum(map(len, payloads)))


def sse_frames(messages: Sequence[tuple[str, int | None, str]]) -> Frames:
    """Server-sent events: (type, cursor if it has one, JSON). The JSON has no line breaks."""
    lines = []
    for kind, number, body in messages:
        place = "" if number is None else f"id: {number}\n"
        lines.append(f"event: {kind}\n{place}data: {body}\n\n")
    payload = "".join(lines).encode()
    return Frames((payload,), len(messages), len(payload))


def framed(form: Form, message: Mapping[str, Any], cursor: int | None = None) -> Frames:
    """A single message of ours; `cursor` is the id of a server-sent event."""
    if not isinstance(form, str):
        cut = form.of_message(message)
        return text_frames([] if cut is None else [cut], form)
    body = dumps(message).decode()
    if form == "sse":
        return sse_frames([(message["type"], cursor, body)])
    return text_frames([body], form)


def snapshot_of(view: View, items: Iterable[Item], place: int, now: datetime) -> Frames:
    """How things stand at a place: those of these items that are for the view."""
    if not isinstance(view.form, str):
        bodies = [one.whole if view.internal else one.open_ for one in items if view.wants(one.assets)]
        data = [one for one in bodies if one is not None]
        return framed(view.form, {"type": "snapshot", "data": data, "cursor": place, "timestamp": now})
    entries = [
        entry
        for one in items
        if view.wants(one.assets) and (entry := one.entry(view.fields, view.internal)) is not None
    ]
    message = f'{{"type":"snapshot","data":[{",".join(entries)}],"cursor":{place},"timestamp":"{text(now)}"}}'
    if view.form == "sse":
        return sse_frames([("snapshot", place, message)])
    return text_frames([message], view.form)
