"""Looks at Postgres' counters for several domains at once: what may scan their tables beside the reads that are
watched is held back, and each domain's reads are told from those of the others.

A shadow that reads MongoDB must not be proven by scans that another domain's reads have made of the same table:
neither by live ones nor by those of its look. Postgres tells of them late (see `scans`), so all live reads that may
touch what is watched are paused and have ended `scans.FLUSH_SECONDS` before the first look, and looks at a table in
common are as far apart. Looks without one are made at the same time, so that all this is paid for once.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from proxy.errors import ShadowreadError
from proxy.model import ReadRequest
from proxy.provenance import scans
from proxy.provenance.pauses import Pauses
from proxy.window import Proof

log = logging.getLogger(__name__)

DRAIN_SECONDS = 30.0
"""How long is waited for exchanges of paused domains that still settle: they go on reading until they have ended. A
look at tables that other domains may still read after that proves nothing."""
AT_ONCE = 12
"""Domains without a table in common that are read at once."""

Told = Callable[[str, Proof, str], Awaitable[None]]
"""Is told of a domain what its look has proved, and the sentence with the figures."""


@dataclass(frozen=True, slots=True)
class Look:
    """A domain that is due. `alone`: this proxy itself scans its tables whenever it compares anything."""

    domain: str
    tables: Sequence[str]
    requests: Sequence[ReadRequest]
    counters: scans.Counting
    alone: bool


def concerned(looks: Iterable[Look], tables: Mapping[str, frozenset[str]]) -> frozenset[str]:
    """The domains whose live reads may scan what is watched, out of all with their `tables`."""
    found: set[str] = set()
    for look in looks:
        if look.alone:
            return frozenset(tables)
        found.update(name for name, own in tables.items() if not own.isdisjoint(look.tables))
    return frozenset(found)


def chains(looks: Sequence[Look]) -> list[list[Look]]:
    """Those that have a table in common, directly or through others, one after another; the chains have none."""
    found: list[list[Look]] = []
    for look in looks:
        own = set(look.tables)
        touching = [chain for chain in found if any(own & set(other.tables) for other in chain)]
        found = [chain for chain in found if chain not in touching]
        found.append([*(other for chain in touching for other in chain), look])
    return found


class Looks:
    """One round of looks; each is told of as it ends. Live reads of domains that no look still concerns go on."""

    def __init__(
        self,
        looks: Sequence[Look],
        tables: Mapping[str, frozenset[str]],
        reads: Pauses,
        pace: scans.Pace,
        told: Told,
    ) -> None:
        self._looks = tuple(looks)
        self._left = {look.domain: look for look in looks}
        self._tables = tables
        self._reads = reads
        self._pace = pace
        self._held: set[str] = set()
        self._told = told
        self._unsettled: frozenset[str] = frozenset()
        self._room = asyncio.Semaphore(AT_ONCE)

    async def run(self) -> None:
        """Look at all of them. Raises what `told` raises."""
        with ExitStack() as stack:
            stack.callback(self._release, frozenset())
            self._hold(concerned(self._looks, self._tables))
            await self._drained()
            async with asyncio.TaskGroup() as group:
                tasks = [(look, group.create_task(self._readable(look))) for look in self._looks]
            usable = {look.domain: requests for look, task in tasks if (requests := task.result())}
            # Those for which all is paused come first, so that it is not for long.
            made = sorted((look for look in self._looks if look.domain in usable), key=lambda look: not look.alone)
            async with asyncio.TaskGroup() as group:
                for chain in chains(made):
                    group.create_task(self._chain([(look, usable[look.domain]) for look in chain]))

    async def _readable(self, look: Look) -> Sequence[ReadRequest]:
        try:
            await look.counters.read()  # what cannot be watched need not be read
            return await scans.readable(look.domain, look.requests, self._reads)
        except ShadowreadError as error:
            await self._end(look, "unknown", str(error))
            return ()

    async def _chain(self, chain: Sequence[tuple[Look, Sequence[ReadRequest]]]) -> None:
        for look, requests in chain:
            # What was read so far, live or for the look before, has been told of afterwards.
            await self._pace.sleep(scans.FLUSH_SECONDS)
            await self._end(look, *await self._watch(look, requests))

    async def _watch(self, look: Look, requests: Sequence[ReadRequest]) -> tuple[Proof, str]:
        try:
            background = await scans.quiet(look.counters, self._pace)
            async with self._room:
                proof, text = await scans.watch(
                    look.domain, look.tables, requests, self._reads, look.counters, background, self._pace
                )
        except ShadowreadError as error:
            return "unknown", str(error)
        others = (concerned([look], self._tables) - {look.domain}) & self._unsettled
        if proof == "proven" and others:
            return "unknown", (
                f"exchanges of {', '.join(sorted(others))} were still being settled {DRAIN_SECONDS:g} s after the "
                f"pause, and may have made the scans of {', '.join(look.tables)}; shorten settle"
            )
        return proof, text

    async def _end(self, look: Look, proof: Proof, text: str) -> None:
        del self._left[look.domain]
        self._release(concerned(self._left.values(), self._tables))
        await self._told(look.domain, proof, text)

    # --- pauses ---

    def _hold(self, domains: frozenset[str]) -> None:
        for domain in domains - self._held:
            self._reads.pause(domain)
            self._held.add(domain)

    def _release(self, but: frozenset[str]) -> None:
        for domain in self._held - but:
            self._reads.resume(domain)
        self._held &= but

    async def _drained(self) -> None:
        until = self._pace.monotonic() + DRAIN_SECONDS
        while any(self._reads.busy(domain) for domain in self._held):
            if self._pace.monotonic() >= until:
                log.info("some exchanges still settle while the scan counters are looked at")
                self._unsettled = frozenset(domain for domain in self._held if self._reads.busy(domain))
                return
            await self._pace.sleep(scans.POLL_SECONDS)
