"""A document damaged on purpose, one place at a time, in ways that fit what stands there.

Each damage is something a client could tell apart, and more than a tolerance is meant to forgive: a null that is
dropped or a text in another case is what rules are for, another amount is not.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple

from comparators.damaged import Draw, Ids, damaged, value_sorts
from comparators.ids import TOKEN, IdTable
from comparators.paths import Key, render_pattern

Keys = tuple[Key, ...]
Sort = Literal[
    "number", "decimal", "date", "text", "boolean", "id", "null", "drop", "add", "drop_element", "repeat_element",
    "swap_elements",
]  # fmt: skip

MAX_DEPTH = 100
MAX_PATHS = 2_000
MAX_INSTANCES = 500
"""Values of one path that are looked into; of more, as many are chosen by chance."""
_CHOICE = 8
"""Values of one path among which the damaged one is chosen."""
_ID_LENGTH = 24
_ADDED = "unexpected"


@dataclass(frozen=True, slots=True)
class Damage:
    """`document` has damage of one `sort` at `keys`, and shares all else with the undamaged one.

    `path` is the pattern of the place: of the value, of the member that was dropped, of the array, or of the object
    that got one member more (`keys` is the place of that member). `opposite` says that it is the other document.
    """

    path: str
    sort: str
    keys: Keys
    document: Any
    opposite: bool = False


class _Spot(NamedTuple):
    keys: Keys
    value: Any


def damages(
    document: Any,
    *,
    limit: int,
    draw: Draw,
    ids: IdTable | None = None,
    tried: Mapping[tuple[str, str], int] | None = None,
    max_depth: int = MAX_DEPTH,
    opposite: Any = None,
) -> Iterator[Damage]:
    """At most `limit` damages, each of another path or another sort; never one that leaves the document as it was.

    `opposite` is what it is compared with: what that one alone has, since a rule lets it be missing here, is damaged
    over there.

    `tried` says how often a path had a sort of damage before: what had it least comes first, else chance decides. An id
    becomes that of another row of the same entity in `ids`, and one that nobody knows where there is none. What lies
    deeper than `max_depth` is left whole. Raises nothing for any document that `decode` made.
    """
    known = {} if tried is None else tried
    found = _candidates(document, max_depth, draw)
    others = {} if opposite is None else _candidates(opposite, max_depth, draw)
    order = sorted((known.get(key, 0), draw(), key) for key in (*found, *(key for key in others if key not in found)))
    table = Ids(IdTable() if ids is None else ids)
    for _, _, key in order[:limit]:
        spots = found.get(key) or others[key]
        made = _made(document if key in found else opposite, *key, spots[int(draw() * len(spots))], table, draw)
        yield made if key in found else replace(made, opposite=True)


def placed(document: Any, keys: Keys, value: Any) -> Any:
    """`document` with `value` at `keys`; what is not on the way there is shared."""
    if not keys:
        return value
    key, rest = keys[0], keys[1:]
    below = placed(document[key], rest, value) if rest else value
    if isinstance(document, dict):
        return {**document, key: below}
    return [*document[: int(key)], below, *document[int(key) + 1 :]]


def without(document: Any, keys: Keys) -> Any:
    """`document` without the member or element at `keys`, which must not be empty."""
    *way, last = keys
    outer = _at(document, tuple(way))
    if isinstance(outer, dict):
        return placed(document, tuple(way), {name: value for name, value in outer.items() if name != last})
    return placed(document, tuple(way), [*outer[: int(last)], *outer[int(last) + 1 :]])


def _at(document: Any, keys: Keys) -> Any:
    for key in keys:
        document = document[key]
    return document


# --- what could be damaged ---


def _candidates(document: Any, max_depth: int, draw: Draw) -> dict[tuple[str, str], list[_Spot]]:
    """Where each sort of damage could be done, by path pattern and sort; shallow paths first, so that a bound on their
    number keeps those that all documents have."""
    found: dict[tuple[str, str], list[_Spot]] = {}
    waiting: deque[list[_Spot]] = deque([[_Spot((), document)]])
    paths = 0
    while waiting and paths < MAX_PATHS:
        spots = waiting.popleft()
        paths += 1
        path = render_pattern(spots[0].keys)
        for spot in _choice(spots, draw):
            for sort in _sorts(spot):
                found.setdefault((path, sort), []).append(spot)
        if len(spots[0].keys) < max_depth:
            waiting += [_chosen(some, MAX_INSTANCES, draw) for some in _below(spots)]
    return found


def _choice(spots: list[_Spot], draw: Draw) -> list[_Spot]:
    """A few of the spots, with those that have a value before those that have none."""
    telling = [spot for spot in spots if spot.value is not None and spot.value != ""] or spots
    chosen = _chosen(telling, _CHOICE, draw)
    null = next((spot for spot in spots if spot.value is None), None)
    return chosen if null is None or telling is spots else [*chosen, null]


def _chosen(spots: list[_Spot], count: int, draw: Draw) -> list[_Spot]:
    """All of them, or of more than `count` so many by chance, some perhaps twice."""
    return spots if len(spots) <= count else [spots[int(draw() * len(spots))] for _ in range(count)]


def _below(spots: list[_Spot]) -> list[list[_Spot]]:
    """The spots one step below, those of one pattern together."""
    found: dict[Key, list[_Spot]] = {}
    for keys, value in spots:
        if type(value) is dict:
            for name, item in value.items():
                # Names that hold ids are one pattern.
                label = 1 if len(name) >= _ID_LENGTH and TOKEN.search(name) else name
                found.setdefault(label, []).append(_Spot((*keys, name), item))
        elif type(value) is list:
            found.setdefault(0, []).extend([_Spot((*keys, index), item) for index, item in enumerate(value)])
    return [some for some in found.values() if some]


def _sorts(spot: _Spot) -> list[str]:
    keys, value = spot
    sorts = list(value_sorts(value))
    if type(value) is dict:
        sorts.append("add")
    elif type(value) is list and value:
        sorts += ["drop_element", "repeat_element"]
        if _unequal_neighbours(value, 0) is not None:
            sorts.append("swap_elements")
    if value is None:
        sorts.append("null")
    elif keys:
        # That "", [] or {} becomes null is what `empty` is for.
        if type(value) not in (str, list, dict) or value:
            sorts.append("null")
        if type(keys[-1]) is str:
            sorts.append("drop")
    return sorts


def _unequal_neighbours(elements: list[Any], start: int) -> int | None:
    """The first index from `start` on, and round, whose element differs from the next one.

    To Python `True` is 1: two elements that differ in no more than that are not found.
    """
    for step in range(len(elements)):
        index = (start + step) % len(elements)
        if index + 1 < len(elements) and elements[index] != elements[index + 1]:
            return index
    return None


# --- doing it ---


def _made(document: Any, path: str, sort: str, spot: _Spot, ids: Ids, draw: Draw) -> Damage:
    keys, value = spot
    if sort == "drop":
        return Damage(path, sort, keys, without(document, keys))
    if sort == "add":
        name = _ADDED
        while name in value:
            name += "_"
        return Damage(path, sort, (*keys, name), placed(document, keys, {**value, name: "x"}))
    if sort.endswith(("_element", "_elements")):
        return Damage(path, sort, keys, placed(document, keys, _rearranged(value, sort, draw)))
    if sort == "null":
        return Damage(path, sort, keys, placed(document, keys, "x" if value is None else None))
    return Damage(path, sort, keys, placed(document, keys, damaged(value, sort, ids, draw)))


def _rearranged(elements: list[Any], sort: str, draw: Draw) -> list[Any]:
    index = int(draw() * len(elements))
    if sort == "drop_element":
        return [*elements[:index], *elements[index + 1 :]]
    if sort == "repeat_element":
        return [*elements[: index + 1], *elements[index:]]
    first = _unequal_neighbours(elements, index)
    assert first is not None, "only arrays with unequal neighbours are offered for it"  # noqa: S101 - see `_sorts`
    return [*elements[:first], elements[first + 1], elements[first], *elements[first + 2 :]]
