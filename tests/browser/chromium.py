"""Debian's Chromium under Playwright, shut off from every host but this one."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from playwright.async_api import Browser, async_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome-stable")
MISSING = f"no browser: none of {', '.join(NAMES)} is on PATH (Debian: apt-get install chromium)"
ARGUMENTS = (
    "--no-sandbox",  # there is none for root, and what is looked at is our own
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",  # a container's may be too small
    # Whatever the page might ask of the outside fails here, also what no event tells of, such as a prefetch.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)


def executable() -> str | None:
    """Where the browser is, or None."""
    return next((found for name in NAMES if (found := shutil.which(name)) is not None), None)


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """A running browser. Raises RuntimeError where none is installed."""
    path = executable()
    if path is None:
        raise RuntimeError(MISSING)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        try:
            yield browser
        finally:
            await browser.close()
