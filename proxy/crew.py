"""What the application asks of processes that serve clients in its place."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from proxy.admin import Part
from proxy.opening import Lasting
from proxy.provenance.reads import Reads
from proxy.settings import Settings
from proxy.verify.remembered import Remembered


class Crew(Protocol):
    """`join` first of all, then `start` once everything else works, and `stop` at the end."""

    @property
    def address(self) -> tuple[str, int]:
        """Host and port that clients are served at."""
        ...

    def join(self, lasting: Lasting, remembered: Callable[[], Remembered | None]) -> None:
        """Count in `lasting` what the others see, and keep requests to be replayed in `remembered`."""
        ...

    async def start(self) -> None:
        """Serve clients. Raises ShadowreadError and OSError; nothing is left running then."""
        ...

    async def stop(self) -> None:
        """Drain clients and verification, and end."""
        ...

    def kill(self) -> None:
        """End the others at once: nothing of this process goes on."""
        ...

    async def reload(self, settings: Settings) -> None:
        """Serve under `settings`, which this process has taken over, and wait for that."""
        ...

    def anew(self) -> None:
        """A day has begun: say to the ledger anew which rules apply."""
        ...

    def reads(self, own: Reads) -> Reads:
        """`own` with the pauses, exchanges and requests of the others."""
        ...

    def parts(self) -> Mapping[str, Part]:
        """What readiness asks of them."""
        ...
