"""The form of an answer for the OpenAPI document, from its examples: which fields there are, and of which kind.

A route gives one example, and where its answers differ others beside it. A field that all of them have is always there.
Any number, text or flag may be null: what is not known is null. A list or an object may be where an example says so.
"""

import re
from collections.abc import Sequence
from typing import Any

_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
_PLAIN = {bool: "boolean", int: "number", float: "number", str: "string"}


class Named(dict[str, Any]):
    """An object in an example whose keys are names of things: others stand in other answers, all of one form."""


class Free(dict[str, Any]):
    """An object in an example of which nothing is promised but that it is one: what is in it, the client chose."""


def shape(*examples: Any) -> dict[str, Any]:
    """The JSON schema of which all these are examples."""
    return _shape(examples)


def _shape(seen: Sequence[Any]) -> dict[str, Any]:
    objects = [one for one in seen if isinstance(one, dict)]
    lists = [one for one in seen if isinstance(one, list)]
    plain = [one for one in seen if one is not None and not isinstance(one, dict | list)]
    absent = any(one is None for one in seen)
    forms = []
    if objects:
        forms.append(_object(objects, absent))
    if lists:
        forms.append(_list(lists, absent))
    if plain:
        forms.append(_value(plain))
    if not forms:
        return {}  # null in every example: its kind is not shown
    return forms[0] if len(forms) == 1 else {"anyOf": forms}


def _object(seen: list[dict[str, Any]], absent: bool) -> dict[str, Any]:
    kind: Any = ["object", "null"] if absent else "object"
    if any(isinstance(one, Named) for one in seen):
        return {
            "type": kind,
            "additionalProperties": _shape([value for one in seen for value in one.values()]),
        }
    if any(isinstance(one, Free) for one in seen):
        return {"type": kind}
    names = dict.fromkeys(name for one in seen for name in one)
    return {
        "type": kind,
        "required": [name for name in names if all(name in one for one in seen)],
        "properties": {name: _shape([one[name] for one in seen if name in one]) for name in names},
    }


def _list(seen: list[list[Any]], absent: bool) -> dict[str, Any]:
    return {
        "type": ["array", "null"] if absent else "array",
        "items": _shape([x for one in seen for x in one]),
    }


def _value(seen: list[Any]) -> dict[str, Any]:
    kinds = sorted({_PLAIN[type(one)] for one in seen})
    form: dict[str, Any] = {"type": [*kinds, "null"]}
    if kinds == ["string"] and all(_TIME.fullmatch(one) for one in seen):
        form["format"] = "date-time"
    return form
