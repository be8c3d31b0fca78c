"""Which rule keeps damage from being seen."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from comparators.automaton import Place
from comparators.damage import Damage
from comparators.model import Comparison, Tolerated
from comparators.paths import Key

NO_RULE = "(no rule: it counts as equal)"
"""What is said of damage that no rule hides: to the comparison the two are one value."""


def hiding_rule(root: Place, damage: Damage, before: Comparison, after: Comparison) -> str:
    """The kind and path of the rule that hides damage, as written: `ignore $..amount`, `order $.data.tags`.

    `root` is the place of the rules; `before` is the comparison without the damage and `after` the one with it, which
    ends equal all the same.
    """
    elements = damage.sort.endswith(("_element", "_elements"))
    ignored = _said(root, (*damage.keys, 0) if elements else damage.keys, "ignore")
    if ignored is not None:
        return f"ignore {ignored}"
    if damage.sort == "swap_elements" and (order := _last(root, damage.keys, "order")) is not None:
        return f"order {order}"
    more = _used_more(before.tolerated, after.tolerated)
    used = _near(damage.path, more) or more or _near(damage.path, after.tolerated)
    used = used or [one for one in after.tolerated if one.path.startswith(damage.path)]
    return _as_written(used[0]) if used else NO_RULE


def _as_written(used: Tolerated) -> str:
    kind = "order" if used.kind.startswith("order_") else used.kind
    return f"{kind} {used.rule or used.path}"


def _used_more(before: Iterable[Tolerated], after: Iterable[Tolerated]) -> list[Tolerated]:
    counts = {(one.kind, one.path, one.rule): one.count for one in before}
    return [one for one in after if one.count > counts.get((one.kind, one.path, one.rule), 0)]


def _near(path: str, used: Sequence[Tolerated]) -> list[Tolerated]:
    """Those that were used at `path` or above it, the nearest first."""
    found = [one for one in used if path == one.path or (path.startswith(one.path) and path[len(one.path)] in ".[")]
    return sorted(found, key=lambda one: -len(one.path))


def _places(root: Place, keys: Sequence[Key]) -> Iterable[set[Place]]:
    """What the rules say at each step of the way to a place; several, where an alias has two names for a member."""
    places = {root}
    yield places
    for key in keys:
        if isinstance(key, int):
            places = {place.index(key) for place in places}
        else:
            places = {
                place.name(name)
                for place in places
                for name in {key, *(name for rule, _ in place.aliases if key in rule.names for name in rule.names)}
            }
        yield places


def _said(root: Place, keys: Sequence[Key], slot: str) -> str | None:
    """The path of the first rule for `slot` on the way."""
    return next((text for places in _places(root, keys) for text in _texts(places, slot)), None)


def _last(root: Place, keys: Sequence[Key], slot: str) -> str | None:
    """The path of the rule for `slot` at the end of the way."""
    return next(iter(_texts(list(_places(root, keys))[-1], slot)), None)


def _texts(places: Iterable[Place], slot: str) -> list[str]:
    return sorted(place.texts[slot] for place in places if slot in place.texts)
