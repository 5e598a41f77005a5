"""What the client declares, by the names by which it is called."""

from collections.abc import Iterator
from typing import Any

from ray_app.client import Client
from ray_app.client.routes import Calls, Route, planned
from ray_app.client.streams import Tells


def declared() -> Iterator[tuple[str, Any]]:
    """Routes, streams and what is made of several calls: ("prices.current", its declaration)."""
    client = Client("http://node")
    for at, group in [("", client), *vars(client).items()]:
        if isinstance(group, Calls):
            for kind in type(group).__mro__:
                for name, value in vars(kind).items():
                    if isinstance(value, Route | Tells | planned):
                        yield f"{at}.{name}".strip("."), value
