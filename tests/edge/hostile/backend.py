"""A primary that reads requests as strictly as RFC 9112 allows and writes down every byte, and a reader of answers."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass, field

_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_LINE = re.compile(rb"(" + _TOKEN + rb") ([\x21-\x7e]+) HTTP/1\.1")
_FIELD = re.compile(rb"(" + _TOKEN + rb"): ?([\t\x20-\x7e\x80-\xff]*)")
_SIZE = re.compile(rb"[0-9a-f]{1,8}")


class UnsoundError(Exception):
    """The edge sent what a strict server must refuse."""


@dataclass(slots=True)
class Recording:
    """What a primary was sent. `held` is waited for before an answer to `/held` goes out.

    `requests` are the whole ones in the order in which they ended, byte for byte but for the borders of their chunks,
    which no proxy keeps: all chunks of a body stand as one. `parts` what stood behind the last whole request
    of each connection when it ended; `unsound` what no strict server would take.
    """

    requests: list[bytes] = field(default_factory=list)
    parts: list[bytes] = field(default_factory=list)
    unsound: list[str] = field(default_factory=list)
    connections: int = 0
    open: int = 0
    held: asyncio.Event = field(default_factory=asyncio.Event)

    async def script(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection; every answer names the request that it belongs to."""
        self.connections += 1
        self.open += 1
        pending = bytearray()
        try:
            while True:
                pending.clear()
                method, target, size = await _request(reader, pending)
                self.requests.append(_joined(bytes(pending)))
                pending.clear()
                if target == b"/held":
                    await self.held.wait()
                writer.write(answer(method, target, size))
                await writer.drain()
        except UnsoundError as error:
            self.unsound.append(f"{error}: {bytes(pending)!r}")
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            pending += getattr(error, "partial", b"")
        finally:
            if pending:
                self.parts.append(bytes(pending))
            self.open -= 1


def answer(method: bytes, target: bytes, size: int = 0) -> bytes:
    """What the recording backend answers to a request with a body of `size` bytes."""
    body = b'{"asked": "%b %b", "body": %d}' % (method, target, size)
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
    return head if method == b"HEAD" else head + body


async def _request(reader: asyncio.StreamReader, pending: bytearray) -> tuple[bytes, bytes, int]:
    head = await _until(reader, pending, b"\r\n\r\n")
    lines = head[:-4].split(b"\r\n")
    line = _LINE.fullmatch(lines[0])
    if line is None:
        raise UnsoundError("request line")
    named: dict[bytes, list[bytes]] = {}
    for text in lines[1:]:
        matched = _FIELD.fullmatch(text)
        if matched is None:
            raise UnsoundError("field line")
        named.setdefault(matched[1].lower(), []).append(matched[2])
    lengths, codings = named.get(b"content-length", []), named.get(b"transfer-encoding", [])
    if len(named.get(b"host", [])) != 1:
        raise UnsoundError("not one Host")
    if len(lengths) + len(codings) > 1:
        raise UnsoundError("framed twice")
    if codings:
        if codings != [b"chunked"]:
            raise UnsoundError("transfer coding")
        return line[1], line[2], await _chunks(reader, pending)
    if not lengths:
        return line[1], line[2], 0
    if not lengths[0].isdigit() or len(lengths[0]) > 19:
        raise UnsoundError("length")
    size = int(lengths[0])
    left = size
    while left:
        piece = await reader.read(min(left, 65536))
        if not piece:
            raise asyncio.IncompleteReadError(b"", left)
        pending += piece
        left -= len(piece)
    return line[1], line[2], size


async def _chunks(reader: asyncio.StreamReader, pending: bytearray) -> int:
    whole = 0
    while True:
        text = (await _until(reader, pending, b"\r\n"))[:-2]
        if not _SIZE.fullmatch(text):
            raise UnsoundError("chunk size")
        size = int(text, 16)
        if not size:
            if await _exactly(reader, pending, 2) != b"\r\n":
                raise UnsoundError("trailers")
            return whole
        whole += size
        if (await _exactly(reader, pending, size + 2))[-2:] != b"\r\n":
            raise UnsoundError("chunk end")


def _joined(request: bytes) -> bytes:
    head, end, body = request.partition(b"\r\n\r\n")
    if b"\r\ntransfer-encoding: chunked" not in head.lower():
        return request
    pieces = []
    while not body.startswith(b"0"):
        size, _, rest = body.partition(b"\r\n")
        pieces.append(rest[: int(size, 16)])
        body = rest[int(size, 16) + 2 :]
    whole = b"".join(pieces)
    return head + end + (b"%x\r\n%b\r\n" % (len(whole), whole) if whole else b"") + b"0\r\n\r\n"


async def _until(reader: asyncio.StreamReader, pending: bytearray, end: bytes) -> bytes:
    got = await reader.readuntil(end)
    pending += got
    return got


async def _exactly(reader: asyncio.StreamReader, pending: bytearray, size: int) -> bytes:
    got = await reader.readexactly(size)
    pending += got
    return got


async def read_answer(reader: asyncio.StreamReader, *, head_only: bool = False) -> tuple[int, bytes, bytes]:
    """Status, head and body of the next answer that the edge sends (all have a Content-Length here)."""
    head = await reader.readuntil(b"\r\n\r\n")
    found = re.search(rb"\r\nContent-Length: (\d+)\r\n", head)
    size = int(found[1]) if found and not head_only else 0
    return int(head[9:12]), head, await reader.readexactly(size)
