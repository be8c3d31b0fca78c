"""`/domains/{name}`: what one gate rests on, and what would open it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC
from typing import Any

from aiohttp import web

from proxy.admin.content import domain_content, findings_content
from proxy.admin.desk import Desk, Viewer
from proxy.admin.evidence import read_plan
from proxy.admin.pages.render import page
from proxy.admin.queries import BadQueryError, FindingQuery, parameters
from proxy.admin.unused import unused_rules
from proxy.model import FAILURES

FINDINGS = 10
"""The heaviest ones, which stand on the page itself."""
PATHS = 200
"""Unverified fields and places of damage that are listed."""
PLAN_LINES = 12
STEPS = {False: 0, None: 1, True: 2}
"""Conditions that fail stand first, then those that cannot be told."""

Rows = Sequence[Mapping[str, Any]]
Key = Callable[[Mapping[str, Any]], Any]


def _named(name: str) -> Key:
    return lambda one: one[name]


ROUTE_SORTS: Mapping[str, Key] = {
    **{
        name: _named(name)
        for name in (
            "route", "observed", "comparisons", "match", "diff", "transient", "unstable", "failed", "skipped",
        )
    },
    "last": lambda one: one["last_diff_at"] or "",
}  # fmt: skip
CONDITION_SORTS: Mapping[str, Key] = {"condition": _named("name"), "holds": lambda one: STEPS[one["ok"]]}
WINDOW_SORTS: Mapping[str, Key] = {"began": _named("started_at"), "why": _named("why")}
SORTS = (*ROUTE_SORTS, *CONDITION_SORTS, *WINDOW_SORTS)
"""Each column that can be sorted by has its own name, so that one parameter serves all tables of the page."""


async def domain(desk: Desk, request: web.Request, viewer: Viewer) -> web.StreamResponse:
    """`q` picks paths and rules by a part of their text, `sort` orders routes, conditions or windows.

    Raises BadQueryError.
    """
    query = parameters(request.query, "q", "sort")
    sort = query.get("sort", "")
    if sort and sort.removeprefix("-") not in SORTS:
        raise BadQueryError(f"sort must be one of {', '.join(SORTS)}, with a minus before it to turn it round")
    name = request.match_info["name"]
    content = await domain_content(desk, name)
    heaviest = await findings_content(desk, FindingQuery(domain=name, limit=FINDINGS))
    settings = desk.settings.domains[name]
    plan = None if settings.rollback_plan is None else await asyncio.to_thread(read_plan, settings.rollback_plan)
    used = {(one["kind"], one["rule"]) for one in [*content["tolerated"], *content["not_verified"]]}
    today = desk.now().astimezone(UTC).date()
    # Reads every rule that stands for the domain anew.
    unused = await asyncio.to_thread(unused_rules, desk.settings, name, used, today)
    q = query.get("q", "").casefold()
    empty = [one for one in content["coverage"]["fields"]["paths"] if not one["valued"]]
    damages = [one for one in content["sensitivity"]["paths"] if one["share"] != 1]
    return await page(
        desk,
        viewer,
        "domain.html",
        title=name,
        active="domains",
        query=query,
        domain=content,
        routes=_sorted([_route(one) for one in content["routes"]], ROUTE_SORTS, sort),
        sort=sort,
        conditions=_sorted(_sorted(content["conditions"], CONDITION_SORTS, "holds"), CONDITION_SORTS, sort),
        windows=_sorted(content["windows"], WINDOW_SORTS, sort),
        findings=heaviest["findings"],
        findings_total=heaviest["total"],
        flags=[f"{flag}={value}" for flag, value in settings.flags.items()],
        plan_path=None if settings.rollback_plan is None else str(settings.rollback_plan),
        plan_lines=[] if plan is None else plan.strip().splitlines()[:PLAN_LINES],
        plan_more=plan is not None and len(plan.strip().splitlines()) > PLAN_LINES,
        unused=_with(q, unused, "rule"),
        tolerated=_with(q, content["tolerated"], "path"),
        ignored=_with(q, content["not_verified"], "path"),
        empty=_with(q, empty, "path"),
        blind=_with(q, content["sensitivity"]["blind_spots"], "path"),
        damages=_with(q, damages, "path"),
        most=PATHS,
    )


def _route(route: Mapping[str, Any]) -> dict[str, Any]:
    """A route with its failures and skips summed up."""
    verdicts: Mapping[str, int] = route["verdicts"]
    counts = {name: verdicts.get(name, 0) for name in ("match", "diff", "transient", "unstable")}
    failed = sum(verdicts.get(one.value, 0) for one in FAILURES)
    skipped = sum(count for name, count in verdicts.items() if name.startswith("skipped:"))
    return {**route, **counts, "failed": failed, "skipped": skipped}


def _sorted(rows: Rows, keys: Mapping[str, Key], sort: str) -> Rows:
    """As they came where `sort` is none of theirs."""
    key = keys.get(sort.removeprefix("-"))
    return rows if key is None else sorted(rows, key=key, reverse=sort.startswith("-"))


def _with(q: str, rows: Sequence[Mapping[str, Any]], name: str) -> list[Mapping[str, Any]]:
    return [row for row in rows if q in str(row[name]).casefold() or q in str(row.get("route", "")).casefold()]
