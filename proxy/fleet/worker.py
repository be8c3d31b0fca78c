"""A worker: an edge with a verifier and a writer of the ledger, told what to do by the process that started it."""

from __future__ import annotations

import asyncio
import logging
import pickle
import resource
import signal
import socket
import sys
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import replace
from functools import partial

import msgspec

from proxy.collector import settle_collector
from proxy.edge.server import Edge
from proxy.errors import ShadowreadError
from proxy.fleet.channel import Channel, ChannelError
from proxy.fleet.messages import (
    Anew,
    Begin,
    Failed,
    FromWorker,
    Quiet,
    Recents,
    Reload,
    Reloaded,
    Serving,
    ToWorker,
    WhichRecent,
)
from proxy.fleet.telling import Telling
from proxy.ledger import Ledger
from proxy.opening import Lasting, open_lasting
from proxy.settings import Settings
from proxy.succession import Succession
from proxy.tail import Tail
from proxy.tasks import TaskGroup
from proxy.telemetry import Figures, Gauge
from proxy.telemetry.logs import start_logging
from proxy.telemetry.setup import Telemetry
from proxy.verify.pulse import Tallies
from proxy.verify.remembered import Remembered
from proxy.verify.verifier import Verifier

log = logging.getLogger(__name__)

MOST_RECENT = 50
"""Requests of a domain that are told to who asks."""


class Worker:
    """`start`, then `stop`. It says of itself what `Telling` asks for."""

    def __init__(self, begin: Begin, settings: Settings, telemetry: Telemetry) -> None:
        self._begin = begin
        self._given = settings
        self._telemetry = telemetry
        self._stack = AsyncExitStack()
        self._paused: frozenset[str] = frozenset()
        self._lasting: Lasting
        self._line: Succession
        self._edge: Edge

    async def start(self) -> None:
        """Open everything from the ledger up to the edge. What was opened is closed again when a step fails."""
        try:
            await self._start()
        except BaseException:
            await self._stack.aclose()
            raise

    async def _start(self) -> None:
        self._stack.push_async_callback(self._telemetry.stop)
        lasting = await open_lasting(self._given, self._stack, self._telemetry.spans)
        # One value is hidden under one tag, whichever process has seen it.
        self._lasting = lasting = replace(lasting, key=self._begin.key)
        self._line = await Succession.begin(self._given, lasting)
        self._stack.push_async_callback(self._line.end)
        reign = self._line.reign
        reign.opened.enter()
        self._edge = reign.edge()
        self._line.show_figures(self._edge)
        lasting.figures.gauge(used(str(self._begin.number)))
        await self._edge.start(self._begin.host, self._begin.port, reuse_port=True)
        self._stack.push_async_callback(lambda: self._edge.stop(self._line.reign.settings.drain))

    async def stop(self) -> None:
        """Drain clients, then verification, then write what is left; each within its limit."""
        await self._stack.aclose()

    # --- what is told of it ---

    @property
    def ledger(self) -> Ledger:
        return self._lasting.ledger

    @property
    def figures(self) -> Figures:
        return self._lasting.figures

    @property
    def tallies(self) -> Tallies:
        return self._lasting.tallies

    @property
    def tail(self) -> Tail:
        return self._lasting.tail

    @property
    def remembered(self) -> Remembered | None:
        return None if self._verifier is None else self._verifier.remembered

    @property
    def domains(self) -> Sequence[str]:
        return tuple(self._line.reign.settings.domains)

    def busy(self, domain: str) -> int:
        """Exchanges of `domain` without a verdict, under whatever configuration they have begun."""
        return self._line.reign.busy(domain) + self._line.busy_before(domain)

    # --- what it is told to do ---

    def set_quiet(self, domains: frozenset[str]) -> None:
        """Pause these domains and no others."""
        verifier = self._verifier
        if verifier is not None:
            for domain in domains - self._paused:
                verifier.pause(domain)
            for domain in self._paused - domains:
                verifier.resume(domain)
        self._paused = domains

    def recent(self, domain: str) -> Recents:
        found = () if self._verifier is None else tuple(self._verifier.recent(domain))
        return Recents(domain, found[-MOST_RECENT:])

    def anew(self) -> None:
        """Say to the ledger anew which rules apply."""
        self._line.reign.opened.enter()

    async def reload(self, settings: Settings) -> str | None:
        """Go on under `settings`; exchanges under way end as they began. Why they are not taken, None when they are."""
        if not self._line.differs(settings):
            return None
        try:
            reign = await self._line.prepare(settings)
        except (ShadowreadError, OSError) as error:
            return str(error)
        paused, self._paused = self._paused, frozenset()
        self._line.succeed(reign, self._edge)
        self.set_quiet(paused)
        return None

    @property
    def _verifier(self) -> Verifier | None:
        return self._line.reign.opened.verifier


def used(process: str) -> Gauge:
    """The processor time of this process, called `process` among those of its proxy."""

    def read() -> dict[tuple[str, ...], float]:
        found = resource.getrusage(resource.RUSAGE_SELF)
        return {(process,): found.ru_utime + found.ru_stime}

    text = "Processor time of each process of the proxy; main is the one with the admin site."
    return Gauge("shadowread.process.cpu_seconds", text, read, ("process",), counter=True, unit="s")


async def work(channel: Channel[FromWorker, ToWorker], begin: Begin, telemetry: Telemetry) -> bool:
    """Serve until told to stop, until SIGTERM, or until the parent is gone; false when it could not begin."""
    worker = Worker(begin, settings_of(begin.settings), telemetry)
    try:
        await worker.start()
    except (ShadowreadError, OSError) as error:
        channel.send(Failed(str(error)))
        return False
    settle_collector()
    stopping = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
    telling, tasks = Telling(worker, channel), TaskGroup(2)
    try:
        channel.send(Serving())
        tasks.start(_tell(telling, stopping), name="telling")
        tasks.start(_hear(channel, worker, telling, stopping), name="hearing")
        await stopping.wait()
    finally:
        # What ends while it drains is told, too.
        await worker.stop()
        await tasks.drain(0)
        with suppress(ChannelError):
            telling.beat(figures=True)
    return True


async def _tell(telling: Telling, stopping: asyncio.Event) -> None:
    try:
        await telling.run()
    except ChannelError as error:
        log.error("the process that watches over the workers cannot be told anything, so this one ends: %s", error)
    finally:
        stopping.set()


async def _hear(
    channel: Channel[FromWorker, ToWorker], worker: Worker, telling: Telling, stopping: asyncio.Event
) -> None:
    try:
        while (message := await channel.receive()) is not None:
            match message:
                case Quiet(version, domains):
                    worker.set_quiet(frozenset(domains))
                    telling.quiet = version
                    telling.beat(figures=False)
                case WhichRecent(domain):
                    channel.send(worker.recent(domain))
                case Reload(number, settings):
                    channel.send(Reloaded(number, await worker.reload(settings_of(settings))))
                case Anew():
                    worker.anew()
                case _:
                    stopping.set()
        if not stopping.is_set():
            log.error("the process that watches over the workers is gone, so this one drains and ends")
    except ChannelError as error:
        log.error("worker: %s", error)
    finally:
        stopping.set()


def packed(settings: Settings) -> bytes:
    """The configuration for `Begin` and `Reload`, secrets included: for a socket between a process and its child."""
    return pickle.dumps(settings)


def settings_of(content: bytes) -> Settings:
    """What `packed` has packed. Only ever given what this process's own parent has sent."""
    found = pickle.loads(content)  # noqa: S301 - from our own parent, over a socket that nobody else has
    if not isinstance(found, Settings):
        raise ChannelError("what was sent is no configuration")
    return found


def _numbered(number: int, record: logging.LogRecord) -> bool:
    """Tells its lines from those of the other processes."""
    record.name = f"{record.name}[{number}]"
    return True


async def run(connected: socket.socket, environ: Mapping[str, str]) -> int:
    """All that a worker process does; answers its exit status. The first message must be `Begin`."""
    decoder = msgspec.msgpack.Decoder(ToWorker)
    channel: Channel[FromWorker, ToWorker] = await Channel.over(connected, decoder)
    try:
        begin = await channel.receive()
        if not isinstance(begin, Begin):
            return 1
        start_logging(begin.log_format, verbose=begin.verbose, stream=sys.stderr)
        for handler in logging.getLogger().handlers:
            handler.addFilter(partial(_numbered, begin.number))
        began = await work(channel, begin, Telemetry.of(environ))
        with suppress(ChannelError):
            await channel.drained()
        return 0 if began else 1
    finally:
        await channel.close()
