"""What the id map costs: `python -m tests.bench.bench_identity`. Memory a million ids, time a look-up of known ones.

The answers are put where those of Postgres would go, since it is the memory that is measured. A target that is missed
is said and is no failure; a look-up that finds the wrong pair is one.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import random
import statistics
import sys
import time
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from itertools import islice
from multiprocessing import get_context
from pathlib import Path

import orjson

from comparators.ids import IdPair
from proxy.identity import Identity, Limits, Row, TableSource

MILLION = 1_000_000
PUT_AT_ONCE = 5_000
ASKED_AT_ONCE = 100
LOOKUPS = 3_000
TARGET_BYTES = 300_000_000
TARGET_MICROSECONDS = 1.0
ENTITIES = ("user", "listing", "offer", "order", "payment", "review", "chat", "notification")
SEED = 5

Made = Callable[[random.Random], tuple[str, Row]]
"""Makes one id with the row that answers it."""


def pair(chance: random.Random) -> Row:
    return Row(
        "table id_map",
        IdPair(
            chance.choice(ENTITIES),
            f"{chance.getrandbits(96):024x}",
            "{:08x}-{:04x}-4{:03x}-9{:03x}-{:012x}".format(*map(chance.getrandbits, (32, 16, 12, 12, 48))),
        ),
    )


def tokens_of(pairs: str, row: Row) -> tuple[str, ...]:
    """The ids by which a row is known."""
    _, legacy, uuid = row.pair
    return {"legacy ids": (legacy,), "uuids": (uuid,), "both ids of each pair": (legacy, uuid)}[pairs]


def rows(ids: str, count: int) -> Iterator[Row]:
    chance = random.Random(SEED)
    each = 2 if ids.startswith("both") else 1
    return (pair(chance) for _ in range(count // each))


def filled(ids: str, count: int) -> Identity:
    """An id map that knows `count` ids, and has a server that is never asked."""
    identity = Identity(
        "postgresql://nobody@127.0.0.1:1/nothing",
        [TableSource("id_map", "legacy_id", "new_id", entity="entity")],
        limits=Limits(pairs=2 * count),  # so that all are in the young generation, as after any look-up
        clock=lambda: 0.0,
    )
    source = rows(ids, count)
    while batch := list(islice(source, PUT_AT_ONCE)):
        identity._cache.put({token: [row] for row in batch for token in tokens_of(ids, row)}, 0.0)
    return identity


def resident() -> int:
    """Bytes of memory that this process takes up; 0 where the system does not say."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes for `count` ids of one kind, as Python counts them and as the system does."""

    ids: str
    count: int
    counted: int
    resident: int


@dataclass(frozen=True, slots=True)
class Time:
    """Microseconds a look-up takes per id, medians of many look-ups of a hundred ids.

    `again`: the same ids time and again. `page`: ids that were learned together, as those of one response are, but long
    ago. `scattered`: ids drawn from all that are known, so that nearly each of them has to be fetched from memory.
    """

    ids: str
    again: float
    page: float
    scattered: float


def counted_of(ids: str, count: int) -> int:
    tracemalloc.start()
    identity = filled(ids, count)
    gc.collect()
    taken = tracemalloc.get_traced_memory()[0]
    assert identity.figures.size == count
    return taken


def resident_and_time_of(ids: str, count: int) -> tuple[int, Time]:
    gc.collect()
    before = resident()
    identity = filled(ids, count)
    gc.collect()
    assert identity.figures.size == count
    taken = resident() - before
    chance = random.Random(SEED + 1)
    each = ASKED_AT_ONCE // (2 if ids.startswith("both") else 1)
    # Made anew from the same seed: the ids asked for are texts of their own, as they are when they come out of a body.
    pages = _pages([row.pair for row in rows(ids, count)], each)
    again = [pages[0]] * LOOKUPS
    page = chance.sample(pages, min(LOOKUPS, len(pages)))
    every = [one for some in page for one in some]
    chance.shuffle(every)
    gc.collect()
    gc.freeze()
    return taken, Time(ids, *(asyncio.run(_time(identity, ids, asked)) for asked in (again, page, _pages(every, each))))


def _pages(pairs: Sequence[IdPair], each: int) -> list[Sequence[IdPair]]:
    return [pairs[at : at + each] for at in range(0, len(pairs) - each + 1, each)]


async def _time(identity: Identity, ids: str, pages: Sequence[Sequence[IdPair]]) -> float:
    taken = []
    for page in pages:
        asked = {"".join(token) for one in page for token in tokens_of(ids, Row("", one))}
        began = time.perf_counter()
        table = await identity.lookup(asked)
        taken.append((time.perf_counter() - began) * 1e6 / len(asked))
        assert all(table.by_legacy[one.legacy] == (one,) == table.by_uuid[one.uuid] for one in page)
    return statistics.median(taken)


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench_identity", description=__doc__)
    parser.add_argument("--ids", type=int, default=MILLION, help="how many ids to hold")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()

    memory, times = [], []
    for ids in ("legacy ids", "uuids", "both ids of each pair"):
        # A process for each figure: what one leaves behind is not to be found by the next.
        with ProcessPoolExecutor(1, mp_context=get_context("spawn"), max_tasks_per_child=1) as own:
            counted = own.submit(counted_of, ids, args.ids).result()
            taken, needed = own.submit(resident_and_time_of, ids, args.ids).result()
        memory.append(Memory(ids, args.ids, counted, taken))
        times.append(needed)
    sys.stdout.write(f"{as_json(memory, times) if args.json else as_text(memory, times)}\n")


def as_json(memory: Sequence[Memory], times: Sequence[Time]) -> str:
    told = {"memory": [asdict(one) for one in memory], "microseconds": [asdict(one) for one in times]}
    return orjson.dumps(told, option=orjson.OPT_INDENT_2).decode()


def as_text(memory: Sequence[Memory], times: Sequence[Time]) -> str:
    lines = [f"Memory for {memory[0].count:,} ids, counted by tracemalloc and as resident size"]
    lines += [
        f"  {one.ids:<24}{one.counted / 1e6:8.0f} MB {one.resident / 1e6:8.0f} MB {one.counted / one.count:8.0f} B each"
        for one in memory
    ]
    lines.append(f"Look-ups of {ASKED_AT_ONCE} known ids, microseconds an id")
    lines.append(f"  {'':<24}{'the same again':>16}{'a page':>16}{'scattered':>16}")
    lines += [f"  {one.ids:<24}{one.again:16.2f}{one.page:16.2f}{one.scattered:16.2f}" for one in times]
    most = max(max(one.counted, one.resident) for one in memory) * MILLION / memory[0].count
    slowest = max(one.again for one in times)
    lines.append(f"Target, a million ids in under {TARGET_BYTES / 1e6:.0f} MB: {said(most <= TARGET_BYTES)}")
    lines.append(
        f"Target, under {TARGET_MICROSECONDS:g} microsecond a warm look-up: {said(slowest < TARGET_MICROSECONDS)}"
    )
    return "\n".join(lines)


def said(met: bool) -> str:
    return "met" if met else "missed"


if __name__ == "__main__":
    main()
