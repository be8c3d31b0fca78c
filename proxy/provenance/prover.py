"""Proves in the background, while the proxy runs, that the two sides of each domain read different stores."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import datetime

from proxy.errors import LedgerError
from proxy.ledger import Ledger, standing
from proxy.provenance import health, scans
from proxy.provenance.counters import Counters
from proxy.provenance.documents import Documents, Fetch, fetcher
from proxy.provenance.pauses import Pauses, bare, looked_up
from proxy.provenance.reads import Reads
from proxy.provenance.repair import RepairError, repair_all
from proxy.settings import Settings
from proxy.tasks import TaskGroup
from proxy.window import Check, Proof, Standing, Window

log = logging.getLogger(__name__)

TICK_SECONDS = 0.5
"""How often it is looked at which domains are due."""
UNDER_WAY = 6
"""Domains whose counters are watched at once; their reads come on top of the live ones."""
AGAIN_SECONDS = 30.0
"""After what did not prove the counters are looked at again this soon, then each time four times later, up to
`provenance.rescan`."""
GATHER_SECONDS = 5.0
"""How long domains whose looks pause all others wait for each other."""
KEEP_SECONDS = 60.0
"""A standing that says the same is written again this often at most."""

Entered = Callable[[str, Mapping[str, str]], None]
"""Is told what the sides of a domain report of themselves now."""


@dataclass(frozen=True, slots=True)
class _Done:
    """The last look at the counters: in which window, when it ended, and how many in a row did not prove."""

    window: str
    ended: float
    missed: int


class Prover:
    """Reads health documents every `provenance.every`, and looks at Postgres' counters when a domain's window begins
    and every `provenance.rescan`; what each check says is kept in the ledger.

    `reads` is None where nothing is verified: there are no shadow reads then, and so no scans. A ledger that cannot be
    written keeps nothing, and the next look tries again.
    """

    def __init__(
        self,
        settings: Settings,
        ledger: Ledger,
        reads: Reads | None,
        now: Callable[[], datetime],
        *,
        entered: Entered | None = None,
        fetch: Fetch | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._settings = settings
        self._ledger = ledger
        self._reads = None if reads is None else Pauses(reads)
        self._looked_up = looked_up(settings)
        self._now = now
        self._entered = entered or self._enter
        self._fetch = fetch
        self._monotonic = monotonic
        self._sleep = sleep
        self._stack = AsyncExitStack()
        self._domains = [name for name, domain in settings.domains.items() if domain.stage != "off"]
        self._tasks = TaskGroup(len(self._domains) + 3)
        self._room = asyncio.Semaphore(UNDER_WAY)
        self._tables = {table: asyncio.Lock() for domain in settings.domains.values() for table in domain.tables}
        self._scanned: dict[str, _Done] = {}
        self._scanning: set[str] = set()
        self._gathering: float | None = None
        self._kept: dict[tuple[str, Check], tuple[str, Proof, str, float]] = {}

    async def start(self) -> None:
        """Begin; nothing is waited for. Canaries that a process left behind are put back first of all."""
        documents = Documents(self._settings, self._fetch or fetcher(self._settings, self._stack), self._now)
        self._tasks.start(self._repair(), name="repair of canaries")
        self._tasks.start(self._poll(documents), name="health documents")
        self._tasks.start(self._rounds(), name="scan counters")

    async def stop(self) -> None:
        """End what is under way; domains that were paused for a look at the counters go on."""
        await self._tasks.drain(0)
        await self._stack.aclose()

    def _enter(self, domain: str, parts: Mapping[str, str]) -> None:
        self._ledger.enter(domain, parts, self._now())

    async def _repair(self) -> None:
        while True:
            try:
                if all(one.ok for one in await repair_all(self._settings, self._ledger, self._now)):
                    return
            except (RepairError, LedgerError) as error:
                log.warning("%s", error)
            await self._sleep(KEEP_SECONDS)

    # --- health documents ---

    async def _poll(self, documents: Documents) -> None:
        while True:
            try:
                await self._look(documents)
            except Exception:
                # What once was proven must not stay so because nobody looks any more.
                log.exception("the health documents could not be judged")
            await self._sleep(self._settings.provenance.every)

    async def _look(self, documents: Documents) -> None:
        found: list[Standing] = []
        for account in await documents.look():
            if parts := health.parts_of(account.primary, account.shadow):
                self._entered(account.domain, parts)
            proof, text = health.judge(account.primary, account.shadow)
            found.append(Standing(account.domain, "health", proof, text, self._now()))
        await self._keep(found)

    # --- scan counters ---

    async def _rounds(self) -> None:
        while True:
            due = [name for name in self._domains if name not in self._scanning and self._due(name)]
            held = self._to_gather(due)
            for name in due:
                if name not in held:
                    self._scanning.add(name)
                    self._tasks.start(self._scan(name), name=f"scans of {name}")
            await self._sleep(TICK_SECONDS)

    def _to_gather(self, due: Sequence[str]) -> frozenset[str]:
        """Those that wait for others like them: all domains pause while they are looked at, and once is enough."""
        alike = [name for name in due if self._among_ids(name) and self._cannot(name) is None]
        ready = frozenset(name for name in alike if self._reads is not None and self._reads.recent(name))
        if not ready or len(ready) == len(alike):
            self._gathering = None
            return frozenset()
        if self._gathering is None:
            self._gathering = self._monotonic()
        return ready if self._monotonic() - self._gathering < GATHER_SECONDS else frozenset()

    def _among_ids(self, name: str) -> bool:
        """Whether this proxy looks ids up in a table of the domain."""
        return not self._looked_up.isdisjoint(bare(table) for table in self._settings.domains[name].tables)

    def _due(self, domain: str) -> bool:
        window = self._ledger.window(domain)
        if window is None:
            return False
        last = self._scanned.get(domain)
        if last is None or last.window != window.id:
            return True
        wait = self._settings.provenance.rescan
        if last.missed:
            wait = min(wait, AGAIN_SECONDS * 4.0 ** min(last.missed - 1, 10))
        return self._monotonic() - last.ended >= wait

    async def _scan(self, name: str) -> None:
        """One look at the counters of a domain, in whichever window it begins."""
        try:
            if (why := self._cannot(name)) is not None:
                await self._scanned_now(name, self._ledger.window(name), "unknown", why)
            elif self._reads is not None and self._reads.recent(name):
                await self._watch(name, self._reads)
            elif (window := self._ledger.window(name)) is not None:
                await self._not_yet(name, window.id)
        finally:
            self._scanning.discard(name)

    def _cannot(self, name: str) -> str | None:
        if self._reads is None:
            return "nothing is verified: no route has a shadow"
        return scans.cannot(self._settings, self._settings.domains[name])

    async def _watch(self, name: str, reads: Pauses) -> None:
        made, postgres = self._settings.domains[name], self._settings.postgres
        if postgres is None:
            return
        async with AsyncExitStack() as stack:
            # In one order for all, so that no two domains wait for each other.
            for table in sorted(set(made.tables)):
                await stack.enter_async_context(self._tables[table])
            if self._among_ids(name):
                # Any comparison may look ids up there, by hundreds of scans that are none of the shadow's.
                stack.enter_context(reads.of(self._domains))
            else:
                await stack.enter_async_context(self._room)
            counters = Counters(postgres.dsn.get_secret_value(), made.tables)
            stack.push_async_callback(counters.close)
            window = self._ledger.window(name)
            proof, text = await scans.scan(name, made.tables, reads.recent(name), reads, counters, self._pace())
        await self._scanned_now(name, window, proof, text)

    async def _scanned_now(self, name: str, window: Window | None, proof: Proof, text: str) -> None:
        """Keep what was found, unless another window has begun meanwhile."""
        if window is None:
            return
        last = self._scanned.get(name)
        missed = 0 if proof == "proven" else 1 + (last.missed if last is not None and last.window == window.id else 0)
        self._scanned[name] = _Done(window.id, self._monotonic(), missed)
        now_in = self._ledger.window(name)
        if now_in is not None and now_in.id == window.id:
            await self._keep([Standing(name, "scans", proof, text, self._now())])

    async def _not_yet(self, domain: str, window: str) -> None:
        """Say that nothing was looked at in this window so far, unless something was: by the process before."""
        if self._kept.get((domain, "scans"), ("",))[0] == window:
            return
        known = await self._known(window)
        if known is not None and all(one.check != "scans" for one in known):
            text = "not looked at yet: no read of the shadow has been compared since the proxy was started"
            await self._keep([Standing(domain, "scans", "unknown", text, self._now())])
        elif known:
            self._kept[domain, "scans"] = (window, "unknown", "", self._monotonic())

    async def _known(self, window: str) -> tuple[Standing, ...] | None:
        try:
            return await self._ledger.ask(lambda connection: standing.standings(connection, window))
        except LedgerError:
            return None

    def _pace(self) -> scans.Pace:
        made = self._settings.provenance
        return scans.Pace(made.reads, made.control, self._monotonic, self._sleep)

    # --- what is kept ---

    async def _keep(self, found: list[Standing]) -> None:
        """Keep what is new, under the windows that the domains are in now."""
        at = self._monotonic()
        fresh: list[tuple[str, Standing]] = []
        for one in found:
            window = self._ledger.window(one.domain)
            if window is None:
                continue
            said = self._kept.get((one.domain, one.check))
            if said is None or said[:3] != (window.id, one.proof, one.text) or at - said[3] >= KEEP_SECONDS:
                fresh.append((window.id, one))
        if not fresh:
            return
        try:
            await self._ledger.write(lambda connection: standing.keep_all(connection, fresh))
        except LedgerError as error:
            log.warning("what provenance found was not kept: %s", error)
            return
        for window_id, one in fresh:
            self._kept[one.domain, one.check] = (window_id, one.proof, one.text, at)
