"""The one place where everything is wired."""

from __future__ import annotations

import asyncio
import logging
import random
import secrets
import signal
import time
from contextlib import AsyncExitStack
from datetime import UTC, datetime

from opentelemetry import metrics

from proxy import __version__
from proxy.admin import AdminSite, Evidence, Part, Readiness, reaches, watch
from proxy.edge.server import Edge
from proxy.identity import Identity
from proxy.ledger import Ledger
from proxy.model import Headers
from proxy.readers.serving import Serving
from proxy.settings import Settings
from proxy.settings.routes import Router
from proxy.sides import Sides
from proxy.telemetry import Figures
from proxy.verify.case import Chance, RouteFacts
from proxy.verify.record import Recorder
from proxy.verify.tap import OpenTap
from proxy.verify.verifier import Bounds, Verifier
from proxy.verify.work import Work

log = logging.getLogger(__name__)

COMPARISON_SECONDS = 10.0


def new_id() -> str:
    """An id that sorts by time: 12 hex digits of milliseconds, 12 of chance."""
    return f"{time.time_ns() // 1_000_000:012x}{secrets.token_hex(6)}"


def chance() -> Chance:
    """The real clock and real randomness. Sampling needs no cryptography; ids and keys use `secrets`."""
    return Chance(time.monotonic, lambda: datetime.now(UTC), random.random, new_id)


class Application:
    """One proxy with its admin port. `start`, then `stop`; both addresses are known in between."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._stack = AsyncExitStack()
        self.edge: Edge
        self.admin: AdminSite
        self.ledger: Ledger
        self.verifier: Verifier | None = None

    async def start(self) -> None:
        """Open everything from the ledger up to the edge; what was opened is closed again when a step fails."""
        try:
            await self._start()
        except BaseException:
            await self._stack.aclose()
            raise

    async def _start(self) -> None:
        settings = self.settings
        figures = Figures()
        # Without a provider, as under `opentelemetry-instrument`, the instruments do nothing.
        figures.instrument(metrics.get_meter("shadowread", __version__))
        now = chance()
        self.ledger = await Ledger.open(
            settings.ledger.url,
            flush_seconds=settings.ledger.flush,
            max_traces=settings.limits.traces,
            max_trace_bytes=settings.limits.trace_bytes,
            max_findings=settings.limits.findings,
            clock=now.now,
        )
        self._stack.push_async_callback(self.ledger.close)
        identity = Identity.of(settings)
        await identity.start()
        self._stack.push_async_callback(identity.close)
        sides = await Sides.open(settings, identity, self._stack)
        facts = sides.facts()
        if facts:
            self.verifier = await self._verify(facts, identity, figures, now)
        else:
            log.warning("no route has a shadow: requests are passed through and nothing is verified")
        opened: OpenTap = self.verifier.open if self.verifier else _claim_nothing
        serving = sides.serving()
        self.edge = Edge(
            primary=(
                Serving(sides.backend, settings.router(), serving, timeout=settings.primary.idle_timeout)
                if serving or sides.backend is None
                else sides.backend
            ),
            open_tap=opened,
            forwarded=settings.primary.forwarded,
        )
        await self.edge.start(settings.listen.host, settings.listen.port)
        self._stack.push_async_callback(self.edge.stop, settings.drain)
        await self._open_admin(identity, figures, now)

    async def _verify(
        self, facts: dict[tuple[str, str], RouteFacts], identity: Identity, figures: Figures, now: Chance
    ) -> Verifier:
        settings, limits = self.settings, self.settings.limits
        work = Work(timeout=COMPARISON_SECONDS)
        self._stack.push_async_callback(asyncio.to_thread, work.close)
        await work.start()
        claims = [claim for claim in settings.claims() if (claim.domain, claim.pattern.text) in facts]
        key = secrets.token_bytes(32)
        verifier = Verifier(
            router=Router(claims),
            routes=facts,
            identity=identity,
            ledger=self.ledger,
            figures=figures,
            recorder=Recorder(
                ledger=self.ledger, figures=figures, redact=settings.redact, key=key, work=work, chance=now
            ),
            work=work,
            bounds=Bounds(
                timeout=settings.shadow.timeout,
                settle_delay=settings.settle.delay,
                settle_factor=settings.settle.factor,
                settle_attempts=settings.settle.attempts,
                body=limits.body,
                buffered=limits.buffered,
                depth=limits.depth,
                differences=limits.differences,
                queue=limits.queue,
                concurrency=settings.shadow.max_concurrency,
            ),
            chance=now,
        )
        self._stack.push_async_callback(verifier.stop, settings.drain)
        return verifier

    async def _open_admin(self, identity: Identity, figures: Figures, now: Chance) -> None:
        settings, verifier = self.settings, self.verifier

        async def recording() -> str | None:
            state = self.ledger.recording
            return None if state.ok else state.reason or "the ledger is not being written"

        async def id_map() -> str | None:
            await identity.ping()
            return None

        parts = {"ledger": Part(recording), "id_map": Part(id_map)}
        if settings.primary.url is not None:
            parts["primary"] = Part(reaches(settings.primary.url), required=True)
        if settings.shadow.url is not None:
            parts["shadow"] = Part(reaches(settings.shadow.url))
        depth = (lambda: verifier.under_way) if verifier else None
        watch(
            figures,
            identity=identity,
            ledger=self.ledger,
            queue_depth=depth,
            tap_faults=lambda: self.edge.tap_faults,
        )
        self.admin = AdminSite(
            Evidence(settings, self.ledger, now=now.now),
            figures,
            Readiness(parts),
            host=settings.admin.listen.host,
            port=settings.admin.listen.port,
            token=settings.admin.token.get_secret_value(),
        )
        await self.admin.start()
        self._stack.push_async_callback(self.admin.stop)

    async def stop(self) -> None:
        """Drain clients, then verification, then write what is left; each within its limit."""
        await self._stack.aclose()


def _claim_nothing(method: str, target: str, headers: Headers) -> None:
    """The tap of a proxy that verifies nothing."""


async def serve(settings: Settings) -> None:
    """Run one proxy until SIGINT or SIGTERM, then stop it in order."""
    application = Application(settings)
    loop, stopping = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopping.set)
    await application.start()
    try:
        host, port = application.edge.address
        log.info("serving http://%s:%d, admin port %d", host, port, application.admin.port)
        await stopping.wait()
        log.info("stopping: exchanges under way have %g s to end", settings.drain)
    finally:
        await application.stop()
