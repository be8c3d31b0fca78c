"""From the front page to a planted bug, and what can be done with the finding there."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from playwright.async_api import Page, expect

from tests.browser.conftest import Look
from tests.browser.market import Market

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300), pytest.mark.asyncio(loop_scope="package")]

BUG, DOMAIN, WHERE = "quote_rate_as_string", "payments", "$.data.quote.rate"
MOST_TABS = 300


async def tab_to(page: Page, name: str | re.Pattern[str], role: str = "link") -> None:
    """Go on by the Tab key until the element of that name has the focus."""
    wanted = page.locator(":focus").and_(page.get_by_role(role, name=name))  # type: ignore[arg-type] # any ARIA role
    for _ in range(MOST_TABS):
        await page.keyboard.press("Tab")
        if await wanted.count():
            return
    raise AssertionError(f"no {role} {name!r} could be reached by Tab from {page.url}")


async def sees_the_bug(page: Page) -> None:
    """On a trace page: the list names the bug at once, and the next key leads to its line in both bodies."""
    await expect(page).to_have_url(re.compile(r"/traces/\w+"))
    listed = page.locator("table.list tr", has_text=WHERE)
    await expect(listed).to_be_in_viewport()
    await expect(listed).to_contain_text("number string")
    await expect(page.locator("#step")).to_have_text(re.compile("to step through"))  # from then on the keys are heard
    await page.keyboard.press("n")
    line = page.locator("#tree tr:focus")
    await expect(line).to_be_in_viewport()
    await expect(line.get_by_role("rowheader")).to_contain_text("rate")
    # The same figure, as a number here and as text there, which may end in noughts.
    assert re.search(r'(\d+(?:\.\d+)?)\s+"\1[\d.]*"', await line.inner_text())


async def test_two_clicks_lead_from_the_front_page_to_the_differing_line_of_a_planted_bug(look: Look) -> None:
    page = await look()
    await page.get_by_role("link", name=DOMAIN, exact=True).first.click()
    await expect(page.get_by_role("heading", level=1, name=DOMAIN)).to_be_visible()
    findings = page.get_by_role("region", name="Findings of this domain")
    row = findings.get_by_role("row").filter(has_text=WHERE)
    await row.get_by_role("link", name=f"see why {WHERE} differs").click()
    await sees_the_bug(page)


async def test_the_keyboard_alone_leads_there_as_well(look: Look, demo: Market) -> None:
    finding = await demo.finding(BUG)
    page = await look()
    await page.keyboard.press("Tab")
    await expect(page.locator(":focus")).to_have_text("Skip to content")
    await page.keyboard.press("g")
    await page.keyboard.press("f")
    await expect(page.get_by_role("heading", level=1, name="Findings")).to_be_visible()
    await page.keyboard.press("/")
    await page.keyboard.type("quote.rate")
    await page.keyboard.press("Enter")
    await expect(page).to_have_url(re.compile(r"/findings\?.*q=quote\.rate"))
    await tab_to(page, WHERE)
    await page.keyboard.press("Enter")
    await expect(page).to_have_url(re.compile(f"/findings/{finding['id']}"))
    await expect(page.get_by_role("heading", level=1)).to_have_text(WHERE)
    await tab_to(page, re.compile(r"^see why at"))
    await page.keyboard.press("Enter")
    await sees_the_bug(page)


async def test_the_keys_are_told_by_a_key(look: Look) -> None:
    page = await look()
    await page.keyboard.press("?")
    dialog = page.get_by_role("dialog", name="Keys")
    await expect(dialog).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(dialog).to_be_hidden()


async def test_a_finding_is_accepted_seen_as_such_everywhere_and_revoked(look: Look, demo: Market) -> None:
    finding = await demo.finding("blog_total_counts_deleted")
    path = f"/findings/{finding['id']}"
    page = await look(path)
    until = (datetime.now(UTC) + timedelta(days=30)).date().isoformat()
    await page.get_by_label("Owner").fill("ana")
    await page.get_by_label("Why").fill("the new total is <b>right</b>; the old one counted the deleted")
    await page.get_by_label("Through the day").fill(until)
    await page.get_by_role("button", name="Accept", exact=True).click()
    await expect(page.get_by_role("status").filter(has_text="Accepted through")).to_be_visible()
    await expect(page.locator("#finding-state")).to_have_text("accepted")
    await expect(page.get_by_text("the new total is <b>right</b>")).to_be_visible()

    for place in ("/findings?state=accepted", "/domains/blog"):
        await page.goto(demo.admin + place)
        row = page.get_by_role("row").filter(has_text="$.pagination.total").first
        await expect(row.get_by_text("accepted", exact=True)).to_be_visible()
    assert (await demo.told(f"/api/v1{path}"))["acceptance"]["owner"] == "ana"

    await page.goto(demo.admin + path)
    await page.get_by_role("button", name="Revoke").click()
    await expect(page.locator("#finding-state")).to_have_text("open")
    assert (await demo.told(f"/api/v1{path}"))["acceptance"] is None


async def test_an_acceptance_that_is_too_long_is_refused_and_what_was_typed_stays(look: Look, demo: Market) -> None:
    finding = await demo.finding("blog_empty_tags_null")
    page = await look(f"/findings/{finding['id']}", expected=("status of 400", "status of 422"))
    field = page.get_by_label("Through the day")
    await field.evaluate("field => field.removeAttribute('max')")
    await page.get_by_label("Owner").fill("ana")
    await page.get_by_label("Why").fill("some day")
    await field.fill("2999-01-01")
    await page.get_by_role("button", name="Accept", exact=True).click()
    await expect(page.get_by_role("alert")).to_contain_text("at most")
    await expect(page.get_by_label("Owner")).to_have_value("ana")
    await expect(page.get_by_label("Why")).to_have_value("some day")
    # What is live looks at the finding's own address from here on: that of the form only takes what is posted.
    async with page.expect_response(re.compile(rf"/findings/{finding['id']}$")) as looked:
        pass
    assert (await looked.value).status == 200
    await expect(page.get_by_label("Why")).to_have_value("some day")
    assert (await demo.told(f"/api/v1/findings/{finding['id']}"))["acceptance"] is None


async def test_the_findings_are_filtered_and_sorted_by_addresses(look: Look) -> None:
    page = await look("/findings")
    await page.get_by_role("combobox", name="Domain").select_option("disputes")
    await page.get_by_role("button", name="Filter").click()
    await expect(page).to_have_url(re.compile(r"domain=disputes"))
    domains = page.locator("td[data-label=Domain]")
    assert set(await domains.all_inner_texts()) == {"disputes"}
    await page.get_by_role("columnheader", name="Where").get_by_role("link").click()
    await expect(page).to_have_url(re.compile(r"domain=disputes.*sort=path|sort=path.*domain=disputes"))
    await expect(page.get_by_role("columnheader", name="Where")).to_have_attribute("aria-sort", "ascending")
    paths = await page.get_by_role("rowheader").get_by_role("link").all_inner_texts()
    assert len(paths) > 1
    assert paths == sorted(paths)
