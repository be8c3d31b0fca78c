"""What the pages show, over a real admin port and a real ledger."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from urllib.parse import parse_qs, urljoin, urlsplit

import aiohttp
import pytest
import pytest_asyncio

from comparators.model import Difference, Kind
from proxy.admin import AdminSite, Evidence, Readiness
from proxy.ledger import Ledger
from proxy.model import Ended, Outcome, Verdict
from proxy.tail import Tail
from proxy.telemetry import Figures
from tests.admin.conftest import TOKEN, Site
from tests.admin.html import Element, read
from tests.admin.recorded import AT, recorded, settings_in, trace

HOSTILE = "<script>alert(1)</script>\u202e\x00\"'&amp;{{7*7}}"
PLAIN_PATHS = (
    "/",
    "/domains/payments",
    "/domains/users",
    "/domains/chat",
    "/findings",
    "/traces",
    "/live",
    "/decisions",
)


@dataclass(frozen=True)
class Pages:
    """A site that is only looked at, by all of these tests together."""

    client: aiohttp.ClientSession
    ledger: Ledger
    tail: Tail
    port: int

    async def get(self, path: str, **fields: str) -> aiohttp.ClientResponse:
        return await self.client.get(f"http://127.0.0.1:{self.port}{path}", headers=fields, allow_redirects=False)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pages(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Pages]:
    settings = settings_in(tmp_path_factory.mktemp("pages"))
    async with recorded(settings) as ledger, aiohttp.ClientSession() as client:
        evidence, tail = Evidence(settings, ledger, now=lambda: AT), Tail()
        for result in await evidence.gates():
            await ledger.store_decision(result)
        tail.add(Ended(AT, "users", "GET /api/users", Verdict.MATCH, None, 0, 0.004, 0.0123))
        tail.add(Ended(AT, "payments", "GET /api/payments", Verdict.DIFF, "trace0001", 2, 0.004, 0.0123))
        site = AdminSite(evidence, Figures(), Readiness({}), host="127.0.0.1", port=0, tail=tail)
        await site.start()
        yield Pages(client, ledger, tail, site.port)
        await site.stop()


async def see(site: Pages | Site, path: str, status: int = 200) -> Element:
    """A page, read strictly, and held to what all of them promise."""
    answer = await site.get(path, Accept="text/html")
    assert (answer.status, answer.content_type) == (status, "text/html"), await answer.text()
    page = read(await answer.text())
    promised(page)
    return page


def promised(page: Element) -> None:
    assert page.one("html").attributes["lang"] == "en"
    assert len(page.all("h1")) == 1
    assert page.one("main").attributes["id"] == "main"
    ids = [one.attributes["id"] for one in page.all() if "id" in one.attributes]
    assert len(ids) == len(set(ids))
    for one in page.all():
        assert "style" not in one.attributes
        assert not [name for name in one.attributes if name.startswith("on")]
        if one.name == "script":
            assert one.attributes["src"].startswith("/static/")
            assert one.text == ""
        for name in ("href", "src", "action"):
            # Nothing is fetched from, sent to, or linked at another host.
            assert one.attributes.get(name, "/").startswith(("/", "#", "?")), one
            assert not one.attributes.get(name, "/").startswith("//")
        if one.name == "form" and one.attributes.get("method") == "post":
            assert one.one("input", name="csrf").attributes["value"]
        if one.name in ("input", "select", "textarea") and one.attributes.get("type") != "hidden":
            assert _labelled(one), one.attributes
        if "aria-labelledby" in one.attributes:
            assert one.attributes["aria-labelledby"] in ids
        if "data-live" in one.attributes:
            assert "id" in one.attributes
        if one.attributes.get("class") == "scroll":
            assert (one.attributes["tabindex"], one.attributes["role"]) == ("0", "region")
            assert one.attributes["aria-label"]
        if one.name == "th":
            assert one.attributes["scope"] in ("col", "row")


def _labelled(one: Element) -> bool:
    at = one.parent
    while at is not None and at.name != "label":
        at = at.parent
    return at is not None


async def content(site: Pages | Site, path: str) -> dict[str, object]:
    answer = await site.get(path)
    assert answer.status == 200, await answer.text()
    found: dict[str, object] = await answer.json()
    return found


async def plant(site: Site) -> str:
    """A finding whose path, values and request were written by somebody who wishes us ill; answers its id."""
    difference = Difference(f"$['{HOSTILE}']", Kind.VALUE_CHANGED, HOSTILE, [HOSTILE])
    kept = replace(
        trace(9, difference),
        differences=(difference,),
        target=f"/api/payments?{HOSTILE}",
        primary_body='{"a": "</pre><img src=x onerror=alert(1)>"}',
    )
    outcome = Outcome("payments", kept.route, Verdict.DIFF, AT, differences=(difference,), trace=kept)
    site.ledger.record(site.ledger.begin("payments", kept.route), outcome)
    await site.ledger.flush()
    (found,) = [one.id for one in await site.ledger.findings("payments") if "script" in one.path]
    return found


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("path", PLAIN_PATHS)
async def test_every_page_keeps_its_promises(pages: Pages, path: str) -> None:
    page = await see(pages, path)
    assert page.one("h1").text
    twin = next(one.attributes["href"] for one in page.all("a") if one.text == "This page as JSON")
    assert (await pages.get(twin)).content_type == "application/json"


async def test_every_link_of_every_page_leads_somewhere(site: Site) -> None:
    assert (await site.get("/api/v1/gates/payments")).status == 200
    await plant(site)
    site.tail.add(Ended(AT, "payments", "GET /api/payments", Verdict.DIFF, "trace0001", 2))
    ahead = ["/"]
    seen: set[tuple[str, ...]] = {("/",)}
    while ahead:
        path = ahead.pop()
        answer = await site.get(path, Accept="text/html")
        assert answer.status == 200, path
        if answer.content_type != "text/html":
            continue
        page = read(await answer.text())
        promised(page)
        ids = {one.attributes["id"] for one in page.all() if "id" in one.attributes}
        for one in page.all():
            for name in ("href", "src"):
                link = one.attributes.get(name)
                if link is None:
                    continue
                parts = urlsplit(link)
                if not parts.path and not parts.query:
                    # A row of a trace may be one that is fetched once it is asked for.
                    assert parts.fragment in ids or path.startswith("/traces/"), (path, link)
                    continue
                bare = urljoin(path, parts._replace(fragment="").geturl())
                # One of each sort: filters and orders make hundreds of addresses out of one.
                sort = urlsplit(bare).path, *sorted(parse_qs(parts.query))
                if sort not in seen:
                    seen.add(sort)
                    ahead.append(bare)
    assert ("/traces/trace0001",) in seen
    assert ("/static/tail.js", "v") in seen
    assert ("/findings", "domain", "route") in seen


@pytest.mark.asyncio(loop_scope="module")
async def test_the_front_page_shows_what_its_json_says(pages: Pages) -> None:
    page = await see(pages, "/")
    rows = page.one(id="domains").one("tbody").all("tr")
    told = (await content(pages, "/api/v1/domains"))["domains"]
    assert isinstance(told, list)
    assert [row.one("th").one("a").text for row in rows] == [one["name"] for one in told]
    users, payments, chat = rows
    assert "open" in users.text
    assert "0 % at most 9.5 %" in users.text
    assert "2 of 2 routes" in users.text
    assert "closed" in payments.text
    assert "100 %" in payments.text
    assert f"and {len(told[1]['reasons']) - 1} more" in payments.text
    assert "3 compared, 3 differed, 1 failed" in payments.one("svg").attributes["aria-label"]
    assert "1 of 3 gates open, 1 unproven" in page.one(id="summary").text
    assert "Fix first: payments" in page.one(id="summary").text
    assert "3 diffs in 3 comparisons" in page.one(id="summary").text
    # A zero that means nothing is never shown as one.
    rate = chat.one("td", data_label="Diff rate").text
    assert rate == "unproven"
    answer = (await see(pages, "/domains/chat")).one(id="answer")
    assert "unproven" in answer.text
    assert "0 %" not in answer.text


@pytest.mark.asyncio(loop_scope="module")
async def test_an_open_gate_names_the_flags_and_the_way_back(pages: Pages) -> None:
    answer = (await see(pages, "/domains/users")).one(id="answer").text
    assert "may flip" in answer
    assert "REPO_USER=pg" in answer
    assert "unset REPO_USER and restart" in answer


@pytest.mark.asyncio(loop_scope="module")
async def test_a_domain_page_tells_what_would_open_the_gate_and_what_it_rests_on(pages: Pages) -> None:
    page = await see(pages, "/domains/payments")
    told = await content(pages, "/api/v1/domains/payments")
    assert "may not flip" in page.one(id="answer").text
    conditions = {one.one("th").text: one for one in page.one(id="gate").one("tbody").all("tr")}
    assert isinstance(told["conditions"], list)
    assert len(conditions) == len(told["conditions"])
    first = next(iter(conditions.values()))
    assert "fails" in first.text
    for one in told["conditions"]:
        row = conditions[one["name"].replace("_", " ")].text
        for text in (one["text"], one["remedy"]):
            # What stands between backticks is set as code.
            assert " ".join(text.replace("`", "").split()) in row
    evidence = page.one(id="evidence").text
    assert "$.requestId of GET /api/payments: text, 40 tried, none seen" in evidence
    assert "2\u00d7 date_format at $.at by $..at" in evidence or "6\u00d7 date_format at $.at by $..at" in evidence
    assert "health: proven" in evidence
    assert "No holes" in evidence
    assert [one.text for one in page.one(id="findings").all("a", class_="path")] == ["$.amount", "$.items"]
    users = await see(pages, "/domains/users?q=deleted")
    assert "$.deletedAt of GET /api/users/{id}: there in 15 of 15, null in 15" in users.one(id="evidence").text


@pytest.mark.asyncio(loop_scope="module")
async def test_findings_are_those_of_the_api(pages: Pages) -> None:
    for query in ("", "?sort=path", "?sort=-path&domain=payments", "?kind=number_string", "?q=items&state=open"):
        page = await see(pages, f"/findings{query}")
        told = (await content(pages, f"/api/v1/findings{query}"))["findings"]
        assert isinstance(told, list)
        shown = [one.attributes["href"].rpartition("/")[2] for one in page.all("a", class_="path")]
        assert shown == [one["id"] for one in told]
        assert told
    assert "No finding fits" in (await see(pages, "/findings?q=nothing")).text
    await see(pages, "/findings?kind=odd", 400)
    await see(pages, "/findings?domain=nope", 404)


@pytest.mark.asyncio(loop_scope="module")
async def test_a_finding_shows_its_values_its_rule_and_its_traces(pages: Pages) -> None:
    (id_,) = [one.id for one in await pages.ledger.findings("payments") if one.kind is Kind.NUMBER_STRING]
    page = await see(pages, f"/findings/{id_}")
    told = await content(pages, f"/api/v1/findings/{id_}")
    assert "3 exchanges, 3 differences; 100 % of the 3 comparisons" in page.one(id="facts").text
    assert "a text that spells a number" in page.one(id="facts").text
    assert "1180591620717411303424" in page.one(id="examples").text
    rule = told["suggestion"]["rule"]  # type: ignore[index]
    assert rule["yaml"] == 'compare:\n  tolerate:\n    - {kind: number_string, at: "$.amount"}\n'
    assert (rule["hides"], rule["left"]) == (1, 1)
    assert page.one(id="rule-yaml").text == " ".join(rule["yaml"].split())
    assert len(page.one(id="traces").one("tbody").all("tr")) == 3


@pytest.mark.asyncio(loop_scope="module")
async def test_what_changes_a_value_is_never_suggested_to_be_overlooked(pages: Pages) -> None:
    (id_,) = [one.id for one in await pages.ledger.findings("payments") if one.kind is Kind.VALUE_CHANGED]
    told = (await content(pages, f"/api/v1/findings/{id_}"))["suggestion"]
    assert told["rule"] is None  # type: ignore[index]
    assert (await see(pages, f"/findings/{id_}")).all(id="rule-yaml") == []


async def test_hostile_text_is_shown_and_does_nothing(site: Site) -> None:
    finding = await plant(site)
    for path in ("/findings", f"/findings/{finding}", "/domains/payments", "/traces", "/traces?q=script"):
        text = await (await site.get(path, Accept="text/html")).text()
        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text, path
        assert "<script>alert" not in text
        assert "\u202e" not in text
        assert "\\u202e" in text
        assert "\x00" not in text
        assert "{{7*7}}" in text  # a template is not made of data
        promised(read(text))
    for path in ("/findings?q=%3Cscript%3E%22", "/live?route=%3Cscript%3E%22", "/traces?route=%22%3E%3Cb%3E"):
        text = await (await site.get(path, Accept="text/html")).text()
        assert "<script>%" not in text
        assert '<script>"' not in text
        assert "<b>" not in text
        promised(read(text))


async def test_what_was_typed_stays_when_a_form_is_refused(site: Site) -> None:
    (id_, *_) = [one.id for one in await site.ledger.findings("payments")]
    answer = await site.client.post(
        f"http://127.0.0.1:{site.site.port}/findings/{id_}/accept",
        headers={"Authorization": f"Bearer {TOKEN}", "Accept": "text/html"},
        data={"owner": "mara <b>", "why": "", "until": "2026-12-31"},
        allow_redirects=False,
    )
    page = read(await answer.text())
    promised(page)
    assert 400 <= answer.status < 500
    assert page.one("input", name="owner").attributes["value"] == "mara <b>"
    assert page.one("input", name="until").attributes["value"] == "2026-12-31"
    assert page.one("textarea", name="why").attributes["aria-invalid"] == "true"
    assert page.one(id="refused").attributes["role"] == "alert"
    assert page.one(id="main").attributes["data-address"] == f"/findings/{id_}"


@pytest.mark.asyncio(loop_scope="module")
async def test_the_live_page_has_what_ended_newest_first(pages: Pages) -> None:
    page = await see(pages, "/live")
    rows = [one.text for one in page.one(id="tail").one("tbody").all("tr")]
    assert rows[0].startswith("12:00:30 diff payments GET /api/payments 2 4.0 ms 12 ms see why")
    assert rows[1].startswith("12:00:30 match users")
    assert page.one(id="tail").attributes["data-since"] == (await content(pages, "/api/v1/live"))["next"]
    page = await see(pages, "/live?verdict=match&domain=users")
    assert len(page.one(id="tail").one("tbody").all("tr")) == 1
    assert page.one(id="tail").attributes["data-query"] == "?verdict=match&domain=users"
    await see(pages, "/live?verdict=perhaps", 400)


@pytest.mark.asyncio(loop_scope="module")
async def test_decisions_stand_with_their_hashes_and_figures(pages: Pages) -> None:
    page = await see(pages, "/decisions?domain=payments")
    told = await content(pages, "/api/v1/decisions")
    assert page.one(id="head-hash").text == told["head"]["hash"]  # type: ignore[index]
    (row,) = page.one(id="decisions").one("tbody").all("tr")
    assert "payments" in row.text
    assert "closed" in row.text
    one = await see(pages, "/decisions/2")
    assert "Decision 2 on payments" in one.one("h1").text
    assert "No rollback plan is named." in one.text
    await see(pages, "/decisions/99", 404)
    await see(pages, "/decisions/x", 400)


async def test_strangers_see_the_login_page_and_nothing_else(site: Site) -> None:
    answer = await site.get("/login", Authorization="", Accept="text/html")
    page = read(await answer.text())
    assert answer.status == 200
    assert page.one("input", name="token").attributes["type"] == "password"
    assert page.all("nav") == []
