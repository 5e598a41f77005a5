"""What is kept of a row, or of a whole answer, that must not be kept as it is: its shape, its size and its hash.

Where upstreams want deleted texts deleted, a text that is in no record would never be looked for again.
"""

import json
import re
from collections.abc import Iterator, Mapping
from hashlib import sha256
from itertools import groupby
from typing import Any

from ray_app.model.collected import as_json

UNREAD = "unread"
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,39}")  # of a field; anything else could be a text
DEEPEST, WIDEST = 8, 3
QUOTE, CUT = 12, "…"  # so many letters in a row that are also in a text are a quotation


def shape(value: Any, depth: int = 0) -> Any:
    """The names of fields and the types of values; of a list the first few, of a text its length."""
    if isinstance(value, str):
        return f"text of {len(value)}"
    if value is None or isinstance(value, bool):
        return value
    if not isinstance(value, Mapping | list):
        return "number"
    if depth == DEEPEST:
        return "..."
    if isinstance(value, list):
        more = [f"{len(value) - WIDEST} more"] if len(value) > WIDEST else []
        return [shape(one, depth + 1) for one in value[:WIDEST]] + more
    names = ((name if NAME.fullmatch(str(name)) else "...", inside) for name, inside in value.items())
    return {name: shape(inside, depth + 1) for name, inside in names}


def unquoted(told: str, row: Any) -> str:
    """What was told of a row without the texts in it, also where it quotes only a part of one."""
    texts = list(_texts(row))
    for text in {text for text in texts if 1 < len(text) < QUOTE}:
        told = re.sub(rf"(?<!\w){re.escape(text)}(?!\w)", CUT, told)
    every = "\n".join(texts)
    quoted = [False] * len(told)
    for at in range(len(told) - QUOTE + 1):
        if told[at : at + QUOTE] in every:
            quoted[at : at + QUOTE] = [True] * QUOTE
    return "".join(
        CUT if run else "".join(letter for letter, _ in letters) for run, letters in _runs(told, quoted)
    )


def _runs(told: str, quoted: list[bool]) -> Iterator[tuple[bool, Iterator[tuple[str, bool]]]]:
    return groupby(zip(told, quoted, strict=True), key=lambda one: one[1])


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        yield from (name for name in value if isinstance(name, str) and not NAME.fullmatch(name))
        for one in value.values():
            yield from _texts(one)
    elif isinstance(value, list):
        for one in value:
            yield from _texts(one)


def unread(row: Any, reason: str) -> dict[str, Any]:
    """What stands for a row that is set aside: why, the hash of the row as JSON, its shape."""
    return {
        UNREAD: {"reason": reason, "sha256": sha256(as_json(row).encode()).hexdigest(), "shape": shape(row)}
    }


def reason_of(row: Any) -> str | None:
    """Why this row was set aside, if it stands for one that was."""
    if isinstance(row, dict) and set(row) == {UNREAD} and isinstance(row[UNREAD], dict):
        return str(row[UNREAD].get("reason"))
    return None


def shape_of(row: Any) -> Any:
    """The row, or the shape of the one for which it stands."""
    return row if reason_of(row) is None else row[UNREAD].get("shape")


def unread_body(body: bytes) -> bytes:
    """What stands for a whole body: its size, its hash, and its shape where it is JSON."""
    told: dict[str, Any] = {"bytes": len(body), "sha256": sha256(body).hexdigest()}
    try:
        told["shape"] = shape(json.loads(body))
    except (ValueError, RecursionError):
        told["shape"] = "not JSON"
    return json.dumps({UNREAD: told}, separators=(",", ":")).encode()


def is_unread_body(body: bytes) -> bool:
    return body.startswith(f'{{"{UNREAD}":'.encode())
