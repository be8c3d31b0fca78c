"""What is told beside the conditions about what the evidence does not speak of. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from proxy.gate.blind import accepted, blind, dim, spot
from proxy.gate.evidence import GateEvidence
from proxy.gate.words import listed, number
from proxy.notes import Note, notes_of
from proxy.settings import GateSettings


def notes(limits: GateSettings, evidence: GateEvidence) -> tuple[Note, ...]:
    """Notes decide nothing: what was forgiven, ignored, never verified, accepted and not asked for."""
    rules = notes_of(evidence.tolerated, evidence.expired, evidence.expiring, evidence.warn_days)
    return (*rules, *_notes(limits, evidence))


def _notes(limits: GateSettings, evidence: GateEvidence) -> Iterator[Note]:
    if empty := evidence.fields_not_verified:
        named = listed((f"{one.path} of {one.route}" for one in evidence.empty_fields), total=empty)
        text = f"Never seen with a value on both sides, so not verified: {number(empty, 'field')}: {named}."
        yield Note("fields_not_verified", empty, text)
    spots = [one for one in blind(evidence.damages) if accepted(limits, one)]
    if spots:
        text = f"{number(len(spots), 'blind spot')} accepted under gate.accept_blind: {listed(map(spot, spots))}."
        yield Note("accepted_blind_spots", len(spots), text)
    if dull := [one for one in dim(evidence.damages) if not accepted(limits, one)]:
        text = f"{number(len(dull), 'place')} where a damaged value was not always seen: {listed(map(spot, dull))}."
        yield Note("dim_spots", len(dull), text)
    if not limits.provenance:
        text = (
            "No proof is asked for that the shadow reads its own store (gate.provenance), so a zero may mean nothing."
        )
        yield Note("provenance_not_asked", 0, text)
