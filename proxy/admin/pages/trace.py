"""`/traces/{id}`: why one exchange differs. `/traces/{id}/rows` has further rows of its trees, for the script."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC
from typing import Any

from aiohttp import web

from comparators.explain import MEANINGS
from comparators.ids import IdTable
from comparators.rules import Rules
from proxy.admin.desk import Desk, Viewer
from proxy.admin.pages import trace_view
from proxy.admin.pages.render import fragment, page
from proxy.admin.queries import BadQueryError, parameters
from proxy.admin.shapes import trace_json
from proxy.admin.tree_content import (
    MAX_OPENED,
    OutlineQuery,
    TreeQuery,
    listed_content,
    listed_of,
    outline_content,
    outline_of,
)
from proxy.errors import LedgerError, ShadowreadError
from proxy.ledger import FindingState
from proxy.model import ReadRequest, Trace
from proxy.verify.translation import ids_of
from proxy.verify.work import layers_text, rules_of


async def trace(desk: Desk, request: web.Request, viewer: Viewer) -> web.StreamResponse:
    """One exchange: its differences, both bodies aligned, and all that is kept beside them."""
    query = parameters(request.query, *OutlineQuery.NAMES)
    found = await desk.evidence.trace(request.match_info["id"])
    tree = outline_content(found, await outline_of(desk, found, OutlineQuery.of(query)))
    return await page(
        desk,
        viewer,
        "trace.html",
        title=f"Trace {found.id}",
        active="traces",
        query=query,
        # The bodies are in the rows.
        trace=trace_json(found),
        tree=tree,
        differences=await _differences(desk, found, tree),
        fields=trace_view.fields_of(found, trace_view.compared_fields(_rules(desk, found))),
        times=trace_view.times_of(found),
        commands=trace_view.commands_of(desk.settings, found, await _ids(desk, found)),
        link=trace_view.link_of(desk.settings.admin.trace_link, found.trace_id),
        listed=trace_view.LISTED,
        can_replay=desk.replays is not None and viewer.can_act,
        **_row_words(found.id, query.get("open", ""), [one.kind.value for one in found.differences]),
    )


async def rows(desk: Desk, request: web.Request, _viewer: Viewer) -> web.StreamResponse:
    """The children of one place as rows of the table."""
    asked = TreeQuery.of(request.query)
    if asked.place is None:
        raise BadQueryError("give path or at")
    id_ = request.match_info["id"]
    content = listed_content(id_, asked, await listed_of(desk, id_, asked))
    kinds = [one.kind.value for one in (await desk.evidence.trace(id_)).differences] if _marked(content) else []
    return await fragment("trace_rows.html", rows=content["rows"], **_row_words(id_, "", kinds))


def _marked(content: Mapping[str, Any]) -> bool:
    return any(row["differences"] for row in content["rows"])


def _row_words(id_: str, opened: str, kinds: Sequence[str]) -> dict[str, Any]:
    """What the templates of rows are given beside the rows."""
    return {
        "id": id_,
        # What was opened first is closed again when there is more than one address may name.
        "opened": ",".join(opened.split(",")[1 - MAX_OPENED :]),
        "kinds": kinds,
        "states": trace_view.STATES,
        "fold_text": trace_view.fold_text,
        "id_notes": trace_view.id_notes,
    }


async def _differences(desk: Desk, found: Trace, tree: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The differences with the words for their kinds, and the findings that they were counted in."""
    known = {one.id: one.state for one in await desk.evidence.ledger.findings(found.domain, limit=None)}
    hidden = set(tree["hidden"])
    listed = []
    for number, one in enumerate(found.differences[: trace_view.MOST]):
        finding = trace_view.finding_of(found, one)
        listed.append(
            {
                **one.as_json(),
                "number": number,
                "meaning": MEANINGS[one.kind],
                "in_tree": one.path.startswith("$") and not tree["why"] and number not in hidden,
                "hidden": number in hidden,
                "finding": finding if finding in known else None,
                "state": known.get(finding or "", FindingState.OPEN).value,
            }
        )
    return listed


def _rules(desk: Desk, found: Trace) -> Rules | None:
    """The rules of its route today; None where it is no longer one."""
    domain = desk.settings.domains.get(found.domain)
    if domain is None or found.route not in {route.route for route in domain.routes}:
        return None
    layers = layers_text(desk.settings.compare_layers(found.domain, found.route))
    return rules_of(layers, desk.now().astimezone(UTC).date())


async def _ids(desk: Desk, found: Trace) -> IdTable:
    """The ids of the request, for the command that asks the shadow."""
    if desk.ids is None or not desk.settings.shadow.translate_ids:
        return IdTable()
    try:
        return await desk.ids.lookup(ids_of(ReadRequest(found.method, found.target, ())))
    except LedgerError:
        raise
    except ShadowreadError:
        return IdTable()
