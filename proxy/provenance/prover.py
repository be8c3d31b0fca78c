"""Proves in the background, while the proxy runs, that the two sides of each domain read different stores."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import datetime

from proxy.errors import LedgerError
from proxy.ledger import Ledger, standing
from proxy.model import ReadRequest
from proxy.provenance import health, scans
from proxy.provenance.counters import Counters
from proxy.provenance.documents import Documents, Fetch, fetcher
from proxy.provenance.looks import Look, Looks
from proxy.provenance.pauses import Pauses, bare, looked_up
from proxy.provenance.reads import Reads
from proxy.provenance.repair import RepairError, repair_all
from proxy.settings import Settings
from proxy.tasks import TaskGroup
from proxy.window import Check, Proof, Standing, Window

log = logging.getLogger(__name__)

TICK_SECONDS = 0.5
"""How often it is looked at which domains are due."""
AGAIN_SECONDS = 30.0
"""After what did not prove the counters are looked at again this soon, then each time four times later, up to
`provenance.rescan`."""
GATHER_SECONDS = 5.0
"""How long domains that could be looked at wait for those of which nothing was read yet."""
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

    def at(self, moment: float) -> _Done:
        return replace(self, ended=moment)


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
        self._tasks = TaskGroup(3)
        self._tables = {name: frozenset(settings.domains[name].tables) for name in self._domains}
        self._scanned: dict[str, _Done] = {}
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
        """Again and again, since `prove --canary` may be killed at any time beside a proxy that runs."""
        while True:
            try:
                await repair_all(self._settings, self._ledger, self._now)
            except (RepairError, LedgerError) as error:
                log.warning("%s", error)
            except Exception:
                log.exception("canaries could not be looked for")
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
            try:
                await self._round()
            except Exception:
                log.exception("the scan counters could not be looked at")
            await self._sleep(TICK_SECONDS)

    async def _round(self) -> None:
        """One round of looks at all domains that are due. Some wait for the others: what pauses once suffices."""
        looks: list[Look] = []
        async with AsyncExitStack() as stack:
            waiting = False
            for name in self._domains:
                window = self._ledger.window(name)
                if window is None or not self._due(name, window):
                    continue
                if (why := self._cannot(name, window)) is not None:
                    await self._looked(name, window, "unknown", why)
                elif self._reads is None or not (requests := self._reads.recent(name)):
                    await self._not_yet(name, window.id)
                    waiting = True
                else:
                    looks.append(self._look_at(name, requests, stack))
            if not looks or self._to_gather(waiting=waiting) or self._reads is None:
                return
            windows = {look.domain: self._ledger.window(look.domain) for look in looks}

            async def told(domain: str, proof: Proof, text: str) -> None:
                await self._looked(domain, windows[domain], proof, text)

            await Looks(looks, self._tables, self._reads, self._pace(), told).run()
            # All of a round are due again together.
            for look in looks:
                self._scanned[look.domain] = self._scanned[look.domain].at(self._monotonic())

    def _look_at(self, name: str, requests: Sequence[ReadRequest], stack: AsyncExitStack) -> Look:
        made, postgres = self._settings.domains[name], self._settings.postgres
        assert postgres is not None  # noqa: S101 - `_cannot` has said so otherwise
        counters = Counters(postgres.dsn.get_secret_value(), made.tables)
        stack.push_async_callback(counters.close)
        alone = not self._looked_up.isdisjoint(bare(table) for table in made.tables)
        return Look(name, made.tables, requests, counters, alone)

    def _to_gather(self, *, waiting: bool) -> bool:
        """Whether those that are ready wait a little for those that no request was seen of so far."""
        if not waiting:
            self._gathering = None
            return False
        if self._gathering is None:
            self._gathering = self._monotonic()
        return self._monotonic() - self._gathering < GATHER_SECONDS

    def _due(self, domain: str, window: Window) -> bool:
        last = self._scanned.get(domain)
        if last is None or last.window != window.id:
            return True
        wait = self._settings.provenance.rescan
        if last.missed:
            wait = min(wait, AGAIN_SECONDS * 4.0 ** min(last.missed - 1, 10))
        return self._monotonic() - last.ended >= wait

    def _cannot(self, name: str, window: Window) -> str | None:
        if self._reads is None:
            return "nothing is verified: no route has a shadow"
        if self._kept.get((name, "health"), ("", ""))[:2] == (window.id, "failed"):
            return "not looked at while what the sides say of themselves (health) has failed"
        return scans.cannot(self._settings, self._settings.domains[name])

    async def _looked(self, name: str, window: Window | None, proof: Proof, text: str) -> None:
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
