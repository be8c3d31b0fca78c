"""What a shape of request is, and what must come of it."""

from __future__ import annotations

from dataclasses import dataclass

SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
"""A request hidden where only a confused parser takes it for one."""


@dataclass(frozen=True, slots=True)
class Shape:
    """Bytes of a client, and their outcome.

    `gets` are the statuses of the answers in order, `seen` the whole requests that reach the primary, byte for byte,
    `part` what reaches it of one that never becomes whole. `kept` says that the connection then serves another
    request; otherwise the edge ends it. Bytes that arrive at once and end malformed may be refused as a whole, before
    what stands in front is passed on: `at_once` is the status then, where it is not the last one of `gets`.
    """

    sent: bytes
    gets: tuple[int, ...]
    seen: tuple[bytes, ...] = ()
    part: bytes = b""
    kept: bool = False
    at_once: int = 0


def refused(sent: bytes, status: int = 400) -> Shape:
    """Answered by the edge alone; nothing reaches the primary."""
    return Shape(sent, (status,))


def served(sent: bytes, *seen: bytes, kept: bool = True) -> Shape:
    """Every request of `seen` (without any: `sent` itself) reaches the primary, and is answered in that order."""
    seen = seen or (sent,)
    return Shape(sent, (200,) * len(seen), seen, kept=kept)


def broken(sent: bytes, part: bytes, status: int = 400) -> Shape:
    """The head goes on to the primary, then the body turns out malformed: the primary never sees it end."""
    return Shape(sent, (status,), part=part)


def get(*fields: bytes, target: bytes = b"/", version: bytes = b"HTTP/1.1") -> bytes:
    """A GET with a Host and `fields`."""
    return b"\r\n".join([b"GET " + target + b" " + version, b"Host: a", *fields]) + b"\r\n\r\n"


def post(*fields: bytes, body: bytes = b"") -> bytes:
    """A POST with a Host and `fields`; framing is for the caller to write."""
    return b"\r\n".join([b"POST / HTTP/1.1", b"Host: a", *fields]) + b"\r\n\r\n" + body


def chunked(body: bytes) -> bytes:
    """A POST whose chunked body is written out by the caller."""
    return post(b"Transfer-Encoding: chunked", body=body)
