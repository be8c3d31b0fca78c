"""`/decisions` and `/decisions/{seq}`: the gate log, and one entry with all its figures."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from comparators.encode import dumps
from proxy.admin.content import decision_content, decisions_content
from proxy.admin.desk import Desk, Viewer
from proxy.admin.pages.render import page
from proxy.admin.queries import GATE_STATES, DecisionQuery, number_of, parameters

INPUT_CHARACTERS = 200_000
"""Of the inputs of a decision that its page shows; all of them are in its JSON."""


async def decisions(desk: Desk, request: web.Request, viewer: Viewer) -> web.StreamResponse:
    """Newest first, a page at a time."""
    asked = DecisionQuery.of(request.query)
    return await page(
        desk,
        viewer,
        "decisions.html",
        title="Gate decisions",
        active="decisions",
        query=parameters(request.query, *DecisionQuery.NAMES),
        content=await decisions_content(desk, asked),
        asked=asked,
        domains=list(desk.settings.domains),
        states=GATE_STATES,
    )


async def decision(desk: Desk, request: web.Request, viewer: Viewer) -> web.StreamResponse:
    """One entry. What it says was true when it was made."""
    parameters(request.query)
    content = await decision_content(desk, number_of(request.match_info["seq"], "the number of a decision"))
    result: dict[str, Any] | None = content["result"]
    return await page(
        desk,
        viewer,
        "decision.html",
        title=f"Decision {content['seq']} on {content['domain']}",
        active="decisions",
        decision=content,
        result=result,
        inputs="" if result is None else dumps(result.get("inputs", {}), indent=2)[:INPUT_CHARACTERS],
    )
