"""From what the ledger has to the gate's evidence and to the rows that the API and the command line show. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from proxy.gate import GateEvidence, GateResult
from proxy.ledger.records import DomainCounts
from proxy.ledger.weighed import NOTHING, Weighed
from proxy.model import Stage, Verdict
from proxy.window import KnownEntities, Window


def no_counts(domain: str) -> DomainCounts:
    """The counts of a domain of which nothing was seen yet."""
    return DomainCounts(domain, 0, 0, {}, {})


def gate_evidence(
    counts: DomainCounts,
    beside: Weighed = NOTHING,
    *,
    at: datetime,
    routes: tuple[str, ...],
    blockers: tuple[str, ...],
    flags: Mapping[str, str],
    rollback_path: str | None,
    rollback_text: str | None,
    recording: str | None,
    live: bool = True,
    rules: str | None = None,
    entity_kinds: tuple[str, ...] = (),
    known: Iterable[KnownEntities] = (),
    expired: tuple[str, ...] = (),
    expiring: tuple[str, ...] = (),
    warn_days: int = 0,
) -> GateEvidence:
    """What the gate decides on. `recording` is why the ledger is not being written, None while it is.

    `rules` is the fingerprint of the rules as they are configured, None where it is not to be looked at.
    """
    tolerated: Counter[tuple[str, str]] = Counter()
    for one in counts.tolerated:
        tolerated[one.kind, one.rule] += one.count
    return GateEvidence(
        at=at,
        observed=counts.observed,
        verdicts=counts.verdicts,
        window=counts.window,
        rules=rules,
        lifetime_observed=counts.lifetime_observed,
        lifetime_verdicts=counts.lifetime_verdicts,
        routes=routes,
        route_comparisons={
            route: found.comparisons - found.verdicts.get(Verdict.UNSTABLE, 0) for route, found in counts.routes.items()
        },
        route_diffs={route: found.verdicts.get(Verdict.DIFF, 0) for route, found in counts.routes.items()},
        known_gaps=counts.known_gaps,
        entity_kinds=entity_kinds,
        entities=counts.entity_counts,
        entities_exact=counts.entities_exact,
        known={one.entity: one for one in known if one.entity in entity_kinds},
        watches=counts.watches,
        last_comparison_at=counts.last_comparison_at,
        standings=beside.standings,
        fields=beside.fields,
        fields_not_verified=beside.not_verified,
        empty_fields=beside.named,
        damages=beside.damages,
        latency=counts.latency,
        blockers=blockers,
        flags=flags,
        rollback_path=rollback_path,
        rollback_text=rollback_text,
        recording=recording,
        live=live,
        tolerated=tolerated,
        expired=expired,
        expiring=expiring,
        warn_days=warn_days,
    )


def domain_summary(stage: Stage, counts: DomainCounts, gate: GateResult) -> dict[str, Any]:
    """One row of `GET /api/v1/domains`, of the current window. Every verdict is named, also those that never came.

    A gate that cannot tell is shown as closed; its reasons say why. `observed_seconds` is the watched time that counts.
    """
    return {
        "name": counts.domain,
        "stage": stage.value,
        "observed": counts.observed,
        "comparisons": counts.comparisons,
        "verdicts": {verdict.value: counts.verdicts.get(verdict, 0) for verdict in Verdict},
        "diff_rate": gate.diff_rate,
        "upper_bound": gate.upper_bound,
        "entities": counts.entities,
        "last_diff_at": None if counts.last_diff_at is None else counts.last_diff_at.isoformat(),
        "gate": "open" if gate.state == "open" else "closed",
        "reasons": list(gate.reasons),
        "provenance": gate.provenance,
        "window": None if counts.window is None else window_json(counts.window),
        "observed_seconds": next(one.figure for one in gate.conditions if one.name == "soak"),
    }


def window_json(window: Window) -> dict[str, Any]:
    return {
        "id": window.id,
        "started_at": window.started_at.isoformat(),
        "why": window.why,
        "parts": dict(window.parts),
    }
