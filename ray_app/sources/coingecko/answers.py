"""What all of CoinGecko's answers share: whose they are, lists, and errors that hide in a 200."""

from collections.abc import Iterable
from typing import Any

from ray_app.model.errors import Malformed, RateLimited, Transient
from ray_app.model.source import Page
from ray_app.model.symbols import Registry
from ray_app.model.timerange import Coverage


def coins(registry: Registry) -> tuple[str, ...]:
    return tuple(lives(registry))


def lives(registry: Registry) -> dict[str, Coverage]:
    return registry.lives("coingecko")


def judge(page: Page) -> None:
    """Raise what a 200 hides: {"status": {"error_code": 429, ...}} and {"error": ...} have been seen."""
    if page.status >= 300:
        return
    head = page.body[:300]  # the shapes name themselves first; a chart is not worth parsing twice
    if not head.lstrip().startswith(b"{") or not (b'"status"' in head or b'"error"' in head):
        return
    body = page.json()
    status = body.get("status", body.get("error"))
    if isinstance(status, dict):
        status = status.get("status", status)
        code = status.get("error_code")
        if code == 429:
            raise RateLimited("coingecko", f"429 in a 200: {status.get('error_message', '')}")
        raise Transient("coingecko", f"error {code} in a 200: {status.get('error_message', '')}")
    if status is not None:
        raise Transient("coingecko", f"error in a 200: {status}")


def listed(page: Page) -> Iterable[Any]:
    """The rows of an answer that is a list, priced in US dollars."""
    body = page.json()
    if not isinstance(body, list):
        raise Malformed("coingecko", f"expected a list, found {page.body[:80]!r}")
    if page.params.get("vs_currency", "usd") != "usd":
        raise Malformed("coingecko", f"asked in {page.params['vs_currency']}, but these records are in usd")
    return body
