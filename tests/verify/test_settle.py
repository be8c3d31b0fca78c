"""Settling reads again on schedule, stops when equal, and remembers what the last readable pair was."""

from __future__ import annotations

from comparators.model import Comparison, Difference, Kind
from proxy.model import Observation, Side, Verdict
from proxy.verify.judge import settled
from proxy.verify.settle import Pair, Settling, settle


def seen(side: Side, body: bytes, status: int = 200) -> Observation:
    return Observation(side, status, (), body)


async def by_bytes(left: Observation, right: Observation) -> Comparison:
    if left.body == right.body:
        return Comparison()
    return Comparison((Difference("$", Kind.VALUE_CHANGED, None, None),), (), 1)


async def run(*reads: tuple[bytes, bytes, int]) -> tuple[Settling, list[float]]:
    waited: list[float] = []
    coming = iter(reads)

    async def sleep(seconds: float) -> None:
        waited.append(seconds)

    async def read() -> tuple[Observation, Observation]:
        primary, shadow, status = next(coming)
        return seen(Side.PRIMARY, primary), seen(Side.SHADOW, shadow, status)

    first = Pair(seen(Side.PRIMARY, b"p0"), seen(Side.SHADOW, b"s0"), Comparison((), (), 1))
    return await settle(first, (1, 2, 4), read=read, compare=by_bytes, drift=by_bytes, sleep=sleep), waited


async def test_equal_on_the_second_reading_ends_it() -> None:
    result, waited = await run((b"p0", b"s0", 200), (b"x", b"x", 200))
    assert settled(result.attempts) is Verdict.TRANSIENT
    assert waited == [1, 2]


async def test_still_different_shows_the_last_pair() -> None:
    result, waited = await run((b"p0", b"s0", 200), (b"p0", b"s0", 200), (b"p0", b"s2", 200))
    assert settled(result.attempts) is Verdict.DIFF
    assert waited == [1, 2, 4]
    assert result.last.shadow.body == b"s2"


async def test_a_primary_that_never_agrees_with_itself_is_unstable() -> None:
    result, _ = await run((b"p1", b"s1", 200), (b"p2", b"s2", 200), (b"p3", b"s3", 200))
    assert settled(result.attempts) is Verdict.UNSTABLE


async def test_a_shadow_that_fails_later_does_not_wash_the_difference_away() -> None:
    result, _ = await run((b"p0", b"", 503), (b"p0", b"", 503), (b"p0", b"", 503))
    assert settled(result.attempts) is Verdict.DIFF
    assert result.last.primary.body == b"p0"
    assert "could not be read" in result.attempts[0].text
