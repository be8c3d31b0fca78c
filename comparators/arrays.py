"""Which element of one array stands for which of the other, judged by keys alone."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Hashable, Iterable, Sequence
from itertools import groupby, pairwise
from typing import NamedTuple

Keys = Sequence[Sequence[Hashable]]
"""The keys of the primary's elements and of the shadow's."""

_MANY = 60
MAX_GAP = 40_000
"""The largest product of two lengths that is aligned cell by cell; a larger gap is paired by position."""


class Pairing(NamedTuple):
    """`pairs` of indexes (primary, shadow), in primary order; `missing` has primary indexes, `added` shadow ones.

    `forced` says that some pairs are known to differ and stand together for want of a better partner; `cut` that some
    elements were paired by position, because finding out who stands for whom would have taken too long.
    """

    pairs: tuple[tuple[int, int], ...]
    missing: tuple[int, ...] = ()
    added: tuple[int, ...] = ()
    forced: bool = False
    cut: bool = False

    @property
    def moved(self) -> bool:
        """Whether some pair stands in another order than on the primary side."""
        return any(a > b for (_, a), (_, b) in pairwise(self.pairs))

    def with_pairs(self, more: Iterable[tuple[int, int]], *, forced: bool = False) -> Pairing:
        """The same with some of the left-over elements paired."""
        more = tuple(more)
        if not more:
            return self
        left, right = {a for a, _ in more}, {b for _, b in more}
        return Pairing(
            tuple(sorted((*self.pairs, *more))),
            tuple(a for a in self.missing if a not in left),
            tuple(b for b in self.added if b not in right),
            self.forced or forced,
            self.cut,
        )

    def paired_in_order(self) -> Pairing:
        """The same with the left-over elements paired as they come, as far as both sides have some."""
        return self.with_pairs(zip(self.missing, self.added, strict=False), forced=True)


def positional(left: int, right: int) -> Pairing:
    """Pair by index."""
    both = min(left, right)
    return Pairing(tuple((i, i) for i in range(both)), tuple(range(both, left)), tuple(range(both, right)))


def multiset(left: Sequence[Hashable], right: Sequence[Hashable]) -> Pairing:
    """Pair equal keys; equal ones in order of appearance."""
    where = {key: index for index, key in enumerate(right)}
    if len(where) == len(right) and len(set(left)) == len(left):
        return _one_to_one(left, where)
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


def _one_to_one(left: Sequence[Hashable], where: dict[Hashable, int]) -> Pairing:
    pairs = tuple([(index, where[key]) for index, key in enumerate(left) if key in where])
    if len(pairs) == len(left) == len(where):
        return Pairing(pairs)
    mine = set(left)
    return Pairing(
        pairs,
        tuple([index for index, key in enumerate(left) if key not in where]),
        tuple([index for key, index in where.items() if key not in mine]),
    )


def joined(pairing: Pairing, equal: Callable[[int, int], bool], may_try: Callable[[], bool]) -> Pairing:
    """Pair what keys left over and `equal` joins, for as long as `may_try` says yes."""
    found: list[tuple[int, int]] = []
    free = list(pairing.added)
    for a in pairing.missing:
        for at, b in enumerate(free):
            if not may_try():
                return pairing.with_pairs(found)._replace(cut=True)
            if equal(a, b):
                found.append((a, b))
                del free[at]
                break
    return pairing.with_pairs(found)


def aligned(left: Sequence[Hashable], right: Sequence[Hashable]) -> Pairing:
    """Pair in order, so that an insertion is one insertion; elements changed in place pair with each other.

    Common ends first, then keys that occur once on both sides (the longest increasing run of them, as in a patience
    diff), then the gaps between those: never more than linear in the lengths times a constant.
    """
    start, both = 0, min(len(left), len(right))
    while start < both and left[start] == right[start]:
        start += 1
    end = 0
    while end < both - start and left[-1 - end] == right[-1 - end]:
        end += 1
    pairs = [(i, i) for i in range(start)]
    missing: list[int] = []
    added: list[int] = []
    a0 = b0 = start
    stop = (len(left) - end, len(right) - end)
    cut = False
    for a1, b1 in (*_anchors(left, right, start, *stop), stop):
        cut = cut or (a1 - a0) * (b1 - b0) > MAX_GAP
        for a, b in _gap(left[a0:a1], right[b0:b1]):
            if a is not None and b is not None:
                pairs.append((a0 + a, b0 + b))
            elif a is not None:
                missing.append(a0 + a)
            elif b is not None:
                added.append(b0 + b)
        if (a1, b1) != stop:
            pairs.append((a1, b1))
        a0, b0 = a1 + 1, b1 + 1
    pairs.extend((len(left) - end + i, len(right) - end + i) for i in range(end))
    return Pairing(tuple(pairs), tuple(missing), tuple(added), cut=cut)


def aligned_within(exact: Keys, loose: Keys) -> Pairing:
    """`aligned` by keys that surely mean one value, and between those by keys that may mean several."""
    base = aligned(*exact)
    sure = [(a, b) for a, b in base.pairs if exact[0][a] == exact[1][b]]
    stop = (len(exact[0]), len(exact[1]))
    pairs, missing, added = [], [], []
    cut, a0, b0 = base.cut, 0, 0
    for a1, b1 in (*sure, stop):
        gap = aligned(loose[0][a0:a1], loose[1][b0:b1])
        pairs += [(a0 + a, b0 + b) for a, b in gap.pairs]
        missing += [a0 + a for a in gap.missing]
        added += [b0 + b for b in gap.added]
        cut = cut or gap.cut
        if (a1, b1) != stop:
            pairs.append((a1, b1))
        a0, b0 = a1 + 1, b1 + 1
    return Pairing(tuple(pairs), tuple(missing), tuple(added), cut=cut)


def left_over(pairs: Sequence[tuple[int, int]], left: int, right: int, *, cut: bool) -> Pairing:
    """The pairing of arrays of these lengths that has just these pairs."""
    mine, theirs = {a for a, _ in pairs}, {b for _, b in pairs}
    return Pairing(
        tuple(pairs),
        tuple([a for a in range(left) if a not in mine]),
        tuple([b for b in range(right) if b not in theirs]),
        cut=cut,
    )


def matched(
    left: Sequence[int],
    right: Sequence[int],
    pairs: Sequence[tuple[int, int]],
    equal: Callable[[int, int], bool],
    may_try: Callable[[], bool],
) -> tuple[list[tuple[int, int]], bool]:
    """As many pairs of equal ones as there can be (Kuhn's algorithm), and whether some may have been missed.

    `left` has those that seek a partner among `right`, where `pairs` have theirs already. Past `_MANY` elements, or
    when `may_try` says no, partners once found are kept.
    """
    known: dict[tuple[int, int], bool] = dict.fromkeys(pairs, True)
    owner: dict[int, int] = {b: a for a, b in pairs}
    augment = len(left) <= _MANY and len(right) <= _MANY
    cut = False

    def holds(a: int, b: int) -> bool:
        nonlocal cut
        if (a, b) not in known:
            if not may_try():
                cut = True
                return False
            known[a, b] = equal(a, b)
        return known[a, b]

    def assign(a: int, seen: set[int]) -> bool:
        for b in right:
            if b in seen or (b in owner and not augment) or not holds(a, b):
                continue
            seen.add(b)
            if b not in owner or assign(owner[b], seen):
                owner[b] = a
                return True
            if cut:
                break
        return False

    missed = False
    for a in left:
        missed = not assign(a, set()) or missed
        if cut:
            break
    return sorted((a, b) for b, a in owner.items()), cut or (missed and not augment)


def _anchors(
    left: Sequence[Hashable], right: Sequence[Hashable], start: int, left_stop: int, right_stop: int
) -> list[tuple[int, int]]:
    """The longest run of keys that occur once on both sides and stand in the same order."""
    once_left = {key for key, count in Counter(left[start:left_stop]).items() if count == 1}
    counts = Counter(right[start:right_stop])
    where = {right[b]: b for b in range(start, right_stop) if counts[right[b]] == 1}
    tails: list[int] = []
    ends: list[tuple[int, int]] = []
    before: dict[tuple[int, int], tuple[int, int] | None] = {}
    for a in range(start, left_stop):
        b = where.get(left[a]) if left[a] in once_left else None
        if b is None:
            continue
        at = bisect_left(tails, b)
        before[a, b] = ends[at - 1] if at else None
        tails[at : at + 1] = [b]
        ends[at : at + 1] = [(a, b)]
    run: list[tuple[int, int]] = []
    last = ends[-1] if ends else None
    while last is not None:
        run.append(last)
        last = before[last]
    return run[::-1]


def _gap(left: Sequence[Hashable], right: Sequence[Hashable]) -> list[tuple[int | None, int | None]]:
    """Pair two short runs: a longest common subsequence, and in order whatever stands between its members."""
    rows, columns = len(left), len(right)
    steps: list[tuple[int | None, int | None]] = []
    a = b = 0
    common: list[tuple[int, int]] = []
    if rows * columns <= MAX_GAP and not set(left).isdisjoint(right):
        lengths = [[0] * (columns + 1) for _ in range(rows + 1)]
        for i in range(rows - 1, -1, -1):
            row, below, key = lengths[i], lengths[i + 1], left[i]
            for j in range(columns - 1, -1, -1):
                row[j] = below[j + 1] + 1 if key == right[j] else max(below[j], row[j + 1])
        i = j = 0
        while i < rows and j < columns:
            if left[i] == right[j]:
                common.append((i, j))
                i, j = i + 1, j + 1
            elif lengths[i + 1][j] >= lengths[i][j + 1]:
                i += 1
            else:
                j += 1
    for i, j in (*common, (rows, columns)):
        both = min(i - a, j - b)
        steps.extend((a + n, b + n) for n in range(both))
        steps.extend((n, None) for n in range(a + both, i))
        steps.extend((None, n) for n in range(b + both, j))
        if i < rows and j < columns:
            steps.append((i, j))
        a, b = i + 1, j + 1
    return steps


def runs(keys: Sequence[Hashable]) -> list[int]:
    """For each element the number of its run of neighbours with equal keys."""
    return [number for number, (_, run) in enumerate(groupby(keys)) for _ in run]


def out_of_order(pairs: Sequence[tuple[int, int]], left: Sequence[int], right: Sequence[int]) -> bool:
    """Whether two pairs stand in other orders on the two sides although neither side has them in one run.

    `left` and `right` number the runs of elements that may stand in any order among themselves.
    """
    highest = before = -1
    run = -1
    for a, b in pairs:
        if left[a] != run:
            run, before = left[a], highest
        if right[b] < before:
            return True
        highest = max(highest, right[b])
    return False
