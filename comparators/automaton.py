"""All paths of a route's rules as one automaton: a step of the walk costs one look-up, however many rules there are.

States are made when first reached (a lazy subset construction). Names that no rule mentions share one state, so hostile
bodies with endless names cannot make it grow.
"""

from __future__ import annotations

from typing import Any

from comparators.paths import Path

_Positions = frozenset[tuple[int, int]]


class Place:
    """What the rules say at one place of a body. `rules` maps a slot (`ignore`, `order`, a kind, ...) to its rule."""

    __slots__ = (
        "_automaton",
        "_indexes",
        "_names",
        "_other_index",
        "_other_name",
        "_positions",
        "aliases",
        "ignores_below",
        "rules",
    )

    def __init__(self, automaton: Automaton, positions: _Positions, rules: dict[str, Any]) -> None:
        self._automaton = automaton
        self._positions = positions
        self._names: dict[str, Place] = {}
        self._indexes: dict[int, Place] = {}
        self._other_name: Place | None = None
        self._other_index: Place | None = None
        self.rules = rules
        self.aliases = tuple(rule for slot, rule in rules.items() if slot.startswith("alias:"))
        self.ignores_below = automaton.may_reach("ignore", positions)

    def name(self, key: str) -> Place:
        """The place of the member `key`."""
        place = self._names.get(key)
        if place is not None:
            return place
        if key in self._automaton.names:
            place = self._names[key] = self._automaton.after(self._positions, key)
            return place
        if self._other_name is None:
            self._other_name = self._automaton.after(self._positions, None)
        return self._other_name

    def index(self, key: int) -> Place:
        """The place of the element at `key`."""
        if key in self._automaton.indexes:
            place = self._indexes.get(key)
            if place is None:
                place = self._indexes[key] = self._automaton.after(self._positions, key)
            return place
        if self._other_index is None:
            self._other_index = self._automaton.after(self._positions, None)
        return self._other_index


class Automaton:
    """Collects paths with what they say, then hands out the first place."""

    def __init__(self) -> None:
        self._paths: list[tuple[Path, int, str, Any]] = []
        self._places: dict[_Positions, Place] = {}
        self.names: set[str] = set()
        self.indexes: set[int] = set()

    def add(self, path: Path, nearness: int, slot: str, rule: Any) -> None:
        """Say `rule` for `slot` at `path`. The larger `nearness` wins, then the more specific path, then the later."""
        self._paths.append((path, nearness, slot, rule))
        for step in path.steps:
            if isinstance(step.key, str):
                self.names.add(step.key)
            elif isinstance(step.key, int):
                self.indexes.add(step.key)

    def start(self) -> Place:
        return self._place({(number, 0) for number in range(len(self._paths))})

    def may_reach(self, slot: str, positions: _Positions) -> bool:
        """Whether some path that says something for `slot` can still match here or below."""
        return any(self._paths[number][2] == slot for number, _ in positions)

    def after(self, positions: _Positions, key: str | int | None) -> Place:
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

    def _said(self, positions: _Positions) -> dict[str, Any]:
        best: dict[str, tuple[tuple[int, int, int], Any]] = {}
        for number, at in positions:
            path, nearness, slot, rule = self._paths[number]
            if at != len(path.steps):
                continue
            rank = (nearness, path.concrete, number)
            if slot not in best or rank > best[slot][0]:
                best[slot] = (rank, rule)
        return {slot: rule for slot, (_, rule) in sorted(best.items())}
