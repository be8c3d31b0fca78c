"""Plays one shape against a running edge while another client has a request under way, and looks at all sides."""

from __future__ import annotations

import asyncio

from tests.edge.hostile.backend import Recording, answer, read_answer
from tests.edge.hostile.shapes import Shape
from tests.edge.support import Setup, until

Address = tuple[str, int]

_HELD = b"GET /held HTTP/1.1\r\nHost: witness\r\n\r\n"
_AFTER = b"GET /after HTTP/1.1\r\nHost: a\r\n\r\n"
_WITNESS = b"GET /witness HTTP/1.1\r\nHost: witness\r\n\r\n"
_LARGE = 3_000


async def play(setup: Setup, primary: Recording, shape: Shape, *, piecewise: bool) -> None:
    """Send the shape, whole or byte by byte, and check everything that it may and may not cause."""
    other, others = await setup.connect()
    try:
        others.write(_HELD)
        await until(lambda: _HELD in primary.requests)
        async with asyncio.timeout(10):
            statuses = await converse(setup.edge.address, shape, piecewise=piecewise)
        primary.held.set()
        # The other client gets its own answers, and the primary's connections are in step.
        others.write(_WITNESS)
        want = answer(b"GET", b"/held") + answer(b"GET", b"/witness")
        assert await other.readexactly(len(want)) == want
    finally:
        primary.held.set()
        others.close()
    mine = tuple(request for request in primary.requests if request not in (_HELD, _WITNESS, _AFTER))
    at_once = mine == () and statuses == (shape.at_once or shape.gets[-1],) and statuses[0] >= 400
    assert (statuses, mine) == (shape.gets, shape.seen) or at_once
    assert primary.unsound == []
    if shape.part and (piecewise or not at_once):
        # What broke off ends its connection, so that nothing else is read as the rest of it.
        await until(lambda: primary.parts)
    assert len(primary.parts) <= 1
    assert all(part.startswith(shape.part) for part in primary.parts)
    assert shape.part or not primary.parts
    # What was opened for verification ended, once, and as what it was.
    await until(lambda: all(tape.closed.is_set() for tape in setup.tapes))
    asked = sum(tape.calls[-1] == ("end",) for tape in setup.tapes)
    assert asked == len(primary.requests)
    assert all(tape.calls[-1] == ("cancelled",) for tape in setup.tapes if tape.calls[-1] != ("end",))


async def converse(edge: Address, shape: Shape, *, piecewise: bool) -> tuple[int, ...]:
    """Send a shape and read what comes, as far as the connection lasts; returns the statuses of all answers."""
    reader, writer = await asyncio.open_connection(*edge)
    sending = asyncio.ensure_future(_send(reader, writer, shape, piecewise=piecewise))
    try:
        statuses: list[int] = []
        head = b""
        while len(statuses) < len(shape.gets) and statuses[-1:] < [400]:
            status, head, _ = await read_answer(reader, head_only=shape.sent.startswith(b"HEAD "))
            statuses.append(status)
            assert status < 400 or b"\r\nContent-Type: application/problem+json\r\n" in head
        await sending
        if shape.kept:
            assert b"\r\nConnection: close\r\n" not in head
            writer.write(_AFTER)
            assert (await read_answer(reader))[2] == answer(b"GET", b"/after").partition(b"\r\n\r\n")[2]
        else:
            assert await _rest(reader) == b""
            assert not head or b"\r\nConnection: close\r\n" in head
        return tuple(statuses)
    finally:
        sending.cancel()
        writer.close()


async def _send(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, shape: Shape, *, piecewise: bool) -> None:
    if not piecewise:
        writer.write(shape.sent)
        return
    step = 1 if len(shape.sent) < _LARGE else 997
    for at in range(0, len(shape.sent), step):
        if reader.at_eof() or writer.is_closing():
            return
        writer.write(shape.sent[at : at + step])
        await asyncio.sleep(0)  # one round of the loop: the edge reads each byte alone


async def _rest(reader: asyncio.StreamReader) -> bytes:
    """What comes until the edge ends the connection, in order or by a reset."""
    try:
        return await reader.read()
    except ConnectionResetError:
        return b""
