"""Client and AsyncClient: the same routes, one that blocks and one that is awaited."""

from types import TracebackType
from typing import Self

import httpx

from ray_app.client.asking import Patience
from ray_app.client.drivers import Allowance, Awaiting, Blocking, timeout
from ray_app.client.groups.exports import Exports
from ray_app.client.groups.market import FeatureRoutes, Prices, SeriesRoutes
from ray_app.client.groups.operations import Catalog, Operations
from ray_app.client.groups.texts import SentimentRoutes, TextRoutes
from ray_app.client.routes import D

SECONDS = 30.0  # without a byte, after which an answer counts as lost


class Node(SeriesRoutes[D]):
    """What both have."""

    def __init__(self, driver: D) -> None:
        super().__init__(driver)
        self.prices = Prices(driver)
        self.features = FeatureRoutes(driver)
        self.news = TextRoutes(driver)
        self.sentiment = SentimentRoutes(driver)
        self.catalog = Catalog(driver)
        self.exports = Exports(driver)
        self.operations = Operations(driver)

    @property
    def allowance(self) -> Allowance | None:
        """What the last answer said of the key's requests an hour; None before the first."""
        return self._driver.allowance

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._driver.base_url!r})"


class Client(Node[Blocking]):
    """A node, asked from threads. Close it, or use it in a `with` block.

    `patience`: how long to try again. `keep`: so many answers are kept with their ETags and sent again only if they
    have changed; such an answer has the `generated_at` of when it came. `http`: your own httpx.Client, for proxies or
    certificates; it is closed with this.
    """

    def __init__(
        self,
        base_url: str,
        api_key: str = "",
        *,
        timeout_seconds: float = SECONDS,
        patience: Patience | None = None,
        keep: int = 0,
        http: httpx.Client | None = None,
    ) -> None:
        opened = http or httpx.Client(timeout=timeout(timeout_seconds))
        super().__init__(Blocking(opened, base_url, api_key, patience or Patience(), keep))

    def close(self) -> None:
        self._driver.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.close()


class AsyncClient(Node[Awaiting]):
    """A node, asked from an event loop. Close it with `aclose`, or use it in an `async with` block; else as Client."""

    def __init__(
        self,
        base_url: str,
        api_key: str = "",
        *,
        timeout_seconds: float = SECONDS,
        patience: Patience | None = None,
        keep: int = 0,
        http: httpx.AsyncClient | None = None,
    ) -> None:
        opened = http or httpx.AsyncClient(timeout=timeout(timeout_seconds))
        super().__init__(Awaiting(opened, base_url, api_key, patience or Patience(), keep))

    async def aclose(self) -> None:
        await self._driver.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        await self.aclose()
