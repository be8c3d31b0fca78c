"""From what was observed to the one verdict. Pure: nothing here reads, waits or records."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from comparators.model import Comparison
from proxy.model import Headers, Observation, Verdict, media_type

_NOT_MODIFIED = 304
_SWITCHING = 101
_PARTIAL = 206
_SERVER_ERROR = 500


def never_compared(status: int, headers: Headers) -> bool:
    """Whether an answer is of a kind that is not compared, whatever is in it: a part, a stream, another protocol."""
    return status in (_SWITCHING, _PARTIAL) or media_type(headers) == "text/event-stream"


def primary_verdict(primary: Observation) -> Verdict | None:
    """The verdict that the primary's answer alone decides, or None when the shadow can be held to it."""
    if primary.error == "too_large":
        return Verdict.TOO_LARGE
    if primary.error == "no_room":
        return Verdict.NO_ROOM
    if primary.error == "coding":
        return Verdict.NOT_COMPARABLE
    if primary.error is not None or primary.status is None or primary.status >= _SERVER_ERROR:
        return Verdict.PRIMARY_ERROR
    if primary.status == _NOT_MODIFIED:
        return Verdict.NOT_MODIFIED
    if never_compared(primary.status, primary.headers):
        return Verdict.NOT_COMPARABLE
    return None


def shadow_failed(shadow: Observation) -> bool:
    """Whether the shadow's answer is a failure rather than something to compare.

    An answer larger than the limit is one too: the primary's was not, so leaving it out would hide a difference.
    """
    return shadow.error is not None or shadow.status is None or shadow.status >= _SERVER_ERROR


def failure_text(observation: Observation) -> str:
    """Why a side failed, in a line."""
    if observation.error is not None:
        return f"{observation.error}: {observation.detail}" if observation.detail else observation.error
    return f"status {observation.status}"


@dataclass(frozen=True, slots=True)
class Attempt:
    """One re-read of both sides while settling.

    `comparison` holds shadow against primary; None when a side could not be read (`text` says why). `drift` has the
    paths at which the primary differs from its own read before.
    """

    comparison: Comparison | None
    drift: tuple[str, ...]
    text: str


def settled(attempts: Sequence[Attempt]) -> Verdict:
    """The verdict on a first difference after its re-reads, oldest first.

    Equal once: it was in flight (`transient`). Else, when every path that still differs is one at which the primary
    disagreed with itself between its last two reads: `unstable`. Else, also when nothing could be read again: `diff`,
    because a difference that was seen and not refuted stands.
    """
    read = [attempt for attempt in attempts if attempt.comparison is not None]
    if not read:
        return Verdict.DIFF
    if any(attempt.comparison is not None and attempt.comparison.equal for attempt in read):
        return Verdict.TRANSIENT
    last = read[-1]
    if last.comparison is not None and last.comparison.total == len(last.comparison.differences):
        paths = {difference.path for difference in last.comparison.differences}
        if all(_covered(path, last.drift) for path in paths):
            return Verdict.UNSTABLE
    return Verdict.DIFF


def _covered(path: str, drift: Iterable[str]) -> bool:
    """Whether `path` or a place around it is among the paths that drifted."""
    return any(path == other or path.startswith((f"{other}.", f"{other}[")) for other in drift)


def delays(first: float, factor: float, attempts: int, *, known: bool) -> tuple[float, ...]:
    """Seconds to wait before each re-read.

    A difference that belongs to a finding already confirmed is most likely no write in flight: it is read again
    once, at the moment of the last re-read, which decides as much and costs a third.
    """
    each = tuple(first * factor**number for number in range(attempts))
    return (sum(each),) if known and each else each
