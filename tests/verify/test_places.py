"""Places for reads: taken at once or waited for, and never lost."""

from __future__ import annotations

import asyncio

from proxy.verify.places import Places


async def test_places_are_taken_at_once_while_there_are_any() -> None:
    places = Places(2)
    assert [places.take() for _ in range(3)] == [True, True, False]
    places.give()
    assert places.take()


async def test_who_waits_longest_comes_first_and_before_who_does_not_wait() -> None:
    places, order = Places(1), []

    async def one(name: str) -> None:
        async with places:
            order.append(name)

    assert places.take()
    async with asyncio.TaskGroup() as group:
        for name in "abc":
            group.create_task(one(name))
        await asyncio.sleep(0)
        places.give()
        assert not places.take(), "the place belongs to the one who waits"
    assert order == ["a", "b", "c"]
    assert places.take()


async def test_a_place_that_was_given_to_one_who_has_gone_is_free_again() -> None:
    places = Places(1)
    assert places.take()

    async def wait() -> None:
        async with places:
            raise AssertionError("it was cancelled first")

    waiting = asyncio.create_task(wait())
    gone = asyncio.create_task(wait())
    await asyncio.sleep(0)
    gone.cancel()
    places.give()  # to `waiting`, which is cancelled before it runs
    waiting.cancel()
    await asyncio.gather(waiting, gone, return_exceptions=True)
    assert places.take()
