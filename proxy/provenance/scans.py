"""Whether Postgres saw the shadow's reads: its scan counters are held against reads that are made for that alone.

A backend of Postgres tells what it counted up to ten seconds late, so a rise may be of reads that others made before:
live ones before the pause, or those of another domain's look at the same table. The backends may be the twin's, which
cannot be made to tell sooner from here, and when several of them tell one after the other it looks just like rounds of
reads. So this is not judged by its pattern: between any read that this proxy has made, and that may have touched the
tables, and a look at them lie `FLUSH_SECONDS` without one, after which there is nothing left to tell. A proof takes
that much longer; a false one would be worse.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from math import ceil, sqrt
from statistics import mean, pvariance
from typing import Protocol

from proxy.errors import ShadowreadError
from proxy.model import Observation, ReadRequest, Side
from proxy.provenance.reads import Reads
from proxy.settings import DomainSettings, Settings
from proxy.window import Proof

FLUSH_SECONDS = 12.0
"""How long is waited for what Postgres counted; it tells that ten seconds late at the worst (`Counters`)."""
SOON_SECONDS = 3.0
"""Most of it is told so soon."""
POLL_SECONDS = 0.25
AGAIN_SECONDS = 1.1
"""A connection tells what it counted at its next transaction, a second after it last did; so reads are made again."""
LEAST_SECONDS = 1.25
"""A silence that is shorter says nothing: what is counted meanwhile may be told of once a second."""
LONGER = 2
"""A background that is not quiet is watched anew this many times longer, since the reads are held against it."""
FEW = 10
"""A silence in which one scan came for so many reads is quiet enough: they will stand out."""
ROUNDS = 2
"""Each has to show its reads: others may scan much just once."""
MORE = 4
"""How many times more reads are tried where too few of them showed."""
MOST_TIMES = 10
"""Where the background is loud up to this many times the reads are made, so that they stand out."""
AT_ONCE = 4
REQUESTS = 12
"""Different requests that are repeated."""
SIGMAS = 5.0
"""How far beyond the spread of the background the rise has to be."""


class Counting(Protocol):
    """What counts the scans of a domain's tables. Raises `CountersError`."""

    async def read(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Pace:
    """How a look at the counters goes. Times are seconds; `reads` are the shadow reads of one look."""

    reads: int
    control: float
    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep


@dataclass(frozen=True, slots=True)
class Background:
    """Scans that were counted in `seconds` without shadow reads. `dispersion` tells how unevenly they came: the
    variance of the counts of short times over their mean, 1 for a Poisson process, more where many come at once."""

    scans: int
    seconds: float
    dispersion: float = 1.0

    @classmethod
    def of(cls, counts: Sequence[int], seconds: float) -> Background:
        """From the counts of times of the same length, `seconds` in all."""
        average = mean(counts) if counts else 0.0
        uneven = pvariance(counts) / average if average > 0 else 1.0
        return cls(sum(counts), seconds, max(1.0, uneven))

    def expected(self, seconds: float) -> float:
        """Scans that it makes in so many seconds. A little more than was seen is reckoned with: that nothing came in
        two seconds does not say that nothing comes in ten."""
        return (self.scans + self.dispersion) / self.seconds * seconds if self.seconds > 0 else 0.0

    def spread(self, seconds: float) -> float:
        """The standard deviation of what is found about `expected`, whose rate itself is only known from `seconds` of
        watching."""
        if self.seconds <= 0:
            return 0.0
        return sqrt(self.expected(seconds) * self.dispersion * (1 + seconds / self.seconds))


@dataclass(frozen=True, slots=True)
class Figures:
    """One round: the `rise` of the counters in `seconds`, in which `made` shadow reads were made; `reads` of them were
    meant to show, the others to make the counters known."""

    reads: int
    rise: int
    seconds: float
    background: Background
    made: int

    @property
    def beyond(self) -> float:
        """Scans that the background does not explain."""
        return self.rise - self.background.expected(self.seconds)

    @property
    def needed(self) -> float:
        """What proves, in each of two rounds: a quarter of the reads, since not each has to touch these tables, and
        more where the background is loud."""
        return max(self.reads / 4, SIGMAS * self.background.spread(self.seconds))

    @property
    def seen(self) -> bool:
        return self.beyond >= self.needed

    @property
    def faint(self) -> bool:
        """Whether there is a rise that may be theirs, but does not prove."""
        return not self.seen and self.beyond > 0

    @property
    def hopeless(self) -> bool:
        """Whether so much else scans the tables that no longer wait will tell the reads from it."""
        return self.background.expected(self.seconds) > self.made and self.needed > self.made

    @property
    def without_trace(self) -> bool:
        """Whether hardly any of the reads can have made a scan, even if nobody else had made one."""
        return self.rise < self.made / 8


def cannot(settings: Settings, domain: DomainSettings) -> str | None:
    """Why the counters say nothing of this domain, and what to do; None where they do."""
    if not domain.provenance.scans:
        return "switched off (provenance.scans); take scans out of the domain's gate.provenance if that is meant"
    if settings.postgres is None:
        return "Postgres cannot be asked: set postgres.dsn"
    if not domain.tables:
        return "the domain names no tables: name those that hold it (tables)"
    elsewhere = [route for route in domain.routes if (made := route.reader(Side.SHADOW)) and made.kind == "mongo"]
    if domain.translate_ids == "legacy" or len(elsewhere) == len(domain.routes):
        return "the shadow of this domain is not read from Postgres; take scans out of its gate.provenance"
    return None


def judge(rounds: Sequence[Figures], tables: Sequence[str]) -> tuple[Proof, str]:
    """What the rounds prove, as a sentence."""
    where, background = ", ".join(tables), rounds[-1].background
    reads, rise = sum(one.made for one in rounds), sum(one.rise for one in rounds)
    beside = f"{background.scans} in {background.seconds:.1f} s without reads"
    found = f"{rise} scans in {sum(one.seconds for one in rounds):.1f} s, {beside}"
    last = rounds[-1]
    if last.seen:
        return "proven", f"Postgres saw {reads} reads of the shadow in {where}: {found}"
    if last.without_trace:
        return "failed", (
            f"{last.made} reads of the shadow left no trace in {where}: it may not read Postgres, or another one than "
            f"postgres.dsn ({found})"
        )
    return "unknown", (
        f"{last.made} reads of the shadow cannot be told from what else scans {where} ({found}); raise "
        "provenance.reads, look when fewer others read, or run `shadowread prove --canary`"
    )


class UnreadableError(ShadowreadError):
    """The shadow answers none of the requests that were to be repeated."""


async def scan(
    domain: str, tables: Sequence[str], requests: Sequence[ReadRequest], reads: Reads, counters: Counting, pace: Pace
) -> tuple[Proof, str]:
    """Pause the live shadow reads of `domain`, wait until nothing is told of late, and look.

    Takes FLUSH_SECONDS and `pace.control` twice at the least. Raises nothing but CancelledError.
    """
    reads.pause(domain)
    try:
        await counters.read()  # what cannot be watched need not be read
        usable = await readable(domain, requests, reads)
        await pace.sleep(FLUSH_SECONDS)
        return await watch(domain, tables, usable, reads, counters, await quiet(counters, pace), pace)
    except ShadowreadError as error:
        return "unknown", str(error)
    finally:
        reads.resume(domain)


async def readable(domain: str, requests: Sequence[ReadRequest], reads: Reads) -> list[ReadRequest]:
    """Those that can be repeated, of the last few requests. Raises UnreadableError where there are none.

    Each is read once: what cannot be read proves nothing, and ids that are translated are known afterwards, so that the
    reads that are watched make no scans by looking them up. Ids that the map does not know are looked up each time, and
    where the tables are those of the id map that alone would prove a shadow that reads another store: requests with
    such ids, like all that are answered with a remark, are left out.
    """
    answers = [await reads.shadow_read(domain, request) for request in requests[-REQUESTS:]]
    usable = [
        request
        for request, seen in zip(requests[-REQUESTS:], answers, strict=True)
        if seen.error is None and seen.status is not None and seen.status < 400 and not seen.detail
    ]
    if not usable:
        raise UnreadableError(f"the shadow answers none of {len(answers)} requests: {_told(answers)}")
    return usable


async def quiet(counters: Counting, pace: Pace) -> Background:
    """Scans without shadow reads, FLUSH_SECONDS after the last that were made: few in the first `pace.control` seconds,
    or those of a longer time after that. Raises CountersError."""
    silence = max(pace.control, LEAST_SECONDS)
    first = await _listen(counters, pace, silence)
    return first if first.scans <= pace.reads / FEW else await _listen(counters, pace, LONGER * silence)


async def watch(
    domain: str,
    tables: Sequence[str],
    requests: Sequence[ReadRequest],
    reads: Reads,
    counters: Counting,
    background: Background,
    pace: Pace,
) -> tuple[Proof, str]:
    """Repeat the requests while the domain is paused, and say what that proves. Raises CountersError."""
    most = MOST_TIMES * pace.reads // ROUNDS
    loud = 2 * SIGMAS * background.spread(2 * pace.control)
    count = max(pace.reads // ROUNDS, min(ceil(loud), most))
    rounds: list[Figures] = []
    while len(rounds) < ROUNDS and all(one.seen for one in rounds):
        found = await _round(domain, requests, reads, counters, pace, background, count, most)
        if found.faint and count < most:
            # Some trace, but too little to be told from chance: not each read need touch these tables.
            count, rounds = min(MORE * count, most), []
        else:
            rounds.append(found)
    return judge(rounds, tables)


async def _round(
    domain: str,
    requests: Sequence[ReadRequest],
    reads: Reads,
    counters: Counting,
    pace: Pace,
    background: Background,
    count: int,
    most: int,
) -> Figures:
    before, began = await counters.read(), pace.monotonic()
    span = pace.control / ROUNDS
    for number in range(0, count, AT_ONCE):
        await _read(domain, requests, reads, range(number, min(number + AT_ONCE, count)))
        if (early := began + span * number / count - pace.monotonic()) > 0:
            await pace.sleep(early)
    made, ended = count, pace.monotonic()
    again = ended
    while True:
        rise, now = await counters.read() - before, pace.monotonic()
        figures = Figures(count, rise, now - began, background, made)
        waited = now - ended
        enough = figures.hopeless or (figures.faint and count < most)
        if figures.seen or waited >= FLUSH_SECONDS or (waited >= SOON_SECONDS and enough):
            return figures
        if now - again >= AGAIN_SECONDS:
            again = now
            await _read(domain, requests, reads, range(made, made + AT_ONCE))
            made += AT_ONCE
        await pace.sleep(POLL_SECONDS)


def _told(answers: Sequence[Observation]) -> str:
    last = answers[-1] if answers else None
    return "there are none" if last is None else last.detail or last.error or f"status {last.status}"


async def _listen(counters: Counting, pace: Pace, seconds: float) -> Background:
    last = await counters.read()
    began = pace.monotonic()
    counts: list[int] = []
    while (left := began + seconds - pace.monotonic()) > 0:
        await pace.sleep(min(POLL_SECONDS, left))
        found = await counters.read()
        counts.append(found - last)
        last = found
    return Background.of(counts, pace.monotonic() - began)


async def _read(domain: str, requests: Sequence[ReadRequest], reads: Reads, numbers: range) -> None:
    async with asyncio.TaskGroup() as group:
        for number in numbers:
            group.create_task(reads.shadow_read(domain, requests[number % len(requests)]))
