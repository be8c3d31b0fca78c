"""`/`: may it flip, and if not, what is to be fixed first?"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from aiohttp import web

from proxy.admin.desk import Desk, Viewer
from proxy.admin.pages.first import fix_first, reason, weight
from proxy.admin.pages.render import page
from proxy.admin.pages.spark import spark
from proxy.admin.queries import BadQueryError, parameters

GATES = ("open", "closed")


async def domains(desk: Desk, request: web.Request, viewer: Viewer) -> web.StreamResponse:
    """Every configured domain, in the order of the configuration where no other is asked for."""
    query = parameters(request.query, "q", "gate", "sort")
    # One picture: with a second one the reason could be of a gate that has opened meanwhile.
    seen = await desk.snapshot.overview()
    rows = seen.domains["domains"]
    first = fix_first(rows)
    results = {one.domain: one for _, one in seen.rows}
    watched = [row for row in rows if row["stage"] != "off"]
    picked = _picked(rows, query)
    return await page(
        desk,
        viewer,
        "domains.html",
        title="Domains",
        active="domains",
        query=query,
        rows=picked,
        sparks={row["name"]: spark(row["history"], proven=row["provenance"] != "unproven") for row in picked},
        watched=len(watched),
        opened=sum(row["gate"] == "open" for row in watched),
        unproven=sum(row["provenance"] == "unproven" for row in watched),
        first=first,
        why_first="" if first is None else reason(first, results[first["name"]].conditions),
        gates=GATES,
        sort=query.get("sort", ""),
    )


def _picked(rows: list[dict[str, Any]], query: Mapping[str, str]) -> list[dict[str, Any]]:
    """Raises BadQueryError."""
    gate, q, sort = query.get("gate"), query.get("q", "").casefold(), query.get("sort", "")
    if gate not in (None, *GATES):
        raise BadQueryError(f"gate must be one of {', '.join(GATES)}")
    found = [row for row in rows if gate in (None, row["gate"]) and q in row["name"].casefold()]
    if sort:
        key = _SORTS.get(sort.removeprefix("-"))
        if key is None:
            names = ", ".join(_SORTS)
            raise BadQueryError(f"sort must be one of {names}, with a minus before it to turn it round")
        found.sort(key=key, reverse=sort.startswith("-"))
    return found


_SORTS: Mapping[str, Callable[[Mapping[str, Any]], Any]] = {
    "name": lambda row: row["name"],
    "gate": lambda row: (row["gate"], -len(row["reasons"])),
    "weight": weight,
    "comparisons": lambda row: row["comparisons"],
    "rate": lambda row: -1.0 if row["diff_rate"] is None else row["diff_rate"],
    "latency": lambda row: row["latency_ratio"] or 0.0,
    "last": lambda row: row["last_diff_at"] or "",
}
