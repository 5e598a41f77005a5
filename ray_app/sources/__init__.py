"""Every module in this folder is one upstream and exports SOURCE. Adding a file is enough."""

from functools import cache
from importlib import import_module
from pkgutil import iter_modules

from ray_app.model.source import Source


@cache
def all_sources() -> dict[str, Source]:
    """Every source by its name."""
    modules = (import_module(f"{__name__}.{m.name}") for m in iter_modules(__path__))
    return {m.SOURCE.name: m.SOURCE for m in modules}
