"""Which member of one object stands for which of the other when their names differ."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from comparators.automaton import Place
from comparators.extended import unwrap
from comparators.ids import TOKEN, readings
from comparators.normal import OWN_IDS
from comparators.scalars import Context_, causes

_MAX_CLAIMS = 16
"""How many names that can be read alike are looked at."""


Restored = Callable[[Any, Any], tuple[Any, Any]]


class Join(NamedTuple):
    """Two names of one member. `why` is "id" (the names hold joined ids), "own_id", or the slot of the rule that joins
    them ("alias:...")."""

    left: str
    right: str
    why: str


def has_id(names: list[str]) -> bool:
    """Whether some name holds an id."""
    return any(len(name) >= 24 and TOKEN.search(name) for name in names)


def joins(
    left: dict[str, Any],
    right: dict[str, Any],
    only_left: list[str],
    only_right: list[str],
    place: Place,
    context: Context_,
    restored: Restored,
) -> list[Join]:
    """The members that stand for each other among those whose names one side alone has.

    `restored` gives two values as they stood in their bodies.
    """
    found = _by_id(only_left, only_right, place, context) if context.ids != "exact" else []
    taken_left, taken_right = {join.left for join in found}, {join.right for join in found}
    names = [(rule.names, slot) for rule, slot in place.aliases]
    # An object's own id under its other customary name: one cause, not one member lost and another won.
    for some, why in (*names, (OWN_IDS, "own_id")):
        a = [name for name in only_left if name in some and name not in taken_left]
        b = [name for name in only_right if name in some and name not in taken_right]
        if len(a) != 1 or len(b) != 1:
            continue
        if why == "own_id" and (
            _forgiven_alone(left[a[0]], place.name(a[0]))
            or _forgiven_alone(right[b[0]], place.name(b[0]))
            or not _one_value(*restored(left[a[0]], right[b[0]]), place.name(a[0]), context)
        ):
            continue
        found.append(Join(a[0], b[0], why))
        taken_left.add(a[0])
        taken_right.add(b[0])
    return found


def _by_id(only_left: list[str], only_right: list[str], place: Place, context: Context_) -> list[Join]:
    mine = [name for name in only_left if len(name) >= 24 and TOKEN.search(name)]
    theirs = [name for name in only_right if len(name) >= 24 and TOKEN.search(name)]
    if not mine or not theirs:
        return []
    waiting: dict[str, list[str]] = {}
    first: dict[str, str] = {}
    for name in theirs:
        first[name], *others = readings(name, context.table, context.pairings)
        for reading in (first[name], *others):
            waiting.setdefault(reading, []).append(name)
    found: list[Join] = []
    taken: set[str] = set()
    for name in mine:
        own, *others = readings(name, context.table, context.pairings)
        for reading in (own, *others):
            # Both may be read as a third id when the map joins two ids to it; that does not make them the same.
            partner = next(
                (
                    other
                    for other in waiting.get(reading, ())[:_MAX_CLAIMS]
                    if other not in taken and (first[other] == reading or own == reading)
                ),
                None,
            )
            if partner is not None:
                found.append(Join(name, partner, "id"))
                taken.add(partner)
                break
    joined = {join.left for join in found}
    rest, others = [n for n in mine if n not in joined], [n for n in theirs if n not in taken]
    only_one = context.pairings is not None and len(rest) == 1 and len(others) == 1
    if only_one and not causes(rest[0], others[0], place.name(rest[0]).rules, context):
        # One unknown id a side: the only pairing there is, unless it contradicts an earlier one.
        found.append(Join(rest[0], others[0], "id"))
    return found


def _forgiven_alone(value: Any, place: Place) -> bool:
    """Whether a rule says that the member may be on one side alone."""
    return place.ignored or (value is None and "null_missing" in place.rules)


def _one_value(left: Any, right: Any, place: Place, context: Context_) -> bool:
    """Whether two values are one id, or one scalar."""
    a, b = unwrap(left), unwrap(right)
    if a is not None or b is not None:
        left, right = (a.text if a is not None else left), (b.text if b is not None else right)
    scalar = not isinstance(left, dict | list) and not isinstance(right, dict | list)
    return scalar and not causes(left, right, place.rules, context)
