"""From the counts to the gate's evidence and to the rows that the API and the command line show. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from proxy.gate import GateEvidence, GateResult
from proxy.ledger.records import DomainCounts
from proxy.model import Stage, Verdict


def no_counts(domain: str) -> DomainCounts:
    """The counts of a domain of which nothing was seen yet."""
    return DomainCounts(domain, 0, 0, {}, {})


def gate_evidence(
    counts: DomainCounts,
    *,
    at: datetime,
    routes: tuple[str, ...],
    blockers: tuple[str, ...],
    flags: Mapping[str, str],
    rollback_path: str | None,
    rollback_text: str | None,
    recording: str | None,
    live: bool = True,
    expired: tuple[str, ...] = (),
    expiring: tuple[str, ...] = (),
    warn_days: int = 0,
) -> GateEvidence:
    """What the gate decides on. `recording` is why the ledger is not being written, None while it is."""
    tolerated: Counter[tuple[str, str]] = Counter()
    for one in counts.tolerated:
        tolerated[one.kind, one.rule] += one.count
    return GateEvidence(
        at=at,
        observed=counts.observed,
        verdicts=counts.verdicts,
        routes=routes,
        route_comparisons={route: found.comparisons for route, found in counts.routes.items()},
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
    """One row of `GET /api/v1/domains`. Every verdict is named, also those that never came.

    A gate that cannot tell is shown as closed; its reasons say why. `entities` is exact up to
    `ledger.records.ENTITY_LIMIT`, and "at least" from there on.
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
    }
