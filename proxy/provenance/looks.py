"""Looks at Postgres' counters for several domains at once: what may scan their tables beside the reads that are
watched is held back, and each domain's reads are told from those of the others.

A shadow that reads MongoDB must not be proven by scans that another domain's live reads have made of the same table.
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

DRAIN_SECONDS = 10.0
"""How long is waited for exchanges of paused domains that still settle: they go on reading until they have ended."""
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

    async def run(self) -> None:
        """Look at all of them. Raises what `told` raises."""
        with ExitStack() as stack:
            stack.callback(self._release, frozenset())
            self._hold(concerned(self._looks, self._tables))
            await self._drained()
            async with asyncio.TaskGroup() as group:
                tasks = [(look, group.create_task(self._ready(look))) for look in self._looks]
            made = [(look, one) for look, task in tasks if (one := task.result()) is not None]
            # Those that stand alone come first: everything is paused for them, and then it is not for long.
            for look, one in made:
                if look.alone:
                    await self._watch(look, one)
            others = {look.domain: one for look, one in made if not look.alone}
            room = asyncio.Semaphore(AT_ONCE)
            async with asyncio.TaskGroup() as group:
                for chain in chains([look for look in self._looks if look.domain in others]):
                    group.create_task(self._chain([(look, others[look.domain]) for look in chain], room))

    async def _chain(self, chain: Sequence[tuple[Look, scans.Ready]], room: asyncio.Semaphore) -> None:
        async with room:
            for look, one in chain:
                await self._watch(look, one)

    async def _ready(self, look: Look) -> scans.Ready | None:
        try:
            return await scans.ready(look.domain, look.tables, look.requests, self._reads, look.counters, self._pace)
        except ShadowreadError as error:
            await self._end(look, "unknown", str(error))
            return None

    async def _watch(self, look: Look, one: scans.Ready) -> None:
        try:
            proof, text = await scans.watch(one, self._reads, self._pace)
        except ShadowreadError as error:
            proof, text = "unknown", str(error)
        await self._end(look, proof, text)

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
                return
            await self._pace.sleep(scans.POLL_SECONDS)
