"""A process that counts under load and tells its parent each exchange it began. Ends only by being killed.

Its rules change now and then, so that what it counts is spread over windows.

Arguments: the ledger's url, a seed, after how many exchanges it kills itself (0: never), and for a ledger in Postgres
the folder of its journal.
It writes one letter per begun exchange, which names the route: all of them are told, none twice.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path

from comparators.model import Difference, Kind
from proxy.ledger import Ledger, Ticket
from proxy.model import Outcome, Verdict


async def main(url: str, seed: int, last: int, journal: Path | None) -> None:
    chance = random.Random(seed)
    ledger = await Ledger.open(
        url,
        journal=journal,
        flush_seconds=0.002,
        max_traces=50,
        max_trace_bytes=1_000_000,
        max_findings=20,
        clock=lambda: datetime.now(UTC),
    )
    os.write(1, b"!")
    under_way: list[Ticket] = []
    count = 0
    while True:
        if chance.random() < 0.002:
            ledger.enter("domain", {"rules": chance.choice("xyz")}, datetime.now(UTC))
        letter = chance.choice("abcde")
        under_way.append(ledger.begin("domain", letter))
        os.write(1, letter.encode())
        count += 1
        if count == last:
            os.kill(os.getpid(), signal.SIGKILL)
        if len(under_way) > 20 or chance.random() < 0.5:
            ticket = under_way.pop(chance.randrange(len(under_way)))
            verdict = chance.choice(list(Verdict))
            differences = (Difference(f"$.p{chance.randrange(30)}", Kind.MISSING),) * (verdict is Verdict.DIFF)
            ledger.record(ticket, Outcome("domain", ticket.slot.route, verdict, datetime.now(UTC), differences))
        if count % 7 == 0:
            await asyncio.sleep(0)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4]) if sys.argv[4:] else None))
