"""What is shown, as plain data: the API answers with exactly this, and the pages are made of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from proxy.admin.desk import Desk
from proxy.admin.evidence import UnknownNameError
from proxy.admin.queries import DecisionQuery, FindingQuery, LiveQuery, TraceQuery, place_of, place_text
from proxy.admin.shapes import decided_json, ended_json, finding_json, summary_json, trace_json
from proxy.ledger import Finding, TraceSummary
from proxy.ledger.decided import decided, decision
from proxy.model import Ended

SCAN = 250
"""Traces that are looked at between two turns of the event loop, and how many such turns one answer takes at most."""
SCANS = 40
FINDING_TRACES = 20
"""Traces that are listed beside a finding."""


async def domains_content(desk: Desk) -> dict[str, Any]:
    """`/api/v1/domains`; raises LedgerError, as all of these do."""
    return (await desk.snapshot.overview()).domains


async def domain_content(desk: Desk, name: str) -> dict[str, Any]:
    """`/api/v1/domains/{name}`. Raises UnknownNameError."""
    return await desk.evidence.domain(name)


async def findings_content(desk: Desk, asked: FindingQuery) -> dict[str, Any]:
    """`/api/v1/findings`. Raises UnknownNameError for an unknown domain."""
    found = await desk.evidence.findings(asked.domain, limit=None, state=asked.state)
    # Thousands take tens of milliseconds: not on the loop that serves clients.
    picked, total = await asyncio.to_thread(_pick, found, asked)
    return {"findings": [finding_json(one) for one in picked], "total": total}


async def finding_content(desk: Desk, id_: str) -> dict[str, Any]:
    """`/api/v1/findings/{id}`. Raises UnknownNameError."""
    found = await desk.evidence.finding(id_)
    traces = await desk.evidence.traces(finding=id_, limit=FINDING_TRACES)
    return {
        **finding_json(found),
        "suggestion": await desk.covering.suggestion(found),
        "traces": [summary_json(one) for one in traces],
    }


async def traces_content(desk: Desk, asked: TraceQuery) -> dict[str, Any]:
    """`/api/v1/traces`. Raises UnknownNameError for an unknown domain.

    With filters that the ledger does not know a page may hold fewer than `limit` although `next` goes on.
    """
    keeps, before = _trace_filter(asked), asked.before
    found: list[TraceSummary] = []
    step = asked.limit if keeps is None else SCAN
    for _ in range(SCANS):
        some = await desk.evidence.traces(asked.domain, finding=asked.finding, before=before, limit=step)
        kept = some if keeps is None else [one for one in some if keeps(one)]
        room = asked.limit - len(found)
        found += kept[:room]
        if len(kept) > room or len(found) == asked.limit:
            return _traces(found, found[-1].cursor if len(kept) > room or len(some) == step else None)
        if len(some) < step:
            return _traces(found, None)
        before = some[-1].cursor
        await asyncio.sleep(0)
    return _traces(found, before)


async def trace_content(desk: Desk, id_: str) -> dict[str, Any]:
    """`/api/v1/traces/{id}`. Raises UnknownNameError."""
    return trace_json(await desk.evidence.trace(id_))


async def decisions_content(desk: Desk, asked: DecisionQuery) -> dict[str, Any]:
    """`/api/v1/decisions`: the gate log without figures, and the head of its chain. Raises UnknownNameError."""
    desk.evidence.check_names([] if asked.domain is None else [asked.domain])
    found, meta = await desk.evidence.ledger.ask(
        lambda connection: decided(connection, asked.domain, asked.state, asked.before, asked.limit)
    )
    return {
        "decisions": [decided_json(one) for one in found],
        "next": str(found[-1].seq) if len(found) == asked.limit and found[-1].seq > 1 else None,
        "head": {"hash": meta.head, "entries": meta.count},
    }


async def decision_content(desk: Desk, seq: int) -> dict[str, Any]:
    """`/api/v1/decisions/{seq}`: one entry with all its figures. Raises UnknownNameError."""
    found = await desk.evidence.ledger.ask(lambda connection: decision(connection, seq))
    if found is None:
        raise UnknownNameError(f"no decision has the number {seq}")
    return {**decided_json(found), "result": found.result}


def live_content(desk: Desk, asked: LiveQuery) -> dict[str, Any]:
    """`/api/v1/live`: what ended since a place, oldest first. Raises UnknownNameError for an unknown domain."""
    desk.evidence.check_names([] if asked.domain is None else [asked.domain])
    place = 0 if asked.since is None else place_of(asked.since, desk.boot)
    # A place of another process says nothing here: all that is kept is told.
    heard = desk.tail.since(0 if place is None else place)
    return {
        "ended": [ended_json(one) for one in heard.ended if wanted(one, asked)],
        "missed": heard.missed if asked.since is not None else 0,
        "next": place_text(desk.boot, heard.next),
    }


def wanted(one: Ended, asked: LiveQuery) -> bool:
    """Whether the filters let it through."""
    return (
        asked.domain in (None, one.domain)
        and asked.verdict in (None, one.verdict)
        and (asked.route is None or asked.route.casefold() in one.route.casefold())
    )


def _traces(found: Sequence[TraceSummary], following: str | None) -> dict[str, Any]:
    return {"traces": [summary_json(one) for one in found], "next": following}


def _trace_filter(asked: TraceQuery) -> Callable[[TraceSummary], bool] | None:
    if asked.route is None and asked.verdict is None and asked.q is None:
        return None
    route, q = _folded(asked.route), _folded(asked.q)

    def keeps(one: TraceSummary) -> bool:
        return (
            asked.verdict in (None, one.verdict)
            and route in one.route.casefold()
            and (not q or any(q in text.casefold() for text in (one.id, one.target, one.route)))
        )

    return keeps


def _pick(found: Sequence[Finding], asked: FindingQuery) -> tuple[list[Finding], int]:
    """Those that the filters let through, sorted and cut, and how many they were before the cut."""
    route, q = _folded(asked.route), _folded(asked.q)
    kept = [
        one
        for one in found
        if asked.kind in (None, one.kind)
        and route in one.route.casefold()
        and (not q or any(q in text.casefold() for text in _texts(one)))
    ]
    name = asked.sort.removeprefix("-")
    kept.sort(key=_KEYS[name], reverse=asked.sort.startswith("-"))
    return kept[: asked.limit], len(kept)


def _texts(one: Finding) -> tuple[str, ...]:
    said = () if one.acceptance is None else (one.acceptance.owner, one.acceptance.why)
    return (one.id, one.domain, one.route, one.path, one.kind.value, *said)


def _folded(text: str | None) -> str:
    return (text or "").casefold()


_KEYS: dict[str, Callable[[Finding], Any]] = {
    "exchanges": lambda one: (one.exchanges, one.differences),
    "differences": lambda one: (one.differences, one.exchanges),
    "first": lambda one: one.first_at,
    "last": lambda one: one.last_at,
    "domain": lambda one: one.domain,
    "route": lambda one: (one.domain, one.route),
    "path": lambda one: one.path,
    "kind": lambda one: one.kind.value,
    "state": lambda one: one.state.value,
}
"""By what findings are sorted; equal ones stay in the order of their weight."""
