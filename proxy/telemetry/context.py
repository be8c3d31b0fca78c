"""The W3C trace context of a request, read and written by hand: every claimed exchange pays for this. Pure.

https://www.w3.org/TR/trace-context/ (level 2). A malformed or repeated `traceparent` counts as absent.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from proxy.model import Headers

SAMPLED = 1
_FORM = re.compile(rb"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_STATE_LIMIT, _STATE_MEMBERS = 4096, 32
_NAME = rb"[a-z][_0-9a-z\-*/]"
_MEMBER = re.compile(
    rb"(" + _NAME + rb"{0,255}|[a-z0-9][_0-9a-z\-*/]{0,240}@" + _NAME + rb"{0,13})"
    rb"=([\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e])"
)
_NO_TRACE, _NO_SPAN = b"0" * 32, b"0" * 16


class Context(NamedTuple):
    """What the caller said: ids in lower-case hex, flags as a number (bit 0: sampled)."""

    trace_id: str
    span_id: str
    flags: int

    @property
    def sampled(self) -> bool:
        return bool(self.flags & SAMPLED)


def context_of(headers: Headers) -> Context | None:
    """The caller's context; None when there is none that can be used."""
    found: bytes | None = None
    for name, value in headers:
        # The length rules nearly every field out without making a new string of it.
        if len(name) == 11 and name.lower() == b"traceparent":
            if found is not None:
                return None
            found = value
    return None if found is None else parse(found)


def parse(value: bytes) -> Context | None:
    """The value of one `traceparent` field. A later version's is read as far as this one knows it (section 4.3)."""
    match = _FORM.fullmatch(value.strip(b" \t"))
    if match is None:
        return None
    version, trace_id, span_id, flags, rest = match.groups()
    if version == b"ff" or (version == b"00" and rest is not None) or trace_id == _NO_TRACE or span_id == _NO_SPAN:
        return None
    return Context(trace_id.decode(), span_id.decode(), int(flags, 16))


def traceparent(trace_id: int, span_id: int, flags: int) -> bytes:
    """The field's value that makes the span the parent of what the request causes. Flags that nobody knows are 0."""
    return b"00-%032x-%016x-%02x" % (trace_id, span_id, flags & 3)


def state_of(headers: Headers) -> list[tuple[str, str]]:
    """The members of `tracestate`, in order. None of them where one is malformed or repeated, or where they are more
    than anybody has to keep: the SDK would write what it cannot take into the log, as often as a client likes."""
    values = [value for name, value in headers if name.lower() == b"tracestate"]
    if sum(map(len, values)) > _STATE_LIMIT:
        return []
    found: dict[str, str] = {}
    members = [member.strip(b" \t") for value in values for member in value.split(b",")]
    for member in filter(None, members):
        match = _MEMBER.fullmatch(member)
        if match is None or (key := match[1].decode()) in found or len(found) == _STATE_MEMBERS:
            return []
        found[key] = match[2].decode()
    return list(found.items())


def with_traceparent(headers: Headers, value: bytes) -> Headers:
    """`headers` with the context `value` in the place of the caller's.

    `tracestate` stays while the trace is the same one; where it is another, what others kept there is not about it.
    """
    before = context_of(headers)
    same = before is not None and before.trace_id.encode() == value[3:35]
    made: list[tuple[bytes, bytes]] = []
    placed = False
    for field in headers:
        name = field[0].lower()
        if name == b"traceparent":
            if not placed:
                made.append((field[0], value))
                placed = True
        elif same or name != b"tracestate":
            made.append(field)
    if not placed:
        made.append((b"traceparent", value))
    return tuple(made)


def without_context(headers: Headers) -> Headers:
    """`headers` of a request that is not to join the trace it came from."""
    return tuple(field for field in headers if field[0].lower() not in (b"traceparent", b"tracestate"))
