"""The one place where everything is wired."""

from __future__ import annotations

import asyncio
import logging
import signal
from contextlib import AsyncExitStack

from proxy.admin import AdminSite, Evidence, Part, Readiness, reaches, watch
from proxy.edge.server import Edge
from proxy.identity.census import Census
from proxy.ledger import Ledger
from proxy.model import Headers
from proxy.opening import Opened, opening
from proxy.provenance import Prover
from proxy.readers.serving import Serving
from proxy.replays import Replays
from proxy.settings import Settings
from proxy.sweep.known import Knowing
from proxy.telemetry.setup import Telemetry
from proxy.verify.pulse import Pulse
from proxy.verify.verifier import Verifier

log = logging.getLogger(__name__)


class Application:
    """One proxy with its admin port. `start`, then `stop`; both addresses are known in between.

    `telemetry` is stopped with it; None exports nothing.
    """

    def __init__(self, settings: Settings, telemetry: Telemetry | None = None) -> None:
        self.settings = settings
        self._telemetry = telemetry or Telemetry()
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
        # Stopped last, when the spans of all exchanges have ended.
        self._stack.push_async_callback(self._telemetry.stop)
        opened = await self._stack.enter_async_context(opening(settings, spans=self._telemetry.spans))
        self.ledger, self.verifier = opened.ledger, opened.verifier
        if self.verifier is None:
            log.warning("no route has a shadow: requests are passed through and nothing is verified")
        else:
            await opened.work.start()  # before there is traffic
        sides, serving = opened.sides, opened.sides.serving()
        self.edge = Edge(
            primary=(
                Serving(sides.backend, settings.router(), serving, timeout=settings.primary.idle_timeout)
                if serving or sides.backend is None
                else sides.backend
            ),
            open_tap=self.verifier.open if self.verifier else _claim_nothing,
            forwarded=settings.primary.forwarded,
        )
        await self._watch_over(opened)
        await self.edge.start(settings.listen.host, settings.listen.port)
        self._stack.push_async_callback(self.edge.stop, settings.drain)
        await self._open_admin(opened)
        self._telemetry.start(opened.figures, self.admin.refresh)
        self._stack.push_async_callback(self._telemetry.rest)

    async def _watch_over(self, opened: Opened) -> None:
        """Start what tells what the evidence of the time is worth."""
        settings = self.settings
        pulse = Pulse(
            opened.ledger,
            [(name, settings.gate_of(name).max_skip_rate) for name, d in settings.domains.items() if d.stage != "off"],
            opened.tallies,
            clock=opened.chance.now,
            sleep=opened.chance.sleep,
            on_new_day=opened.enter,
        )
        pulse.start()
        self._stack.push_async_callback(pulse.stop)
        knowing = Knowing(Census.of(settings, opened.chance.now), opened.ledger, sleep=opened.chance.sleep)
        knowing.start()
        self._stack.push_async_callback(knowing.stop)
        prover = Prover(
            settings,
            opened.ledger,
            opened.verifier,
            opened.chance.now,
            entered=opened.entered,
            monotonic=opened.chance.monotonic,
            sleep=opened.chance.sleep,
        )
        await prover.start()
        self._stack.push_async_callback(prover.stop)

    async def _open_admin(self, opened: Opened) -> None:
        settings, verifier = self.settings, self.verifier
        identity, figures = opened.identity, opened.figures

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
            queue_limit=settings.limits.queue,
            tap_faults=lambda: self.edge.tap_faults,
        )
        replays = None
        if verifier is not None:
            replays = Replays(verifier, self.ledger, opened.chance)
            self._stack.push_async_callback(replays.stop)
        self.admin = AdminSite(
            Evidence(settings, self.ledger, now=opened.chance.now),
            figures,
            Readiness(parts),
            host=settings.admin.listen.host,
            port=settings.admin.listen.port,
            token=settings.admin.token.get_secret_value(),
            tail=opened.tail,
            ids=identity,
            replays=replays,
        )
        await self.admin.start()
        self._stack.push_async_callback(self.admin.stop)

    async def stop(self) -> None:
        """Drain clients, then verification, then write what is left; each within its limit."""
        await self._stack.aclose()


def _claim_nothing(method: str, target: str, headers: Headers) -> None:
    """The tap of a proxy that verifies nothing."""


async def serve(settings: Settings, telemetry: Telemetry | None = None) -> None:
    """Run one proxy until SIGINT or SIGTERM, then stop it in order. `telemetry` as in `Application`."""
    application = Application(settings, telemetry)
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
