"""`/traces`: the exchanges of which something is kept."""

from __future__ import annotations

from aiohttp import web

from proxy.admin.content import traces_content
from proxy.admin.desk import Desk, Viewer
from proxy.admin.pages.render import page
from proxy.admin.queries import TraceQuery, parameters
from proxy.model import Verdict

KEPT = (Verdict.DIFF, Verdict.UNSTABLE, Verdict.TRANSIENT, Verdict.SHADOW_ERROR, Verdict.PRIMARY_ERROR)
"""The verdicts of which traces may be kept."""


async def traces(desk: Desk, request: web.Request, viewer: Viewer) -> web.StreamResponse:
    """Newest first, a page at a time."""
    asked = TraceQuery.of(request.query)
    return await page(
        desk,
        viewer,
        "traces.html",
        title="Traces",
        active="traces",
        query=parameters(request.query, *TraceQuery.NAMES),
        content=await traces_content(desk, asked),
        asked=asked,
        domains=list(desk.settings.domains),
        verdicts=[one.value for one in KEPT],
    )
