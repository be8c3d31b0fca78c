"""What a decision is made of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, Literal

from proxy.notes import Note

State = Literal["open", "closed", "unknown"]
Provenance = Literal["proven", "unproven", "not_asked"]
"""Whether the shadow is known to read its own store; `not_asked` where the configuration asks for no proof."""


@dataclass(frozen=True, slots=True)
class Condition:
    """One thing that must hold. `ok` is None when it cannot be told.

    `text` is a sentence with the figures, `remedy` one that says what would satisfy it; empty while it holds.
    """

    name: str
    ok: bool | None
    figure: float | int | None
    limit: float | int | None
    text: str
    remedy: str = ""

    @property
    def reason(self) -> str:
        return f"{self.text} {self.remedy}".rstrip()


@dataclass(frozen=True, slots=True)
class GateResult:
    """A decision with all its figures. `reasons` are texts and remedies of the conditions that do not hold.

    `diff_rate` and `upper_bound` are None while nothing was compared, and while it is not proven that the shadow reads
    its own store. `rollback_digest` is the SHA-256 of the plan's text in UTF-8, in hex. `notes` do not decide: an
    expired rule, say, makes the comparison stricter, so that it takes nothing from a zero. `inputs` are the limits and
    the whole evidence as plain data.
    """

    domain: str
    state: State
    conditions: tuple[Condition, ...]
    reasons: tuple[str, ...]
    diff_rate: float | None
    upper_bound: float | None
    decided_at: datetime
    flags_to_change: tuple[str, ...]
    rollback_plan: str | None
    rollback_digest: str | None
    notes: tuple[Note, ...] = ()
    provenance: Provenance = "unproven"
    inputs: Mapping[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Plain data: lists, texts and numbers, as it reads back from JSON."""
        return {
            "domain": self.domain,
            "state": self.state,
            "conditions": [asdict(condition) for condition in self.conditions],
            "reasons": list(self.reasons),
            "diff_rate": self.diff_rate,
            "upper_bound": self.upper_bound,
            "decided_at": self.decided_at.isoformat(),
            "flags_to_change": list(self.flags_to_change),
            "rollback_plan": self.rollback_plan,
            "rollback_digest": self.rollback_digest,
            "notes": [asdict(note) for note in self.notes],
            "provenance": self.provenance,
            "inputs": dict(self.inputs),
        }


def exit_code(results: Iterable[GateResult]) -> Literal[0, 1, 2]:
    """0 when all are open, 1 when some are closed, 2 when it cannot be told (also when there is none).

    A closed gate beside one that cannot be told answers 1: that not all are open is then known.
    """
    states = {result.state for result in results}
    if "closed" in states:
        return 1
    return 0 if states == {"open"} else 2
