"""What putting two bodies side by side costs, in comparisons of the same two: `python -m tests.bench.bench_aligned`.

A tree that says something else than the comparison is a failure, and nothing of it is timed.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

import orjson

from comparators.aligned import Aligned, align
from comparators.compare import compare_bodies
from comparators.outline import MAX_ROWS, outline
from tests.bench.documents import Pair, pairs_of
from tests.bench.timing import WrongComparisonError, peak_of

SIZES = {"100 KB": 102_400, "5 MB": 5 * 1_048_576}
ROUNDS = {"100 KB": 15, "5 MB": 3}
SECONDS = 1.0
"""What aligning and outlining 5 MB a side may take."""


@dataclass(frozen=True, slots=True)
class Timed:
    """Processor seconds, medians. `ratio` is of aligning to comparing; `memory` is the peak in bodies of one side."""

    pair: str
    size: str
    compare: float
    align: float
    outline: float
    rows: int
    memory: float | None

    @property
    def ratio(self) -> float:
        return self.align / self.compare


def aligned_of(pair: Pair) -> Aligned:
    made = align(pair.primary, pair.shadow, pair.rules, pair.ids)
    if not isinstance(made, Aligned):
        raise WrongComparisonError(f"{pair.name}: {made.as_text()}")
    return made


def check(pair: Pair) -> None:
    """Raise WrongComparisonError unless the tree shows what the comparison found."""
    found = compare_bodies(pair.primary, pair.shadow, pair.rules, pair.ids)
    made = aligned_of(pair)
    drawn = outline(made, made.places(found.differences))
    shown = {number for row in drawn.rows for number in row.differences}
    equal = made.state(made.root) in ("equal", "forgiven", "ignored")
    if equal != found.equal or len(shown) != len(found.differences) or len(drawn.rows) > MAX_ROWS:
        raise WrongComparisonError(f"{pair.name}: {len(shown)} of {len(found.differences)} differences are shown")


def timed(size: str, pair: Pair, *, memory: bool) -> Timed:
    check(pair)
    found = compare_bodies(pair.primary, pair.shadow, pair.rules, pair.ids)
    made = aligned_of(pair)
    jobs: Sequence[Callable[[], object]] = (
        lambda: compare_bodies(pair.primary, pair.shadow, pair.rules, pair.ids),
        lambda: aligned_of(pair),
        lambda: outline(made, made.places(found.differences)),
    )
    times: list[list[float]] = [[], [], []]
    for _ in range(ROUNDS[size]):
        for job, taken in zip(jobs, times, strict=True):
            start = time.process_time()
            job()
            taken.append(time.process_time() - start)
    compare, aligned, outlined = (statistics.median(taken) for taken in times)
    rows = len(outline(made, made.places(found.differences)).rows)
    peak = peak_of(jobs[1]) / len(pair.primary) if memory else None
    return Timed(pair.name, size, compare, aligned, outlined, rows, peak)


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench_aligned", description=__doc__)
    parser.add_argument("--up-to", choices=list(SIZES), default=list(SIZES)[-1], help="the largest size to time")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    found = []
    try:
        for size in list(SIZES)[: list(SIZES).index(args.up_to) + 1]:
            found += [timed(size, pair, memory=size == "100 KB") for pair in pairs_of(SIZES[size])]
    except WrongComparisonError as error:
        raise SystemExit(f"The tree is wrong, so its speed says nothing:\n{error}") from None
    if args.json:
        text = orjson.dumps([{**asdict(one), "ratio": one.ratio} for one in found], option=orjson.OPT_INDENT_2).decode()
    else:
        text = "\n".join(_line(one) for one in found)
    sys.stdout.write(f"{text}\n")


def _line(one: Timed) -> str:
    memory = "" if one.memory is None else f", {one.memory:.0f} bodies of memory"
    late = " (over the target)" if one.align + one.outline > SECONDS else ""
    return (
        f"{one.size:>6}  {one.pair:<34} compare {one.compare * 1e3:8.1f} ms, align {one.align * 1e3:8.1f} ms "
        f"({one.ratio:.1f}x), {one.rows} rows in {one.outline * 1e3:.1f} ms{memory}{late}"
    )


if __name__ == "__main__":
    main()
