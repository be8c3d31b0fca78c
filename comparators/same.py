"""Whether two subtrees are equal with no rule's help: the cheap question that prunes most of a comparison."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from comparators.decode import LARGEST_EXACT
from comparators.ids import TOKEN, IdPair
from comparators.scalars import Context_, causes


class Same:
    """Answers for one comparison. Yes is certain under every rule but `ignore`; no only means: look closer.

    Answers about containers are remembered by identity, so both values must outlive this object, and asking again on
    every level of a deep body stays linear.
    """

    def __init__(self, context: Context_, *, entities: bool) -> None:
        # Under rules that name entities a joined pair may still be the wrong one; such ids are the walk's to judge.
        self._with_ids = context.ids != "exact" and not entities
        self._context = replace(context, pairings=None)
        self._by_legacy = context.table.by_legacy if self._with_ids else {}
        self._known: dict[tuple[int, int], bool] = {}

    def __call__(self, left: Any, right: Any, room: int) -> bool:
        """Whether the values are the same to a JSON client, ids aside. `room` bounds the depth looked at."""
        kind = type(left)
        if kind is not dict and kind is not list:
            return self._scalars(left, right)
        if type(right) is not kind or len(left) != len(right) or room <= 0:
            return False
        key = (id(left), id(right))
        known = self._known.get(key)
        if known is None:
            compare = self._members if kind is dict else self._items
            known = self._known[key] = compare(left, right, room - 1)
        return known

    def _members(self, left: Any, right: Any, room: int) -> bool:
        by_legacy = self._by_legacy
        for name, a in left.items():
            if name not in right:
                return False
            b = right[name]
            if a is b:
                continue
            kind = type(a)
            if kind is str:
                if a != b and not ((pairs := by_legacy.get(a)) and pairs[0].uuid == b) and not self._joined(a, b):
                    return False
            elif not (self(a, b, room) if kind is dict or kind is list else self._scalars(a, b)):
                return False
        return True

    def _items(self, left: Any, right: Any, room: int) -> bool:
        for a, b in zip(left, right, strict=True):
            if a is b:
                continue
            if not self(a, b, room):
                return False
        return True

    def _scalars(self, left: Any, right: Any) -> bool:
        kind = type(left)
        if kind is str:
            return bool(left == right) or self._joined(left, right)
        if left is None or kind is bool or right is None or type(right) is bool:
            return left is right
        if left != right:
            return False
        return (kind is not float and type(right) is not float) or -LARGEST_EXACT < left < LARGEST_EXACT

    def _joined(self, left: str, right: Any) -> bool:
        if not self._with_ids or type(right) is not str:
            return False
        pairs: tuple[IdPair, ...] | None = self._by_legacy.get(left)
        if pairs is None and (token := TOKEN.search(left)) is not None:
            # An id inside a text, such as a URL.
            pairs = self._by_legacy.get(token[0])
            if pairs and f"{left[: token.start()]}{pairs[0].uuid}{left[token.end() :]}" == right:
                return True
        elif pairs and pairs[0].uuid == right:
            return True
        return not causes(left, right, {}, self._context)
