"""The one place that creates background tasks: they are held, bounded, and what is refused is counted."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

log = logging.getLogger(__name__)


class TaskGroup:
    """Holds background tasks until they end. An exception in one is logged, never lost and never spread."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.refused = 0
        self._tasks: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        return len(self._tasks)

    def start(self, work: Coroutine[Any, Any, None], *, name: str) -> asyncio.Task[None] | None:
        """Start `work`, or close it and return None when the limit is reached."""
        if len(self._tasks) >= self.limit:
            self.refused += 1
            work.close()
            return None
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("background task %s failed", task.get_name(), exc_info=error)

    async def drain(self, seconds: float) -> int:
        """Wait up to `seconds` for all to end, then cancel the rest; returns how many were cancelled."""
        if self._tasks:
            await asyncio.wait(set(self._tasks), timeout=seconds)
            # Cancelled before its first step a task does nothing, not even what it would do at its end.
            await asyncio.sleep(0)
        rest = set(self._tasks)
        for task in rest:
            task.cancel()
        if rest:
            await asyncio.wait(rest, timeout=5)
        return len(rest)
