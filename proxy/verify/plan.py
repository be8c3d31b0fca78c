"""Whether and when an exchange is shadowed. Pure: the request and the room there is go in, the plan comes out."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Literal, NamedTuple

from proxy.model import Headers, Verdict, header

MARK = b"x-shadow-read"
"""Reads made for verification carry this field; a request that arrives with it is passed through unobserved."""

_CONDITIONAL = frozenset({b"if-none-match", b"if-modified-since", b"if-match", b"if-unmodified-since"})

_PARTIAL = frozenset({b"range", b"upgrade"})

_BODIED = frozenset({b"content-length", b"transfer-encoding"})
"""A GET may bear a body (a search, say); without it the other side would be asked something else."""

_LATER = _CONDITIONAL | _BODIED


class Room(NamedTuple):
    """What there is room for at this moment."""

    breaker_open: bool = False
    queue_full: bool = False
    paused: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """`now`: read the shadow beside the primary. `after`: wait for the primary's answer, because a conditional request
    may be answered without a body and a request body has to be whole first. `skip`: the verdict is already known."""

    when: Literal["now", "after", "skip"]
    verdict: Verdict | None = None


NOW = Plan("now")
AFTER = Plan("after")


def plan(method: str, headers: Headers, names: AbstractSet[bytes], *, sampling: float, draw: float, room: Room) -> Plan:
    """The plan for a request on a claimed route. `names` are those of its header fields, in lower case.

    `sampling` is the share to shadow and `draw` a number in [0, 1): it is shadowed when the draw falls under the share.
    What cannot be compared at all is said first, so that the reason given does not depend on chance.
    """
    if not names.isdisjoint(_PARTIAL) or (
        b"accept" in names and "text/event-stream" in (header(headers, b"accept") or "")
    ):
        return Plan("skip", Verdict.NOT_COMPARABLE)
    if draw >= sampling:
        return Plan("skip", Verdict.NOT_SAMPLED)
    if room.paused:
        return Plan("skip", Verdict.PAUSED)
    if room.breaker_open:
        return Plan("skip", Verdict.BREAKER_OPEN)
    if room.queue_full:
        return Plan("skip", Verdict.NO_ROOM)
    if method not in ("GET", "HEAD") or not names.isdisjoint(_LATER):
        return AFTER
    return NOW
