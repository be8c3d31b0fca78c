"""Pages that change by themselves: a gate that opens, the tail of verdicts, the stored decisions."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import expect

from tests.browser.conftest import Look
from tests.browser.healing import HEALED, Opening
from tests.browser.market import Market

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300), pytest.mark.asyncio(loop_scope="package")]

GATE_MS = 90_000


async def test_the_tail_shows_verdicts_as_they_come_filters_and_pauses(look: Look) -> None:
    page = await look("/live?verdict=diff")
    rows = page.locator("#tail tbody tr")
    newest = rows.first
    before = await newest.inner_text() if await rows.count() else ""
    await expect(page.locator("#live-state")).to_have_text("live")
    await expect(newest).not_to_have_text(before)
    assert set(await page.locator("#tail td[data-label=Verdict]").all_inner_texts()) == {"diff"}

    await page.get_by_role("button", name="Pause").click()
    shown = await rows.count()
    await expect(page.locator("#tail-note")).to_have_text(re.compile(r"paused, [1-9]\d* waiting"))
    assert await rows.count() == shown
    await page.get_by_role("button", name="Go on").click()
    await expect(page.locator("#tail-note")).to_be_empty()
    await expect(rows.nth(shown)).to_be_attached()

    await page.get_by_label("Domain").select_option("payments")
    await page.get_by_role("button", name="Filter").click()
    await expect(page).to_have_url(re.compile(r"domain=payments"))
    await expect(page).to_have_url(re.compile(r"verdict=diff"))
    await expect(rows.first).to_contain_text("payments")
    assert set(await page.locator("#tail td[data-label=Domain]").all_inner_texts()) == {"payments"}


async def test_figures_move_without_a_reload_and_what_is_typed_stays(look: Look) -> None:
    page = await look("/domains/payments")
    await page.evaluate("window.mine = true")
    compared = page.locator("#answer dd").first
    await expect(compared).not_to_have_text(await compared.inner_text())
    assert await page.evaluate("window.mine") is True


async def test_decisions_are_listed_linked_and_keep_their_figures(look: Look, demo: Market) -> None:
    await demo.told("/api/v1/gates/users")
    logged = (await demo.told("/api/v1/gates/reviews"))["log"]
    page = await look("/decisions?domain=reviews")
    await expect(page.locator("#head-hash")).to_have_text(logged["hash"])
    assert set(await page.locator("td[data-label=Domain]").all_inner_texts()) == {"reviews"}
    await page.get_by_role("rowheader").get_by_role("link", name=f"{logged['seq']:,}").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text(f"Decision {logged['seq']:,} on reviews")
    row = page.get_by_role("row").filter(has=page.get_by_role("rowheader", name="diffs", exact=True))
    await expect(row).to_contain_text("failed")
    await page.get_by_role("link", name="the one before").click()
    await expect(page).to_have_url(re.compile(rf"/decisions/{logged['seq'] - 1}$"))


async def test_a_gate_opens_while_it_is_looked_at(opening: Opening, demo: Market) -> None:
    """The page has been open since before its domain was healed, and is the same document still."""
    page = opening.page
    await expect(page.locator("#answer")).to_contain_text(f"The reads of {HEALED} may flip.", timeout=GATE_MS)
    assert opening.before == f"closed The reads of {HEALED} may not flip."
    assert await page.evaluate("window.since") == "before it was healed"
    await expect(page.locator("#answer").get_by_role("heading", name="Flags to change")).to_be_visible()
    await expect(page.locator("#answer").get_by_role("heading", name="How to roll back")).to_be_visible()
    told = await demo.told(f"/api/v1/domains/{HEALED}")
    assert told["gate"] == "open"
    assert not opening.watch.faults
