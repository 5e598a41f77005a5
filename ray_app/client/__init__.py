"""The Python client of a node: typed answers, Polars frames, streams that resume, training sets.

    from ray_app.client import Client

    with Client("http://127.0.0.1:8000", key) as node:
        print(node.prices.current("BTC").current_price["usd"])

How it is used: docs/client.md. It imports nothing else of this package.
"""

from ray_app.client.asking import Patience
from ray_app.client.client import AsyncClient, Client
from ray_app.client.errors import (
    AmbiguousSymbol,
    ApiError,
    ClientError,
    CursorInvalid,
    Damaged,
    ExportFailed,
    ExportUnfinished,
    InvalidKey,
    InvalidRequest,
    InvalidSymbol,
    InvalidTimeframe,
    LicenceRestricted,
    NotAvailable,
    NotFound,
    RateLimited,
    ScopeMissing,
    ServerFailed,
    ServerUnavailable,
    TooCostly,
    TooLarge,
    Unreachable,
    Unreadable,
)

__all__ = [
    "AmbiguousSymbol",
    "ApiError",
    "AsyncClient",
    "Client",
    "ClientError",
    "CursorInvalid",
    "Damaged",
    "ExportFailed",
    "ExportUnfinished",
    "InvalidKey",
    "InvalidRequest",
    "InvalidSymbol",
    "InvalidTimeframe",
    "LicenceRestricted",
    "NotAvailable",
    "NotFound",
    "Patience",
    "RateLimited",
    "ScopeMissing",
    "ServerFailed",
    "ServerUnavailable",
    "TooCostly",
    "TooLarge",
    "Unreachable",
    "Unreadable",
]
