"""`/findings` and `/findings/{id}`: what differs, how often, and what would cover it."""

from __future__ import annotations

from datetime import UTC, timedelta
from typing import Any

from aiohttp import web

from comparators.explain import MEANINGS
from comparators.model import Kind
from comparators.paths import pattern_of
from proxy.admin.actions import MOST_DAYS
from proxy.admin.content import finding_content, findings_content
from proxy.admin.desk import Desk, Viewer
from proxy.admin.pages.render import page
from proxy.admin.pages.words import moment
from proxy.admin.queries import FindingQuery, parameters
from proxy.ledger import FindingState

EXAMPLES = 5
"""Traces whose values are shown as examples."""


async def findings(desk: Desk, request: web.Request, viewer: Viewer) -> web.StreamResponse:
    """All findings, the most frequent first where no other order is asked for."""
    asked = FindingQuery.of(request.query)
    content = await findings_content(desk, asked)
    return await page(
        desk,
        viewer,
        "findings.html",
        title="Findings",
        active="findings",
        query=parameters(request.query, *FindingQuery.NAMES),
        content=content,
        asked=asked,
        domains=list(desk.settings.domains),
        states=[one.value for one in FindingState],
        kinds=[one.value for one in Kind],
    )


async def finding(desk: Desk, request: web.Request, viewer: Viewer) -> web.StreamResponse:
    """One finding, with the form that accepts it."""
    parameters(request.query)
    content = await finding_content(desk, request.match_info["id"])
    today = desk.now().astimezone(UTC).date()
    return await page(
        desk,
        viewer,
        "finding.html",
        title=f"{content['kind']} at {content['path']}",
        active="findings",
        finding=content,
        meaning=MEANINGS[Kind(content["kind"])],
        compared=await _compared(desk, content),
        examples=await _examples(desk, content),
        typed={} if viewer.refused is None else viewer.refused.values,
        today=today,
        latest=today + timedelta(days=MOST_DAYS),
    )


async def _compared(desk: Desk, finding: dict[str, Any]) -> dict[str, Any] | None:
    """The comparisons of its route in the current window, and which share of them it is; that is None where the finding
    also counts exchanges of earlier windows. None where nothing of the route was seen in this one."""
    counts = (await desk.evidence.ledger.domains()).get(finding["domain"])
    route = None if counts is None else counts.routes.get(finding["route"])
    if counts is None or counts.window is None or route is None:
        return None
    within = moment(finding["first_at"]) >= counts.window.started_at
    share = finding["exchanges"] / route.comparisons if within and route.comparisons else None
    return {"comparisons": route.comparisons, "share": share}


async def _examples(desk: Desk, finding: dict[str, Any]) -> list[dict[str, Any]]:
    """The values of the newest traces, one of each; what was noted first where no trace is kept."""
    found = []
    for one in finding["traces"][:EXAMPLES]:
        trace = await desk.evidence.ledger.trace(one["id"])
        for difference in () if trace is None else trace.differences:
            if difference.kind.value == finding["kind"] and pattern_of(difference.path).startswith(finding["path"]):
                found.append({"trace": one["id"], "at": one["at"], **difference.as_json()})
                break
    return found
