"""Whether enough was compared, of everything the domain has. Pure."""

from __future__ import annotations

from datetime import timedelta

from proxy.gate.evidence import GateEvidence
from proxy.gate.result import Condition
from proxy.gate.words import clause, listed, moment, number
from proxy.settings import GateSettings
from proxy.window import RULES


def window(evidence: GateEvidence) -> Condition:
    """All evidence belongs to one set of rules and one state of both sides; a newer configuration has none yet."""
    found = evidence.window
    if found is None:
        text = "No window has begun, so there is no evidence."
        return Condition("window", False, None, None, text, "Let `shadowread serve` see the domain's requests.")
    parts = ", ".join(f"{part} {value}" for part, value in sorted(found.parts.items())) or "nothing known of its sides"
    text = f"The window began at {moment(found.started_at)}: {clause(found.why)} ({parts})."
    if evidence.rules is not None and found.parts.get(RULES, evidence.rules) != evidence.rules:
        text = (
            f"The evidence is of the rules {found.parts[RULES]}, the configuration now has {evidence.rules}, "
            f"in the window that began at {moment(found.started_at)}."
        )
        return Condition("window", False, None, None, text, "Restart `shadowread serve` with this configuration.")
    return Condition("window", True, None, None, text)


def comparisons(limits: GateSettings, evidence: GateEvidence) -> Condition:
    made, least = evidence.comparisons, max(1, limits.min_comparisons)
    if made >= least:
        text = f"{number(made, 'comparison')} made, at least {least:,} are asked for."
        return Condition("comparisons", True, made, least, text)
    text = f"Only {number(made, 'comparison')} made of the {least:,} asked for."
    return Condition("comparisons", False, made, least, text, f"{least - made:,} more are needed.")


def routes(limits: GateSettings, evidence: GateEvidence) -> Condition:
    least, known = limits.min_route_comparisons, len(evidence.routes)
    if not known:
        text = "The domain has no route, so nothing of it can be verified."
        return Condition("routes", False, 0, 1, text, "Name its reads under routes.")
    made = {route: evidence.route_comparisons.get(route, 0) for route in evidence.routes}
    short = sorted((route for route in made if made[route] < least), key=lambda route: (made[route], route))
    seen = known - len(short)
    text = f"{seen} of {number(known, 'route')} compared at least {number(least, 'time')}."
    if not short:
        return Condition("routes", True, seen, known, text)
    missing = listed(f"{route} ({least - made[route]:,} more)" for route in short)
    return Condition("routes", False, seen, known, text, f"Still needed: {missing}.")


def entities(limits: GateSettings, evidence: GateEvidence) -> Condition:
    """Of each kind that a route names as many as are asked for, or all where the id map knows fewer.

    Only a count that is exact and no older than other evidence says that there are fewer, and none at all proves
    nothing: of a kind that a route names one must have matched.
    """
    kinds = evidence.entity_kinds
    if not kinds or not limits.min_entities:
        text = "No route names a kind of entity, so none is asked for." if not kinds else "No entity is asked for."
        return Condition("entities", True, sum(evidence.entities.values()), 0, text)
    oldest = evidence.at - timedelta(seconds=limits.shelf_life)
    wanted, seen, told, missing = 0, 0, [], []
    for kind in kinds:
        known, found = evidence.known.get(kind), evidence.entities.get(kind, 0)
        least = limits.min_entities
        if known is not None and known.exact and known.at >= oldest:
            least = max(1, min(least, known.count))
        wanted, seen = wanted + least, seen + min(found, least)
        about = "" if evidence.entities_exact else "about "
        of = "an unknown number" if known is None else f"{'' if known.exact else 'about '}{known.count:,}"
        told.append(f"{kind} {about}{found:,} of {of}")
        if found < least:
            missing.append(f"{least - found:,} more of {kind}")
    text = f"Distinct entities that matched: {listed(told)}; at least {limits.min_entities:,} or all are asked for."
    if not missing:
        return Condition("entities", True, seen, wanted, text)
    remedy = f"Needed: {listed(missing)}; `shadowread sweep` reads all of them."
    return Condition("entities", False, seen, wanted, text, remedy)
