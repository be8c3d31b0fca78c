"""A proxy under a steady load, faults that come and go, and what clients and ledger saw of them."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from proxy.ledger import DomainCounts, Ledger, LedgerReader, Ticket
from proxy.model import Outcome, Verdict
from tests.faults.cases import AnyFault, Expected, Part
from tests.faults.faultproxy import Fault
from tests.faults.scenes import Scene, Stores, legacy, scene
from tests.faults.timing import Timing

STEADY = 5
"""So many exchanges in a row must be as ever before and after the fault."""
SETTLED_SECONDS = 30.0
"""How long the beginning, or the end of what is under way, is waited for."""
PROBE = 0.02
AT_ONCE = (Fault.REFUSED, Fault.RESET)
"""Faults that show soon: they last until they have shown to all that came meanwhile."""


@dataclass(frozen=True)
class Answer:
    """What one client got: all bytes until its connection ended, and how."""

    number: int
    raw: bytes
    seconds: float
    reset: bool = False

    @property
    def status(self) -> int:
        return int(self.raw[9:12]) if self.raw[:9] == b"HTTP/1.1 " else 0

    @property
    def whole(self) -> bool:
        head, found, body = self.raw.partition(b"\r\n\r\n")
        length = re.search(rb"(?i)\ncontent-length: *(\d+)", head)
        return bool(found) and length is not None and len(body) == int(length[1])


async def ask(url: str, number: int, timeout: float) -> Answer:
    """One request on a connection of its own. Raises TimeoutError for an answer that does not end in time."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    host, port = url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    raw, reset = b"", False
    try:
        target = f"/api/things/{legacy(number)}"
        writer.write(f"GET {target} HTTP/1.1\r\nHost: shop.test\r\nConnection: close\r\n\r\n".encode())
        async with asyncio.timeout(timeout):
            with suppress(ConnectionResetError):
                while piece := await reader.read(65_536):
                    raw += piece
                return Answer(number, raw, loop.time() - began)
        reset = True
        return Answer(number, raw, loop.time() - began, reset)
    finally:
        writer.close()


class Books:
    """What a ledger is told, counted apart from it."""

    def __init__(self, ledger: Ledger) -> None:
        self.begun = 0
        self.verdicts: Counter[Verdict] = Counter()
        self._even = asyncio.Event()
        begin, record = ledger.begin, ledger.record

        def begun(domain: str, route: str) -> Ticket:
            self.begun += 1
            self._even.clear()
            return begin(domain, route)

        def recorded(ticket: Ticket, outcome: Outcome) -> None:
            self.verdicts[outcome.verdict] += 1
            record(ticket, outcome)
            if self.begun == self.verdicts.total():
                self._even.set()

        ledger.begin, ledger.record = begun, recorded  # type: ignore[method-assign]

    async def even(self) -> None:
        """Until every exchange that was begun has its verdict."""
        if self.begun:
            await self._even.wait()


@dataclass
class Row:
    """What was seen of one fault of one part. Times are seconds; `normal` is from the end of the fault to the first of
    `STEADY` exchanges in a row that were as ever."""

    part: str
    fault: str
    limit: float
    asked: int = 0
    statuses: Counter[str] = field(default_factory=Counter)
    slowest: float = 0.0
    usual: float = 0.0
    verdicts: Counter[str] = field(default_factory=Counter)
    observed: int = 0
    summed: int = 0
    normal: float = 0.0
    wrong: list[str] = field(default_factory=list)


class Round:
    """All faults of one part, one after another, in a scene that is running."""

    def __init__(self, part: Part, timing: Timing, here: Scene) -> None:
        self._part = part
        self._timing = timing
        self._here = here
        self._ledger = here.application.ledger
        self._books = Books(self._ledger)
        self._numbers = iter(range(timing.requests))
        self._plain = Answer(0, b"", 0.0)
        self._whole = True
        self.sent = 0

    async def strike(self, fault: AnyFault) -> Row:
        """Let `fault` come and go under load. What is wrong is in the row."""
        row = Row(self._part.name, fault.value, self._part.limit(self._timing))
        try:
            await self._strike(fault, row)
        except TimeoutError:
            row.wrong.append("it did not become normal at all")
        return row

    async def _strike(self, fault: AnyFault, row: Row) -> None:
        expected = self._part.faults[fault]
        self._whole &= not expected.forgets
        await self._until_steady(SETTLED_SECONDS)
        before = Counter(self._books.verdicts)
        answers, ended, unrecorded = await self._load(fault)
        await self._quiet()
        self._judge(row, expected, answers)
        self._judge_verdicts(row, expected, self._books.verdicts - before)
        if expected.unrecorded and not unrecorded:
            row.wrong.append("the ledger never said that it is not being written")
        row.normal = await self._until_steady(row.limit + SETTLED_SECONDS) - ended
        if row.normal > row.limit:
            row.wrong.append(f"normal after {row.normal:.1f} s, {row.limit:g} s allowed")
        counts = (await self._ledger.domains())["things"]
        row.observed, row.summed = counts.observed, sum(counts.verdicts.values())
        row.wrong += self.unbalanced(counts)

    def unbalanced(self, counts: DomainCounts) -> list[str]:
        """What does not hold of `counts`, once nothing is under way."""
        wrong = []
        if counts.observed != sum(counts.verdicts.values()):
            wrong.append(f"{counts.observed} observed, the verdicts sum up to {sum(counts.verdicts.values())}")
        if self._whole and (counts.observed, self._books.begun) != (self.sent, self.sent):
            wrong.append(f"{self.sent} sent, {self._books.begun} begun, {counts.observed} observed")
        if self._whole and counts.verdicts != self._books.verdicts:
            wrong.append(f"verdicts {dict(counts.verdicts)}, told were {dict(self._books.verdicts)}")
        if counts.verdicts.get(Verdict.LOST):
            wrong.append(f"{counts.verdicts[Verdict.LOST]} lost")
        return wrong

    # --- asking ---

    async def _ask(self) -> Answer:
        self.sent += 1
        return await ask(self._here.proxy.url, next(self._numbers), 2 * self._timing.primary_timeout + 10)

    async def _load(self, fault: AnyFault) -> tuple[list[Answer], float, bool]:
        """What the clients got that came while the fault lasted, when it ended, and whether the ledger spoke of it."""
        loop = asyncio.get_running_loop()
        asked: list[asyncio.Task[Answer]] = []
        unrecorded = False
        await self._here.part.begin(fault)
        until = loop.time() + self._timing.lasting * self._part.longer
        async with asyncio.TaskGroup() as group:
            try:
                while loop.time() < until:
                    asked.append(group.create_task(self._ask()))
                    await asyncio.sleep(self._timing.pace)
                    unrecorded |= not self._ledger.recording.ok
                if fault in AT_ONCE:
                    await asyncio.wait(asked, timeout=SETTLED_SECONDS)
                    await self._quiet()
            finally:
                await self._here.part.end()
            ended = loop.time()
        return [one.result() for one in asked], ended, unrecorded

    async def _is_normal(self) -> bool:
        """One more request. Whether it was answered and matched, with nothing else under way and the ledger being
        written."""
        await self._quiet()
        matched = self._books.verdicts[Verdict.MATCH]
        answer = await self._ask()
        await self._quiet()
        if answer.status == 200 and not self._plain.raw:
            self._plain = answer
        if self._ledger.recording.ok:
            await self._ledger.flush()
        right = answer.raw == self._expected_bytes(answer.number)
        return right and self._books.verdicts[Verdict.MATCH] == matched + 1 and self._ledger.recording.ok

    async def _until_steady(self, seconds: float) -> float:
        """Until `STEADY` exchanges in a row were as ever; when the first of them was. Raises TimeoutError."""
        loop = asyncio.get_running_loop()
        since, left = 0.0, STEADY
        async with asyncio.timeout(seconds):
            while left:
                normal = await self._is_normal()
                if normal and left == STEADY:
                    since = loop.time()
                left = left - 1 if normal else STEADY
                await asyncio.sleep(0 if normal else PROBE)
        return since

    async def _quiet(self) -> None:
        async with asyncio.timeout(SETTLED_SECONDS):
            await self._books.even()

    def _expected_bytes(self, number: int) -> bytes:
        """The bytes of a time without the fault: the first answer, with the thing that was asked for."""
        first = self._plain
        head, _, body = first.raw.partition(b"\r\n\r\n")
        told = body.replace(legacy(first.number).encode(), legacy(number).encode())
        told = told.replace(b"thing %d" % first.number, b"thing %d" % number)
        length = b"Content-Length: %d"
        return head.replace(length % len(body), length % len(told)) + b"\r\n\r\n" + told

    # --- judging ---

    def _judge(self, row: Row, expected: Expected, answers: list[Answer]) -> None:
        row.asked = len(answers)
        row.slowest, row.usual = max(one.seconds for one in answers), median(one.seconds for one in answers)
        for one in answers:
            row.statuses[str(one.status) if one.whole and not one.reset else "cut off"] += 1
            if one.status not in expected.statuses or not one.whole or one.reset:
                row.wrong.append(f"a client got {one.raw[:200]!r}{' and a reset' if one.reset else ''}")
            elif one.status == 200 and one.raw != self._expected_bytes(one.number):
                row.wrong.append(f"a client got other bytes: {one.raw!r}")
        # A client that waited for anything but the primary would have waited longer than this.
        # The usual one, and not the slowest, which on a busy machine tells of the machine.
        patience = 0.5 * self._timing.shadow_timeout + (self._timing.lasting if expected.held else 0.0)
        if not self._part.serves and row.usual > patience:
            row.wrong.append(f"half of the clients waited {row.usual:.2f} s and more")

    def _judge_verdicts(self, row: Row, expected: Expected, seen: Counter[Verdict]) -> None:
        row.verdicts.update({verdict.value: n for verdict, n in seen.items()})
        if seen.total() != row.asked:
            row.wrong.append(f"{row.asked} requests under the fault have {seen.total()} verdicts")
        if strange := seen.keys() - expected.verdicts:
            row.wrong.append(f"verdicts that must not be: {sorted(strange)}")
        if missing := expected.must - seen.keys():
            row.wrong.append(f"the fault did not show: no {sorted(missing)}")


async def run(part: Part, stores: Stores, timing: Timing, folder: Path, starting: asyncio.Lock) -> list[Row]:
    """All faults of a part, one after another, in a proxy of its own; what is wrong is in the rows.

    `timing` is applied by the caller. `starting` is held while the proxy starts: two cannot migrate their ledgers at
    once in one process.
    """
    async with AsyncExitStack() as stack:
        async with starting:
            here = await stack.enter_async_context(scene(part.make, stores, timing, folder))
        round_ = Round(part, timing, here)
        rows = [await round_.strike(fault) for fault in part.faults]
        await here.application.stop()
        reader = await LedgerReader.open(here.ledger)
        try:
            kept = (await reader.domains())["things"]
        finally:
            await reader.close()
        rows[-1].wrong += [f"in the ledger, afterwards: {what}" for what in round_.unbalanced(kept)]
    return rows
