"""The one place where everything is wired."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from contextlib import AsyncExitStack
from dataclasses import replace

from proxy.admin import AdminSite
from proxy.collector import settle_collector
from proxy.crew import Crew
from proxy.edge.server import Edge
from proxy.errors import ShadowreadError
from proxy.ledger import Ledger
from proxy.opening import Lasting, open_lasting
from proxy.reign import Reign
from proxy.reload import Reloader, Source, told
from proxy.settings import Settings
from proxy.settings.changes import InForce, Refusal, ReloadRefusedError, fingerprint, refuse_fixed
from proxy.succession import Succession
from proxy.telemetry.setup import Telemetry
from proxy.verify.pulse import Pulse
from proxy.verify.verifier import Verifier

log = logging.getLogger(__name__)


class Application:
    """One proxy with its admin port. `start`, then `stop`; both addresses are known in between.

    `telemetry` is stopped with it; None exports nothing. With a `crew` that serves the clients there is no edge here.
    """

    def __init__(self, settings: Settings, telemetry: Telemetry | None = None, *, crew: Crew | None = None) -> None:
        self.settings = settings
        """The configuration in force."""
        self._telemetry = telemetry or Telemetry()
        self._crew = crew
        self._stack = AsyncExitStack()
        self._reloading = asyncio.Lock()
        self._lasting: Lasting
        self._line: Succession
        self._pulse: Pulse
        self.in_force: InForce
        self.edge: Edge
        self.admin: AdminSite
        self.ledger: Ledger
        self.verifier: Verifier | None = None
        """By whom exchanges that come now are verified; None where no route has a shadow."""

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
        self._lasting = lasting = await open_lasting(settings, self._stack, self._telemetry.spans)
        self._line = await Succession.begin(settings, lasting)
        self._stack.push_async_callback(self._line.end)
        reign = self._line.reign
        reign.opened.enter()
        self.in_force = InForce(lasting.chance.now(), fingerprint(settings))
        self.ledger = lasting.ledger
        self._adopt(reign)
        if self._crew is not None:
            self._crew.join(lasting, lambda: None if self.verifier is None else self.verifier.remembered)
        self.edge = reign.edge()
        self._pulse = Pulse(
            lasting.ledger,
            reign.watched,
            lasting.tallies,
            clock=lasting.chance.now,
            sleep=lasting.chance.sleep,
            on_new_day=self._enter_anew,
        )
        self._pulse.start()
        self._stack.push_async_callback(self._pulse.stop)
        await reign.watch_over(self._crew)
        self._stack.push_async_callback(lambda: self._line.reign.rest())
        if self._crew is None:
            await self.edge.start(settings.listen.host, settings.listen.port)
            self._stack.push_async_callback(lambda: self.edge.stop(self.settings.drain))
        else:
            await self._crew.start()
            self._stack.push_async_callback(self._crew.stop)
        await self._open_admin(reign)
        self._telemetry.start(lasting.figures, self.admin.refresh)
        self._stack.push_async_callback(self._telemetry.rest)

    async def _open_admin(self, reign: Reign) -> None:
        settings, figures = reign.settings, self._lasting.figures
        self._line.show_figures(self.edge)
        for gauge in told(lambda: self.in_force):
            figures.gauge(gauge)
        self.admin = AdminSite(
            reign.evidence(),
            figures,
            reign.readiness(self._crew),
            host=settings.admin.listen.host,
            port=settings.admin.listen.port,
            token=settings.admin.token.get_secret_value(),
            tail=self._lasting.tail,
            ids=reign.opened.identity,
            replays=reign.replays,
            in_force=lambda: self.in_force,
        )
        await self.admin.start()
        self._stack.push_async_callback(self.admin.stop)

    def _adopt(self, reign: Reign) -> None:
        self.settings, self.verifier = reign.settings, reign.opened.verifier
        if self.verifier is None:
            log.warning("no route has a shadow: requests are passed through and nothing is verified")

    # --- while it runs ---

    async def reload(self, settings: Settings) -> None:
        """Work under `settings` from now on, without a connection dropped: exchanges under way end as they began.

        Raises ReloadRefusedError, which says why they cannot take over; those before stay in force then.
        """
        async with self._reloading:
            refuse_fixed(self._line.reign.settings, settings)
            if self._line.differs(settings):
                try:
                    reign = await self._line.prepare(settings)
                except (ShadowreadError, OSError) as error:
                    raise ReloadRefusedError(str(error).splitlines()) from error
                self._take_over(reign)
                if self._crew is not None:
                    await self._crew.reload(settings)
                await reign.watch_over(self._crew)
            self.in_force = replace(self.in_force, refused=None)

    def _take_over(self, reign: Reign) -> None:
        settings, opened = reign.settings, reign.opened
        self._line.succeed(reign, self.edge)
        self._pulse.watch(reign.watched)
        self.admin.serve_with(reign.evidence(), reign.readiness(self._crew), ids=opened.identity, replays=reign.replays)
        self.in_force = InForce(self._lasting.chance.now(), fingerprint(settings), reloads=self.in_force.reloads + 1)
        self._adopt(reign)

    def refused(self, problems: list[str]) -> None:
        """Show that a newer configuration was not taken, and why."""
        self.in_force = replace(self.in_force, refused=Refusal(self._lasting.chance.now(), tuple(problems)))

    @property
    def address(self) -> tuple[str, int]:
        """Host and port that clients are served at."""
        return self.edge.address if self._crew is None else self._crew.address

    def _enter_anew(self) -> None:
        if self._crew is not None:
            # First: one that counts under the rules of yesterday would take a window of today back.
            self._crew.anew()
        self._line.reign.opened.enter()

    async def stop(self) -> None:
        """Drain clients, then verification, then write what is left; each within its limit."""
        await self._stack.aclose()


async def serve(
    settings: Settings,
    telemetry: Telemetry | None = None,
    source: Source | None = None,
    *,
    crew: Crew | None = None,
) -> None:
    """Run one proxy until SIGINT or SIGTERM, then stop it in order; a second one ends it where it is.

    With a `source` the configuration is read again when one of its files has changed, and on SIGHUP. `telemetry` and
    `crew` as in `Application`.
    """
    application = Application(settings, telemetry, crew=crew)
    loop, stopping = asyncio.get_running_loop(), asyncio.Event()

    def stop(number: int) -> None:
        if stopping.is_set():
            # As safe as a kill: what is not written by then is counted as lost at the next start.
            log.warning("ended at once by a second signal; what is under way counts as lost")
            if crew is not None:
                crew.kill()
            os._exit(128 + number)
        stopping.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop, number)
    reloader = None if source is None else Reloader(source, application)
    if reloader is not None:
        # Before the start, which may take a while: the default would end the process.
        loop.add_signal_handler(signal.SIGHUP, reloader.ask)
    await application.start()
    settle_collector()
    try:
        host, port = application.address
        log.info("serving http://%s:%d, admin port %d", host, port, application.admin.port)
        if reloader is not None:
            reloader.start()
        await stopping.wait()
        log.info("stopping: exchanges under way have %g s to end", application.settings.drain)
    finally:
        if reloader is not None:
            await reloader.stop()
        await application.stop()
