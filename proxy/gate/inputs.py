"""The limits and the evidence of a decision as plain data, for the record. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from proxy.gate.evidence import GateEvidence
from proxy.model import Verdict
from proxy.settings import GateSettings


def inputs(limits: GateSettings, evidence: GateEvidence) -> dict[str, Any]:
    """Enough to decide again with the same result. Durations in seconds, moments in ISO 8601."""
    window = evidence.window
    return {
        "limits": limits.model_dump(mode="python"),
        "evidence": {
            "at": evidence.at.isoformat(),
            "observed": evidence.observed,
            "verdicts": _verdicts(evidence.verdicts),
            "window": None
            if window is None
            else {
                "id": window.id,
                "parts": dict(window.parts),
                "started_at": window.started_at.isoformat(),
                "why": window.why,
            },
            "rules": evidence.rules,
            "lifetime_observed": evidence.lifetime_observed,
            "lifetime_verdicts": _verdicts(evidence.lifetime_verdicts),
            "routes": {
                route: [evidence.route_comparisons.get(route, 0), evidence.route_diffs.get(route, 0)]
                for route in evidence.routes
            },
            "known_gaps": evidence.known_gaps,
            "entity_kinds": list(evidence.entity_kinds),
            "entities": dict(evidence.entities),
            "entities_exact": evidence.entities_exact,
            "known": {
                kind: {"count": known.count, "exact": known.exact, "at": known.at.isoformat()}
                for kind, known in evidence.known.items()
            },
            "watches": [[one.began.isoformat(), one.ended.isoformat(), one.why] for one in evidence.watches],
            "pulse_seconds": evidence.pulse_seconds,
            "last_comparison_at": None
            if evidence.last_comparison_at is None
            else evidence.last_comparison_at.isoformat(),
            "standings": [
                {"check": one.check, "proof": one.proof, "text": one.text, "at": one.at.isoformat()}
                for one in evidence.standings
            ],
            "fields": {
                "known": evidence.fields,
                "not_verified": evidence.fields_not_verified,
                "named": [[one.route, one.path] for one in evidence.empty_fields],
            },
            "damages": [[one.route, one.path, one.damage, one.tried, one.seen, one.rule] for one in evidence.damages],
            "latency": {
                side.value: {str(bucket): count for bucket, count in sorted(latency.counts.items())}
                for side, latency in evidence.latency.items()
            },
            "blockers": list(evidence.blockers),
            "flags": dict(evidence.flags),
            "rollback_path": evidence.rollback_path,
            "recording": evidence.recording,
            "live": evidence.live,
            "tolerated": [[kind, rule, count] for (kind, rule), count in sorted(evidence.tolerated.items())],
            "expired": list(evidence.expired),
            "expiring": list(evidence.expiring),
            "warn_days": evidence.warn_days,
        },
    }


def _verdicts(verdicts: Mapping[Verdict, int]) -> dict[str, int]:
    return {verdict.value: count for verdict, count in verdicts.items()}
