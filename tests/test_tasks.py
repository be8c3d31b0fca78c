"""Background tasks: all of them get to what they do at their end."""

from __future__ import annotations

import asyncio

from proxy.tasks import TaskGroup


async def test_a_task_that_was_only_just_started_gets_to_its_end_when_all_are_cancelled() -> None:
    group, ended = TaskGroup(10), list[str]()

    async def work(name: str) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(name)

    loop = asyncio.get_running_loop()
    group.start(work("first"), name="first")
    # In the round of the event loop in which the wait is over.
    loop.call_soon(lambda: loop.call_soon(lambda: group.start(work("second"), name="second")))
    assert await group.drain(0) == 2
    assert sorted(ended) == ["first", "second"]
