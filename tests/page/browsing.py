"""A real Chromium without a window, and one tab of it that remembers what went wrong."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from playwright.async_api import Browser, BrowserContext, Page, async_playwright, expect

from tests.server_process import program

ARGUMENTS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip
HEIGHT = 900
expect.set_options(timeout=30_000)  # milliseconds; a busy machine is not a failure


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """Debian's, or another one of the machine: none is downloaded."""
    path = program("chromium", "chromium-browser", "google-chrome")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        try:
            yield browser
        finally:
            await browser.close()


@dataclass
class Tab:
    """A page in a context of its own. `complaints`: errors of the console and of scripts; `asked`: every address."""

    context: BrowserContext
    page: Page
    url: str
    complaints: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    async def enter(self, key: str) -> None:
        """Open the page and give it the key."""
        await self.page.goto(self.url)
        await self.page.get_by_label("API key").fill(key)
        await self.page.get_by_role("button", name="Show the data").click()

    def body(self, part: str) -> Any:
        return self.page.locator(f"#{part} .body")

    def said(self, part: str) -> Any:
        return self.page.locator(f"#{part} .said")

    def price(self, coin: str) -> Any:
        return self.page.locator(f"tr[data-coin={coin}] td.c1")


async def tab(browser: Browser, url: str, width: int = 1280, height: int = HEIGHT, **more: Any) -> Tab:
    context = await browser.new_context(viewport={"width": width, "height": height}, **more)
    page = await context.new_page()
    made = Tab(context, page, url)
    page.on(
        "console", lambda one: made.complaints.append(one.text) if one.type in ("error", "warning") else None
    )
    page.on("pageerror", lambda error: made.complaints.append(str(error)))
    page.on("request", lambda one: made.asked.append(one.url))
    return made
