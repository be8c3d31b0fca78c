"""Whether a zero would mean anything: the shadow reads its own store, and the rules let damage through. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import timedelta
from typing import NamedTuple

from proxy.gate.blind import BESIDE_BODY, VALUE_DAMAGES, accepted, blind, spot
from proxy.gate.evidence import GateEvidence
from proxy.gate.result import Condition, Provenance
from proxy.gate.words import clause, listed, moment, number, percent, span
from proxy.settings import GateSettings
from proxy.window import Check

ASK: Mapping[Check, str] = {
    "health": "name provenance.primary and provenance.shadow of the domain and let `shadowread serve` ask both sides",
    "scans": "name postgres.dsn and the domain's tables, then let `shadowread serve` run or run `shadowread prove`",
    "canary": "run `shadowread prove --canary`",
}
"""What has a check made at all."""
AGAIN: Mapping[Check, str] = {
    "health": "make both sides answer with the document that provenance of the domain names",
    "scans": "`shadowread serve` looks again by itself, `shadowread prove` at once",
    "canary": "run `shadowread prove --canary` again",
}
"""What to do about a check that could not tell; its own words say why."""
REPAIR: Mapping[Check, str] = {
    "health": "start the shadow with its Postgres flags on, or correct what provenance of the domain expects",
    "scans": "find out which store the shadow reads, or correct the domain's tables",
    "canary": "find out which store the shadow reads",
}
"""What to do about a check that failed."""


def proven(limits: GateSettings, evidence: GateEvidence) -> Provenance:
    if _open_questions(limits, evidence):
        return "unproven"
    return "proven" if limits.provenance else "not_asked"


def provenance(limits: GateSettings, evidence: GateEvidence) -> Condition:
    """All checks that are asked for must be proven, none may have failed, and no proof may be older than the rest."""
    asked = tuple(dict.fromkeys(limits.provenance))
    questions = _open_questions(limits, evidence)
    if not asked and not questions:
        text = "The configuration asks for no proof that the shadow reads its own store."
        return Condition("provenance", True, 0, 0, text)
    standings = {standing.check: standing for standing in evidence.standings}
    held = [check for check in asked if check not in questions]
    if not questions:
        text = f"Proven: {listed((f'{check}: {clause(standings[check].text)}' for check in held), '; ')}."
        return Condition("provenance", True, len(held), len(asked), text)
    told = "; ".join(f"{check}: {question.why}" for check, question in questions.items())
    text = f"Unproven, so that no figure of this domain means anything: {told}."
    remedy = "; ".join(question.remedy for question in questions.values())
    return Condition("provenance", False, len(held), len(asked), text, f"To do: {remedy}.")


class _Question(NamedTuple):
    why: str
    remedy: str


def _open_questions(limits: GateSettings, evidence: GateEvidence) -> dict[Check, _Question]:
    """The checks that stand against the domain. One that failed does so without being asked for."""
    standings = {standing.check: standing for standing in evidence.standings}
    oldest = evidence.at - timedelta(seconds=limits.shelf_life)
    found: dict[Check, _Question] = {}
    for check in dict.fromkeys([*limits.provenance, *standings]):
        standing = standings.get(check)
        if standing is not None and standing.proof == "failed":
            found[check] = _Question(f"failed, {clause(standing.text)}", REPAIR[check])
        elif check not in limits.provenance:
            continue
        elif standing is None:
            found[check] = _Question("not checked in this window", ASK[check])
        elif standing.proof == "unknown":
            found[check] = _Question(f"not known, {clause(standing.text)}", AGAIN[check])
        elif standing.at < oldest:
            why = f"proven last at {moment(standing.at)}, more than {span(limits.shelf_life)} ago"
            found[check] = _Question(why, AGAIN[check])
    return found


def sensitivity(limits: GateSettings, evidence: GateEvidence) -> Condition:
    """The share of planted damage that the live rules let through as a difference.

    What went unseen at accepted paths is not held against it.
    """
    counted = [one for one in evidence.damages if one.tried == one.seen or not accepted(limits, one)]
    tried, seen = sum(one.tried for one in counted), sum(one.seen for one in counted)
    least, floor = limits.min_damages, limits.min_sensitivity
    share = seen / tried if tried else None
    asked = f"at least {percent(floor)} of {number(least, 'damage')} are asked for"
    if tried < least or share is None:
        text = f"{seen:,} of {number(tried, 'planted damage')} were seen, {asked}."
        if not least:
            return Condition("sensitivity", True, share, floor, text)
        remedy = (
            f"{least - tried:,} more are planted as matching answers come by; `shadowread prove` plants some at once."
        )
        return Condition("sensitivity", False, share, floor, text, remedy)
    text = f"{seen:,} of {number(tried, 'planted damage')} were seen ({percent(share)}), {asked}."
    if share >= floor:
        return Condition("sensitivity", True, share, floor, text)
    hidden: Counter[str] = Counter()
    for one in counted:
        hidden[one.rule or f"{one.damage} at {one.path}"] += one.tried - one.seen
    worst = listed(f"{rule} ({count:,})" for rule, count in hidden.most_common() if count)
    return Condition("sensitivity", False, share, floor, text, f"Narrow what hides the most: {worst}.")


def blind_spots(limits: GateSettings, evidence: GateEvidence) -> Condition:
    """Of every route some answer must have been damaged: what a route hides is not known from the others."""
    damaged = {one.route for one in evidence.damages if one.damage not in BESIDE_BODY}
    untried = [route for route in evidence.routes if route not in damaged]
    if limits.min_damages and (untried or not damaged):
        text = f"No damage was planted yet in answers of {listed(untried)}, so blind spots are not known."
        remedy = "Matching answers are needed that bear a body and are no refusal."
        return Condition("blind_spots", False, None, 0, text, remedy)
    found = [one for one in blind(evidence.damages) if not accepted(limits, one)]
    if not found:
        tried = sum(one.tried for one in evidence.damages if one.damage in VALUE_DAMAGES)
        text = f"No place at which {number(tried, 'damaged value')} would never have been seen."
        return Condition("blind_spots", True, 0, 0, text)
    named = listed(spot(one) for one in found)
    text = f"{number(len(found), 'blind spot')} where a damaged value was never seen: {named}."
    remedy = "Narrow or remove the rules that hide them, or accept the paths under gate.accept_blind."
    return Condition("blind_spots", False, len(found), 0, text, remedy)
