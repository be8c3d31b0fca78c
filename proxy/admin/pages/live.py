"""`/live`: the exchanges as they end."""

from __future__ import annotations

from aiohttp import web

from proxy.admin.content import live_content
from proxy.admin.desk import Desk, Viewer
from proxy.admin.pages.render import page
from proxy.admin.queries import LiveQuery, parameters
from proxy.model import Verdict

ROWS = 500
"""As many rows as the page keeps; `static/tail.js` reads it there."""


async def live(desk: Desk, request: web.Request, viewer: Viewer) -> web.StreamResponse:
    """The last ones that the filters let through, newest first; `static/tail.js` puts what follows above them."""
    query = parameters(request.query, "domain", "verdict", "route")
    asked = LiveQuery.of(request.query)
    content = live_content(desk, asked)
    return await page(
        desk,
        viewer,
        "live.html",
        title="Live",
        active="live",
        query=query,
        rows=content["ended"][: -ROWS - 1 : -1],
        following=content["next"],
        most=ROWS,
        domains=list(desk.settings.domains),
        verdicts=[one.value for one in Verdict],
    )
