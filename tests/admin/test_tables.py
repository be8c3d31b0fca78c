"""Tables of the pages by their addresses, and what they link to once the configuration has moved on."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import quote

from comparators.model import Difference, Kind
from proxy.gate import GateResult
from proxy.model import Outcome, Verdict
from tests.admin.conftest import Site
from tests.admin.recorded import AT, DAY, trace
from tests.admin.test_pages import see


async def test_every_table_of_a_domain_is_sorted_by_the_address(site: Site) -> None:
    async def column(table: str, sort: str) -> list[str]:
        page = await see(site, f"/domains/users?sort={sort}")
        return [row.all("th")[0].text for row in page.one(id=table).one("tbody").all("tr")]

    assert await column("routes", "-route") == ["GET /api/users/{id}", "GET /api/users"]
    assert await column("routes", "skipped") == ["GET /api/users/{id}", "GET /api/users"]
    names = await column("gate", "condition")
    assert names == sorted(names)
    assert await column("gate", "-condition") == names[::-1]
    holds = (await see(site, "/domains/payments?sort=-holds")).one(id="gate").all("td", data_label="Holds")
    tags = [one.text for one in holds]
    assert tags == sorted(tags, reverse=True), "those that hold stand before those that fail"
    assert set(tags) == {"holds", "fails"}
    site.ledger.enter("users", {"rules": "new"}, AT - DAY)
    began = await column("windows", "began")
    assert len(began) == 2
    assert await column("windows", "-began") == began[::-1] == await column("windows", "")
    page = await see(site, "/domains/users?sort=-began&q=a")
    assert page.one("th", aria_sort="descending").text == "Began"
    for wrong in ("mood", "-", "--route", "route-"):
        await see(site, f"/domains/users?sort={wrong}", 400)


async def test_a_long_route_stays_as_it_is_in_the_filter(site: Site) -> None:
    route = "GET /" + "/".join(f"step{number}" for number in range(200))
    for path in ("/findings", "/traces"):
        page = await see(site, f"{path}?route={quote(route)}")
        assert page.one("input", name="route").attributes["value"] == route


async def test_what_is_of_a_domain_no_longer_configured_links_to_no_page_of_it(site: Site) -> None:
    difference = Difference("$.a", Kind.VALUE_CHANGED, 1, 2)
    kept = replace(trace(9, difference), domain="orders", route="GET /api/orders", differences=(difference,))
    site.ledger.enter("orders", {"rules": "x"}, AT - DAY)
    outcome = Outcome("orders", kept.route, Verdict.DIFF, AT, differences=(difference,), trace=kept)
    site.ledger.record(site.ledger.begin("orders", kept.route), outcome)
    await site.ledger.flush()
    await site.ledger.store_decision(GateResult("orders", "closed", (), ("why",), None, None, AT, (), None, None))
    (finding,) = await site.ledger.findings("orders")
    for path in ("/findings", f"/findings/{finding.id}", "/traces", f"/traces/{kept.id}", "/decisions", "/decisions/1"):
        page = await see(site, path)
        assert "orders" in page.text
        links = {one.attributes["href"] for one in page.all("a") if "orders" in one.attributes.get("href", "")}
        for link in links:
            await see(site, link)


async def test_commands_in_sentences_are_set_as_code(site: Site) -> None:
    page = await see(site, "/domains/payments")
    assert "shadowread window" in [one.text for one in page.one(id="gate").all("code")]
    assert "`" not in page.one(id="gate").text + page.one(id="answer").text


async def test_domains_are_filtered_and_sorted_by_the_address(site: Site) -> None:
    async def names(query: str) -> list[str]:
        page = await see(site, f"/?{query}")
        return [one.text for one in page.one(id="domains").all("th", class_="name") for one in one.all("a")]

    assert await names("gate=closed") == ["payments", "chat"]
    assert await names("q=AY") == ["payments"]
    assert await names("sort=-name") == ["users", "payments", "chat"]
    assert await names("sort=comparisons&q=") == ["chat", "payments", "users"]
    page = await see(site, "/?sort=-comparisons")
    assert page.one("th", aria_sort="descending").text == "Compared"
    for wrong in ("sort=x", "gate=ajar", "nope=1", "q=a&q=b"):
        await see(site, f"/?{wrong}", 400)


async def test_traces_are_paged_by_links(site: Site) -> None:
    seen, path = [], "/traces?limit=2&domain=payments"
    while path:
        page = await see(site, path)
        seen += [one.attributes["href"] for one in page.one(id="traces").all("a", class_="path")]
        path = next((one.attributes["href"] for one in page.all("a", rel="next")), "")
    assert seen == ["/traces/trace0002", "/traces/trace0001", "/traces/trace0000"]
