"""The other end of `workers`: a process that runs one function after another, as they come over its socket.

`main` takes the socket's descriptor as the first argument of the command. A message is its length (8 bytes, big endian)
and a pickle: a call `(seconds, function, args, kwargs)` one way, `(True, result)` or `(False, exception)` the other; an
empty one says that the worker is ready. Only the parent has the other end of the socket, so that nobody else can send
what is unpickled here.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import socket
import struct
import sys
from collections.abc import Iterator
from types import FrameType

from proxy.errors import ShadowreadError

LENGTH = struct.Struct(">Q")


class WorkTimeoutError(ShadowreadError):
    """A piece of work took longer than it may."""


def serve(connection: socket.socket) -> None:
    """Answer calls until the parent is gone, also when it was killed."""
    with connection, connection.makefile("rb", buffering=1024 * 1024) as calls:
        connection.sendall(LENGTH.pack(0))
        while len(length := calls.read(LENGTH.size)) == LENGTH.size:
            message = calls.read(LENGTH.unpack(length)[0])
            answer = _answer(message)
            del message
            connection.sendall(LENGTH.pack(len(answer)) + answer)


def _answer(message: bytes) -> bytes:
    try:
        seconds, function, args, kwargs = pickle.loads(message)  # noqa: S301 - from the parent
        with _alarm(seconds):
            result = function(*args, **kwargs)
        return pickle.dumps((True, result), protocol=pickle.HIGHEST_PROTOCOL)
    except Exception as error:  # noqa: BLE001 - it is raised where the call was made
        return _failure(error)


def _failure(error: Exception) -> bytes:
    try:
        message = pickle.dumps((False, error), protocol=pickle.HIGHEST_PROTOCOL)
        pickle.loads(message)  # noqa: S301 - an exception that cannot be made again would break the parent's end
    except Exception:  # noqa: BLE001 - whatever it bears that cannot travel
        return pickle.dumps((False, RuntimeError(f"{type(error).__name__}: {error}")), pickle.HIGHEST_PROTOCOL)
    return message


@contextlib.contextmanager
def _alarm(seconds: float) -> Iterator[None]:
    def ring(_signal: int, _frame: FrameType | None) -> None:
        raise WorkTimeoutError(f"took longer than {seconds:g} s")

    signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def main() -> None:
    # Signals are the parent's business; it ends this process by closing the socket.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    with contextlib.suppress(OSError):
        os.nice(5)
    with contextlib.suppress(ConnectionError):
        serve(socket.socket(fileno=int(sys.argv[1])))
