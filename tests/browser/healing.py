"""A domain that is healed while a page of it is open, so that its gate can be seen to open."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from playwright.async_api import Browser, Page

from tests.browser.market import Market
from tests.browser.watch import Watch

HEALED = "shop_settings"


@dataclass(frozen=True, slots=True)
class Opening:
    """The page, which was opened before; `before` is what it said of the gate then."""

    page: Page
    before: str
    watch: Watch


@asynccontextmanager
async def healing(browser: Browser, demo: Market) -> AsyncIterator[Opening]:
    """Open the page of the domain, then heal it. The gate opens half a minute later, while other tests run."""
    context = await browser.new_context()
    watch = Watch(context, demo.admin)
    page = await context.new_page()
    await page.goto(f"{demo.admin}/domains/{HEALED}")
    before = " ".join((await page.locator("#answer .verdict-line").inner_text()).split())
    await page.evaluate("window.since = 'before it was healed'")
    await demo.heal(HEALED)
    yield Opening(page, before, watch)
    await context.close()
