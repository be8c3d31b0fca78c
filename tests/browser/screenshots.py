"""`python -m tests.browser.screenshots [FOLDER]`: the pictures of the documentation, taken from a running demo."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from playwright.async_api import Browser

from tests.browser.chromium import chromium
from tests.browser.market import FAST, Market, market

FOLDER = Path(__file__).parents[2] / "docs" / "screenshots"
GROWING_SECONDS = 30.0
MOST_BYTES = 300_000
WIDE, NARROW = (1280, 900), (390, 844)


@dataclass(frozen=True, slots=True)
class Shot:
    """One picture: `{name}.png` of what is at `path`, `ready` being on the page before it is taken."""

    name: str
    path: str
    ready: str = "main h1"
    scheme: Literal["light", "dark"] = "light"
    size: tuple[int, int] = WIDE


async def shots(demo: Market) -> list[Shot]:
    """What is to be taken: the whole way from the front page to a differing line, and what stands beside it."""
    finding = await demo.finding("quote_rate_as_string")
    trace = f"/traces/{(await demo.finding('selected_offer_wrong_row'))['last_trace']}#d0"
    for name in ("users", "payments", "chat", "addresses", "reviews"):
        await demo.told(f"/api/v1/gates/{name}")
    return [
        Shot("domains", "/"),
        Shot("domains-dark", "/", scheme="dark"),
        Shot("domains-narrow", "/", size=NARROW),
        Shot("domain", "/domains/payments"),
        Shot("findings", "/findings"),
        Shot("finding", f"/findings/{finding['id']}"),
        Shot("trace", trace, ready="#tree tr.now"),
        Shot("trace-dark", trace, ready="#tree tr.now", scheme="dark"),
        Shot("trace-narrow", trace, ready="#tree tr.now", size=NARROW),
        Shot("live", "/live", ready="main tbody tr:nth-child(20)"),
        Shot("decisions", "/decisions"),
    ]


async def take(browser: Browser, origin: str, shot: Shot, folder: Path) -> None:
    """Take one picture. Raises ValueError for one that is too large for a repository."""
    width, height = shot.size
    context = await browser.new_context(
        viewport={"width": width, "height": height}, color_scheme=shot.scheme, reduced_motion="reduce"
    )
    try:
        page = await context.new_page()
        await page.goto(origin + shot.path)
        await page.locator(shot.ready).first.wait_for()
        if await page.locator("[data-live], [data-tail]").count():
            await page.locator("#live-state[data-state=live]").wait_for()
        taken = await page.screenshot(path=folder / f"{shot.name}.png", animations="disabled")
    finally:
        await context.close()
    if len(taken) > MOST_BYTES:
        raise ValueError(
            f"{shot.name}.png has {len(taken)} bytes, at most {MOST_BYTES} are wanted: show less of the page"
        )


async def main(folder: Path) -> None:
    """Run a demo for a while and take every picture into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    async with chromium() as browser, market() as demo:
        await demo.traffic(FAST)
        await asyncio.sleep(GROWING_SECONDS)
        for shot in await shots(demo):
            await take(browser, demo.admin, shot, folder)


def folder_of(arguments: Sequence[str] | None = None) -> Path:
    parser = argparse.ArgumentParser(prog="python -m tests.browser.screenshots", description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=FOLDER, help="where to (default: %(default)s)")
    chosen: Path = parser.parse_args(arguments).folder
    return chosen


if __name__ == "__main__":
    asyncio.run(main(folder_of()))
