"""One worker process as the first process sees it, from its start to its end."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress

import msgspec

from proxy.errors import ShadowreadError
from proxy.fleet.channel import Channel, ChannelError
from proxy.fleet.increments import Increments
from proxy.fleet.messages import Beat, Begin, Failed, FromWorker, Serving, Stop, ToWorker
from proxy.ledger import Recording
from proxy.tasks import TaskGroup

BEGIN_SECONDS = 60.0
"""How long a worker may take until it takes connections."""
END_SECONDS = 5.0
"""How long a process may take to end once its channel is closed."""
LAST_WORDS_SECONDS = 1.0
"""How long what a process has said is listened to when it is gone."""
MODULE = "proxy.fleet"

Heard = Callable[["Member", FromWorker], None]
"""Is told what a worker says, beside what its `Member` keeps of it."""


class WorkerError(ShadowreadError):
    """A worker could not begin."""


class Member:
    """A worker from `begin` to `ended`; a new one is made for each process."""

    def __init__(self, number: int, heard: Heard, module: str = MODULE) -> None:
        self.number = number
        self.serving = False
        self.silent = 0
        """How often it was looked at since it last said something."""
        self.quiet = 0
        """The version of the last `Quiet` that it is known to follow."""
        self.busy: dict[str, int] = {}
        self.recording: Recording | None = None
        self.gauges: Mapping[str, Mapping[tuple[str, ...], float]] = {}
        self._heard = heard
        self._module = module
        self._process: asyncio.subprocess.Process | None = None
        self._channel: Channel[ToWorker, FromWorker] | None = None
        self._tasks = TaskGroup(1)

    @property
    def pid(self) -> int | None:
        return None if self._process is None else self._process.pid

    async def begin(self, first: Begin) -> None:
        """Start the process and wait until it takes connections. Raises WorkerError, OSError; `end` it then."""
        ours, theirs = socket.socketpair()
        try:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-P",
                "-m",
                self._module,
                str(theirs.fileno()),
                pass_fds=(theirs.fileno(),),
                stdin=asyncio.subprocess.DEVNULL,
                # Where this process found its modules, whatever the working directory holds.
                env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
            )
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        channel: Channel[ToWorker, FromWorker] = await Channel.over(ours, msgspec.msgpack.Decoder(FromWorker))
        self._channel = channel
        # A process of its own making may hold its end of the socket open when it is gone.
        self._tasks.start(_close_after(self._process, channel), name=f"process of worker {self.number}")
        self._channel.send(first)
        try:
            async with asyncio.timeout(BEGIN_SECONDS):
                said = await self._channel.receive()
        except TimeoutError as error:
            raise WorkerError(f"it did not begin within {BEGIN_SECONDS:g} s") from error
        match said:
            case Serving():
                self.serving = True
            case Failed(reason):
                raise WorkerError(reason)
            case _:
                raise WorkerError("it ended before it had begun; its own log lines say why")

    def send(self, message: ToWorker) -> None:
        """Tell it. One that cannot be told is ended: it would go on under what holds no more."""
        if self._channel is None:
            return
        try:
            self._channel.send(message)
        except ChannelError:
            self.kill()

    async def listen(self) -> None:
        """Hear what it says until it has gone; raises ChannelError for what cannot be understood."""
        if self._channel is None:
            return
        while (message := await self._channel.receive()) is not None:
            self.silent = 0
            if isinstance(message, Beat):
                self._beat(message)
            self._heard(self, message)

    async def end(self) -> str:
        """Wait until the process has ended, not for long; says how."""
        self.serving = False
        if self._channel is not None:
            await self._channel.close()
            self._channel = None
        if self._process is None:
            return "it was never started"
        try:
            async with asyncio.timeout(END_SECONDS):
                code = await self._process.wait()
        except TimeoutError:
            self.kill()
            code = await self._process.wait()
        await self._tasks.drain(0)
        self._process = None
        return f"ended by {_signal(-code)}" if code < 0 else f"ended with status {code}"

    def stop(self) -> None:
        """Have it drain and end by itself."""
        self.send(Stop())

    def kill(self) -> None:
        """End it at once; its exchanges under way are lost."""
        if self._process is not None and self._process.returncode is None:
            with suppress(ProcessLookupError):
                self._process.kill()

    def _beat(self, beat: Beat) -> None:
        self.quiet = beat.quiet
        self.busy = {name: one.busy for name, one in beat.domains.items()}
        if beat.recording is not None:
            self.recording = beat.recording
        if beat.figures is not None:
            self.gauges = _by_name(beat.figures)


async def _close_after(process: asyncio.subprocess.Process, channel: Channel[ToWorker, FromWorker]) -> None:
    await process.wait()
    # What it said last has arrived by then, unless it was much: then it is told of by the ledger alone.
    await asyncio.sleep(LAST_WORDS_SECONDS)
    await channel.close()


def _by_name(figures: Increments) -> dict[str, dict[tuple[str, ...], float]]:
    found: dict[str, dict[tuple[str, ...], float]] = {}
    for name, labels, value in figures.gauges:
        found.setdefault(name, {})[labels] = value
    return found


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
