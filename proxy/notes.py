"""What a gate's answer says beside its conditions: it decides nothing, but tells what the zero rests on. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

IGNORE = "ignore"
"""The kind under which a comparison counts what it did not compare at all."""
NAMED = 10
"""How many rules a note names before it says how many more there are."""


@dataclass(frozen=True, slots=True)
class Note:
    """One thing to know. `figure` counts what `text` is about."""

    name: str
    figure: int
    text: str


def notes_of(
    tolerated: Mapping[tuple[str, str], int], expired: Sequence[str], expiring: Sequence[str], days: int
) -> tuple[Note, ...]:
    """What was forgiven, what was not verified, and which rules have expired or will within `days`.

    `tolerated` counts by kind and rule.
    """
    forgiven = {key: count for key, count in tolerated.items() if key[0] != IGNORE}
    ignored = {key: count for key, count in tolerated.items() if key[0] == IGNORE}
    found = []
    if forgiven:
        text = f"{_rules(len(forgiven), 'forgave')} {_times(sum(forgiven.values()))}: {_counted(forgiven)}."
        found.append(Note("tolerated", sum(forgiven.values()), text))
    if ignored:
        text = (
            f"What {_rules(len(ignored), 'ignores', 'ignore')} is not verified, "
            f"{_times(sum(ignored.values()))} so far: {_counted(ignored)}."
        )
        found.append(Note("not_verified", sum(ignored.values()), text))
    if expired:
        text = (
            f"{_rules(len(expired), 'is', 'are')} past the date in until and no longer applied: {_listed(expired)}. "
            "What was forgiven there is a difference again: remove the rule, or give it a later date."
        )
        found.append(Note("expired_rules", len(expired), text))
    if expiring:
        text = f"{_rules(len(expiring), 'expires', 'expire')} within {days} days: {_listed(expiring)}."
        found.append(Note("expiring_rules", len(expiring), text))
    return tuple(found)


def _rules(count: int, one: str, more: str | None = None) -> str:
    return f"1 rule {one}" if count == 1 else f"{count:,} rules {more or one}"


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count:,} times"


def _counted(counts: Mapping[tuple[str, str], int]) -> str:
    """The most used rules first."""
    most = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return _listed(f"{kind} {rule or '(rule not kept)'} ({count:,})" for (kind, rule), count in most)


def _listed(texts: Iterable[str]) -> str:
    every = list(texts)
    more = f" and {len(every) - NAMED:,} more" if len(every) > NAMED else ""
    return ", ".join(every[:NAMED]) + more
