"""The nouns that travel between the rooms. All are frozen: what was observed does not change afterwards.

Those that every exchange makes are named tuples: a frozen dataclass takes three times as long to make.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from comparators.model import Difference, Tolerated

Headers = tuple[tuple[bytes, bytes], ...]
"""Header fields in the order and spelling they had on the wire, repeated ones repeated."""


def header(headers: Headers, name: bytes) -> str | None:
    """The first field called `name` (lower case), decoded as latin-1 as HTTP has it; None when absent."""
    size = len(name)
    for key, value in headers:
        if len(key) == size and key.lower() == name:
            return value.decode("latin-1")
    return None


def media_type(headers: Headers) -> str:
    """The media type without its parameters, in lower case (RFC 9110 8.3.1); empty when none is given."""
    return (header(headers, b"content-type") or "").partition(";")[0].strip().lower()


class _Word(StrEnum):
    """A word that is a key on the way of every exchange: an enum's own hash is a function in Python."""

    __hash__ = str.__hash__


class Side(_Word):
    PRIMARY = "primary"
    SHADOW = "shadow"


class Stage(_Word):
    OFF = "off"
    SHADOW = "shadow"


class Verdict(_Word):
    """The one outcome of an exchange. The values are what the ledger, the API and the metrics show."""

    MATCH = "match"
    DIFF = "diff"
    TRANSIENT = "transient"
    UNSTABLE = "unstable"
    SHADOW_ERROR = "shadow_error"
    PRIMARY_ERROR = "primary_error"
    NOT_SAMPLED = "skipped:not_sampled"
    NO_ROOM = "skipped:no_room"
    TOO_LARGE = "skipped:too_large"
    NOT_COMPARABLE = "skipped:not_comparable"
    NOT_MODIFIED = "skipped:not_modified"
    BREAKER_OPEN = "skipped:breaker_open"
    PAUSED = "skipped:paused"
    CANCELLED = "skipped:cancelled"
    LOST = "lost"


COMPARISONS = frozenset({Verdict.MATCH, Verdict.DIFF, Verdict.TRANSIENT, Verdict.UNSTABLE})
FAILURES = frozenset({Verdict.SHADOW_ERROR, Verdict.LOST})
SKIPS = frozenset(verdict for verdict in Verdict if verdict.value.startswith("skipped:"))


class ReadRequest(NamedTuple):
    """What is asked of a side. `target` is the path and query as on the wire, starting with a slash."""

    method: str
    target: str
    headers: Headers
    body: bytes = b""


class Observation(NamedTuple):
    """What one side answered, or why it did not. Either `status` or `error` is set.

    `body` is decoded (no content coding) and complete; None when it was not read or was too large.
    `seconds` is the time from asking to the last byte. `error` is an `UpstreamError` code, or one of
    `too_large`, `coding` (an unknown or broken content coding).
    """

    side: Side
    status: int | None = None
    headers: Headers = ()
    body: bytes | None = None
    error: str | None = None
    detail: str = ""
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Trace:
    """What is kept of one exchange that differed or failed. Already redacted: nothing of it needs hiding again."""

    id: str
    at: datetime
    domain: str
    route: str
    verdict: Verdict
    method: str
    target: str
    request_headers: tuple[tuple[str, str], ...]
    primary_status: int | None
    shadow_status: int | None
    primary_headers: tuple[tuple[str, str], ...]
    shadow_headers: tuple[tuple[str, str], ...]
    primary_body: str | None
    shadow_body: str | None
    primary_seconds: float
    shadow_seconds: float
    differences: tuple[Difference, ...]
    differences_total: int
    settling: tuple[str, ...] = ()
    detail: str = ""
    known_gap: bool = False
    trace_id: str = ""
    """The id of the distributed trace that the exchange was part of: 32 hex digits (W3C), empty without one."""


class Ended(NamedTuple):
    """How one exchange ended, for those who look on. `trace` is the id of the kept trace, `trace_id` as in `Trace`."""

    at: datetime
    domain: str
    route: str
    verdict: Verdict
    trace: str | None = None
    differences: int = 0
    primary_seconds: float | None = None
    shadow_seconds: float | None = None
    trace_id: str = ""


class Outcome(NamedTuple):
    """One verdict with all that the ledger is to keep of it. `trace` only where there is something to inspect.

    `entity` is the id of the one thing that was read, where the route names one, and `entity_kind` what it is in the id
    map (empty where nobody says); distinct ones are counted. `known_gap`: a diff that a recorded gap explains.
    """

    domain: str
    route: str
    verdict: Verdict
    at: datetime
    differences: tuple[Difference, ...] = ()
    tolerated: tuple[Tolerated, ...] = ()
    trace: Trace | None = None
    primary_seconds: float | None = None
    shadow_seconds: float | None = None
    entity: str | None = None
    entity_kind: str = ""
    known_gap: bool = False
