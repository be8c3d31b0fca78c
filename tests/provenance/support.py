"""What the tests of provenance share: a clock that is moved by sleeping, and a shadow that is what a test wants."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta

from proxy.model import Observation, ReadRequest, Side

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def get(target: str) -> ReadRequest:
    return ReadRequest("GET", target, ((b"Authorization", b"Bearer x"),))


def answered(status: int = 200, body: bytes = b"{}") -> Observation:
    return Observation(Side.SHADOW, status, ((b"Content-Type", b"application/json"),), body)


class Clock:
    """Seconds that pass only while somebody sleeps."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.slept: list[float] = []

    def monotonic(self) -> float:
        return self.seconds

    def now(self) -> datetime:
        return START + timedelta(seconds=self.seconds)

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.seconds += seconds


class Shadow:
    """The `Reads` of one domain: `answer` is asked for every read; who was paused is written down."""

    def __init__(
        self, answer: Callable[[ReadRequest], Awaitable[Observation]], requests: Sequence[ReadRequest] = ()
    ) -> None:
        self._answer = answer
        self._requests = tuple(requests)
        self.read: list[ReadRequest] = []
        self.paused: set[str] = set()
        self.pauses = 0
        self.settling: dict[str, int] = {}

    def pause(self, domain: str) -> None:
        self.paused.add(domain)
        self.pauses += 1

    def resume(self, domain: str) -> None:
        self.paused.discard(domain)

    def busy(self, domain: str) -> int:
        return self.settling.get(domain, 0)

    def recent(self, domain: str) -> Sequence[ReadRequest]:
        del domain
        return self._requests

    async def shadow_read(self, domain: str, request: ReadRequest) -> Observation:
        del domain
        self.read.append(request)
        return await self._answer(request)
