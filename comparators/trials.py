"""What the trials of one comparison share: a bound on their effort, and what has been found out already."""

from __future__ import annotations

from typing import Any

from comparators.automaton import Place
from comparators.normal import Forms
from comparators.same import Marks, same
from comparators.scalars import Context_

MAX_EFFORT = 400_000
"""How much one comparison spends on trying elements that no form joins against each other, in values looked at."""
_STEP = 10


class Trials:
    """Made for one comparison; values must outlive it."""

    def __init__(self, context: Context_) -> None:
        self._context = context
        self._forms: dict[bool, Forms] = {}
        self.exact = Forms(context._replace(pairings=None), exact=True)
        self._left = MAX_EFFORT
        self._unequal: set[tuple[int, int]] = set()
        self._failed: set[tuple[int, int, int]] = set()

    def forms(self, *, believing: bool) -> Forms:
        """The forms of values; trials go without the pairs of ids that the comparison has believed."""
        key = believing or self._context.pairings is None
        if key not in self._forms:
            self._forms[key] = Forms(self._context if key else self._context._replace(pairings=None))
        return self._forms[key]

    def spend(self, amount: int = _STEP) -> bool:
        """Whether there was so much left."""
        self._left -= amount
        return self._left >= 0

    def same(self, left: Any, right: Any, marks: Marks = ()) -> bool:
        """`same`, but no two containers are compared twice: trials ask on every level of deep bodies."""
        if type(left) is not dict and type(left) is not list:
            return same(left, right)
        key = (id(left), id(right))
        if key in self._unequal:
            return False
        if same(left, right, marks):
            return True
        self._unequal.add(key)
        return False

    def fail(self, left: Any, right: Any, place: Place) -> None:
        """Remember that a trial has found two containers unequal under the rules of `place`."""
        if type(left) is dict or type(left) is list:
            self._failed.add((id(left), id(right), id(place)))

    def failed(self, left: Any, right: Any, place: Place) -> bool:
        return (id(left), id(right), id(place)) in self._failed
