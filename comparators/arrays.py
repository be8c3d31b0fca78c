"""Which element of one array stands for which of the other. Pure pairing: what differs inside a pair is the walk's affair."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any

from comparators.orders import Sorted, SortKey

MAX_ALIGNED = 4_000_000
"""The largest product of two lengths that is aligned; longer middles are paired by position."""
MAX_TRIALS = 10_000
"""How many pairs of elements that no hash joins are tried against each other."""


@dataclass(frozen=True, slots=True)
class Pairing:
    """`pairs` of indexes (primary, shadow), in primary order; `missing` has primary indexes, `added` shadow ones."""

    pairs: tuple[tuple[int, int], ...]
    missing: tuple[int, ...] = ()
    added: tuple[int, ...] = ()

    @property
    def moved(self) -> bool:
        """Whether some pair stands in another order than on the primary side."""
        shadow = [b for _, b in self.pairs]
        return any(a > b for a, b in zip(shadow, shadow[1:], strict=False))

    @property
    def shifted(self) -> bool:
        return any(a != b for a, b in self.pairs)


def positional(left: int, right: int) -> Pairing:
    both = min(left, right)
    return Pairing(tuple((i, i) for i in range(both)), tuple(range(both, left)), tuple(range(both, right)))


def multiset(left: Sequence[Hashable], right: Sequence[Hashable]) -> Pairing:
    """Pair equal forms; equal ones in order of appearance."""
    waiting: dict[Hashable, deque[int]] = defaultdict(deque)
    for index, key in enumerate(right):
        waiting[key].append(index)
    pairs, missing = [], []
    for index, key in enumerate(left):
        if queue := waiting.get(key):
            pairs.append((index, queue.popleft()))
        else:
            missing.append(index)
    added = sorted(index for queue in waiting.values() for index in queue)
    return Pairing(tuple(pairs), tuple(missing), tuple(added))


def aligned(left: Sequence[Hashable], right: Sequence[Hashable]) -> Pairing:
    """Pair in order, so that an insertion is one insertion; elements changed in place pair with each other."""
    start = 0
    both = min(len(left), len(right))
    while start < both and left[start] == right[start]:
        start += 1
    end = 0
    while end < both - start and left[-1 - end] == right[-1 - end]:
        end += 1
    pairs = [(i, i) for i in range(start)]
    missing: list[int] = []
    added: list[int] = []
    middle_left, middle_right = left[start : len(left) - end], right[start : len(right) - end]
    if len(middle_left) * len(middle_right) > MAX_ALIGNED:
        opcodes = [("replace", 0, len(middle_left), 0, len(middle_right))]
    else:
        opcodes = list(SequenceMatcher(None, middle_left, middle_right, autojunk=False).get_opcodes())
    for _, a0, a1, b0, b1 in opcodes:
        both = min(a1 - a0, b1 - b0)
        pairs.extend((start + a0 + i, start + b0 + i) for i in range(both))
        missing.extend(start + i for i in range(a0 + both, a1))
        added.extend(start + i for i in range(b0 + both, b1))
    pairs.extend((len(left) - end + i, len(right) - end + i) for i in range(end))
    return Pairing(tuple(pairs), tuple(missing), tuple(added))


def join_rest(pairing: Pairing, equal: Callable[[int, int], bool]) -> tuple[Pairing, bool]:
    """Pair what hashing left over: first those that `equal` joins, then the others in order.

    The second value says whether the bound on trials was reached.
    """
    if not pairing.missing or not pairing.added:
        return pairing, False
    pairs, missing, added = list(pairing.pairs), list(pairing.missing), list(pairing.added)
    trials = 0
    for a in pairing.missing:
        for b in list(added):
            if trials >= MAX_TRIALS:
                break
            trials += 1
            if equal(a, b):
                pairs.append((a, b))
                missing.remove(a)
                added.remove(b)
                break
    both = min(len(missing), len(added))
    pairs.extend(zip(missing[:both], added[:both], strict=True))
    pairs.sort()
    return Pairing(tuple(pairs), tuple(missing[both:]), tuple(added[both:])), trials >= MAX_TRIALS


def sort_value(element: Any, key: SortKey) -> Any:
    """The value of a sort field; None when it is absent on the way."""
    for name in key.names:
        element = element.get(name) if isinstance(element, dict) else None
    return element


def unsorted_at(values: Sequence[tuple[Hashable, ...]], rule: Sorted) -> int | None:
    """The first index whose sort keys stand before their predecessor's, or None.

    Nulls may stand first or last, but not both and not between. Values of different types cannot be ordered and are
    passed over: a change of type is the walk's to report.
    """
    nulls_first: dict[int, bool] = {}
    for index in range(1, len(values)):
        for number, key in enumerate(rule.keys):
            a, b = values[index - 1][number], values[index][number]
            if a == b:
                continue
            if a is None or b is None:
                if nulls_first.setdefault(number, a is None) != (a is None):
                    return index
                break
            try:
                wrong = (a < b) if key.descending else (a > b)  # type: ignore[operator]
            except TypeError:
                break
            if wrong:
                return index
            break
    return None
