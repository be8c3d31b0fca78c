"""A TCP proxy that does to a real server's connections what networks and dying machines do to them."""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import struct
from enum import StrEnum
from types import TracebackType
from typing import Self

from proxy.demo.servers import LOOPBACK
from proxy.tasks import TaskGroup

PIECE = 65_536
RESET = struct.pack("ii", 1, 0)
"""SO_LINGER on, zero seconds: closing sends a reset at once."""
TURN = 0.2
"""Seconds, on average, between two changes of a server that flaps."""


class Fault(StrEnum):
    """What befalls a server."""

    REFUSED = "refused"
    RESET = "reset"
    HANGING = "hanging"
    SLOW = "slow"
    GARBAGE = "garbage"
    FLAPPING = "flapping"
    AWAY = "away"


class FaultProxy:
    """Listens on a port of its own in front of the server at 127.0.0.1:`to`; without a fault it only passes bytes on.

    - refused: nobody listens, and what was open is reset;
    - reset: connections are taken, and reset as soon as they say something;
    - hanging: connections are taken and no byte moves; when it ends, what was held goes on;
    - slow: each piece of an answer comes `delay` seconds late;
    - garbage: every byte of an answer is a random one;
    - flapping: in turn refused and well, for about `TURN` seconds each;
    - away: packets are answered by nobody while the server is gone, then it is started anew: for its connections that
      is hanging, then a reset of all of them.
    """

    def __init__(self, to: int, *, delay: float, seed: int = 1) -> None:
        self._to = to
        self._delay = delay
        self._chance = random.Random(seed)
        self._fault: Fault | None = None
        self._moving = asyncio.Event()
        self._moving.set()
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._turns = TaskGroup(1)
        self._handled = 0
        self._quiet = asyncio.Event()
        # Bound for good and never listening: while nobody listens, no other process gets the port.
        self._held = socket.socket()
        self._held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        self._held.bind((LOOPBACK, 0))
        self.port: int = self._held.getsockname()[1]

    async def __aenter__(self) -> Self:
        await self._listen()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.end()
        await self._refuse()
        if self._handled:
            self._quiet.clear()
            await self._quiet.wait()
        self._held.close()

    async def begin(self, fault: Fault) -> None:
        """Let `fault` befall the server until `end`."""
        self._fault = fault
        match fault:
            case Fault.REFUSED:
                await self._refuse()
            case Fault.RESET:
                self._reset_all()
            case Fault.HANGING | Fault.AWAY:
                self._moving.clear()
            case Fault.FLAPPING:
                self._turns.start(self._flap(), name="flapping")
            case Fault.SLOW | Fault.GARBAGE:
                pass

    async def end(self) -> None:
        """The server is well again."""
        fault, self._fault = self._fault, None
        # It is waited for, not cancelled: a server that is just being made would go on listening, known to nobody.
        await self._turns.drain(10 * TURN)
        if fault is Fault.AWAY:
            self._reset_all()
        self._moving.set()
        await self._listen()

    async def _flap(self) -> None:
        while self._fault is Fault.FLAPPING:
            await self._refuse()
            await asyncio.sleep(TURN * (0.5 + self._chance.random()))
            await self._listen()
            await asyncio.sleep(TURN * (0.5 + self._chance.random()))

    async def _listen(self) -> None:
        if self._server is None:
            self._server = await asyncio.start_server(
                self._accept, LOOPBACK, self.port, reuse_port=True, reuse_address=False
            )

    async def _refuse(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            server.close()
        self._reset_all()

    def _reset_all(self) -> None:
        for writer in list(self._writers):
            _reset(writer)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._handled += 1
        self._writers.add(writer)
        back: asyncio.StreamWriter | None = None
        with contextlib.suppress(OSError):
            answers, back = await asyncio.open_connection(LOOPBACK, self._to)
            self._writers.add(back)
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pump(reader, back, answers=False))
                group.create_task(self._pump(answers, writer, answers=True))
        for one in (writer, back):
            if one is not None:
                one.close()
                self._writers.discard(one)
        self._handled -= 1
        if not self._handled:
            self._quiet.set()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, answers: bool) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(PIECE):
                if self._fault is Fault.RESET:
                    self._reset_all()
                await self._moving.wait()
                if answers and self._fault is Fault.SLOW:
                    await asyncio.sleep(self._delay)
                if answers and self._fault is Fault.GARBAGE:
                    data = self._chance.randbytes(len(data))
                writer.write(data)
                await writer.drain()
        writer.close()


def _reset(writer: asyncio.StreamWriter) -> None:
    held = writer.get_extra_info("socket")
    with contextlib.suppress(OSError):
        held.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    writer.transport.abort()
