"""What holds on every page: no accessibility fault, no scrolling sideways, and all of it without scripts, too."""

from __future__ import annotations

import re
from typing import Literal

import pytest
from playwright.async_api import Page, expect

from tests.browser.accessible import grave, violations
from tests.browser.conftest import NARROW, WIDE, Look
from tests.browser.market import Market
from tests.browser.places import ERROR, KINDS, place

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300), pytest.mark.asyncio(loop_scope="package")]

LOOKS: tuple[tuple[tuple[int, int], Literal["light", "dark"]], ...] = (
    (WIDE, "light"),
    (WIDE, "dark"),
    (NARROW, "light"),
    (NARROW, "dark"),
)
SIDEWAYS = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


async def put(page: Page, size: tuple[int, int], scheme: Literal["light", "dark"]) -> None:
    width, height = size
    await page.set_viewport_size({"width": width, "height": height})
    await page.emulate_media(color_scheme=scheme)


def expected_at(kind: str) -> tuple[str, ...]:
    """The browser itself complains of a page that is not there."""
    return ("status of 404",) if kind == "error" else ()


@pytest.mark.parametrize("kind", KINDS)
async def test_no_page_bars_anybody_wide_or_narrow_light_or_dark(kind: str, look: Look, demo: Market) -> None:
    page = await look(await place(demo, kind), expected=expected_at(kind))
    await expect(page.get_by_role("heading", level=1)).to_have_count(1)
    wrong: list[str] = []
    for size, scheme in LOOKS:
        await put(page, size, scheme)
        if text := grave(await violations(page, colours_only=scheme == "dark")):
            wrong.append(f"{size[0]} px, {scheme}: {text}")
        if (pixels := await page.evaluate(SIDEWAYS)) > 0:
            wrong.append(f"{size[0]} px, {scheme}: the page scrolls {pixels} px sideways")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "error"])
async def test_every_page_tells_the_same_without_scripts(kind: str, look: Look, demo: Market) -> None:
    path = await place(demo, kind)
    plain = await look(path, script=False)
    scripted = await look(path)
    heading = await scripted.get_by_role("heading", level=1).inner_text()
    await expect(plain.get_by_role("heading", level=1)).to_have_text(heading)
    for title in await scripted.get_by_role("heading", level=2).all_inner_texts():
        if title.strip():
            await expect(plain.get_by_role("heading", level=2, name=title, exact=True).first).to_be_visible()
    # What could do nothing is not offered.
    assert await plain.locator(".js-only:visible").count() == 0


async def test_without_scripts_links_and_forms_lead_to_the_bug_and_accept_it(look: Look) -> None:
    page = await look(script=False)
    await page.get_by_role("link", name="Findings", exact=True).click()
    await page.get_by_label("Text").fill("tags")
    await page.get_by_role("button", name="Filter").click()
    await page.get_by_role("link", name="$.data.tags", exact=True).first.click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("$.data.tags")
    await page.get_by_label("Owner").fill("bo")
    await page.get_by_label("Why").fill("an empty list is nothing to a client")
    field = page.get_by_label("Through the day")
    await field.fill(await field.get_attribute("max") or "")
    await page.get_by_role("button", name="Accept", exact=True).click()
    await expect(page.locator("#finding-state")).to_have_text("accepted")
    await page.get_by_role("button", name="Revoke").click()
    await expect(page.locator("#finding-state")).to_have_text("open")
    await page.get_by_role("link", name=re.compile("^see why at")).first.click()
    await expect(page).to_have_url(re.compile(r"/traces/\w+"))
    await expect(page.get_by_role("main")).to_contain_text("tags")


async def test_a_page_that_is_not_there_says_so_and_leads_back(look: Look) -> None:
    page = await look(ERROR, expected=("status of 404",))
    await expect(page.get_by_role("main")).to_contain_text("no-such-domain")
    await page.get_by_role("link", name="To the domains").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Domains")
