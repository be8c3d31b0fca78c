"""Traces as they lie in the file: JSON, compressed."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec
import zstandard

from comparators.encode import dumps
from comparators.model import Difference, Kind
from proxy.errors import LedgerError
from proxy.ledger.details import clean
from proxy.ledger.moments import to_us
from proxy.ledger.records import TraceSummary
from proxy.model import Trace, Verdict

UNPACKED_BYTES = 256 * 1024 * 1024
TARGET_CHARACTERS = 2_000
_DECODER = msgspec.json.Decoder(float_hook=Decimal)
CUT = "the bodies were not kept: the traces are at their limit of bytes"


@dataclass(frozen=True, slots=True)
class PackedTrace:
    """A trace with its stored form; `small` is the form without bodies, for when the room is short."""

    trace: Trace
    body: bytes
    small: bytes


def pack_all(traces: Iterable[Trace]) -> tuple[PackedTrace, ...]:
    """CPU work of about a millisecond for 100 KB: not for the event loop."""
    # One for all of them: to make one takes longer than to compress a small trace.
    compressor = zstandard.ZstdCompressor()
    return tuple(_packed(trace, compressor) for trace in traces)


def _packed(trace: Trace, compressor: zstandard.ZstdCompressor) -> PackedTrace:
    bare = replace(
        trace,
        primary_body=None,
        shadow_body=None,
        differences=trace.differences[:100],
        detail=f"{trace.detail}; {CUT}" if trace.detail else CUT,
    )
    return PackedTrace(trace, _stored(trace, compressor), _stored(bare, compressor))


def unpack(body: bytes) -> Trace:
    """Raises LedgerError when the stored form is damaged."""
    try:
        raw = zstandard.ZstdDecompressor().decompress(body, max_output_size=UNPACKED_BYTES)
        # Not `comparators.decode`: what that refuses in a body is a string in here.
        found: dict[str, Any] = _parsed(raw)
        return Trace(
            **{
                **found,
                "at": datetime.fromisoformat(found["at"]),
                "verdict": Verdict(found["verdict"]),
                "request_headers": _pairs(found["request_headers"]),
                "primary_headers": _pairs(found["primary_headers"]),
                "shadow_headers": _pairs(found["shadow_headers"]),
                "primary_seconds": float(found["primary_seconds"]),
                "shadow_seconds": float(found["shadow_seconds"]),
                "settling": tuple(found["settling"]),
                "differences": tuple(
                    Difference(one["path"], Kind(one["kind"]), one["primary"], one["shadow"])
                    for one in found["differences"]
                ),
            }
        )
    except (zstandard.ZstdError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise LedgerError(f"a stored trace is damaged ({error}); the others can still be read") from error


def summary(trace: Trace) -> TraceSummary:
    return TraceSummary(
        trace.id,
        trace.at,
        trace.domain,
        trace.route,
        trace.verdict,
        trace.method,
        clean(trace.target[:TARGET_CHARACTERS]),
        trace.primary_status,
        trace.shadow_status,
        trace.differences_total,
        cursor_of(to_us(trace.at), trace.id),
    )


def cursor_of(us: int, trace: str) -> str:
    return f"{us}-{trace}"


def parse_cursor(cursor: str) -> tuple[int, str]:
    """Raises LedgerError for what `cursor_of` did not make."""
    us, _, trace = cursor.partition("-")
    if not us.isascii() or not us.isdigit() or len(us) > 18 or not trace:
        raise LedgerError(f"{cursor[:100]!r} is not a place in the list of traces; use a cursor of the last page")
    return int(us), clean(trace)


def _stored(trace: Trace, compressor: zstandard.ZstdCompressor) -> bytes:
    plain = {
        **{name: getattr(trace, name) for name in trace.__slots__},
        "at": trace.at.isoformat(),
        "differences": [one._asdict() for one in trace.differences],
    }
    return compressor.compress(dumps(plain).encode())


def _parsed(raw: bytes) -> Any:
    try:
        # Two bodies of 5 MB in 15 ms of the loop's time; the standard library takes 40.
        return _DECODER.decode(raw)
    except msgspec.DecodeError:
        # Half of a surrogate pair, say, which is a text like any other here.
        return json.loads(raw, parse_float=Decimal)


def _pairs(found: list[list[str]]) -> tuple[tuple[str, str], ...]:
    return tuple((name, value) for name, value in found)
