"""The guards that every other test relies on do notice: a page that does all that is forbidden is told of."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestServer
from playwright.async_api import Browser

from tests.browser.accessible import grave, violations
from tests.browser.watch import Watch

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300), pytest.mark.asyncio(loop_scope="package")]

POLICY = "default-src 'none'; script-src 'self'; img-src *"
PAGE = """<!doctype html><html lang="en"><title>bad</title><main><h1>bad</h1><img src="http://elsewhere.test/a.png">
<p style="color: red">red</p><script>window.inline = true</script><script src="/bad.js"></script></main>"""
SCRIPT = "console.warn('a warning'); throw new Error('thrown');"


@pytest_asyncio.fixture(loop_scope="package")
async def bad_site() -> AsyncIterator[str]:
    async def page(_request: web.Request) -> web.Response:
        return web.Response(text=PAGE, content_type="text/html", headers={"Content-Security-Policy": POLICY})

    async def script(_request: web.Request) -> web.Response:
        return web.Response(text=SCRIPT, content_type="text/javascript")

    site = web.Application()
    site.add_routes([web.get("/", page), web.get("/bad.js", script)])
    async with TestServer(site) as server:
        yield str(server.make_url("/")).rstrip("/")


async def test_a_page_that_complains_breaks_its_policy_and_calls_out_is_told_of(
    browser: Browser, bad_site: str
) -> None:
    context = await browser.new_context()
    watch = Watch(context, bad_site)
    page = await context.new_page()
    await page.goto(bad_site, wait_until="load")
    assert await page.evaluate("window.inline") is None
    told = "\n".join(watch.faults)
    for part in ("a warning", "uncaught: ", "thrown", "left the host: http://elsewhere.test/a.png"):
        assert part in told, told
    assert told.count("Content Security Policy") >= 2, told
    watch.expected.append("Content Security Policy")
    assert "Content Security Policy" not in "\n".join(watch.faults)
    assert "image-alt (critical)" in grave(await violations(page))
    await context.close()
