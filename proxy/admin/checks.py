"""Whether the proxy can do its work: each part asked for itself, seldom enough that probes cost nothing."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

Check = Callable[[], Awaitable[str | None]]
"""Answers why the part cannot be used, None when it can. May raise; may take long."""

TIMEOUT = 2.0
FRESH = 1.0
"""Seconds that one check may take, and for how long its answer is given again."""


@dataclass(frozen=True, slots=True)
class Part:
    """One thing that is checked. Without a required part the proxy is not ready; others are only reported."""

    check: Check
    required: bool = False


class Readiness:
    """The answers of all parts. Callers at the same moment share one round of checks."""

    def __init__(self, parts: Mapping[str, Part], *, clock: Callable[[], float] = time.monotonic) -> None:
        self._parts = dict(parts)
        self._clock = clock
        self._lock = asyncio.Lock()
        self._at: float | None = None
        self._problems: dict[str, str | None] = {}

    async def problems(self) -> Mapping[str, str | None]:
        """Why each part cannot be used, None where it can."""
        async with self._lock:
            if self._at is None or self._clock() - self._at > FRESH:
                answers = await asyncio.gather(*(_ask(part.check) for part in self._parts.values()))
                self._problems = dict(zip(self._parts, answers, strict=True))
                self._at = self._clock()
            return self._problems

    def ready(self, problems: Mapping[str, str | None]) -> bool:
        return all(problems[name] is None for name, part in self._parts.items() if part.required)


async def _ask(check: Check) -> str | None:
    try:
        async with asyncio.timeout(TIMEOUT):
            return await check()
    except TimeoutError:
        return f"did not answer within {TIMEOUT:g} seconds"
    except Exception as error:  # noqa: BLE001 - a check that breaks is an answer: the part cannot be used
        return str(error) or type(error).__name__


def reaches(url: str) -> Check:
    """A check that opens a TCP connection to the origin `url` and closes it again."""
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)

    async def check() -> str | None:
        try:
            _, writer = await asyncio.open_connection(host, port)
        except OSError as error:
            return f"{parts.scheme}://{host}:{port} cannot be reached: {error.strerror or error}"
        writer.close()
        return None

    return check
