"""What a domain's evidence covers and what it is worth, as JSON. Pure: records in, plain data out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from proxy.gate import GateEvidence
from proxy.gate.blind import accepted, blind
from proxy.model import Side
from proxy.settings import GateSettings
from proxy.soak import soak
from proxy.window import DamageCount, FieldCount, Latency, Standing

PLACES = 2_000
"""How many paths are listed, those that say the least first; how many there are stands beside them."""
QUANTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}


def coverage_summary(evidence: GateEvidence) -> dict[str, Any]:
    """`coverage` of an entry of the domains object. `entities_known` and what is told of it are of the kinds that the
    id map has counted, None where it has counted none."""
    compared = sum(1 for route in evidence.routes if evidence.route_comparisons.get(route))
    known = {kind: evidence.known[kind].count for kind in evidence.entity_kinds if kind in evidence.known}
    verified = sum(min(evidence.entities.get(kind, 0), count) for kind, count in known.items())
    total = sum(known.values())
    return {
        "routes_known": len(evidence.routes),
        "routes_compared": compared,
        "entities": _entities(evidence),
        "entities_known": total if known else None,
        "entities_verified": verified if known else None,
        "entities_share": verified / total if total else None,
        "fields_known": evidence.fields,
        "fields_not_verified": evidence.fields_not_verified,
    }


def latency_ratio(evidence: GateEvidence) -> float | None:
    """The 95th percentile of the shadow's reads over that of the primary's; None before both were read."""
    primary, shadow = (evidence.latency.get(side, Latency()).quantile(QUANTILES["p95"]) for side in Side)
    return None if not primary or shadow is None else shadow / primary


def evidence_details(
    limits: GateSettings,
    evidence: GateEvidence,
    fields: tuple[FieldCount, ...],
    damages: tuple[DamageCount, ...],
) -> dict[str, Any]:
    """What `domains/{name}` tells of the current window beside its counts."""
    return {
        "coverage": {
            **coverage_summary(evidence),
            "routes": _routes(evidence),
            "fields": _fields(fields),
        },
        "sensitivity": _sensitivity(limits, damages),
        "holes": [
            {
                "began": hole.began.isoformat(),
                "ended": hole.ended.isoformat(),
                "seconds": hole.seconds,
                "why": hole.why,
            }
            for hole in soak(evidence.watches, evidence.at, limits.max_hole, evidence.pulse_seconds).holes
        ],
        "standings": [_standing(one) for one in evidence.standings],
        "latency": {side.value: _latency(evidence.latency.get(side, Latency())) for side in Side},
        "known_gaps": evidence.known_gaps,
    }


def _routes(evidence: GateEvidence) -> dict[str, Any]:
    never = [route for route in evidence.routes if not evidence.route_comparisons.get(route)]
    return {"known": len(evidence.routes), "compared": len(evidence.routes) - len(never), "never_compared": never}


def _entities(evidence: GateEvidence) -> list[dict[str, Any]]:
    """Every kind that a route names or that was seen, against the id map's count. An empty kind is of no known one."""
    found = []
    for kind in dict.fromkeys([*evidence.entity_kinds, *sorted(evidence.entities)]):
        known, verified = evidence.known.get(kind), evidence.entities.get(kind, 0)
        found.append(
            {
                "entity": kind,
                "verified": verified,
                "exact": evidence.entities_exact,
                "known": None if known is None else known.count,
                "known_exact": None if known is None else known.exact,
                "known_at": None if known is None else known.at.isoformat(),
                "share": min(1.0, verified / known.count) if known is not None and known.count else None,
            }
        )
    return found


def _fields(fields: tuple[FieldCount, ...]) -> dict[str, Any]:
    listed = sorted(fields, key=lambda one: (one.valued, one.route, one.path))[:PLACES]
    return {
        "known": len(fields),
        "not_verified": sum(not one.valued for one in fields),
        "paths": [
            {
                "route": one.route,
                "path": one.path,
                "looked": one.looked,
                "present": one.present,
                "null": one.null,
                "empty": one.empty,
                "valued": one.valued,
            }
            for one in listed
        ],
    }


def _sensitivity(limits: GateSettings, damages: tuple[DamageCount, ...]) -> dict[str, Any]:
    routes: dict[str, list[DamageCount]] = {}
    paths: dict[tuple[str, str], list[DamageCount]] = {}
    for one in damages:
        routes.setdefault(one.route, []).append(one)
        paths.setdefault((one.route, one.path), []).append(one)
    places = [
        {"route": route, "path": path, **_share(of), "damages": {one.damage: [one.tried, one.seen] for one in of}}
        for (route, path), of in paths.items()
    ]
    places.sort(key=lambda place: (1.0 if place["share"] is None else place["share"], place["route"], place["path"]))
    hidden: Counter[str] = Counter()
    for one in damages:
        if one.rule:
            hidden[one.rule] += one.tried - one.seen
    return {
        **_share(damages),
        "routes": [{"route": route, **_share(of)} for route, of in sorted(routes.items())],
        "known": len(places),
        "paths": places[:PLACES],
        "hidden_by": [{"rule": rule, "count": count} for rule, count in hidden.most_common(100)],
        "blind_spots": [
            {
                "route": one.route,
                "path": one.path,
                "damage": one.damage,
                "tried": one.tried,
                "rule": one.rule,
                "accepted": accepted(limits, one),
            }
            for one in blind(damages)[:PLACES]
        ],
    }


def _share(damages: Iterable[DamageCount]) -> dict[str, Any]:
    tried = seen = 0
    for one in damages:
        tried, seen = tried + one.tried, seen + one.seen
    return {"tried": tried, "seen": seen, "share": seen / tried if tried else None}


def _standing(one: Standing) -> dict[str, Any]:
    return {"check": one.check, "proof": one.proof, "text": one.text, "at": one.at.isoformat()}


def _latency(latency: Latency) -> dict[str, Any]:
    """Seconds, rounded up to the bucket."""
    return {"reads": latency.total, **{name: latency.quantile(share) for name, share in QUANTILES.items()}}
