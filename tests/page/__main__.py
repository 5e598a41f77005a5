"""Pictures of the page for the README: python -m tests.page, or `make screenshots`."""

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

from playwright.async_api import Browser, expect

from tests.page.browsing import chromium, tab
from tests.page.world import World, world

IMAGES = Path(__file__).parents[2] / "docs/images"
DAYS = 120  # of candles
# Name: width and height of the window, theme, and the part that is at the top; the top of the page without one.
PICTURES = {
    "page-dark": (1280, 1040, "dark", ""),
    "page-light": (1280, 900, "light", "completeness"),
    "page-narrow": (380, 1240, "light", ""),
}
MOST = 600_000  # bytes of all of them


async def shoot(browser: Browser, node: World, name: str, into: Path) -> int:
    """One picture, once everything in sight is there; its size in bytes."""
    width, height, theme, part = PICTURES[name]
    one = await tab(browser, node.url, width, height, color_scheme=theme, reduced_motion="reduce")
    await one.enter(node.key)
    await expect(one.page.locator("#stream-state")).to_have_text("live")
    await expect(one.page.locator("#node-state")).to_be_visible()
    await one.page.mouse.move(0, 0)
    for _ in range(3 if part else 1):  # what loads above moves what is below
        if part:
            await one.page.evaluate("part => document.getElementById(part).scrollIntoView()", part)
            await expect(one.page.locator(f"#{part} .body")).not_to_be_empty()
        await expect(one.page.locator("main [aria-busy], main .said:text('Loading')")).to_have_count(0)
    path = into / f"{name}.png"
    picture = await one.page.screenshot(path=path)
    await one.context.close()
    return len(picture)


async def run(into: Path) -> int:
    with tempfile.TemporaryDirectory() as folder:
        async with world(Path(folder), DAYS, pictures=True) as node, chromium() as browser:
            sizes = {name: await shoot(browser, node, name, into) for name in PICTURES}
    for name, size in sizes.items():
        print(f"{into / name}.png: {size:,} bytes")
    return 0 if sum(sizes.values()) <= MOST else 1


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--into", type=Path, default=IMAGES)
    where: Path = parser.parse_args().into
    where.mkdir(parents=True, exist_ok=True)
    sys.exit(asyncio.run(run(where)))
