"""Settling: both sides are read again, later and later, before a difference is believed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from comparators.model import Comparison
from proxy.model import Observation
from proxy.verify.judge import Attempt, failure_text, primary_verdict, shadow_failed


@dataclass(frozen=True, slots=True)
class Pair:
    """One reading of both sides with its comparison."""

    primary: Observation
    shadow: Observation
    comparison: Comparison


@dataclass(frozen=True, slots=True)
class Settling:
    """What the re-reads showed: every attempt, and the last pair that could be compared (the first one when none)."""

    attempts: tuple[Attempt, ...]
    last: Pair


async def settle(
    first: Pair,
    waits: Sequence[float],
    *,
    read: Callable[[], Awaitable[tuple[Observation, Observation]]],
    compare: Callable[[Observation, Observation], Awaitable[Comparison]],
    drift: Callable[[Observation, Observation], Awaitable[Comparison]],
    sleep: Callable[[float], Awaitable[None]],
) -> Settling:
    """Read again after each of `waits` (seconds) until the sides are equal.

    `drift` compares the primary with its own answer before.
    """
    attempts: list[Attempt] = []
    last = first
    for wait in waits:
        await sleep(wait)
        primary, shadow = await read()
        if primary_verdict(primary) is not None:
            attempts.append(_unread(wait, primary))
            continue
        if shadow_failed(shadow):
            attempts.append(_unread(wait, shadow))
            continue
        comparison = await compare(primary, shadow)
        if comparison.equal:
            attempts.append(Attempt(comparison, (), f"after {wait:g} s: equal"))
            return Settling(tuple(attempts), last)
        own = await drift(last.primary, primary)
        paths = tuple(difference.path for difference in own.differences)
        changed = f", the primary itself changed at {len(paths)} places" if paths else ""
        attempts.append(Attempt(comparison, paths, f"after {wait:g} s: {comparison.total} differences{changed}"))
        last = Pair(primary, shadow, comparison)
    return Settling(tuple(attempts), last)


def _unread(wait: float, seen: Observation) -> Attempt:
    return Attempt(None, (), f"after {wait:g} s: the {seen.side.value} could not be read ({failure_text(seen)})")
