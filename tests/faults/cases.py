"""The table of faults: what each may do to the clients and to the verdicts, and how soon all is normal again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from proxy.model import Verdict
from tests.faults import scenes
from tests.faults.faultproxy import Fault
from tests.faults.files import DiskFault, FileFault
from tests.faults.timing import Timing

AnyFault: TypeAlias = Fault | FileFault | DiskFault
MATCH, FAILED, OPEN = Verdict.MATCH, Verdict.SHADOW_ERROR, Verdict.BREAKER_OPEN
PRIMARY = Verdict.PRIMARY_ERROR


@dataclass(frozen=True)
class Expected:
    """What may be seen while the fault lasts, and what must be seen, so that it is known to have struck.

    `statuses` are what clients may get; 200 is the very bytes of a time without the fault.
    """

    statuses: frozenset[int]
    verdicts: frozenset[Verdict]
    must: frozenset[Verdict] = frozenset()
    unrecorded: bool = False
    """Whether the ledger must say at some time that it is not being written."""
    forgets: bool = False
    """Whether what was recorded before is gone with the fault."""
    held: bool = False
    """Whether clients wait until it is over."""


Faults: TypeAlias = Mapping[AnyFault, Expected]


@dataclass(frozen=True)
class Part:
    """One part of the proxy's surroundings and what can befall it. `limit` is the seconds to normal at most."""

    name: str
    make: scenes.Maker
    faults: Faults
    limit: Callable[[Timing], float]
    serves: bool = False
    """Whether it is the primary, so that a fault of it is one of its clients'."""
    longer: float = 1.0
    """How many times as long as elsewhere its faults must last to show."""
    root: bool = False
    """Whether only root can make it."""


def primary(*statuses: int, slow: bool = False) -> Expected:
    verdicts = {PRIMARY, MATCH} if 200 in statuses else {PRIMARY}
    return Expected(frozenset(statuses), frozenset(verdicts), frozenset() if slow else frozenset({PRIMARY}))


def shadow(*more: Verdict, must: bool = True) -> Expected:
    return Expected(frozenset({200}), frozenset({FAILED, OPEN, *more}), frozenset({FAILED} if must else ()))


def kept(*, unrecorded: bool = True, forgets: bool = False, held: bool = False) -> Expected:
    """Of the ledger: nothing is seen but that it is not being written."""
    return Expected(frozenset({200}), frozenset({MATCH}), frozenset({MATCH}), unrecorded, forgets, held)


OF_PRIMARY: Faults = {
    Fault.REFUSED: primary(502),
    Fault.RESET: primary(502),
    Fault.HANGING: primary(504, 200),
    Fault.SLOW: primary(200, slow=True),
    Fault.GARBAGE: primary(502),
    Fault.FLAPPING: primary(200, 502),
    Fault.AWAY: primary(504, 502),
}
"""Hanging ends in an answer for those that waited when it ended, within their time."""
OF_PRIMARY_STORE: Faults = {
    **OF_PRIMARY,
    Fault.REFUSED: primary(502, 504),
    Fault.RESET: primary(502, 504),
    Fault.HANGING: primary(502, 504, 200),
    Fault.SLOW: primary(200, 502, 504, slow=True),
    Fault.GARBAGE: primary(200, 502, 504),
    Fault.FLAPPING: primary(200, 502, 504, slow=True),
    Fault.AWAY: primary(200, 502, 504),
}
"""A read waits a second for a server that is away, in case that it comes back, and asks again on a new connection: then
it may end at its time before it is refused, or in an answer."""
OF_SHADOW: Faults = {
    Fault.REFUSED: shadow(),
    Fault.RESET: shadow(),
    Fault.HANGING: shadow(MATCH),
    Fault.SLOW: shadow(MATCH, must=False),
    Fault.GARBAGE: shadow(MATCH),
    Fault.FLAPPING: shadow(MATCH, must=False),
    Fault.AWAY: shadow(MATCH),
}
"""Hanging and away end in a match for those that waited when it ended, within their time. So may garbage: what seems to
be the beginning of a long message is waited for."""
OF_SHADOW_MONGO: Faults = {
    **OF_SHADOW,
    Fault.REFUSED: shadow(MATCH),
    Fault.RESET: shadow(MATCH),
}
"""A read waits a second for a server that is away, in case that it comes back."""
OF_LEDGER: Faults = {fault: kept(unrecorded=fault not in (Fault.SLOW, Fault.FLAPPING)) for fault in Fault}


def _now(timing: Timing) -> float:
    return timing.primary_timeout + timing.room


def _breaker(timing: Timing) -> float:
    return timing.shadow_timeout + timing.breaker + timing.room


def _identity(timing: Timing) -> float:
    return 2.0 + 0.25 + timing.room  # `Limits.timeout` and `Limits.hold_off` of the id map


def _ledger(timing: Timing) -> float:
    return timing.ledger_retry + timing.room


PARTS = (
    Part("primary: a backend", scenes.primary_backend, OF_PRIMARY, _now, serves=True),
    Part("primary: MongoDB", scenes.primary_in_mongo, OF_PRIMARY_STORE, _now, serves=True),
    Part("shadow: a twin", scenes.twin, OF_SHADOW, _breaker),
    Part("shadow: Postgres", scenes.shadow_in_postgres, OF_SHADOW, _breaker),
    Part("shadow: MongoDB", scenes.shadow_in_mongo, OF_SHADOW_MONGO, _breaker),
    Part("id map in Postgres", scenes.id_map, OF_SHADOW, _identity, longer=2.0),
    Part("ledger in Postgres", scenes.ledger_in_postgres, OF_LEDGER, _ledger, longer=2.0),
    Part(
        "ledger in a file",
        scenes.ledger_in_file,
        {
            FileFault.HANGING: kept(),
            FileFault.FLAPPING: kept(unrecorded=False),
            FileFault.GARBAGE: kept(unrecorded=False),
            FileFault.RESET: kept(forgets=True),
        },
        _ledger,
    ),
    Part(
        "disk of the ledger",
        scenes.ledger_on_small_disk,
        {
            DiskFault.FULL: kept(),
            DiskFault.FLAPPING: kept(unrecorded=False),
            # The journal is a mapped page of this disk, so that a count outlives a kill; a disk that takes no write at
            # all holds whoever stores to such a page, and that is the event loop.
            DiskFault.HANGING: kept(unrecorded=False, held=True),
        },
        _ledger,
        root=True,
    ),
)
