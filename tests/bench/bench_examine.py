"""What the examination of matched pairs costs: `python -m tests.bench.bench_examine`.

Processor time of the worker for one pair of each size, and of the event loop for a pair that is declined. An
examination that overlooks damage, or that damages nothing, is wrong, and its speed is not told.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

import orjson

from comparators.damage import damages
from comparators.decode import decode
from comparators.fields import fields
from comparators.model import Response
from proxy.ledger import LedgerReader
from proxy.settings import ExamineSettings
from proxy.verify.examination import examine
from proxy.verify.examine import Examiner
from proxy.verify.work import Job, Work, compare, layers_text
from tests.bench.documents import EQUAL, RULES, SIZES, Pair, pairs_of

JSON = (("content-type", "application/json"),)
TODAY = date(2026, 3, 1)
ROUNDS = {"1 KB": 60, "10 KB": 20, "100 KB": 6, "1 MB": 3}
DECLINED = 200_000
TARGET_MICROSECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Cost:
    """Microseconds for pairs of one size: all of an examination, and of a comparison, of the fields and of making all
    damages by themselves. `damages` is how many one examination tries within its time."""

    size: str
    bytes: int
    examination: float
    damages: int
    comparison: float
    fields: float
    making: float


def job_of(pair: Pair) -> Job:
    return Job(
        Response(200, JSON, pair.primary),
        Response(200, JSON, pair.shadow),
        layers_text([RULES]),
        TODAY,
        pair.ids,
        head_only=False,
        max_depth=200,
        max_differences=100,
    )


def microseconds(job: Callable[[], object], rounds: int) -> float:
    """The median of `rounds` calls."""
    job()
    found = []
    for _ in range(rounds):
        began = time.process_time_ns()
        job()
        found.append((time.process_time_ns() - began) / 1_000)
    return statistics.median(found)


def cost(size: str, limit: int) -> Cost:
    pair = next(one for one in pairs_of(SIZES[size]) if one.name == EQUAL)
    job, seeds = job_of(pair), iter(range(10**6))
    made = [examine(job, limit=limit, seed=next(seeds)) for _ in range(3)]
    if not all(one.damages for one in made) or any(not tried.seen for one in made for tried in one.damages):
        raise SystemExit(f"{size}: damage was overlooked, or there was none, so the time says nothing")
    left, right = decode(pair.primary), decode(pair.shadow)
    rounds = ROUNDS[size]

    def making() -> list[Any]:
        return list(damages(right, limit=limit, draw=random.Random(next(seeds)).random, ids=pair.ids))

    return Cost(
        size,
        len(pair.primary),
        microseconds(lambda: examine(job, limit=limit, seed=next(seeds)), rounds),
        round(statistics.mean(len(one.damages) for one in made)),
        microseconds(lambda: compare(job), rounds),
        microseconds(lambda: fields(left, right), rounds),
        microseconds(making, rounds),
    )


async def declined() -> float:
    """Microseconds for an offer whose turn has not come, as nearly all are."""
    # Neither is asked for anything: what is offered first stays in the queue.
    reader, work = LedgerReader.__new__(LedgerReader), Work.__new__(Work)
    made = Examiner(ExamineSettings(), reader, work)
    job = job_of(next(one for one in pairs_of(SIZES["1 KB"]) if one.name == EQUAL))
    made._running = True
    offer = made.offer
    began = time.process_time_ns()
    for _ in range(DECLINED):
        offer("payments", "GET /api/payment/{id}", "w", job)
    spent = (time.process_time_ns() - began) / 1_000 / DECLINED
    if len(made._offers) != 1:
        raise SystemExit("offers were taken that should have been declined, so the time says nothing")
    return spent


def as_text(costs: list[Cost], offer: float) -> str:
    lines = [f"{'pair':>8} {'examination':>14} {'damages':>8} {'per damage':>12} {'comparison':>12} {'fields':>10}"]
    lines += [
        f"{one.size:>8} {one.examination:>11,.0f} us {one.damages:>8} {one.examination / one.damages:>9,.0f} us "
        f"{one.comparison:>9,.0f} us {one.fields:>7,.0f} us"
        for one in costs
    ]
    verdict = "within" if offer <= TARGET_MICROSECONDS else "MISSED"
    lines.append(f"an offer that is declined: {offer:.2f} us ({verdict} the target of {TARGET_MICROSECONDS:g} us)")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench_examine", description=__doc__)
    parser.add_argument("--damages", type=int, default=ExamineSettings().damages, help="damages tried of one pair")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    costs, offer = [cost(size, args.damages) for size in SIZES], asyncio.run(declined())
    if args.json:
        found = {"examinations": [asdict(one) for one in costs], "declined_microseconds": offer}
        sys.stdout.write(f"{orjson.dumps(found, option=orjson.OPT_INDENT_2).decode()}\n")
    else:
        sys.stdout.write(f"{as_text(costs, offer)}\n")


if __name__ == "__main__":
    main()
