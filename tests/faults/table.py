"""The table of faults as Markdown: `python -m tests.faults.table [--quick] [--only NAME]`.

Each fault lasts a minute, under the limits that a configuration has by default; the parts run side by side. Exits 1 and
says what and where when a client got anything else, an exchange is without its verdict, or it took too long.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from proxy.demo.processes import Supervisor
from proxy.demo.servers import start_mongo, start_postgres
from tests.conftest import administer
from tests.faults.cases import PARTS, Part
from tests.faults.run import Row, run
from tests.faults.scenes import Stores, fill
from tests.faults.timing import MINUTE, QUICK, Timing

HEAD = ("part", "fault", "clients got", "slowest", "verdicts", "observed = sum", "normal after", "limit")


def counted(counts: Counter[str]) -> str:
    return ", ".join(f"{name} {n:,}" for name, n in sorted(counts.items(), key=lambda item: -item[1]))


def cells(row: Row) -> tuple[str, ...]:
    return (
        row.part,
        row.fault,
        counted(row.statuses),
        f"{row.slowest * 1000:.0f} ms",
        counted(row.verdicts),
        f"{row.observed:,} = {row.summed:,}",
        f"{row.normal:.2f} s",
        f"{row.limit:g} s",
    )


def markdown(rows: Sequence[Row]) -> str:
    lines = [HEAD, ("---",) * len(HEAD), *(cells(row) for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


async def all_of(parts: Sequence[Part], stores: Stores, timing: Timing, folder: Path, at_once: int) -> list[Row]:
    """Every part's faults, `at_once` parts at a time; the rows are in the order of the parts."""
    room, starting = asyncio.Semaphore(at_once), asyncio.Lock()

    async def one(number: int) -> list[Row]:
        async with room:
            rows = await run(parts[number], stores, timing, folder / str(number), starting)
            print(f"{parts[number].name}: done", file=sys.stderr)  # noqa: T201 - a command
            return rows

    with timing.applied():
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(number)) for number in range(len(parts))]
    return [row for task in tasks for row in task.result()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="faults of a second under short limits")
    parser.add_argument("--only", default="", help="only parts whose name contains this")
    parser.add_argument("--at-once", type=int, default=3, help="parts that run side by side")
    parser.add_argument("--json", type=Path, help="write the rows there, too")
    given = parser.parse_args()
    parts = [part for part in PARTS if given.only in part.name and not (part.root and os.geteuid())]
    for left_out in (part.name for part in PARTS if part.root and os.geteuid()):
        print(f"left out, since it takes root: {left_out}", file=sys.stderr)  # noqa: T201
    with Supervisor() as supervisor, tempfile.TemporaryDirectory() as folder:
        server, mongo = start_postgres(supervisor), start_mongo(supervisor).url
        for name in ("things", "own"):
            administer(server, f"CREATE DATABASE {name}")
        stores = Stores(server.dsn("things"), mongo, server.dsn("own"))

        async def work() -> list[Row]:
            await fill(stores.postgres, mongo)
            timing = QUICK if given.quick else MINUTE
            return await all_of(parts, stores, timing, Path(folder), given.at_once)

        rows = asyncio.run(work())
    print(markdown(rows))  # noqa: T201
    if given.json is not None:
        given.json.write_text(json.dumps([asdict(row) for row in rows], indent=1))
    for row in rows:
        for what in row.wrong:
            print(f"WRONG: {row.part}, {row.fault}: {what}", file=sys.stderr)  # noqa: T201
    sys.exit(1 if any(row.wrong for row in rows) else 0)


if __name__ == "__main__":
    main()
