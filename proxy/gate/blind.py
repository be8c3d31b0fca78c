"""Blind spots: damaged values that no comparison saw, and which of them the owner accepts. Pure."""

from __future__ import annotations

from functools import lru_cache

from comparators.paths import Path, PathError, Step, compile_path
from proxy.settings import GateSettings
from proxy.window import DamageCount

VALUE_DAMAGES = frozenset({"number", "decimal", "date", "text", "boolean", "id"})
"""Damage that puts another value of the same type in place: where it is never seen, the value is not verified."""

BESIDE_BODY = frozenset({"status", "header"})
"""Damage to what stands beside a body; that it is seen says nothing of the body."""


def blind(damages: tuple[DamageCount, ...]) -> list[DamageCount]:
    """Damaged values that were never seen, the most often tried first."""
    found = [one for one in damages if one.damage in VALUE_DAMAGES and one.tried and not one.seen]
    return sorted(found, key=lambda one: (-one.tried, one.path, one.route, one.damage))


def dim(damages: tuple[DamageCount, ...]) -> list[DamageCount]:
    """Damaged values that were seen, but not always: the smallest share first. Sums over many paths lose them."""
    found = [one for one in damages if one.damage in VALUE_DAMAGES and 0 < one.seen < one.tried]
    return sorted(found, key=lambda one: (one.seen / one.tried, one.path, one.route, one.damage))


def spot(one: DamageCount) -> str:
    seen = f", {one.seen:,} seen" if one.seen else ""
    hidden = f", hidden by {one.rule}" if one.rule else ""
    return f"{one.path} of {one.route} ({one.damage}, {one.tried:,} tried{seen}{hidden})"


def accepted(limits: GateSettings, one: DamageCount) -> bool:
    return any(covers(rule, one.path) for rule in limits.accept_blind)


def covers(rule: str, place: str) -> bool:
    """Whether every place of the pattern `place` is one that the path `rule` names. What is no path is covered by none.

    A rule that ends in `..` names the place and everything below it, as in the rules of a comparison.
    """
    wanted, found = _compiled(rule), _compiled(place)
    return wanted is not None and found is not None and _match(wanted.steps, found.steps)


def _match(rule: tuple[Step, ...], place: tuple[Step, ...]) -> bool:
    """Which prefixes of `rule` can stand for ever longer prefixes of `place`; linear in both."""
    reached = _skipping(rule, {0})
    for step in place:
        after = set()
        for at in reached:
            if at < len(rule) and (rule[at].sort == "any" or rule[at] == step):
                after.add(at + 1)
            if at and rule[at - 1].sort == "deep":
                after.add(at)
        reached = _skipping(rule, after)
    return len(rule) in reached


def _skipping(rule: tuple[Step, ...], reached: set[int]) -> set[int]:
    """`..` also stands for no level at all."""
    return reached | {at + 1 for at in reached if at < len(rule) and rule[at].sort == "deep"}


@lru_cache(maxsize=4_096)
def _compiled(text: str) -> Path | None:
    try:
        return compile_path(text)
    except PathError:
        return None
