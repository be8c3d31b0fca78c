"""All paths of a route's rules as one automaton: a step of the walk costs one look-up, however many rules there are.

States are made when first reached (a lazy subset construction). Names that no rule mentions share one state, so hostile
bodies with endless names cannot make it grow.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from comparators.ids import TOKEN
from comparators.paths import Path, Step

_Positions = frozenset[tuple[int, int]]

_MAX_MARKS = 6
"""How many marks are looked for before it is cheaper to look at every value."""
_PLAIN = re.compile(r"[A-Za-z0-9_$.-]+")

WATCHED = frozenset({"ignore", "entity"})
"""Slots that concern equal values too: what is ignored is counted, and a joined id may be of the wrong entity."""


def _marks(ways: Sequence[tuple[Step, ...]]) -> tuple[bytes, ...] | None:
    marks = {_mark(steps) for steps in ways}
    return None if None in marks or len(marks) > _MAX_MARKS else tuple(sorted(mark for mark in marks if mark))


def _mark(steps: tuple[Step, ...]) -> bytes | None:
    """The longest member name of some steps as JSON has it; None without a name that can be spelled in one way."""
    names = [step.key for step in steps if isinstance(step.key, str) and _PLAIN.fullmatch(step.key)]
    return b'"%b"' % max(names, key=len).encode() if names else None


class Place:
    """What the rules say at one place of a body.

    `rules` maps a slot (`ignore`, `order`, a kind, ...) to its rule, and `texts` to the path that the rule was given.
    Rules of `WATCHED` slots concern values even when they are equal. `concerns_equals` says that there is one here.
    `marks` are texts of which one stands in the JSON of every value with something inside that such a rule concerns:
    empty when there is no such rule here or below, None when there is one without such a text.
    """

    __slots__ = (
        "_automaton", "_below", "_positions", "aliases", "concerns_equals", "ignored", "marks", "rules", "texts",
    )  # fmt: skip

    def __init__(self, automaton: Automaton, positions: _Positions, said: Mapping[str, tuple[Any, str]]) -> None:
        self._automaton = automaton
        self._positions = positions
        self._below: tuple[dict[str, Place], dict[int, Place], Place] | None = None
        self.rules: dict[str, Any] = {slot: rule for slot, (rule, _) in said.items()}
        self.texts = {slot: text for slot, (_, text) in said.items()}
        self.aliases = tuple((rule, slot) for slot, rule in self.rules.items() if slot.startswith("alias:"))
        self.ignored = "ignore" in self.rules
        self.concerns_equals = not WATCHED.isdisjoint(self.rules)
        self.marks = _marks(automaton.steps_to(WATCHED, positions))

    def below(self) -> tuple[dict[str, Place], dict[int, Place], Place]:
        """The places one step down: of members and of elements that rules mention, and the one of all others."""
        if self._below is None:
            self._below = self._automaton.below(self._positions)
        return self._below

    def name(self, key: str) -> Place:
        """The place of the member `key`."""
        names, _, other = self._below or self.below()
        return names.get(key, other)

    def index(self, key: int) -> Place:
        """The place of the element at `key`."""
        _, indexes, other = self._below or self.below()
        return indexes.get(key, other) if indexes else other


class Automaton:
    """Collects paths with what they say, then hands out the first place."""

    def __init__(self) -> None:
        self._paths: list[tuple[Path, int, str, Any]] = []
        self._places: dict[_Positions, Place] = {}

    def add(self, path: Path, nearness: int, slot: str, rule: Any) -> None:
        """Say `rule` for `slot` at `path`. The larger `nearness` wins, then the more specific path, then the later."""
        self._paths.append((path, nearness, slot, rule))

    @property
    def names_ids(self) -> bool:
        """Whether some path has an id for a name."""
        keys = [step.key for path, *_ in self._paths for step in path.steps]
        return any(isinstance(key, str) and TOKEN.search(key) for key in keys)

    def start(self) -> Place:
        return self._place({(number, 0) for number in range(len(self._paths))})

    def steps_to(self, slots: frozenset[str], positions: _Positions) -> list[tuple[Step, ...]]:
        """The steps that are left of every path that says something for one of `slots` and can still match."""
        return [self._paths[n][0].steps[at:] for n, at in sorted(positions) if self._paths[n][2] in slots]

    def below(self, positions: _Positions) -> tuple[dict[str, Place], dict[int, Place], Place]:
        """The places one step below: see `Place.below`."""
        steps = (self._paths[number][0].steps[at : at + 1] for number, at in positions)
        keys = {step[0].key for step in steps if step and step[0].key is not None}
        # Sorted, so that states are made in one order whatever the seed of hashes.
        names = {key: self._after(positions, key) for key in sorted(k for k in keys if isinstance(k, str))}
        indexes = {key: self._after(positions, key) for key in sorted(k for k in keys if isinstance(k, int))}
        return names, indexes, self._after(positions, None)

    def _after(self, positions: _Positions, key: str | int | None) -> Place:
        """The place one step below; `key` None stands for any name or index that no path mentions."""
        reached: set[tuple[int, int]] = set()
        for number, at in positions:
            steps = self._paths[number][0].steps
            if at == len(steps):
                continue
            step = steps[at]
            if step.sort == "deep":
                reached.add((number, at))
            elif step.sort == "any" or (key is not None and step.key == key and type(step.key) is type(key)):
                reached.add((number, at + 1))
        return self._place(reached)

    def _place(self, reached: set[tuple[int, int]]) -> Place:
        closed = set(reached)
        for number, at in reached:
            steps = self._paths[number][0].steps
            position = at
            while position < len(steps) and steps[position].sort == "deep":
                position += 1
                closed.add((number, position))
        positions = frozenset(closed)
        place = self._places.get(positions)
        if place is None:
            place = self._places[positions] = Place(self, positions, self._said(positions))
        return place

    def _said(self, positions: _Positions) -> dict[str, tuple[Any, str]]:
        best: dict[str, tuple[tuple[int, int, int], Any, str]] = {}
        for number, at in positions:
            path, nearness, slot, rule = self._paths[number]
            if at != len(path.steps):
                continue
            rank = (nearness, path.concrete, number)
            if slot not in best or rank > best[slot][0]:
                best[slot] = (rank, rule, path.text)
        return {slot: (rule, text) for slot, (_, rule, text) in sorted(best.items())}
