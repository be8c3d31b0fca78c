"""What an HTTP/1.1 request head looks like on the wire. Pure: fields in, bytes out."""

from __future__ import annotations

import re
from collections.abc import MutableSequence

from proxy.errors import UpstreamError
from proxy.model import Headers

CHUNKED = b"chunked"
MAX_FIELDS = 1_000
"""Fields of one response head; more is a fault of the upstream. What reads them costs by the field, not by the byte."""
CRUMB = 16
MAX_CRUMBS = 2_000
"""Chunks of a body read for verification that may be smaller than `CRUMB` bytes on average. Each costs a microsecond on
the loop that clients wait for, however small it is, and megabytes of them would be seconds."""
_SMALL = 4 * 1024
_VERSIONS = frozenset({"1.1", "1.0"})
_REASON = re.compile(rb"[\t\x20-\x7e\x80-\xff]*")


def head_fault(status: int, version: str, reason: bytes, fields: int) -> str | None:
    """Why a response head cannot be taken that the parser took (RFC 9112 section 4, RFC 9110 section 15); else None."""
    if status < 100:
        return f"status {status:03} is none"
    if version not in _VERSIONS:
        return f"the upstream answers in HTTP/{version}"
    if fields > MAX_FIELDS:
        return f"more than {MAX_FIELDS} fields"
    if not _REASON.fullmatch(reason):
        return "a control character in the reason phrase"
    return None


def size_of(fields: Headers) -> int:
    """Bytes that fields take on the wire, white space around values aside."""
    return sum(len(name) + len(value) + 4 for name, value in fields)


def content_length(value: bytes) -> int:
    """The number in a Content-Length field (RFC 9110 8.6: digits only); raises UpstreamError otherwise."""
    digits = value.strip(b" \t")
    if not digits.isdigit() or len(digits) > 19:
        raise UpstreamError("protocol", f"Content-Length {value[:40]!r} is not a number of bytes")
    return int(digits)


def gather(pieces: MutableSequence[bytes], data: bytes) -> None:
    """Put `data` behind `pieces`, small ones into one: each has some forty bytes of its own beside what it holds."""
    if pieces and len(pieces[-1]) + len(data) <= _SMALL:
        pieces[-1] += data
    else:
        pieces.append(data)


def request_head(
    method: str, target: str, headers: Headers, body: bytes | None, *, streamed: bool
) -> tuple[bytes, int | None]:
    """The request head, and the number of body bytes it promises (None: chunked).

    Fields go out in the order and spelling given. Only framing is ours: a Content-Length that tells the
    truth stays where it is, a wrong or missing one is set right, and a streamed body without one is chunked.
    Raises UpstreamError (protocol) for fields that would break out of the head.
    """
    length = None if streamed else len(body) if body is not None else 0
    lines = [f"{method} {target} HTTP/1.1".encode("utf-8", "surrogateescape")]
    framed = False
    for name, value in headers:
        size = len(name)
        if size == 14 and name.lower() == b"content-length":
            if framed:
                raise UpstreamError("protocol", "the request has more than one field that frames its body")
            if streamed:
                length = content_length(value)
            elif body is None and value.strip() != b"0":
                continue
            elif body is not None:
                value = b"%d" % len(body)
            framed = True
        elif size == 17 and name.lower() == b"transfer-encoding":
            if not streamed:
                continue
            if framed:
                raise UpstreamError("protocol", "the request has more than one field that frames its body")
            value = CHUNKED
            framed = True
        lines.append(name + b": " + value)
    if not framed:
        if streamed:
            lines.append(b"Transfer-Encoding: chunked")
        elif body is not None:
            lines.append(b"Content-Length: %d" % len(body))
    count = len(lines)
    lines.append(b"\r\n")
    head = b"\r\n".join(lines)
    if head.count(b"\n") != count + 1 or head.count(b"\r") != count + 1 or b"\0" in head:
        raise UpstreamError("protocol", "the request has a line break or NUL inside its target or a field")
    return head, length
