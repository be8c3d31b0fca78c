"""Processes that run functions on bytes beside the event loop, spoken to over sockets of the loop itself.

No thread stands between the loop and a worker, as one would in `concurrent.futures`: a thread that hands over a
megabyte holds the interpreter's lock, and every client waits for it.
"""

from __future__ import annotations

import asyncio
import os
import pickle
import socket
import subprocess
import sys
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, cast

from proxy.errors import ShadowreadError
from proxy.tasks import TaskGroup
from proxy.verify.worker import LENGTH

AT_ONCE = 2
"""Calls that a worker is sent before it has answered the first: the next one is there when it has."""
GRACE = 5.0
"""Seconds over its limit that a call may take before the worker is killed: code in C does not hear the alarm, and a
first call may have to import what it calls."""
TRIES = 2
START_SECONDS = 30.0
LARGEST = 1024 * 1024 * 1024
"""Bytes of an answer; a worker that announces more is not ours any more."""


class WorkerDiedError(ShadowreadError):
    """A worker ended while it had the call, and so did the next one."""


class _GoneError(Exception):
    """The call has no worker any more; `had` says whether one had it."""

    def __init__(self, *, had: bool) -> None:
        super().__init__("the worker process ended")
        self.had = had


class Call(NamedTuple):
    """`seconds` as given to the worker; `answer` resolves with the result or the exception."""

    seconds: float
    pieces: list[bytes]
    answer: asyncio.Future[Any]


class Workers:
    """Up to `count` processes, each started when there is work that no other is free for, and again after it died."""

    def __init__(self, count: int, *, grace: float = GRACE) -> None:
        self._count = count
        self._grace = grace
        self._waiting: deque[Call] = deque()
        self._workers: set[Worker] = set()
        self._ending: set[Worker] = set()
        self._starting = 0
        # A task that has just ended still counts for a round of the loop.
        self._tasks = TaskGroup(2 * count)
        self._closed = False

    @property
    def waiting(self) -> int:
        """Calls that no worker has yet."""
        return len(self._waiting)

    async def call(self, seconds: float, function: Callable[..., Any], args: tuple[Any, ...], kwargs: Any) -> Any:
        """`function(*args, **kwargs)` in a worker, tried once more where one dies of it.

        Raises what it raises, WorkTimeoutError after `seconds`, and WorkerDiedError.
        """
        pieces = pickled((seconds, function, args, kwargs))
        tries = 0
        while tries < TRIES:
            if self._closed:
                break
            answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
            self._waiting.append(Call(seconds, pieces, answer))
            self._deal()
            if self._waiting and len(self._workers) + self._starting < self._count:
                self._starting += 1
                self._tasks.start(self._start(), name="start of a comparison worker")
            try:
                return await answer
            except _GoneError as gone:
                tries += gone.had
        raise WorkerDiedError("the worker process ended before it had answered")

    async def close(self) -> None:
        """End all workers; calls under way fail."""
        self._closed = True
        await self._tasks.drain(START_SECONDS)
        workers = list(self._workers)
        for worker in workers:
            worker.close()
        self._give_up()
        for worker in {*workers, *self._ending}:
            await worker.ended.wait()

    def _deal(self) -> None:
        while self._waiting and self._workers:
            worker = min(self._workers, key=_load)
            if len(worker.calls) >= AT_ONCE:
                return
            call = self._waiting.popleft()
            if not call.answer.done():
                worker.send(call)

    def _give_up(self) -> None:
        while self._waiting:
            _settle(self._waiting.popleft(), _GoneError(had=self._closed))

    async def _start(self) -> None:
        try:
            worker = await self._started()
        except BaseException as error:
            for call in self._waiting:
                _settle(call, WorkerDiedError(f"no worker process could be started: {error}"))
            self._waiting.clear()
            raise
        finally:
            self._starting -= 1
        self._workers.add(worker)
        self._deal()

    async def _started(self) -> Worker:
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        try:
            # In a thread: a fork of a large process takes its time.
            process = await asyncio.to_thread(_spawn, theirs.fileno())
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        worker = Worker(process, self._grace, self._deal, self._lost)
        await asyncio.get_running_loop().create_unix_connection(lambda: worker, sock=ours)
        try:
            async with asyncio.timeout(START_SECONDS):
                await worker.ready.wait()
            if worker.leaving:
                raise ShadowreadError("it ended at once")
        except BaseException:
            worker.close()
            await worker.ended.wait()
            raise
        return worker

    def _lost(self, worker: Worker) -> None:
        for place, call in enumerate(worker.calls):
            # It works through them in their order, so that it cannot have died of any but the first.
            _settle(call, _GoneError(had=not place))
        self._ending = {other for other in (*self._ending, worker) if not other.ended.is_set()}
        if worker in self._workers:
            self._workers.discard(worker)
            if not self._workers:
                self._give_up()


class Worker(asyncio.Protocol):
    """One process. `calls` are those that it was sent and has not answered, in their order."""

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        grace: float,
        free: Callable[[], None],
        lost: Callable[[Worker], None],
    ) -> None:
        self._process = process
        self._grace = grace
        self._free = free
        self._lost = lost
        self._transport: asyncio.WriteTransport
        self._buffer = bytearray()
        self._watchdog: asyncio.TimerHandle | None = None
        self._tasks = TaskGroup(1)
        self.calls: deque[Call] = deque()
        self.leaving = False
        self.ready = asyncio.Event()
        """It has started, or will not any more (then it is `leaving`)."""
        self.ended = asyncio.Event()

    def send(self, call: Call) -> None:
        self.calls.append(call)
        self._transport.writelines(call.pieces)
        if len(self.calls) == 1:
            self._watch()

    def close(self) -> None:
        """End the process by the end of its input; one that does not mind is killed."""
        self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.WriteTransport, transport)
        # What is sent waits here, not in the memory of a peer; it is bounded by who calls.
        self._transport.set_write_buffer_limits(high=2**31 - 1)  # as much as uvloop can take

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while len(self._buffer) >= LENGTH.size:
            end = LENGTH.size + LENGTH.unpack_from(self._buffer)[0]
            if end == LENGTH.size and not self.ready.is_set():
                del self._buffer[:end]
                self.ready.set()
                continue
            if end > LARGEST or not self.calls:
                self._transport.abort()
                return
            if len(self._buffer) < end:
                return
            message = bytes(memoryview(self._buffer)[LENGTH.size : end])
            del self._buffer[:end]
            call = self.calls.popleft()
            self._watch()
            try:
                _settle(call, *_opened(message))
            except Exception as error:  # noqa: BLE001 - an answer that cannot be read is no answer
                _settle(call, WorkerDiedError(f"the worker's answer could not be read: {error}"))
        self._free()

    def connection_lost(self, exc: Exception | None) -> None:
        del exc  # whatever it was, the process is of no use any more
        if self._watchdog is not None:
            self._watchdog.cancel()
        self.leaving = True
        self.ready.set()
        self._lost(self)
        self._tasks.start(self._bury(), name="end of a comparison worker")

    def _watch(self) -> None:
        if self._watchdog is not None:
            self._watchdog.cancel()
            self._watchdog = None
        if self.calls:
            late = self.calls[0].seconds + self._grace
            self._watchdog = asyncio.get_running_loop().call_later(late, self._process.kill)

    async def _bury(self) -> None:
        try:
            self._process.kill()
            await asyncio.to_thread(self._process.wait)
        finally:
            self.ended.set()


def pickled(message: object) -> list[bytes]:
    """A message in pieces. Long bytes in it are pieces of their own: they are not copied."""
    into = _Pieces()
    pickle.Pickler(into, protocol=pickle.HIGHEST_PROTOCOL).dump(message)
    return [LENGTH.pack(sum(map(len, into.pieces))), *into.pieces]


class _Pieces:
    """A file that keeps what is written to it as it is."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []

    def write(self, piece: bytes) -> int:
        self.pieces.append(piece)
        return len(piece)


def _opened(message: bytes) -> tuple[BaseException | None, Any]:
    # From the process that we have started, over a socket that nobody else has.
    good, said = pickle.loads(message)  # noqa: S301
    return (None, said) if good else (said, None)


def _settle(call: Call, error: BaseException | None, result: Any = None) -> None:
    if call.answer.done():
        return
    if error is not None:
        call.answer.set_exception(error)
    else:
        call.answer.set_result(result)


def _load(worker: Worker) -> int:
    return len(worker.calls)


def _spawn(descriptor: int) -> subprocess.Popen[bytes]:
    # The same modules from the same places, whatever the working directory.
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(place or str(Path.cwd()) for place in sys.path)}
    # Imported, not run as the main module, so that what it raises is known by the same name here.
    command = [sys.executable, "-c", "from proxy.verify.worker import main; main()", str(descriptor)]
    # Our own interpreter and module.
    return subprocess.Popen(command, pass_fds=(descriptor,), stdin=subprocess.DEVNULL, env=environment)  # noqa: S603
