"""One configuration in force: what is open under it, what watches over it, and how it gives way to the next one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack

from proxy.admin import Evidence, Part, Readiness, reaches, watch, watch_verification
from proxy.crew import Crew
from proxy.edge.server import Edge
from proxy.identity.census import Census
from proxy.model import Headers, Observation, ReadRequest
from proxy.opening import Lasting, Opened, open_under
from proxy.provenance import Prover
from proxy.provenance.reads import Reads
from proxy.readers.serving import Serving, Upstream
from proxy.replays import Replays
from proxy.settings import Settings
from proxy.sweep.known import Knowing
from proxy.verify.tap import OpenTap
from proxy.verify.verifier import Verifier

Busy = Callable[[str], int]
"""How many exchanges of a domain have no verdict yet under the configurations before."""


class Reign:
    """Made by `open`. `watch_over` begins the work in the background, `rest` ends it, `end` closes all but the
    primary's backend, which `leave` closes: clients may use it longer than anything is verified.

    What configurations have in common stays open for as long as one of them needs it.
    """

    def __init__(self, opened: Opened, stack: AsyncExitStack, clients: AsyncExitStack, busy_before: Busy) -> None:
        self.opened = opened
        self.settings = opened.settings
        self._stack = stack
        self._clients = clients
        self._watching = AsyncExitStack()
        self._busy_before = busy_before
        settings, sides, readers = opened.settings, opened.sides, opened.sides.serving()
        self.backend = sides.backend
        self._serving = (
            Serving(sides.backend, settings.router(), readers, timeout=settings.primary.idle_timeout)
            if readers or sides.backend is None
            else None
        )
        self.replays: Replays | None = None
        if opened.verifier is not None:
            self.replays = Replays(opened.verifier, opened.ledger, opened.chance)
            stack.push_async_callback(self.replays.stop)

    @classmethod
    async def open(cls, settings: Settings, lasting: Lasting, *, before: Reign | None, busy_before: Busy) -> Reign:
        """Open what `settings` ask for. Raises IdentityError; what was opened is closed again then."""
        async with AsyncExitStack() as clients, AsyncExitStack() as stack:
            verifier = None if before is None else before.opened.verifier
            opened = await open_under(settings, lasting, stack, before=verifier, clients=clients)
            if opened.verifier is not None:
                await opened.work.start()  # before there is traffic
            reign = cls(opened, stack, clients, busy_before)
            reign._stack, reign._clients = stack.pop_all(), clients.pop_all()
            return reign

    @property
    def upstream(self) -> Upstream:
        """Who answers clients."""
        if self._serving is not None:
            return self._serving
        assert self.backend is not None  # noqa: S101 - the constructor makes a `Serving` otherwise
        return self.backend

    @property
    def open_tap(self) -> OpenTap:
        return _claim_nothing if self.opened.verifier is None else self.opened.verifier.open

    def edge(self) -> Edge:
        """An edge that serves under this configuration."""
        return Edge(
            primary=self.upstream,
            open_tap=self.open_tap,
            forwarded=self.settings.primary.forwarded,
            max_clients=self.settings.limits.clients,
        )

    def take_over(self, edge: Edge) -> None:
        """Have an edge serve under this configuration from now on."""
        edge.serve_with(
            primary=self.upstream,
            open_tap=self.open_tap,
            forwarded=self.settings.primary.forwarded,
            max_clients=self.settings.limits.clients,
        )

    def show_figures(self, edge: Edge, *, queue_depth: Callable[[], int]) -> None:
        """Show what works under this configuration among the metrics, in the place of what did before."""
        figures, verifier = self.opened.lasting.figures, self.opened.verifier
        watch(
            figures,
            identity=self.opened.identity,
            ledger=self.opened.ledger,
            queue_depth=queue_depth,
            queue_limit=self.settings.limits.queue,
            tap_faults=lambda: edge.tap_faults,
            refused_clients=lambda: edge.refused_clients,
        )
        watch_verification(figures, verifier)

    @property
    def watched(self) -> list[tuple[str, float]]:
        """The verified domains, each with the share of exchanges that may be skipped while it counts as watched."""
        settings = self.settings
        return [
            (name, settings.gate_of(name).max_skip_rate)
            for name, domain in settings.domains.items()
            if domain.stage != "off"
        ]

    @property
    def under_way(self) -> int:
        """Exchanges that have no verdict yet."""
        return 0 if self.opened.verifier is None else self.opened.verifier.under_way

    @property
    def in_use(self) -> bool:
        """Whether anything is read for verification, for a replay, or from a store for a client."""
        return bool(self.under_way or self.replays or (self._serving is not None and self._serving.reading))

    def busy(self, domain: str) -> int:
        """How many exchanges of `domain` have no verdict yet."""
        return 0 if self.opened.verifier is None else self.opened.verifier.busy(domain)

    async def watch_over(self, crew: Crew | None = None) -> None:
        """Start what tells what the evidence of the time is worth. `crew` verifies beside this process."""
        settings, opened = self.settings, self.opened
        census = Census.of(settings, opened.chance.now)
        knowing = Knowing(census, opened.ledger, sleep=opened.chance.sleep)
        knowing.start()
        self._watching.push_async_callback(knowing.stop)
        own = None if opened.verifier is None else _Together(opened.verifier, self._busy_before)
        prover = Prover(
            settings,
            opened.ledger,
            own if own is None or crew is None else crew.reads(own),
            opened.chance.now,
            entered=opened.entered,
            monotonic=opened.chance.monotonic,
            sleep=opened.chance.sleep,
        )
        await prover.start()
        self._watching.push_async_callback(prover.stop)

    async def rest(self) -> None:
        """Stop what `watch_over` has started; exchanges under way go on."""
        await self._watching.aclose()

    async def end(self) -> None:
        """Close everything but the primary's backend. What is under way has `settings.drain` seconds to end."""
        await self._stack.aclose()

    async def leave(self) -> None:
        """Give the primary's backend back: where nobody else needs it, exchanges that go through it break off."""
        await self._clients.aclose()

    def evidence(self) -> Evidence:
        return Evidence(self.settings, self.opened.ledger, now=self.opened.chance.now)

    def readiness(self, crew: Crew | None = None) -> Readiness:
        """What is asked for `/readyz`."""
        settings, ledger, identity = self.settings, self.opened.ledger, self.opened.identity

        async def recording() -> str | None:
            state = ledger.recording
            return None if state.ok else state.reason or "the ledger is not being written"

        async def id_map() -> str | None:
            await identity.ping()
            return None

        parts = {"ledger": Part(recording), "id_map": Part(id_map)}
        if settings.primary.url is not None:
            parts["primary"] = Part(reaches(settings.primary.url), required=True)
        if settings.shadow.url is not None:
            parts["shadow"] = Part(reaches(settings.shadow.url))
        return Readiness(parts if crew is None else {**parts, **crew.parts()})


class _Together(Reads):
    """The reads of a verifier, and those that still settle under the rules before: they touch the same tables."""

    def __init__(self, verifier: Verifier, busy_before: Busy) -> None:
        self._verifier = verifier
        self._busy_before = busy_before

    def pause(self, domain: str) -> None:
        self._verifier.pause(domain)

    def resume(self, domain: str) -> None:
        self._verifier.resume(domain)

    def busy(self, domain: str) -> int:
        return self._verifier.busy(domain) + self._busy_before(domain)

    def recent(self, domain: str) -> Sequence[ReadRequest]:
        return self._verifier.recent(domain)

    async def shadow_read(self, domain: str, request: ReadRequest) -> Observation:
        return await self._verifier.shadow_read(domain, request)


def _claim_nothing(method: str, target: str, headers: Headers) -> None:
    """The tap of a proxy that verifies nothing."""
