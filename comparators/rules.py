"""What may differ: the rules of a `compare:` block, checked, and compiled once per route.

A route's rules come from up to three blocks: for all, for the domain, for the route. The nearer block wins where two
speak of the same thing; within one block the path that names more wins.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal

from comparators.automaton import Automaton, Place
from comparators.paths import Path
from comparators.reading import IdMode, Reading, RuleProblem, Tolerance, read_block

__all__ = ["DEFAULT_HEADERS", "RuleProblem", "Rules", "RulesError", "Tolerance", "check_rules", "compile_rules"]

FUZZY = frozenset({"number", "number_string", "date_precision", "alias", "populated"})
ABOUT = frozenset({"why", "owner", "ticket", "until"})
"""What a rule may bear that decides no comparison; a date that has passed shows among the expired rules."""
DEFAULT_HEADERS = ("content-type", "location", "link", "x-total-count")


class RulesError(ValueError):
    """Rules that cannot be used; `problems` has every one."""

    def __init__(self, problems: Sequence[RuleProblem]) -> None:
        super().__init__("; ".join(f"{'.'.join(map(str, p.key)) or 'compare'}: {p.text}" for p in problems))
        self.problems = tuple(problems)


@dataclass(frozen=True, slots=True)
class Rules:
    """The compiled rules of one route. `root` is the place of the whole body; `fingerprint` changes with any rule
    that applies, and not with what is only said about one.

    `expired` names the rules whose `until` has passed: they are not applied. `fuzzy` says that some rule
    forgives what does not carry over (A equals B and B equals C, but not A C), `entities` that some names an entity,
    and `names_ids` that some path has an id for a name.
    """

    status: Literal["exact", "class"]
    headers: tuple[str, ...]
    ids: IdMode
    root: Place
    names_ids: bool
    fuzzy: bool
    entities: bool
    fingerprint: str
    expired: tuple[str, ...] = ()


def check_rules(block: Mapping[str, Any]) -> list[RuleProblem]:
    """Every problem of one `compare:` block; empty when it can be used."""
    return read_block(block, None).problems


def compile_rules(layers: Sequence[Mapping[str, Any]], *, today: date | None = None) -> Rules:
    """The rules of a route from its `compare:` blocks, farthest first (for all, per domain, per route).

    `today` decides which rules are past their `until`; None applies all of them. Raises RulesError.
    """
    readings = [read_block(layer, today) for layer in layers]
    if problems := [problem for reading in readings for problem in reading.problems]:
        raise RulesError(problems)
    automaton = Automaton()
    for nearness, reading in enumerate(readings):
        for path, slot, rule in _entries(reading):
            automaton.add(path, nearness, slot, rule)
    return Rules(
        status=_nearest([r.status for r in readings]) or "exact",
        headers=next((r.headers for r in reversed(readings) if r.headers is not None), DEFAULT_HEADERS),
        ids=_nearest([r.ids for r in readings]) or "mapped",
        root=automaton.start(),
        names_ids=automaton.names_ids,
        fuzzy=any(rule.kind in FUZZY for r in readings for rule in r.tolerances) or any(r.entities for r in readings),
        entities=any(r.entities for r in readings),
        fingerprint=_fingerprint(layers, [text for r in readings for text in r.expired]),
        expired=tuple(text for r in readings for text in r.expired),
    )


def _entries(reading: Reading) -> Iterator[tuple[Path, str, Any]]:
    """Every path of a block, the slot it speaks of, and what it says."""
    for path in reading.ignores:
        yield path, "ignore", path.text
    for path, order in reading.orders:
        yield path, "order", order
    for rule in reading.tolerances:
        yield rule.path, f"alias:{','.join(rule.names)}" if rule.kind == "alias" else rule.kind, rule
    for path, entity in reading.entities:
        yield path, "entity", entity


def _nearest(values: list[Any]) -> Any:
    return next((value for value in reversed(values) if value is not None), None)


def _fingerprint(layers: Sequence[Mapping[str, Any]], expired: list[str]) -> str:
    text = json.dumps([[_effective(layer) for layer in layers], expired], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _effective(value: Any) -> Any:
    """What a rule says without what is said about it: whoever corrects a reason has not changed the rules."""
    if isinstance(value, Mapping):
        return {key: _effective(child) for key, child in value.items() if key not in ABOUT}
    return [_effective(child) for child in value] if isinstance(value, list | tuple) else value
