"""serve_config.yaml, read strictly: Ray accepts a misspelt key in silence, this does not."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel
from ray.serve.schema import ServeDeploySchema


def unknown_keys(schema: type[BaseModel], data: Any, path: str = "") -> Iterator[str]:
    """The keys of `data` that the schema does not have, each with its path; free-form values are not entered."""
    if not isinstance(data, dict):
        return
    for key, value in data.items():
        field = schema.model_fields.get(key)
        if field is None:
            yield f"{path}{key}"
            continue
        for inner in _models(field.annotation):
            for number, item in enumerate(value if isinstance(value, list) else [value]):
                place = f"{path}{key}[{number}]." if isinstance(value, list) else f"{path}{key}."
                yield from unknown_keys(inner, item, place)
            break


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in getattr(annotation, "__args__", ()):
        yield from _models(part)


def read_config(path: Path, **changes: Any) -> ServeDeploySchema:
    """The file as Ray's schema. Raises ValueError that names every unknown key.

    `host`, `port` and `release` replace the file's own.
    """
    data = yaml.safe_load(path.read_text())
    if wrong := list(unknown_keys(ServeDeploySchema, data)):
        raise ValueError(
            f"{path.name} has keys that Ray Serve does not know and would ignore: {', '.join(wrong)}"
        )
    http = data.setdefault("http_options", {})
    http |= {k: changes[k] for k in ("host", "port") if k in changes}
    if "release" in changes:
        for application in data["applications"]:
            application.setdefault("args", {})["release"] = changes["release"]
    return ServeDeploySchema.model_validate(data)
