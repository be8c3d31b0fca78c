"""The crew of `shadowread serve --workers N`: a fleet of worker processes behind one port."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from proxy.admin import Part
from proxy.fleet.fleet import Fleet
from proxy.fleet.gathered import Gathered
from proxy.fleet.messages import Begin
from proxy.fleet.port import Port
from proxy.fleet.reads import FleetReads
from proxy.fleet.worker import packed, used
from proxy.opening import Lasting
from proxy.provenance.reads import Reads
from proxy.settings import Settings
from proxy.telemetry import Gauge
from proxy.telemetry.logs import LogFormat
from proxy.verify.remembered import Remembered


class Workers:
    """`count` workers, each a process of its own; `log_format` and `verbose` are how they log to stderr."""

    def __init__(
        self, count: int, settings: Settings, log_format: LogFormat = "text", *, verbose: bool = False
    ) -> None:
        self.count = count
        self._settings = settings
        self._log_format: LogFormat = log_format
        self._verbose = verbose
        self._port: Port | None = None
        self._lasting: Lasting
        self._fleet: Fleet | None = None

    @property
    def fleet(self) -> Fleet:
        """The workers; RuntimeError before `join`."""
        if self._fleet is None:
            raise RuntimeError("the workers have not joined")
        return self._fleet

    @property
    def address(self) -> tuple[str, int]:
        if self._port is None:
            raise RuntimeError("the workers have not been started")
        return self._port.address

    def join(self, lasting: Lasting, remembered: Callable[[], Remembered | None]) -> None:
        self._lasting = lasting
        gathered = Gathered(lasting.figures, lasting.tallies, lasting.tail, remembered)
        self._fleet = fleet = Fleet(
            self.count,
            self._begin,
            gathered,
            drain=self._settings.drain,
            monotonic=lasting.chance.monotonic,
            sleep=lasting.chance.sleep,
        )
        lasting.ledger.beside = fleet.recordings
        for gauge in self._gauges():
            lasting.figures.gauge(gauge)
        gathered.ask(fleet.gauges)

    async def start(self) -> None:
        """Raises OSError when the address is taken, WorkerError when a worker cannot begin."""
        listen = self._settings.listen
        self._port = Port.reserve(listen.host, listen.port)
        try:
            await self.fleet.start()
        except BaseException:
            self._port.close()
            raise

    async def stop(self) -> None:
        await self.fleet.stop()
        if self._port is not None:
            self._port.close()

    def kill(self) -> None:
        if self._fleet is not None:
            self._fleet.kill()

    async def reload(self, settings: Settings) -> None:
        self._settings = settings
        await self.fleet.reload(packed(settings), settings.drain)

    def anew(self) -> None:
        self.fleet.anew()

    def reads(self, own: Reads) -> Reads:
        return FleetReads(own, self.fleet, self._lasting.chance.sleep)

    def parts(self) -> Mapping[str, Part]:
        async def any_serves() -> str | None:
            return None if self.fleet.serving else f"none of {self.count} workers serves; the log says why"

        async def all_serve() -> str | None:
            away = self.count - self.fleet.serving
            return None if not away else f"{away} of {self.count} workers do not serve and are started again"

        return {"serving": Part(any_serves, required=True), "workers": Part(all_serve)}

    def _begin(self, number: int) -> Begin:
        assert self._port is not None  # noqa: S101 - `start` has reserved it
        where = (self._port.host, self._port.address[1])
        return Begin(number, packed(self._settings), self._lasting.key, *where, self._log_format, self._verbose)

    def _gauges(self) -> Iterator[Gauge]:
        yield used("main")
        text = "Worker processes that take connections."
        yield Gauge("shadowread.workers.serving", text, lambda: {(): self.fleet.serving}, unit="{process}")
        text = "Worker processes that there are to be (serve --workers)."
        yield Gauge("shadowread.workers.wanted", text, lambda: {(): self.count}, unit="{process}")
        text = "How often a worker process was started again because it had ended or stood still."
        restarts = "shadowread.workers.restarts"
        yield Gauge(restarts, text, lambda: {(): self.fleet.restarts}, counter=True, unit="{restart}")
