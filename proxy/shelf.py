"""Open things that configurations share: what the next one asks for in the same way goes on, the rest is closed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any, TypeVar

T = TypeVar("T")

Make = Callable[[AsyncExitStack], Awaitable[T]]
"""Opens a thing, and leaves to the stack how it is closed."""


@dataclass(slots=True)
class _Held:
    thing: Any
    closing: AsyncExitStack
    takers: int = 0


class Shelf:
    """What is open, by a key that tells all that it was made from. Takes of one key must not overlap in time."""

    def __init__(self) -> None:
        self._held: dict[Hashable, _Held] = {}

    def __len__(self) -> int:
        return len(self._held)

    async def take(self, key: Hashable, make: Make[T], stack: AsyncExitStack) -> T:
        """The thing under `key`, opened by `make` where there is none; `stack` gives it back.

        It is closed when the last one gives it back. Raises what `make` does, and holds nothing then.
        """
        held = self._held.get(key)
        if held is None:
            async with AsyncExitStack() as closing:
                thing = await make(closing)
                held = self._held[key] = _Held(thing, closing.pop_all())
        held.takers += 1
        stack.push_async_callback(self._give_back, key, held)
        made: T = held.thing
        return made

    async def _give_back(self, key: Hashable, held: _Held) -> None:
        held.takers -= 1
        if held.takers:
            return
        # First of all: whoever asks from now on must not be given what is being closed.
        del self._held[key]
        await held.closing.aclose()
