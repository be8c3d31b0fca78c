"""Timing a comparison beside what else could be used: interleaved in one process, each from the raw bytes."""

from __future__ import annotations

import gc
import signal
import statistics
import time
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from types import FrameType
from typing import Any

import jsondiff  # type: ignore[import-untyped] # has neither annotations nor stubs
import orjson
from deepdiff import DeepDiff

from comparators.compare import compare_bodies
from tests.bench.documents import (
    ALL_DIFFER,
    EQUAL,
    OTHER_KEY_ORDER,
    REORDERED,
    REORDERED_ANY,
    Pair,
)

FLOOR, OURS, DEEP, DEEP_ANY, JSONDIFF = "floor", "shadowread", "DeepDiff", "DeepDiff ignore_order", "jsondiff"
IN_MEMORY = (EQUAL, OTHER_KEY_ORDER, ALL_DIFFER, REORDERED_ANY)

ROUNDS = {"1 KB": 150, "10 KB": 60, "100 KB": 25, "1 MB": 9}
CALLS = {"1 KB": 20, "10 KB": 4, "100 KB": 1, "1 MB": 1}
"""Calls timed as one, so that the clock's own cost does not count."""
SLOW_SECONDS = 0.5
"""Spent at most on repeating a slow contender on one pair; it is called once whatever it takes."""
SLOW_REPEATS = 7

Job = Callable[[], object]


@dataclass(slots=True)
class Cell:
    """One pair of one size: the processor seconds of every call, by contender, and why one was not timed.

    `length` is that of the primary's body in bytes.
    """

    pair: str
    size: str
    length: int
    times: dict[str, list[float]] = field(default_factory=dict)
    forgone: dict[str, str] = field(default_factory=dict)

    def median(self, contender: str) -> float | None:
        taken = self.times.get(contender)
        return statistics.median(taken) if taken and contender not in self.forgone else None

    def ratio(self, of: str, to: str) -> float | None:
        """How many times as long `of` takes as `to`; None when one was not timed."""
        above, below = self.median(of), self.median(to)
        return None if above is None or below is None else above / below


@dataclass(frozen=True, slots=True)
class Peak:
    """The most memory that one call held at a time, as multiples of the larger body."""

    pair: str
    size: str
    ours: float
    floor: float


class WrongComparisonError(Exception):
    """The comparison does not say what it should, so its speed says nothing."""


class TooLongError(BaseException):
    """A contender was interrupted. Not an Exception, so that no handler inside it takes this for its own."""


def floor_of(primary: bytes, shadow: bytes) -> bool:
    """What nothing that reads JSON can do without. Where ids differ, `==` already ends at the first of them."""
    return bool(orjson.loads(primary) == orjson.loads(shadow))


def deepdiff_of(primary: bytes, shadow: bytes, **options: Any) -> object:
    return DeepDiff(orjson.loads(primary), orjson.loads(shadow), **options)


def jsondiff_of(primary: bytes, shadow: bytes) -> object:
    return jsondiff.diff(orjson.loads(primary), orjson.loads(shadow))


def jobs_of(pair: Pair) -> dict[str, Job]:
    """The calls that are timed on a pair: the floor and the comparison, then the slow ones."""
    bodies = pair.primary, pair.shadow
    jobs: dict[str, Job] = {
        FLOOR: partial(floor_of, *bodies),
        OURS: partial(compare_bodies, *bodies, pair.rules, pair.ids),
        DEEP: partial(deepdiff_of, *bodies),
        JSONDIFF: partial(jsondiff_of, *bodies),
    }
    if pair.name in REORDERED:
        jobs[DEEP_ANY] = partial(deepdiff_of, *bodies, ignore_order=True)
    return jobs


def check(size: str, pairs: Sequence[Pair]) -> None:
    """Raise WrongComparisonError unless every pair compares as it should."""
    wrong = []
    for pair in pairs:
        said = compare_bodies(pair.primary, pair.shadow, pair.rules, pair.ids)
        if said.total != pair.differences or said.equal != (pair.differences == 0):
            wrong.append(f"{size}, {pair.name}: {said.total} differences, not {pair.differences}")
        for kind, count in pair.forgiven.items():
            found = sum(each.count for each in said.tolerated if each.kind == kind)
            if found != count:
                wrong.append(f"{size}, {pair.name}: {found} {kind} tolerated, not {count}")
    if wrong:
        raise WrongComparisonError("\n".join(wrong))


class Bench:
    """Times size after size, and asks no slow contender for more than `limit` seconds a call."""

    def __init__(self, limit: float, progress: Callable[[str], None]) -> None:
        self._limit = limit
        self._progress = progress
        self.cells: list[Cell] = []

    def run(self, size: str, pairs: Sequence[Pair]) -> None:
        check(size, pairs)
        cells = [Cell(pair.name, size, len(pair.primary)) for pair in pairs]
        jobs = [jobs_of(pair) for pair in pairs]
        rounds = ROUNDS[size]
        # What exists by now stays, and is nothing for a collection to look through while something is timed.
        gc.collect()
        gc.freeze()
        for number in range(rounds):
            self._progress(f"{size}: round {number + 1} of {rounds}")
            for cell, job in zip(cells, jobs, strict=True):
                # Whoever comes second finds the bodies in the processor's cache.
                for fast in (FLOOR, OURS) if number % 2 else (OURS, FLOOR):
                    cell.times.setdefault(fast, []).append(_timed(job[fast], CALLS[size]))
                for slow in list(job)[2:]:
                    self._slow(cell, slow, job[slow], number, rounds)
        gc.unfreeze()
        self.cells += cells

    def _slow(self, cell: Cell, contender: str, job: Job, number: int, rounds: int) -> None:
        if contender in cell.forgone:
            return
        taken = cell.times.setdefault(contender, [])
        if taken:
            repeats = min(SLOW_REPEATS, int(SLOW_SECONDS / taken[0]))
            if repeats < 2 or number % -(-rounds // repeats):
                return
        elif self._expected(cell.pair, contender) > self._limit:
            cell.forgone[contender] = f"going by the smaller sizes, one call takes over {self._limit:g} s"
            return
        else:
            self._progress(f"{cell.size}: {contender}, {cell.pair}")
        try:
            with _at_most(2 * self._limit):
                taken.append(_timed(job, 1))
        except TooLongError:
            cell.forgone[contender] = f"one call was broken off after {2 * self._limit:g} s"
        # What it leaves behind is not to be cleared away while another is timed.
        gc.collect()

    def _expected(self, pair: str, contender: str) -> float:
        """Seconds that a call will take at the next size: ten times those at the last, more where it grew faster."""
        before = [cell for cell in self.cells if cell.pair == pair]
        if any(contender in cell.forgone for cell in before):
            return float("inf")
        medians = [median for cell in before if (median := cell.median(contender)) is not None]
        if not medians:
            return 0.0
        growth = medians[-1] / medians[-2] if len(medians) > 1 else 0.0
        return medians[-1] * max(10.0, growth)


def _timed(job: Job, calls: int) -> float:
    """Seconds of processor time of one call, which other work on the machine disturbs less than the clock's."""
    start = time.process_time()
    for _ in range(calls):
        job()
    return (time.process_time() - start) / calls


@contextmanager
def _at_most(seconds: float) -> Iterator[None]:
    def stop(_signal: int, _frame: FrameType | None) -> None:
        raise TooLongError

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def peak_of(job: Job) -> int:
    """Bytes that Python objects took up at most during one call, its result among them."""
    gc.collect()
    tracemalloc.start()
    try:
        job()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def peaks_of(size: str, pairs: Sequence[Pair]) -> list[Peak]:
    check(size, pairs)
    found = []
    for pair in pairs:
        if pair.name in IN_MEMORY:
            jobs = jobs_of(pair)
            ours, floor = (peak_of(jobs[name]) / pair.size for name in (OURS, FLOOR))
            found.append(Peak(pair.name, size, ours, floor))
    return found
