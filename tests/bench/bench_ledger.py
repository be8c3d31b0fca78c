"""What the ledger takes after 10^9 exchanges: `python -m tests.bench.bench_ledger`. Size on disk, time of an answer.

500 routes in 18 domains over 90 days, each with 60 changes of its window, as much of everything as is kept. The sums
are written by the ledger's own arithmetic; none of the exchanges is made one by one. Also what counting one costs.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import orjson

from proxy.ledger import Ledger, LedgerReader
from proxy.model import Outcome, Verdict
from tests.ledger.simulation import simulate

ANSWERS = 15
EXCHANGES = 20_000


@dataclass(frozen=True, slots=True)
class Figures:
    """Of a file that holds `exchanges`: its size, and seconds of processor time of one `domains()`."""

    exchanges: int
    megabytes: float
    answer_median: float
    answer_worst: float


async def measure(folder: Path, exchanges: int, entities: int) -> Figures:
    path = folder / f"{exchanges}.db"
    await simulate(f"sqlite:///{path}", exchanges, entities)
    reader = await LedgerReader.open(f"sqlite:///{path}")
    taken = []
    try:
        for _ in range(ANSWERS):
            begun = time.process_time()
            domains = await reader.domains()
            taken.append(time.process_time() - begun)
    finally:
        await reader.close()
    counted = sum(counts.lifetime_observed for counts in domains.values())
    return Figures(counted, path.stat().st_size / 1e6, statistics.median(taken), max(taken))


async def counting(folder: Path) -> float:
    """Microseconds of one exchange from `begin` to `record`."""
    ledger = await Ledger.open(
        f"sqlite:///{folder / 'counting.db'}",
        flush_seconds=3600,
        max_traces=1,
        max_trace_bytes=1,
        max_findings=1,
        clock=lambda: datetime.now(UTC),
    )
    at = datetime.now(UTC)
    try:
        ledger.enter("users", {"rules": "a"}, at)
        begun = time.process_time()
        for n in range(EXCHANGES):
            outcome = Outcome(
                "users", "GET /u", Verdict.MATCH, at, primary_seconds=0.01, shadow_seconds=0.02, entity=str(n % 1_000)
            )
            ledger.record(ledger.begin("users", "GET /u"), outcome)
        return (time.process_time() - begun) / EXCHANGES * 1e6
    finally:
        await ledger.close()


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    parser.add_argument("--entities", type=int, default=50_000, help="distinct entities of each domain")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        found = [asyncio.run(measure(folder, one, options.entities)) for one in (10**6, 10**9)]
        each = asyncio.run(counting(folder))
    if options.json:
        sys.stdout.buffer.write(orjson.dumps({"files": [asdict(one) for one in found], "microseconds": each}) + b"\n")
        return 0
    lines = ["the ledger: 500 routes in 18 domains, 90 days, 60 windows of each domain"]
    lines += [
        f"  {one.exchanges:>13,} exchanges  {one.megabytes:6.1f} MB  all counts in "
        f"{1000 * one.answer_median:4.0f} ms (at most {1000 * one.answer_worst:.0f} ms) of processor time"
        for one in found
    ]
    lines.append(f"  counting one exchange takes {each:.1f} microseconds")
    sys.stdout.write("\n".join(lines) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
