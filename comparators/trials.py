"""What the trials of one comparison share: a bound on their effort, and what has been found out already."""

from __future__ import annotations

from typing import Any

from comparators.normal import Forms
from comparators.same import Marks, same
from comparators.scalars import Context_

MAX_EFFORT = 400_000
"""How much one comparison spends on trying elements that no form joins against each other, in values looked at."""
_STEP = 10


class Trials:
    """Made for one comparison; values must outlive it. A trial believes no new pairs of ids."""

    def __init__(self, context: Context_) -> None:
        self.forms = Forms(context)
        self.trial_forms = self.forms if context.pairings is None else Forms(context._replace(pairings=None))
        self._left = MAX_EFFORT
        self._unequal: set[tuple[int, int]] = set()

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
