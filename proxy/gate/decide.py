"""The decision: every condition looked at, none left out after the first that fails. Pure."""

from __future__ import annotations

from hashlib import sha256

from proxy.bound import upper_bound
from proxy.gate import meaning, rates, readiness, volume, watched
from proxy.gate.evidence import GateEvidence
from proxy.gate.inputs import inputs
from proxy.gate.remarks import notes
from proxy.gate.result import Condition, GateResult, State
from proxy.settings import GateSettings


def decide(domain: str, limits: GateSettings, evidence: GateEvidence) -> GateResult:
    """Open when every condition holds, unknown when one cannot be told, closed otherwise.

    Without a single comparison the gate is never open, whatever the limits say. The reasons begin with provenance:
    while that is missing, the other figures mean nothing.
    """
    provenance = meaning.proven(limits, evidence)
    conditions = _conditions(limits, evidence, unproven=provenance == "unproven")
    state: State = "open"
    if any(condition.ok is None for condition in conditions):
        state = "unknown"
    elif not all(condition.ok for condition in conditions):
        state = "closed"
    diffs, comparisons = evidence.diffs, evidence.comparisons
    told = bool(comparisons) and provenance != "unproven"
    plan = evidence.rollback_text
    return GateResult(
        domain=domain,
        state=state,
        conditions=conditions,
        reasons=tuple(condition.reason for condition in conditions if not condition.ok),
        diff_rate=diffs / comparisons if told else None,
        upper_bound=upper_bound(diffs, comparisons) if told else None,
        decided_at=evidence.at,
        flags_to_change=tuple(f"{flag}={value}" for flag, value in evidence.flags.items()),
        rollback_plan=evidence.rollback_path,
        rollback_digest=None if plan is None else sha256(plan.encode()).hexdigest(),
        notes=notes(limits, evidence),
        provenance=provenance,
        inputs=inputs(limits, evidence),
    )


def _conditions(limits: GateSettings, evidence: GateEvidence, *, unproven: bool) -> tuple[Condition, ...]:
    return (
        meaning.provenance(limits, evidence),
        volume.window(evidence),
        volume.comparisons(limits, evidence),
        rates.diffs(limits, evidence, unproven=unproven),
        rates.bound(limits, evidence, unproven=unproven),
        rates.route_bound(limits, evidence, unproven=unproven),
        rates.unstable(limits, evidence),
        rates.failures(limits, evidence),
        rates.skips(limits, evidence),
        volume.routes(limits, evidence),
        volume.entities(limits, evidence),
        watched.soak(limits, evidence),
        watched.shelf_life(limits, evidence),
        meaning.sensitivity(limits, evidence),
        meaning.blind_spots(limits, evidence),
        watched.latency(limits, evidence),
        readiness.blockers(evidence),
        readiness.rollback(evidence),
        readiness.accounting(evidence),
        readiness.recording(evidence),
    )
