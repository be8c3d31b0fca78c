"""Signing in, and that nothing is changed by who may not, or did not ask for it."""

from __future__ import annotations

import re
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import aiohttp
import pytest

from proxy.admin.session import COOKIE
from proxy.ledger import Finding, FindingState
from tests.admin.conftest import TOKEN, Site, running

FORM = {"owner": "mara", "why": "old <b>rows</b>", "until": "2026-12-31"}
EVIL = "http://evil.example"


class Browser:
    """Keeps cookies, says where it comes from, follows nothing."""

    def __init__(self, site: Site, *, origin: str | None = None) -> None:
        self.site = site
        self.origin = origin
        self.cookies: dict[str, str] = {}
        self.set_cookie = ""

    async def get(self, path: str) -> aiohttp.ClientResponse:
        return self._keep(await self.site.get(path, Authorization="", Accept="text/html", **self._fields()))

    async def post(self, path: str, form: dict[str, str], **fields: str) -> aiohttp.ClientResponse:
        origin = self.origin or f"http://127.0.0.1:{self.site.site.port}"
        fields = {"Authorization": "", "Accept": "text/html", "Origin": origin} | self._fields() | fields
        return self._keep(await self.site.post(path, data=form, **fields))

    async def csrf(self, path: str) -> str:
        found = re.search(r'name="csrf" value="(\w+)"', await (await self.get(path)).text())
        assert found, path
        return found[1]

    async def sign_in(self, token: str = TOKEN, **more: str) -> aiohttp.ClientResponse:
        return await self.post("/login", {"csrf": await self.csrf("/login"), "token": token, **more})

    def _fields(self) -> dict[str, str]:
        pairs = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        return {"Cookie": pairs} if pairs else {}

    def _keep(self, answer: aiohttp.ClientResponse) -> aiohttp.ClientResponse:
        for field in answer.headers.getall("Set-Cookie", []):
            self.set_cookie = field
            for name, morsel in SimpleCookie(field).items():
                if morsel.value:
                    self.cookies[name] = morsel.value
                else:
                    self.cookies.pop(name, None)
        return answer


@pytest.fixture
async def browser(site: Site) -> Browser:
    return Browser(site)


@pytest.fixture
async def finding(site: Site) -> Finding:
    return (await site.ledger.findings("payments"))[0]


async def state(site: Site, finding: Finding) -> FindingState:
    found = await site.ledger.finding(finding.id)
    assert found is not None
    return found.state


async def test_pages_ask_for_the_token_once_and_lead_back(site: Site, browser: Browser) -> None:
    asked = await browser.get("/findings?state=open&q=a")
    assert (asked.status, asked.headers["Location"]) == (303, "/login?next=/findings%3Fstate%3Dopen%26q%3Da")
    assert (await browser.get(asked.headers["Location"])).status == 200
    wrong = await browser.sign_in("no such token", next="/findings?state=open&q=a")
    assert (wrong.status, browser.cookies, site.slept) == (401, {}, [1.0])
    assert 'value="/findings?state=open&amp;q=a"' in await wrong.text(), "where to go on is kept"
    answer = await browser.sign_in(next="/findings?state=open&q=a")
    assert (answer.status, answer.headers["Location"]) == (303, "/findings?state=open&q=a")
    assert site.slept == [1.0], "the right one waits for nothing"
    fields = {part.strip().partition("=")[0].lower() for part in browser.set_cookie.split(";")}
    assert fields == {COOKIE, "httponly", "max-age", "path", "samesite"}
    assert "SameSite=Strict" in browser.set_cookie
    assert len(browser.cookies[COOKIE]) >= 43
    assert TOKEN not in browser.set_cookie
    for path in ("/", "/findings", "/api/v1/domains", "/metrics"):
        assert (await browser.get(path)).status == 200, path


async def test_a_cookie_is_bound_to_tls_where_there_is_tls(site: Site) -> None:
    for fields in ({"Origin": "https://dash.localhost", "Host": "dash.localhost"}, {"X-Forwarded-Proto": "https"}):
        browser = Browser(site)
        form = {"csrf": await browser.csrf("/login"), "token": TOKEN}
        assert (await browser.post("/login", form, **fields)).status == 303
        assert "; Secure" in browser.set_cookie


@pytest.mark.parametrize(
    "wanted", ["//evil.example", "https://evil.example/", "/\\evil.example", "/login", "/api/v1/x"]
)
async def test_a_login_is_no_open_redirect(browser: Browser, wanted: str) -> None:
    page = await (await browser.get(f"/login?{urlencode({'next': wanted})}")).text()
    assert "evil" not in page
    answer = await browser.sign_in(next=wanted)
    assert (answer.status, answer.headers["Location"]) == (303, "/")


async def test_a_session_ends(site: Site, browser: Browser) -> None:
    await browser.sign_in()
    kept = dict(browser.cookies)
    answer = await browser.post("/logout", {"csrf": await browser.csrf("/findings")})
    assert (answer.status, answer.headers["Location"], browser.cookies) == (303, "/login", {})
    browser.cookies = kept
    assert (await browser.get("/findings")).status == 303, "what was signed out stays out"
    await browser.sign_in()
    site.moment[0] = site.settings.admin.session
    assert (await browser.get("/findings")).status == 303
    program = await site.get("/api/v1/domains", Authorization="", Cookie=f"{COOKIE}={browser.cookies[COOKIE]}")
    assert program.status == 401


async def test_a_session_is_not_fixed_by_somebody_else(site: Site, browser: Browser) -> None:
    other = Browser(site)
    await other.sign_in()
    planted = other.cookies[COOKIE]
    csrf = await browser.csrf("/login")
    browser.cookies = {COOKIE: planted}
    await browser.post("/login", {"csrf": csrf, "token": TOKEN})
    assert browser.cookies[COOKIE] != planted
    assert (await other.get("/findings")).status == 303, "what was planted opens nothing any more"


async def test_too_many_wrong_tokens_are_not_looked_at(tmp_path: Path) -> None:
    async with running(tmp_path, token=TOKEN) as site:
        browser = Browser(site)
        site.hold.clear()
        waiting = [await site.begin("/api/v1/domains", Authorization=f"Bearer {number}") for number in range(8)]
        await site.until(lambda: len(site.slept) == 8)
        right = await browser.sign_in()
        assert (right.status, browser.cookies) == (429, {}), "refusing tells nothing"
        assert (await site.get("/api/v1/domains")).status == 429
        assert (await site.get("/healthz")).status == 200
        site.hold.set()
        assert [(await one).status for one in waiting] == [401] * 8
        assert (await browser.sign_in()).status == 303


async def test_a_wrong_token_is_logged_without_it(browser: Browser, caplog: pytest.LogCaptureFixture) -> None:
    await browser.sign_in("nearly the right token")
    assert "wrong token" in caplog.text
    assert "nearly" not in caplog.text


async def test_a_form_changes_what_it_says(site: Site, browser: Browser, finding: Finding) -> None:
    await browser.sign_in()
    path = f"/findings/{finding.id}"
    answer = await browser.post(f"{path}/accept", {"csrf": await browser.csrf(path), **FORM})
    assert (answer.status, answer.headers["Location"]) == (303, path)
    assert await state(site, finding) is FindingState.ACCEPTED
    page = await (await browser.get(path)).text()
    assert "Accepted through 2026-12-31" in page
    assert "old &lt;b&gt;rows&lt;/b&gt;" in page
    assert "Accepted through 2026-12-31" not in await (await browser.get(path)).text(), "told once"
    listed = (await (await site.get("/api/v1/findings?state=accepted")).json())["findings"]
    assert [one["id"] for one in listed] == [finding.id]
    answer = await browser.post(f"{path}/revoke", {"csrf": await browser.csrf(path)})
    assert (answer.status, await state(site, finding)) == (303, FindingState.OPEN)


async def test_a_form_that_is_refused_keeps_what_was_typed(site: Site, browser: Browser, finding: Finding) -> None:
    await browser.sign_in()
    path = f"/findings/{finding.id}"
    csrf = await browser.csrf(path)
    for name, value, says in (
        ("owner", " ", "who answers"),
        ("why", "", "why it may stay"),
        ("until", "tomorrow", "2026-12-31"),
        ("until", "2026-04-30", "past"),
        ("until", "2027-05-03", "2027-05-02"),
        ("owner", "x" * 201, "at most 200"),
    ):
        form = {"csrf": csrf, **FORM, "owner": 'mara "x" <y>', name: value}
        answer = await browser.post(f"{path}/accept", form)
        page = await answer.text()
        assert (answer.status, answer.content_type) == (422, "text/html")
        assert says in page
        assert name == "why" or "old &lt;b&gt;rows&lt;/b&gt;" in page
        assert name == "owner" or "mara &#34;x&#34; &lt;y&gt;" in page
    assert await state(site, finding) is FindingState.OPEN


async def test_a_change_that_nobody_asked_for_is_refused(site: Site, browser: Browser, finding: Finding) -> None:
    other = Browser(site)
    await other.sign_in()
    await browser.sign_in()
    path = f"/findings/{finding.id}"
    csrf, foreign = await browser.csrf(path), await other.csrf(path)
    assert csrf != foreign
    accept = f"{path}/accept"
    tries = [
        await browser.post(accept, FORM),
        await browser.post(accept, FORM | {"csrf": foreign}),
        await browser.post(accept, FORM | {"csrf": await Browser(site).csrf("/login")}),
        await browser.post(accept, FORM | {"csrf": csrf}, Origin=EVIL),
        await browser.post(accept, FORM | {"csrf": csrf}, Origin="null"),
        await browser.post(accept, FORM | {"csrf": csrf}, **{"Sec-Fetch-Site": "cross-site"}),
        await browser.post(f"{path}/revoke", {}),
        await browser.post("/traces/trace0001/replay", {}),
        await browser.post("/logout", {}),
        await browser.post("/logout", {"csrf": csrf}, Origin=EVIL),
    ]
    assert [one.status for one in tries] == [403] * len(tries)
    assert {one.content_type for one in tries} == {"text/html"}
    nobody = await Browser(site).post(accept, FORM | {"csrf": csrf})
    assert (nobody.status, nobody.headers["Location"]) == (303, "/login")
    evil = Browser(site, origin=EVIL)
    assert (await evil.sign_in()).status == 403, "nobody is signed in from elsewhere either"
    browser_form = await browser.post(accept, FORM | {"csrf": csrf}, **{"Content-Type": "text/plain"})
    assert browser_form.status == 415
    assert await state(site, finding) is FindingState.OPEN
    assert (await browser.get(path)).status == 200, "still signed in"


async def test_json_from_a_browser_and_from_a_program(site: Site, browser: Browser, finding: Finding) -> None:
    await browser.sign_in()
    path = f"/api/v1/findings/{finding.id}/accept"
    cookie: Any = {"Authorization": "", "Cookie": f"{COOKIE}={browser.cookies[COOKIE]}"}
    csrf: Any = {"X-CSRF-Token": await browser.csrf(f"/findings/{finding.id}")}
    refused = [
        (await site.post(path, json=FORM, **cookie), 403),
        (await site.post(path, json=FORM, **cookie, **csrf, Origin=EVIL), 403),
        (await site.post(path, data=FORM, **cookie, **csrf), 415),
        (await site.post(path, json=FORM, Authorization=""), 401),
        (await site.post(path, json=[1]), 400),
        (await site.post(path, json={**FORM, "until": 5}), 400),
        (await site.post(path, json={**FORM, "more": "x"}), 400),
        (await site.post(path, json={**FORM, "until": ""}), 422),
        (await site.post(path, json={**FORM, "why": "x" * 70_000}), 413),
        (await site.post(path, data=FORM), 415),
        (await site.post("/api/v1/findings/none/accept", json=FORM), 404),
        (await site.post("/api/v1/traces/trace0001/replay", json={}), 409),
    ]
    for answer, status in refused:
        assert (answer.status, answer.content_type) == (status, "application/problem+json")
    assert await state(site, finding) is FindingState.OPEN
    assert (await site.post(path, json=FORM, **cookie, **csrf)).status == 200
    assert await state(site, finding) is FindingState.ACCEPTED
    answer = await site.post(path.replace("accept", "revoke"))
    assert answer.status == 415
    answer = await site.post(path.replace("accept", "revoke"), json={})
    assert (await answer.json())["state"] == "open"


async def test_without_a_token_changes_are_guarded_all_the_same(open_site: Site) -> None:
    site, browser = open_site, Browser(open_site)
    (finding, *_) = await site.ledger.findings("payments")
    path, accept = f"/findings/{finding.id}", f"/findings/{finding.id}/accept"
    csrf = await browser.csrf(path)
    assert (await browser.post(accept, FORM)).status == 403
    assert (await browser.post(accept, FORM | {"csrf": csrf}, Origin=EVIL)).status == 403
    assert (await site.post(f"/api/v1{accept}", json=FORM, Authorization="", Origin=EVIL)).status == 403
    assert (await site.post(f"/api/v1{accept}", data=FORM, Authorization="")).status == 415
    assert await state(site, finding) is FindingState.OPEN
    assert (await browser.post(accept, FORM | {"csrf": csrf})).status == 303
    assert await state(site, finding) is FindingState.ACCEPTED
    assert (await site.post(f"/api/v1{path}/revoke", json={}, Authorization="")).status == 200
    assert (await browser.get("/login")).status == 303
    assert (await browser.post("/login", {"token": "x"})).headers["Location"] == "/"


async def test_a_link_from_elsewhere_finds_the_session(site: Site, browser: Browser) -> None:
    await browser.sign_in()
    elsewhere = {"Authorization": "", "Accept": "text/html", "Sec-Fetch-Site": "cross-site"}
    first = await site.get('/findings?q="><script>&state=open', **elsewhere)
    page = await first.text()
    assert (first.status, "<script>" in page) == (200, False)
    found = re.search(r'content="0;url=([^"]+)"', page)
    assert found
    address = found[1].replace("&amp;", "&")
    assert address == "/findings?q=%22%3E%3Cscript%3E&state=open"
    assert (await browser.get(address)).status == 200
    again = await site.get(address, **(elsewhere | {"Sec-Fetch-Site": "same-origin"}))
    assert again.status == 303, "asked again once only"


async def test_pages_of_other_sites_read_nothing_and_decide_nothing(open_site: Site) -> None:
    site = open_site
    for fields in ({"Sec-Fetch-Site": "cross-site"}, {"Origin": EVIL}):
        for path in ("/api/v1/gates/users", "/api/v1/domains", "/api/v1/events"):
            assert (await site.get(path, Authorization="", **fields)).status == 403, path
    assert await site.ledger.decisions() == []
    assert (await site.get("/api/v1/gates/users", Authorization="")).status == 200


async def test_a_page_that_is_missing_is_told_as_a_page(browser: Browser) -> None:
    await browser.sign_in()
    for path, status in (("/findings/none", 404), ("/nowhere", 404), ("/findings?sort=x", 400), ("/domains/x", 404)):
        answer = await browser.get(path)
        assert (answer.status, answer.content_type) == (status, "text/html"), path
        assert "default-src 'none'; script-src 'self'" in answer.headers["Content-Security-Policy"]
    answer = await browser.post("/findings", {})
    assert (answer.status, answer.headers["Allow"]) == (405, "GET,HEAD")


async def test_files_are_kept_by_their_content_and_no_other_is_given(site: Site) -> None:
    page = await (await site.get("/", Accept="text/html")).text()
    (address, *_) = re.findall(r'href="(/static/base\.css\?v=\w+)"', page)
    answer = await site.get(address, Authorization="")
    assert (answer.status, answer.headers["Cache-Control"]) == (200, "public, max-age=31536000, immutable")
    assert answer.headers["Content-Type"] == "text/css; charset=utf-8"
    old = await site.get(f"{address[:-1]}x", Authorization="")
    assert (old.status, old.headers["Cache-Control"]) == (200, "no-cache")
    for name in ("none.css", "..%2fsite.py", "%2e%2e", "base.html", "."):
        assert (await site.get(f"/static/{name}", Authorization="")).status in (404, 401), name
