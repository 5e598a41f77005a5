"""The page in a real Chromium, over a real gateway and real streams: what a person sees."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest
import pytest_asyncio
from playwright.async_api import Browser, expect

from ray_app.model.clock import SystemClock
from ray_app.serve.auth import KEPT_SECONDS
from tests.page.browsing import Tab, chromium, tab
from tests.page.world import HOSTILE, World, world

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]
PARTS = (
    "market",
    "candles",
    "news",
    "technical",
    "mood",
    "macro",
    "onchain",
    "completeness",
    "quotas",
    "collectors",
)
TALL = 3_600  # pixels: everything is in sight at once
Open = Callable[..., Awaitable[Tab]]
CLICK = """name => {
  [...document.querySelectorAll("button")].find(one => one.textContent.includes(name))?.click()
}"""
PIXELS = """canvases => {
  const found = {};
  for (const one of canvases) {
    if (!one.width || !one.height) continue;
    const { data } = one.getContext("2d").getImageData(0, 0, one.width, one.height);
    for (let at = 0; at < data.length; at += 4) {
      if (data[at + 3] === 255) {
        const colour = "#" + [0, 1, 2].map(n => data[at + n].toString(16).padStart(2, "0")).join("");
        found[colour] = (found[colour] ?? 0) + 1;
      }
    }
  }
  return found;
}"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def node(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    async with world(tmp_path_factory.mktemp("page")) as made:
        yield made


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as made:
        yield made


@pytest_asyncio.fixture(loop_scope="module")
async def opened(browser: Browser, node: World) -> AsyncIterator[Open]:
    """Open tabs: opened(width=..., height=...). At the end none of them has complained or asked somebody else."""
    tabs: list[Tab] = []

    async def begin(**more: Any) -> Tab:
        tabs.append(await tab(browser, node.url, **more))
        return tabs[-1]

    yield begin
    for one in tabs:
        await one.context.close()
        refused = re.compile(
            r"Failed to load resource: the server responded with a status of (401|403|404|429)"
        )
        assert [text for text in one.complaints if not refused.match(text)] == []
        assert [address for address in one.asked if not address.startswith(node.url)] == []


async def pixels(place: Any) -> dict[str, int]:
    """How often each opaque colour stands on the canvases of a place."""
    found: dict[str, int] = await place.locator("canvas").evaluate_all(PIXELS)
    return found


async def test_every_part_shows_its_data_and_the_charts_draw(opened: Open, node: World):
    one = await opened(height=TALL, color_scheme="light")
    await one.enter(node.key)
    for part in PARTS:
        await expect(one.body(part)).not_to_be_empty()
        await expect(one.page.locator(f"#{part}")).not_to_have_attribute("aria-busy", "true")
        await expect(one.page.locator(f"#{part}")).not_to_have_attribute("data-trouble", "")
    assert one.complaints == [], "not even a request that failed"
    await expect(one.page.locator("#simulated")).to_be_visible()
    await expect(one.page.locator("#stream-state")).to_have_text("live")
    await expect(one.price("bitcoin")).to_have_text("91,250.50")
    await expect(one.page.locator("tr[data-coin=bitcoin] td.c6")).to_have_text(re.compile(r"\d+ s|\d+ min"))
    assert await one.page.locator("#market svg.line path").count() == 12
    candles, mood = await pixels(one.body("candles")), await pixels(one.body("mood"))
    assert candles["#0b7a55"] > 300, "candles that rose"
    assert candles["#c02f40"] > 300, "candles that fell"
    assert candles["#c77700"] > 50, "the average"
    assert candles["#2c84d8"] > 50, "marks of news"
    assert mood["#1261b0"] > 50, "the price"
    await expect(one.page.locator("#macro .tile")).to_have_count(8)
    await expect(one.page.locator("#macro .tile svg.line")).to_have_count(8)
    await expect(one.page.locator("#onchain .tile svg.line").first).to_be_visible()
    calendar = one.page.locator("#completeness .calendar", has_text="BTC-USD")
    assert await calendar.locator("rect").count() > 35
    await expect(calendar.locator("rect.failed")).to_have_count(1)
    await calendar.locator("summary").click()
    await expect(calendar.locator("li").first).to_contain_text("HTTP 503")
    await expect(one.page.locator("#quotas .tile", has_text="guardian")).to_contain_text("does not fit")
    await expect(one.page.locator("#collectors tbody tr").first).to_contain_text(
        "Transient: HTTP 503 from the upstream"
    )
    await expect(one.page.locator("#onchain .mark.degraded")).to_be_visible()


async def test_a_price_changes_on_screen_when_a_new_one_is_committed(opened: Open, node: World):
    one = await opened()
    await one.enter(node.key)
    await expect(one.page.locator("#stream-state")).to_have_text("live")
    await expect(one.price("bitcoin")).to_have_text("91,250.50")
    before = len([address for address in one.asked if "/prices/current" in address])
    await node.prices({"bitcoin": "93123.75", "ethereum": "3300.5"})
    await expect(one.price("bitcoin")).to_have_text("93,123.75")
    await expect(one.price("bitcoin")).to_have_class(re.compile("rose"))
    await expect(one.price("ethereum")).to_have_text("3,300.50")
    assert before == len([address for address in one.asked if "/prices/current" in address]), (
        "the stream told it"
    )
    await expect(one.page.locator("tr[data-coin=bitcoin] td.c4")).to_have_text("1.00M")
    await expect(one.page.locator("tr[data-coin=bitcoin] td.c5")).to_have_text("–")  # not known is not 0


async def test_without_a_stream_it_asks_and_says_so(opened: Open, node: World):
    one = await opened()
    await one.page.clock.install()
    node.app.streaming = False
    try:
        await one.enter(node.key)
        await expect(one.page.locator("#stream-state")).to_have_text("no stream: asking every 30 s")
        await expect(one.price("solana")).not_to_be_empty()
        await node.prices({"solana": "201.25"})
        await one.page.clock.fast_forward("00:31")
        await expect(one.price("solana")).to_have_text("201.25")
    finally:
        node.app.streaming = True


async def test_a_key_that_has_ended_is_said_clearly_and_forgotten(opened: Open, node: World):
    now = SystemClock().now()
    one = await opened()
    await one.enter(await node.key_of(expires_at=now - timedelta(seconds=1)))
    await expect(one.page.locator("#refusal")).to_contain_text("This key is not valid (any more)")
    key = await node.key_of(internal=True)
    await one.page.get_by_label("API key").fill(key)
    await one.page.keyboard.press("Enter")
    await expect(one.price("bitcoin")).not_to_be_empty()
    kept = await one.page.evaluate("[sessionStorage.length, localStorage.length, document.cookie]")
    assert kept == [1, 0, ""]
    await one.page.reload()
    await expect(one.price("bitcoin")).not_to_be_empty()
    await node.running.store.keys.revoke(key.split("_")[1], now)
    await asyncio.sleep(KEPT_SECONDS + 0.1)
    await one.page.evaluate(CLICK, "Ethereum")  # the page may have asked, and closed, by itself
    await expect(one.page.locator("#refusal")).to_contain_text("This key is not valid (any more)")
    await expect(one.page.locator("#desk")).to_be_hidden()
    await expect(one.page.get_by_label("API key")).to_be_focused()
    assert await one.page.evaluate("sessionStorage.length") == 0
    await one.page.get_by_label("API key").fill(node.key)
    await one.page.keyboard.press("Enter")
    await expect(one.price("bitcoin")).not_to_be_empty()
    await one.page.get_by_role("button", name="Forget key").click()
    await expect(one.page.locator("#door")).to_be_visible()
    assert await one.page.evaluate("sessionStorage.length") == 0


async def test_what_a_key_may_not_have_is_named_in_its_place(opened: Open, node: World):
    one = await opened(height=TALL)
    await one.enter(await node.key_of("read:prices", "read:news", "read:sentiment"))
    await expect(one.price("bitcoin")).not_to_be_empty()
    await expect(one.said("collectors")).to_have_text("This key lacks the scope read:ops.")
    await expect(one.said("technical")).to_have_text("This key lacks the scope read:technical.")
    await expect(one.said("news")).to_contain_text("Not for this key")
    await expect(one.page.locator("#macro .tile").first).to_contain_text(
        "This key lacks the scope read:macro."
    )
    await expect(one.body("candles").locator("canvas").first).to_be_visible()


async def test_over_the_limit_it_waits_as_long_as_it_is_told(opened: Open, node: World):
    one = await opened()
    await one.enter(await node.key_of(burst=8, internal=True))
    told = one.page.locator("main .said", has_text="Too many requests").first
    await expect(told).to_have_text(re.compile(r"^Too many requests\. Asking again in \d+ s\."))


async def test_what_upstreams_wrote_is_text(opened: Open, node: World):
    one = await opened()
    await one.enter(node.key)
    planted = one.page.locator("#news li", has_text="onerror")
    await expect(planted.locator(".title")).to_have_text(HOSTILE)
    assert await planted.locator(".title").evaluate("one => one.tagName") == "SPAN", (
        "javascript: is no address to open"
    )
    assert await one.page.locator("#news img, #news script").count() == 0
    assert await one.page.title() == "crypto-data"
    other = one.page.locator("#news a").first
    assert await other.get_attribute("rel") == "noopener noreferrer nofollow ugc"
    refused = await one.page.evaluate(
        "() => { try { document.body.innerHTML = '<b>x</b>'; return false } catch (error) { return error.name } }"
    )
    assert refused == "TypeError", "the browser itself lets no text become HTML"
    one.complaints.clear()


async def test_it_fits_a_narrow_screen_in_both_themes(opened: Open, node: World):
    one = await opened(width=380, height=TALL, color_scheme="dark")
    await one.enter(node.key)
    await expect(one.body("candles").locator("canvas").first).to_be_visible()
    await expect(one.price("bitcoin")).not_to_be_empty()
    assert await one.page.evaluate("document.documentElement.scrollWidth") <= 380
    dark, light, ground = "rgb(12, 15, 19)", "rgb(243, 245, 247)", one.page.locator("body")
    await expect(ground).to_have_css("background-color", dark)
    await one.page.emulate_media(color_scheme="light")
    await expect(ground).to_have_css("background-color", light)  # styles are worked out at the next frame
    assert await one.page.evaluate("document.documentElement.scrollWidth") <= 380
    for theme, seen in (("light", light), ("dark", dark)):
        await one.page.locator("#theme").click()
        await expect(ground).to_have_css("background-color", seen)
        await expect(one.page.locator("#theme")).to_have_text(f"Theme: {theme}")
    await one.page.reload()
    await expect(one.page.locator("#theme")).to_have_text("Theme: dark")


async def test_it_is_worked_with_by_keyboard_and_read_out(opened: Open, node: World):
    one = await opened()
    await one.enter(node.key)
    await expect(one.price("bitcoin")).not_to_be_empty()
    await one.page.reload()
    await expect(one.price("bitcoin")).not_to_be_empty()
    await one.page.keyboard.press("Tab")
    await expect(one.page.locator(".skip")).to_be_focused()
    await one.page.get_by_role("button", name="ETH Ethereum").focus()
    await one.page.keyboard.press("Enter")
    await expect(one.page.get_by_role("heading", name="ETH candles")).to_be_visible()
    await expect(one.page.get_by_role("button", name="ETH Ethereum")).to_have_attribute(
        "aria-pressed", "true"
    )
    chart = one.page.get_by_role("img", name=re.compile(r"^ETH, 7\d\d candles of 1h from .*last close"))
    await expect(chart).to_be_visible()
    await one.page.get_by_role("button", name="RSI").click()
    await expect(one.page.get_by_role("button", name="RSI")).to_have_attribute("aria-pressed", "true")
    await one.page.get_by_role("button", name="4h", exact=True).click()
    await expect(one.page.get_by_role("img", name=re.compile(r"^ETH, \d+ candles of 4h"))).to_be_visible()
    unnamed = await one.page.evaluate(
        """() => [...document.querySelectorAll("button, input, select, a, section, [role=img]")]
        .filter(one => one.checkVisibility() && !(one.textContent.trim() || one.getAttribute("aria-label")
            || one.getAttribute("aria-labelledby") || one.labels?.[0]?.textContent.trim())).map(one => one.outerHTML)"""
    )
    assert unnamed == []


async def test_lines_beside_candles_are_the_nodes_indicators(opened: Open, node: World):
    async with httpx.AsyncClient(base_url=node.url, headers={"Authorization": f"Bearer {node.key}"}) as http:
        told = (await http.get("/api/v1/technical/ETH?timeframe=1h")).json()
        bars = (await http.get("/api/v1/prices/historical/ETH?interval=1h&days=30")).json()["data"]
    one = await opened()
    await one.page.goto(node.url)
    script = await one.page.locator("script").get_attribute("src")
    assert script is not None
    found = await one.page.evaluate(
        """async ([place, closes]) => {
          const { sma, ema, rsi, bollinger } = await import(place);
          const { upper, lower } = bollinger(closes);
          return [sma(closes, 20), ema(closes, 50), rsi(closes), upper, lower].map(each => each.at(-1));
        }""",
        [script.replace("page.js", "averages.js"), [bar["close"] for bar in bars]],
    )
    bands, means = told["bollinger_bands"], told["moving_averages"]
    wanted = [means["sma_20"], means["ema_50"], told["rsi"]["value"], bands["upper"], bands["lower"]]
    assert found == pytest.approx(wanted, rel=1e-9)
