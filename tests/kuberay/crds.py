"""Custom resources held against their definitions, as an API server does: unknown fields refused, CEL evaluated."""

import os
from collections.abc import Iterator
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import cel
import pytest
import yaml
from jsonschema import Draft202012Validator

SHARED = Path(os.environ.get("CRYPTO_DATA_SHARED") or Path(__file__).parents[2] / "../shared/data").resolve()
CRDS = SHARED.parent / "k8s/crds"
RECORDINGS = SHARED.parent / "k8s/apiserver-recordings"
# In a custom resource these are as in any object; the API server itself knows them.
OWN = {"apiVersion": {"type": "string"}, "kind": {"type": "string"}, "metadata": {"type": "object"}}
Problem = tuple[str, str]  # where, what


@cache
def schema(group: str, kind: str) -> dict[str, Any] | None:
    """The v1 schema of a custom resource; None where its definition is not at hand."""
    file = CRDS / f"{group}_{kind.lower()}s.yaml"
    if not CRDS.is_dir():
        pytest.skip(
            f"no definitions of custom resources: {CRDS} does not exist (CRYPTO_DATA_SHARED names it)"
        )
    if not file.exists():
        return None
    definition = yaml.load(file.read_text(), Loader=yaml.CSafeLoader)
    (version,) = (v for v in definition["spec"]["versions"] if v["name"] == "v1")
    return {**version["schema"]["openAPIV3Schema"]}


@cache
def _validator(group: str, kind: str) -> Draft202012Validator:
    found = schema(group, kind)
    assert found is not None
    strict = _strict(deepcopy(found))
    strict["properties"] |= OWN
    return Draft202012Validator(strict)


def _strict(node: dict[str, Any]) -> dict[str, Any]:
    """The same schema, with unknown fields refused where the API server would drop them."""
    if node.pop("x-kubernetes-int-or-string", False):
        node.pop("anyOf", None)
        node["type"] = ["integer", "string"]
    if node.pop("nullable", False):
        node["type"] = [node["type"], "null"]
    kept = node.pop("x-kubernetes-preserve-unknown-fields", False)
    if "properties" in node:
        node["properties"] = {name: _strict(inner) for name, inner in node["properties"].items()}
        if not kept and "additionalProperties" not in node:
            node["additionalProperties"] = False
    for inner in ("items", "additionalProperties"):
        if isinstance(node.get(inner), dict):
            node[inner] = _strict(node[inner])
    if node.get("format") not in (None, "int32", "int64"):
        node.pop("format")
    return node


def errors(one: dict[str, Any]) -> list[tuple[str, str, str]]:
    """What the schema refuses: the place, which of its words refuses it, and the field or value."""
    out = []
    for error in _validator(one["apiVersion"].partition("/")[0], one["kind"]).iter_errors(one):
        path = ".".join(str(part) for part in error.absolute_path)
        if error.validator == "required":
            missing = [name for name in error.validator_value if name not in error.instance]
            out += [(path, "required", name) for name in missing if repr(name) in error.message]
        elif error.validator == "additionalProperties":
            known = error.schema.get("properties", {})
            out += [(path, "additionalProperties", name) for name in error.instance if name not in known]
        else:
            out.append((path, str(error.validator), error.message))
    return out


def default(node: dict[str, Any], value: Any) -> None:
    """Write the schema's defaults into a value, as the API server does before it stores one."""
    if isinstance(value, dict):
        for name, inner in node.get("properties", {}).items():
            if name not in value and "default" in inner:
                value[name] = deepcopy(inner["default"])
            if name in value:
                default(inner, value[name])
        if isinstance(more := node.get("additionalProperties"), dict):
            for inner_value in value.values():
                default(more, inner_value)
    elif isinstance(value, list) and isinstance(node.get("items"), dict):
        for item in value:
            default(node["items"], item)


def rules(one: dict[str, Any], old: dict[str, Any] | None = None) -> list[tuple[str, Any, str]]:
    """The rules that a custom resource breaks: the place, the value, the rule's words."""
    group = one["apiVersion"].partition("/")[0]
    return list(broken_rules(schema(group, one["kind"]) or {}, one, old))


def problems(one: dict[str, Any], old: dict[str, Any] | None = None) -> list[Problem]:
    """What an API server would refuse in a custom resource; `old` is what it would replace."""
    found = [(path, f"{kind}: {name}") for path, kind, name in errors(one)]
    return found + [(path, text) for path, _, text in rules(one, old)]


def broken_rules(
    node: dict[str, Any], value: Any, old: Any, path: str = ""
) -> Iterator[tuple[str, Any, str]]:
    """The x-kubernetes-validations that a value breaks. One that compares with before needs a before."""
    for rule in node.get("x-kubernetes-validations", ()):
        transition = "oldSelf" in rule["rule"]
        if (not transition or old is not None) and not cel.evaluate(
            rule["rule"], {"self": value, **({"oldSelf": old} if transition else {})}
        ):
            yield path, value, rule.get("message", rule["rule"])
    if isinstance(value, dict):
        for name, inner in node.get("properties", {}).items():
            if name in value:
                before = old.get(name) if isinstance(old, dict) else None
                yield from broken_rules(inner, value[name], before, f"{path}.{name}".lstrip("."))
    elif isinstance(value, list) and isinstance(node.get("items"), dict):
        for number, item in enumerate(value):
            yield from broken_rules(node["items"], item, None, f"{path}[{number}]")
