"""What a client is told that comes when all places are taken."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import cast

from proxy.edge.problem import problem

LINGER = 1.0
"""Seconds in which the client may take the answer: closing at once, behind bytes that nobody reads, would revoke it."""
LINGERING = 256
"""How many may do so at once; those beyond are closed without a word."""


class Full(asyncio.Protocol):
    """One connection too many: 503, then closed. Nothing that it sends is kept. `told` are those still open."""

    def __init__(self, told: set[Full]) -> None:
        self._told = told
        self._end: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        made = cast(asyncio.Transport, transport)  # uvloop's does not inherit from it
        if len(self._told) >= LINGERING:
            made.abort()
            return
        self._told.add(self)
        made.write(problem(HTTPStatus.SERVICE_UNAVAILABLE, "The proxy has no connection left.", close=True))
        made.write_eof()
        self._end = asyncio.get_running_loop().call_later(LINGER, made.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self._told.discard(self)
        if self._end is not None:
            self._end.cancel()
