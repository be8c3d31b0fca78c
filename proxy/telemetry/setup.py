"""What of the process is exported, and where to: set up from `OTEL_*`, stopped within a bound.

A provider that the surroundings have set already (`opentelemetry-instrument`) is used and left to them. Ours is set
nowhere globally: nothing but the proxy's own spans and figures goes through it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING

from opentelemetry import metrics, trace
from opentelemetry.metrics import Meter

from proxy import __version__
from proxy.tasks import TaskGroup
from proxy.telemetry.environment import SCOPE, TelemetryError, wanted
from proxy.telemetry.figures import Figures
from proxy.telemetry.spans import NO_SPANS, Spans

if TYPE_CHECKING:
    from proxy.telemetry.sdk import Exports, Sender

log = logging.getLogger(__name__)

FLUSH_SECONDS = 3.0
"""How long stopping waits for what has not been sent yet."""

Refresh = Callable[[], Awaitable[object]]


class Telemetry:
    """The spans of one process, and the export of its figures. `start`, `rest`, `stop`, on the proxy's loop.

    `rest` comes before what `refresh` looks at is closed, `stop` after the last exchange has ended.

    `interval` is the time between two exports of figures, in seconds.
    """

    def __init__(
        self,
        spans: Spans = NO_SPANS,
        *,
        exports: Exports | None = None,
        meter: Meter | None = None,
        interval: float = 60.0,
    ) -> None:
        self.spans = spans
        self._exports = exports
        self._meter = meter
        self._interval = interval
        self._senders: list[Sender] = []
        self._tasks = TaskGroup(1)
        self._refreshing = asyncio.Lock()

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> Telemetry:
        """What the surroundings have set up, else what `environ`, the process's, asks for. Raises TelemetryError."""
        try:
            theirs, theirs_too = _is_set(trace.get_tracer_provider()), _is_set(metrics.get_meter_provider())
        except Exception as error:
            raise TelemetryError(
                "OTEL_PYTHON_TRACER_PROVIDER or OTEL_PYTHON_METER_PROVIDER names nothing that is installed; unset it"
            ) from error
        asked = wanted(environ, traces=not theirs, metrics=not theirs_too)
        if asked.disabled:
            return cls()
        for remark in asked.remarks:
            log.warning("%s", remark)
        meter = metrics.get_meter(SCOPE, __version__) if theirs_too else None
        foreign = Spans(trace.get_tracer(SCOPE, __version__)) if theirs else None
        if not asked.traces and not asked.metrics:
            return cls(foreign or NO_SPANS, meter=meter)
        try:
            from proxy.telemetry.sdk import Exports
        except ValueError as error:
            # The SDK reads some of its limits when it is loaded.
            raise TelemetryError(str(error)) from error
        exports = Exports(asked, time.time_ns)
        try:
            spans = exports.spans() if asked.traces else foreign or NO_SPANS
        except BaseException:
            exports.close()
            raise
        return cls(spans, exports=exports, meter=meter, interval=asked.interval)

    def start(self, figures: Figures, refresh: Refresh) -> None:
        """Export `figures` from now on. `refresh` is awaited before each time; what it raises is let pass."""
        if self._meter is not None:
            figures.instrument(self._meter)
        elif self._exports is not None:
            self._senders = self._exports.senders(figures)
        if self._senders:
            self._tasks.start(self._send_often(refresh), name="export metrics")

    async def rest(self) -> None:
        """Look at nothing and send nothing any more until `stop`; a refresh under way is waited for."""
        async with self._refreshing:
            await self._tasks.drain(0)

    async def stop(self) -> None:
        """Send what is left, and wait for that three seconds at most."""
        await self.rest()
        if self._exports is None:
            return
        work = [apart(self._exports.flush_spans), *(apart(sender.close) for sender in self._senders)]
        _, late = await asyncio.wait(work, timeout=FLUSH_SECONDS)
        if late:
            log.warning("what was left of spans and metrics could not be sent within %g s", FLUSH_SECONDS)
            self._exports.abandon()
        else:
            self._exports.close()

    async def _send_often(self, refresh: Refresh) -> None:
        while True:
            await asyncio.sleep(self._interval)
            async with self._refreshing:
                try:
                    await refresh()
                except Exception as error:  # noqa: BLE001 - old figures are better than none
                    log.debug("figures could not be refreshed before they are exported: %s", type(error).__name__)
            for sender in self._senders:
                await apart(sender.send)


def apart(function: Callable[[], object]) -> asyncio.Future[None]:
    """Run `function` in a thread that neither the loop nor the process waits for when they end."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[None] = loop.create_future()

    def run() -> None:
        try:
            function()
        except Exception as error:
            log.debug("telemetry failed", exc_info=error)
        finally:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(_resolve, done)

    threading.Thread(target=run, name="shadowread telemetry", daemon=True).start()
    return done


def _resolve(done: asyncio.Future[None]) -> None:
    if not done.done():
        done.set_result(None)


def _is_set(provider: trace.TracerProvider | metrics.MeterProvider) -> bool:
    """Whether somebody has set the provider; the API itself only has stand-ins."""
    return not type(provider).__module__.startswith(("opentelemetry.trace", "opentelemetry.metrics"))
