"""The JSON of the read model, the same on the admin port and on the command line. Pure: records in, plain data out."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Any

from comparators.explain import MAX_EXPLAINED, explain
from proxy.gate import GateResult
from proxy.ledger.decided import Decided
from proxy.ledger.findings import Acceptance, Finding
from proxy.ledger.history import Bucket
from proxy.ledger.records import DomainCounts, RouteCounts, ToleratedCount, TraceSummary
from proxy.model import Ended, Trace, Verdict
from proxy.notes import IGNORE


def domain_details(counts: DomainCounts, gate: GateResult) -> dict[str, Any]:
    """What `domains/{name}` tells of the counts beside the entry of the domains object.

    What rules ignore was not compared, so it stands apart from what was compared and forgiven.
    """
    return {
        "under_way": counts.under_way,
        "first_at": _time(counts.first_at),
        "last_at": _time(counts.last_at),
        "last_comparison_at": _time(counts.last_comparison_at),
        "entities_exact": counts.entities_exact,
        "findings_overflow": counts.findings_overflow,
        "routes": [_route_json(route) for route in counts.routes.values()],
        "tolerated": [_tolerated_json(one) for one in counts.tolerated if one.kind != IGNORE],
        "not_verified": [_tolerated_json(one) for one in counts.tolerated if one.kind == IGNORE],
        "lifetime": {
            "observed": counts.lifetime_observed,
            "verdicts": {verdict.value: counts.lifetime_verdicts.get(verdict, 0) for verdict in Verdict},
        },
        "conditions": [asdict(condition) for condition in gate.conditions],
        "notes": [asdict(note) for note in gate.notes],
    }


def _tolerated_json(one: ToleratedCount) -> dict[str, Any]:
    return {"route": one.route, "kind": one.kind, "path": one.path, "rule": one.rule, "count": one.count}


def _route_json(route: RouteCounts) -> dict[str, Any]:
    return {
        "route": route.route,
        "observed": route.observed,
        "under_way": route.under_way,
        "comparisons": route.comparisons,
        "verdicts": {verdict.value: count for verdict, count in route.verdicts.items()},
        "last_diff_at": _time(route.last_diff_at),
    }


def finding_json(finding: Finding) -> dict[str, Any]:
    return {
        "id": finding.id,
        "domain": finding.domain,
        "route": finding.route,
        "path": finding.path,
        "kind": finding.kind.value,
        "exchanges": finding.exchanges,
        "differences": finding.differences,
        "first_at": _time(finding.first_at),
        "last_at": _time(finding.last_at),
        "first_trace": finding.first_trace,
        "last_trace": finding.last_trace,
        "sample": {"primary": finding.sample_primary, "shadow": finding.sample_shadow},
        "state": finding.state.value,
        "gone_at": _time(finding.gone_at),
        "gone_why": finding.gone_why,
        "returned_at": _time(finding.returned_at),
        "acceptance": None if finding.acceptance is None else _acceptance_json(finding.acceptance),
        "known_gap": finding.known_gap,
    }


def _acceptance_json(acceptance: Acceptance) -> dict[str, Any]:
    return {
        "owner": acceptance.owner,
        "why": acceptance.why,
        "until": acceptance.until.isoformat(),
        "at": _time(acceptance.at),
    }


def summary_json(trace: TraceSummary) -> dict[str, Any]:
    return {
        "id": trace.id,
        "at": _time(trace.at),
        "domain": trace.domain,
        "route": trace.route,
        "verdict": trace.verdict.value,
        "method": trace.method,
        "target": trace.target,
        "primary_status": trace.primary_status,
        "shadow_status": trace.shadow_status,
        "differences_total": trace.differences_total,
    }


def trace_json(trace: Trace) -> dict[str, Any]:
    return {
        "id": trace.id,
        "at": _time(trace.at),
        "domain": trace.domain,
        "route": trace.route,
        "verdict": trace.verdict.value,
        "request": {"method": trace.method, "target": trace.target, "headers": _pairs(trace.request_headers)},
        "primary": {
            "status": trace.primary_status,
            "headers": _pairs(trace.primary_headers),
            "body": trace.primary_body,
            "seconds": trace.primary_seconds,
        },
        "shadow": {
            "status": trace.shadow_status,
            "headers": _pairs(trace.shadow_headers),
            "body": trace.shadow_body,
            "seconds": trace.shadow_seconds,
        },
        "differences": [difference.as_json() for difference in trace.differences],
        "differences_total": trace.differences_total,
        "explanations": [explain(difference).as_json() for difference in trace.differences[:MAX_EXPLAINED]],
        "settling": list(trace.settling),
        "detail": trace.detail,
        "known_gap": trace.known_gap,
        "trace_id": trace.trace_id,
    }


def ended_json(one: Ended) -> dict[str, Any]:
    return {
        "at": _time(one.at),
        "domain": one.domain,
        "route": one.route,
        "verdict": one.verdict.value,
        "trace": one.trace,
        "differences": one.differences,
        "primary_seconds": one.primary_seconds,
        "shadow_seconds": one.shadow_seconds,
        "trace_id": one.trace_id,
    }


def decided_json(one: Decided) -> dict[str, Any]:
    """A stored decision without its figures. `reasons` is None where only its place in the chain is kept."""
    return {
        "seq": one.seq,
        "at": _time(one.at),
        "domain": one.domain,
        "state": one.state,
        "reasons": None if one.result is None else list(one.result.get("reasons", [])),
        "hash": one.hash,
        "prev": one.prev,
        "damage": one.damage,
    }


def bucket_json(one: Bucket) -> dict[str, Any]:
    return {"at": _time(one.at), "comparisons": one.comparisons, "diffs": one.diffs, "failed": one.failed}


def _pairs(headers: tuple[tuple[str, str], ...]) -> list[list[str]]:
    return [list(pair) for pair in headers]


def _time(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat()
