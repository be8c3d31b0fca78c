"""Pauses of several domains that may overlap."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from proxy.model import Observation, ReadRequest
from proxy.provenance.reads import Reads
from proxy.settings import Settings
from proxy.settings.blocks import FileSource


class Pauses:
    """`reads`, whose domains go on when the last one who paused them says so."""

    def __init__(self, reads: Reads) -> None:
        self._reads = reads
        self._held: Counter[str] = Counter()

    def pause(self, domain: str) -> None:
        self._held[domain] += 1
        if self._held[domain] == 1:
            self._reads.pause(domain)

    def resume(self, domain: str) -> None:
        self._held[domain] -= 1
        if self._held[domain] == 0:
            self._reads.resume(domain)

    @contextmanager
    def of(self, domains: Iterable[str]) -> Iterator[None]:
        """Pause all of them for as long as the block lasts."""
        held = tuple(domains)
        for domain in held:
            self.pause(domain)
        try:
            yield
        finally:
            for domain in held:
                self.resume(domain)

    def busy(self, domain: str) -> int:
        return self._reads.busy(domain)

    def recent(self, domain: str) -> Sequence[ReadRequest]:
        return self._reads.recent(domain)

    async def shadow_read(self, domain: str, request: ReadRequest) -> Observation:
        return await self._reads.shadow_read(domain, request)


def looked_up(settings: Settings) -> frozenset[str]:
    """The tables that this proxy reads by itself, for the id map and for gaps, whenever it compares anything."""
    sources = [one.table for one in settings.ids.sources if not isinstance(one, FileSource)]
    return frozenset(bare(table) for table in (*sources, *(gap.table for gap in settings.gaps)))


def bare(table: str) -> str:
    """A table's name without its schema."""
    return table.rpartition(".")[2]
