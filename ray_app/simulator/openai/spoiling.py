"""Answers that are wrong: what a model writes that nobody asked for, and errors that the server gives instead."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from ray_app.simulator.faults import Rule
from ray_app.simulator.openai.answers import NO_MONEY, REACHED, TOO_LARGE, rejected, row
from ray_app.simulator.wire import Rejection

Row = dict[str, Any]
FAULTS: Mapping[str, str] = {
    "L01": "chat: 429, too fast: kind=after, date, ms, reset, message or silent; seconds=2",
    "L02": "chat: 429, the request is too large",
    "L03": "chat: 429, the account has no money left",
    "L04": "chat: the content is no JSON: kind=prose, fenced, cut, empty or null",
    "L05": "chat: another form: kind=field, missing, label, text, sum, range, nan, twice, bare, flag or unlikely",
    "L06": "chat: other ids: kind=extra, missing, other or twice",
    "L07": "chat: not spoken of: kind=refusal, filter or tool",
    "L08": "chat: cut at its longest; kind=whole: said to be, and is not",
    "L09": "chat: tokens are not counted: kind=missing, zero or words",
    "L10": "chat: the answer names another model: name=...",
    "L11": "chat: 400: kind=context, parameter or schema",
    "L12": "chat: 200 without a completion: kind=html, error or choices",
}  # each can be kept to requests whose texts hold text=...
ERRORS = {"L01", "L02", "L03", "L11"}


def error(rule: Rule, model: str, now: str) -> Rejection:
    """The whole answer of a fault of the server's. `now`: as a Date header has it."""
    if rule.fault == "L02":
        return rejected(
            429, TOO_LARGE.format(model=model, limit=30_000, asked=34_307), "tokens", "rate_limit_exceeded"
        )
    if rule.fault == "L03":
        return rejected(429, NO_MONEY, "insufficient_quota", "insufficient_quota")
    if rule.fault == "L11":
        code = {"context": "context_length_exceeded", "schema": "invalid_json_schema"}.get(
            rule.kind(), "unsupported_parameter"
        )
        return rejected(400, f"{model} does not take this.", "invalid_request_error", code)
    seconds = float(rule.value("seconds", 2))
    again = f"{seconds:g}s" if rule.kind() == "message" else "a while"
    headers = {
        "date": {"Retry-After": now},
        "ms": {"Retry-After-Ms": f"{seconds * 1000:g}"},
        "reset": {
            "x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": f"{seconds * 1000:g}ms",
            "x-ratelimit-remaining-tokens": "90", "x-ratelimit-reset-tokens": "6m0s",
        },
        "message": {},
        "silent": {},
    }.get(rule.kind(), {"Retry-After": f"{seconds:g}"})  # fmt: skip
    text = REACHED.format(model=model, what="requests", limit=500, again=again)
    return rejected(429, text, "requests", "rate_limit_exceeded", headers)


def content(rule: Rule, rows: Sequence[Row], texts: Sequence[str]) -> str | None:
    """What the model writes in place of the right answer."""
    right = json.dumps({"answers": list(rows)})
    if rule.fault == "L04":
        return {
            "fenced": f"```json\n{right}\n```",
            "cut": right[: len(right) * 2 // 3],
            "empty": "",
            "null": None,
        }.get(rule.kind(), "The texts are quite bullish, I would say.")
    if rule.fault == "L06":
        return json.dumps({"answers": _other_ids(rule.kind(), rows)})
    if rule.fault == "L05":
        return _other_form(rule.kind(), rows, texts, right)
    return right


def _other_ids(kind: str, rows: Sequence[Row]) -> list[Row]:
    match kind:
        case "missing":
            return list(rows[1:])
        case "twice":
            return [*rows, rows[0]]
        case "other":
            return [one | {"id": f"{at:016x}"} for at, one in enumerate(rows)]
    return [*rows, row("00000000deadbeef", (0, 0, 100))]


def _other_form(kind: str, rows: Sequence[Row], texts: Sequence[str], right: str) -> str:
    first, rest = rows[0], list(rows[1:])
    changed: dict[str, Row] = {
        "missing": {name: value for name, value in first.items() if name != "neutral"},
        "label": first | {"label": "moon"},
        "text": first | {"bullish": "0.9"},
        "sum": first | {"neutral": first["neutral"] + 0.05},
        "range": first | {"bearish": -0.5, "neutral": 0.5, "bullish": 1.0, "label": "bullish"},
        "flag": first | {"bearish": False, "neutral": False, "bullish": True, "label": "bullish"},
        "unlikely": first | {"label": min(("bearish", "neutral", "bullish"), key=lambda name: first[name])},
    }
    if kind in changed:
        return json.dumps({"answers": [changed[kind], *rest]})
    if kind == "nan":
        return json.dumps({"answers": [first | {"bullish": float("nan")}, *rest]})
    if kind == "twice":
        return right.replace('"neutral"', '"bullish": 1.0, "neutral"', 1)
    if kind == "bare":
        return json.dumps(list(rows))
    return json.dumps({"answers": [first | {"reason": texts[0]}, *rest]})
