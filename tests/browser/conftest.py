"""A browser, a running demo, and pages that are watched while a test looks at them."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Awaitable
from typing import Literal, Protocol, TypedDict, Unpack

import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, Page, expect

from tests.browser.chromium import MISSING, chromium, executable
from tests.browser.healing import Opening, healing
from tests.browser.market import Market, market
from tests.browser.watch import Watch

WIDE, NARROW = (1280, 900), (390, 844)
PATIENCE_MS = 15_000
"""Both databases, the marketplace twice, the proxy and a browser share what processors there are."""

expect.set_options(timeout=PATIENCE_MS)


class How(TypedDict, total=False):
    """In what kind of window; `expected` are parts of the complaints that a test provokes on purpose."""

    size: tuple[int, int]
    scheme: Literal["light", "dark"]
    script: bool
    expected: tuple[str, ...]


class Browse(Protocol):
    """Opens a page, in a context of its own."""

    def __call__(self, origin: str, path: str = "/", **how: Unpack[How]) -> Awaitable[Page]: ...


class Look(Protocol):
    """Opens a page of the demo's admin site."""

    def __call__(self, path: str = "/", **how: Unpack[How]) -> Awaitable[Page]: ...


@pytest_asyncio.fixture(loop_scope="package", scope="package")
async def browser() -> AsyncIterator[Browser]:
    if executable() is None:
        assert os.environ.get("CI") != "true", MISSING
        pytest.skip(MISSING)
    async with chromium() as started:
        yield started


@pytest_asyncio.fixture(loop_scope="package", scope="package")
async def demo(
    browser: Browser,  # noqa: ARG001 - where there is none, no demo need be started
) -> AsyncIterator[Market]:
    """One demo for all tests, its planted bugs found."""
    async with market() as running:
        yield running


@pytest_asyncio.fixture(loop_scope="package")
async def open_page(browser: Browser) -> AsyncIterator[Browse]:
    """Opens pages in contexts of their own. At the end nothing may have gone wrong in any of them."""
    watched: list[tuple[BrowserContext, Watch]] = []

    async def browse(origin: str, path: str = "/", **how: Unpack[How]) -> Page:
        width, height = how.get("size", WIDE)
        context = await browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme=how.get("scheme", "light"),
            java_script_enabled=how.get("script", True),
            reduced_motion="reduce",
        )
        context.set_default_timeout(PATIENCE_MS)
        watch = Watch(context, origin)
        watch.expected.extend(how.get("expected", ()))
        watched.append((context, watch))
        page = await context.new_page()
        await page.goto(origin + path)
        return page

    yield browse
    faults = [fault for _, watch in watched for fault in watch.faults]
    for context, _ in watched:
        await context.close()
    assert not faults, "\n".join(faults)


@pytest_asyncio.fixture(loop_scope="package", scope="package")
async def opening(browser: Browser, demo: Market) -> AsyncIterator[Opening]:
    async with healing(browser, demo) as begun:
        yield begun


@pytest.fixture
def look(
    demo: Market,
    open_page: Browse,
    opening: Opening,  # noqa: ARG001 - it takes its time, so it begins with the first test that looks at the demo
) -> Look:
    def opened(path: str = "/", **how: Unpack[How]) -> Awaitable[Page]:
        return open_page(demo.admin, path, **how)

    return opened
