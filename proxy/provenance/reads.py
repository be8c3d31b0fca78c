"""What provenance asks of verification: shadow reads made for proof alone, and quiet while they are watched."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from proxy.model import Observation, ReadRequest


class Reads(Protocol):
    """The shadow of every domain, and the live reads of it."""

    def pause(self, domain: str) -> None:
        """Make no live shadow reads of `domain` until `resume`; what comes meanwhile is counted as paused."""

    def resume(self, domain: str) -> None: ...

    def busy(self, domain: str) -> int:
        """How many exchanges of `domain` have no verdict yet: those that settle read the shadow also while paused."""

    def recent(self, domain: str) -> Sequence[ReadRequest]:
        """The last few GETs of `domain` that were compared, newest last, as a client sends them."""

    async def shadow_read(self, domain: str, request: ReadRequest) -> Observation:
        """One read of the shadow that counts nowhere, also while paused. Raises nothing but CancelledError."""
