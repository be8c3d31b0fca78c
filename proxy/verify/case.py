"""What one claimed exchange carries on its way to a verdict."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, NamedTuple

from comparators.model import Difference, Tolerated
from proxy.ledger import Ticket
from proxy.model import Observation, Verdict
from proxy.readers.serving import Reader
from proxy.verify.breaker import Breaker
from proxy.verify.exchange import Exchange
from proxy.verify.settle import Pair


@dataclass(frozen=True, slots=True)
class RouteFacts:
    """What verification knows of a route. `layers` as in `work.layers_text`.

    `breaker` guards what `shadow` reads from. `translate` says which ids the shadow is asked with, where the client's
    may be the other store's. `entity` is what the id map calls the thing whose id is at `entity_step` of the path.
    """

    sampling: float
    layers: str
    primary: Reader
    shadow: Reader
    breaker: Breaker
    translate: Literal["uuid", "legacy"] | None = None
    entity: str | None = None
    entity_step: str | None = None


@dataclass(frozen=True, slots=True)
class Chance:
    """Clock, randomness and waiting, handed in so that tests decide them. `monotonic` is in seconds."""

    monotonic: Callable[[], float]
    now: Callable[[], datetime]
    draw: Callable[[], float]
    new_id: Callable[[], str]
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep


class Case(NamedTuple):
    """One claimed exchange. `entity` is the id in its path, where there is one.

    `when` as in `Plan`; `both` where no client waits, and both sides are read for verification alone.
    """

    ticket: Ticket
    domain: str
    route: str
    facts: RouteFacts
    entity: str | None
    exchange: Exchange
    when: str


class End(NamedTuple):
    """How a case ended. `pair` is what the verdict rests on; `settling` tells the re-reads, oldest first."""

    verdict: Verdict
    pair: Pair | None = None
    primary: Observation | None = None
    shadow: Observation | None = None
    settling: tuple[str, ...] = ()
    detail: str = ""
    tolerated: tuple[Tolerated, ...] = ()
    known_gap: bool = False


@dataclass(frozen=True, slots=True)
class Asked:
    """What became of a read that was asked for.

    `differences` are the settled ones, redacted as in the trace. `total` counts them before the cap.
    """

    domain: str
    route: str
    verdict: Verdict
    trace_id: str | None
    differences: tuple[Difference, ...]
    total: int
    primary: Observation | None
    detail: str
