"""A site with a token lets nobody in without it; a trace of 5 MB a side, full of hostile text, can be worked with."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Page, expect

from tests.browser.accessible import grave, violations
from tests.browser.conftest import NARROW, Browse
from tests.browser.lone import DIFFERING, TOKEN, lone_proxy

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300), pytest.mark.asyncio(loop_scope="package")]

ALIGNED_MS = 60_000
MOST_ROWS = 2_500
"""Of 20,000 elements with 10 values each; what is equal is folded, and comes when it is asked for."""


@pytest_asyncio.fixture(loop_scope="package", scope="package")
async def lone(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[str, str]]:
    folder: Path = tmp_path_factory.mktemp("lone")
    async with lone_proxy(folder) as told:
        yield told


async def sign_in(page: Page, token: str = TOKEN) -> None:
    await page.get_by_label("Admin token").fill(token)
    # The click lasts until the answer begins, which for the large trace is when both bodies have been aligned.
    await page.get_by_role("button", name="Sign in").click(timeout=ALIGNED_MS)


async def test_who_has_the_token_is_led_on_to_where_they_wanted_and_out_again(
    open_page: Browse, lone: tuple[str, str]
) -> None:
    origin, _ = lone
    page = await open_page(origin, "/findings?domain=things", expected=("status of 401",))
    await expect(page).to_have_url(re.compile(r"/login\?next="))
    await expect(page.get_by_label("Admin token")).to_be_focused()
    assert not grave(await violations(page))
    await page.emulate_media(color_scheme="dark")
    assert not grave(await violations(page))

    await sign_in(page, "not the token")
    await expect(page.get_by_role("alert")).to_have_text("This is not the token.")
    assert not grave(await violations(page))
    await sign_in(page)
    await expect(page).to_have_url(f"{origin}/findings?domain=things")
    await expect(page.get_by_role("heading", level=1)).to_have_text("Findings")
    (cookie,) = await page.context.cookies()
    assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Strict")
    assert await page.evaluate("document.cookie") == ""

    await page.get_by_role("button", name="Sign out").click()
    await expect(page.get_by_label("Admin token")).to_be_visible()
    await page.goto(f"{origin}/")
    await expect(page).to_have_url(re.compile(r"/login"))


async def test_a_trace_of_five_megabytes_a_side_is_stepped_through(open_page: Browse, lone: tuple[str, str]) -> None:
    origin, trace = lone
    page = await open_page(origin, f"/traces/{trace}", size=NARROW)
    await sign_in(page)
    await expect(page).to_have_url(f"{origin}/traces/{trace}")
    assert await page.title() != "owned"
    await expect(page.locator("#step")).to_have_text(f"{len(DIFFERING)} to step through")
    for number, place in enumerate(DIFFERING, 1):
        await page.keyboard.press("n")
        await expect(page.locator("#step")).to_have_text(f"{number} of {len(DIFFERING)}")
        await expect(page.locator(":focus")).to_be_in_viewport()
        await expect(page.locator(":focus")).to_contain_text(f"{place}.5")
    await page.keyboard.press("p")
    await expect(page.locator(":focus")).to_contain_text(f"{DIFFERING[-2]}.5")

    rows = page.locator("#tree tbody tr")
    before = await rows.count()
    assert before < MOST_ROWS
    await page.locator("#tree tr.fold a").first.click()
    await expect(rows.nth(before)).to_be_attached()
    assert await rows.count() < 2 * MOST_ROWS
    assert await page.title() != "owned"
