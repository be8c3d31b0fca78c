"""Whether what was compared is equal often enough, and whether what was seen was compared. Pure."""

from __future__ import annotations

from fractions import Fraction
from math import ceil

from proxy.bound import comparisons_needed, upper_bound
from proxy.gate.evidence import GateEvidence
from proxy.gate.result import Condition
from proxy.gate.words import number, rate
from proxy.model import FAILURES, SKIPS, Verdict
from proxy.settings import GateSettings

NOT_ASKED = frozenset({Verdict.NOT_SAMPLED, Verdict.PAUSED})
"""What was skipped because the owner, or a check that needs silence, asked for it."""
UNPROVEN = "Prove first that the shadow reads its own store."


def diffs(limits: GateSettings, evidence: GateEvidence, *, unproven: bool) -> Condition:
    """An unproven domain has no zero: two reads of the same store are always equal."""
    found, made, limit = evidence.diffs, evidence.comparisons, limits.max_diffs
    if unproven and not found:
        text = f"The {number(made, 'comparison')} made say nothing about differences while the domain is unproven."
        return Condition("diffs", False, None, limit, text, UNPROVEN)
    gaps = f", {evidence.known_gaps:,} of them explained by a known gap" if evidence.known_gaps else ""
    text = f"{number(found, 'diff')} in {number(made, 'comparison')}{gaps}, at most {limit:,} allowed."
    if found <= limit:
        return Condition("diffs", True, found, limit, text)
    return Condition(
        "diffs", False, found, limit, text, "Explain and repair them, then begin a new window: `shadowread window`."
    )


def bound(limits: GateSettings, evidence: GateEvidence, *, unproven: bool) -> Condition:
    found, made, limit = evidence.diffs, evidence.comparisons, limits.max_upper_bound
    if unproven:
        text = "The diff rate of an unproven domain has no upper bound under 1."
        return Condition("upper_bound", False, None, limit, text, UNPROVEN)
    if not made:
        text = "Nothing was compared, so the diff rate has no upper bound under 1."
        return Condition("upper_bound", False, None, limit, text, _hope(found, limit))
    value = upper_bound(found, made)
    text = f"The diff rate is below {rate(value)} with 95 % confidence, the limit is {rate(limit)}."
    if value <= limit:
        return Condition("upper_bound", True, value, limit, text)
    return Condition("upper_bound", False, value, limit, text, _hope(found, limit))


def route_bound(limits: GateSettings, evidence: GateEvidence, *, unproven: bool) -> Condition:
    """The bound of the worst route: a domain's figure must not rest on its busiest route alone."""
    limit = limits.max_route_upper_bound
    if unproven:
        text = "The diff rates of an unproven domain's routes have no upper bound under 1."
        return Condition("route_upper_bound", False, None, limit, text, UNPROVEN)
    if not evidence.routes:
        text = "The domain has no route, so none has a bound."
        return Condition("route_upper_bound", False, None, limit, text, "Name its reads under routes.")
    bounds = {
        route: upper_bound(evidence.route_diffs.get(route, 0), evidence.route_comparisons.get(route, 0))
        for route in evidence.routes
    }
    worst = max(bounds, key=lambda route: (bounds[route], route))
    found, made, value = evidence.route_diffs.get(worst, 0), evidence.route_comparisons.get(worst, 0), bounds[worst]
    text = (
        f"The worst route is {worst}: {number(found, 'diff')} in {number(made, 'comparison')}, "
        f"a diff rate below {rate(value)}, the limit is {rate(limit)}."
    )
    if value <= limit:
        return Condition("route_upper_bound", True, value, limit, text)
    return Condition("route_upper_bound", False, value, limit, text, _hope(found, limit))


def unstable(limits: GateSettings, evidence: GateEvidence) -> Condition:
    """Of all comparisons: where the primary disagrees with itself, nothing was verified."""
    found, made, limit = evidence.verdicts.get(Verdict.UNSTABLE, 0), evidence.comparisons, limits.max_unstable_rate
    if not made:
        text = "Nothing was compared, so it is not known how often the primary disagrees with itself."
        return Condition("unstable", False, None, limit, text, "Comparisons are needed.")
    value = found / made
    text = (
        f"In {found:,} of {number(made, 'comparison')} the primary disagreed with itself ({rate(value)}), "
        f"limit {rate(limit)}."
    )
    if value <= limit:
        return Condition("unstable", True, value, limit, text)
    remedy = f"{_dilution(found, made, limit)}; `shadowread serve --aa` shows which paths are noise."
    return Condition("unstable", False, value, limit, text, remedy)


def failures(limits: GateSettings, evidence: GateEvidence) -> Condition:
    """Out of the exchanges whose shadow was asked: those compared and those that failed or were lost."""
    found, limit = evidence.total(FAILURES), limits.max_failure_rate
    asked = evidence.comparisons + found
    if not asked:
        text = "The shadow was never asked, so its failure rate is not known."
        return Condition("failures", False, None, limit, text, "Comparisons are needed.")
    value = found / asked
    text = f"{found:,} of {number(asked, 'shadow read')} failed or were lost ({rate(value)}), limit {rate(limit)}."
    if value <= limit:
        return Condition("failures", True, value, limit, text)
    return Condition("failures", False, value, limit, text, f"{_dilution(found, asked, limit)}.")


def skips(limits: GateSettings, evidence: GateEvidence) -> Condition:
    """Out of what could have been compared: not what was left out on purpose, nor what the primary failed to answer."""
    found = evidence.total(SKIPS - NOT_ASKED)
    wanted = evidence.comparisons + evidence.total(FAILURES) + found
    limit = limits.max_skip_rate
    if not wanted:
        text = "No sampled exchange was seen, so the skip rate is not known."
        return Condition("skips", False, None, limit, text, "Comparisons are needed.")
    value = found / wanted
    text = f"{found:,} of {number(wanted, 'sampled exchange')} were skipped ({rate(value)}), limit {rate(limit)}."
    if value <= limit:
        return Condition("skips", True, value, limit, text)
    most = max(SKIPS - NOT_ASKED, key=lambda verdict: (evidence.verdicts.get(verdict, 0), verdict.value))
    remedy = f"{_dilution(found, wanted, limit)}; most are {most.value} ({evidence.verdicts.get(most, 0):,})."
    return Condition("skips", False, value, limit, text, remedy)


def _hope(found: int, limit: float) -> str:
    needed = comparisons_needed(found, limit)
    if needed is None:
        return f"{number(found, 'diff').capitalize()} cannot be outweighed by more comparisons."
    return f"{needed:,} comparisons with no more than {number(found, 'diff')} would reach it."


def _dilution(bad: int, total: int, limit: float) -> str:
    """What would bring `bad` out of a growing total to the limit."""
    if limit <= 0:
        return "None is allowed"
    needed = ceil(Fraction(bad) / Fraction(limit))
    return f"{needed - total:,} more without one would reach it"
