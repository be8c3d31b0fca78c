"""Where comparisons run: small ones at once, large ones in a process of their own, so that no client waits for them.

What crosses the process boundary is plain data. The rules cross as the JSON text of their blocks and are compiled once
over there.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from types import FrameType
from typing import Any, ParamSpec, TypeVar

from comparators.compare import compare_responses
from comparators.ids import IdTable, Pairings
from comparators.model import Comparison, Response
from comparators.rules import Rules, compile_rules
from comparators.spelling import tokens
from proxy.model import Observation

P = ParamSpec("P")
T = TypeVar("T")

INLINE_BYTES = 16 * 1024
"""Work on fewer bytes than this is done at once: handing it over would cost more than it saves."""


class WorkTimeoutError(Exception):
    """A piece of work took longer than it may."""


@dataclass(frozen=True, slots=True)
class Job:
    """One comparison. `layers` is the JSON text of the route's `compare:` blocks, farthest first."""

    primary: Response
    shadow: Response
    layers: str
    today: date
    ids: IdTable
    head_only: bool
    max_depth: int
    max_differences: int


def response_of(seen: Observation) -> Response:
    """One side's answer as the comparison sees it."""
    fields = tuple((name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in seen.headers)
    return Response(seen.status or 0, fields, seen.body or b"")


def layers_text(layers: Sequence[Mapping[str, Any]]) -> str:
    """The blocks of a route in the form that crosses to the worker."""
    return json.dumps([dict(layer) for layer in layers], sort_keys=True, default=str)


@lru_cache(maxsize=4096)
def rules_of(layers: str, today: date) -> Rules:
    """The compiled rules of a route on a day. Rules past their `until` stop applying at midnight UTC."""
    return compile_rules(json.loads(layers), today=today)


def compare(job: Job, pairings: Pairings | None = None) -> Comparison:
    return compare_responses(
        job.primary, job.shadow, rules_of(job.layers, job.today), job.ids, head_only=job.head_only,
        pairings=pairings, max_depth=job.max_depth, max_differences=job.max_differences,
    )  # fmt: skip


def tokens_of(texts: Sequence[bytes]) -> set[str]:
    """Every id-like token of several texts."""
    return set().union(*(tokens(text) for text in texts))


class Work:
    """Runs functions on bytes, inline or in one worker process. A worker that dies is replaced once per call."""

    def __init__(self, *, timeout: float) -> None:
        self._timeout = timeout
        self._pool: ProcessPoolExecutor | None = None

    async def run(self, size: int, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """`function(*args)` over about `size` bytes. Raises WorkTimeoutError, and whatever the function raises."""
        if size <= INLINE_BYTES:
            return function(*args, **kwargs)
        return await self.apart(function, *args, **kwargs)

    async def apart(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """`function(*args)` in the worker, however little there is to do. Raises as `run` does."""
        for last in (False, True):
            pool = self._pool = self._pool or self._new()
            try:
                call = pool.submit(_bounded, self._timeout, function, args, kwargs)
                return await asyncio.wrap_future(call)
            except BrokenProcessPool:
                if self._pool is pool:
                    self._pool = None
                    pool.shutdown(wait=False)
                if last:
                    raise
        raise AssertionError("unreachable")

    async def start(self) -> None:
        """Start the worker before there is traffic: a first start costs some hundred milliseconds."""
        await self.apart(os.getpid)

    def close(self) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
            self._pool = None

    def _new(self) -> ProcessPoolExecutor:
        # `spawn`: a fork of a process with threads and an event loop inherits both in an unknown state.
        context = multiprocessing.get_context("spawn")
        return ProcessPoolExecutor(1, mp_context=context, initializer=_prepare)


def _prepare() -> None:
    """In the worker: leave signals to the parent and end when it ends, also when it was killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with contextlib.suppress(AttributeError, OSError):
        os.nice(5)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(0)


def _bounded(seconds: float, function: Callable[..., T], args: tuple[Any, ...], kwargs: dict[str, Any]) -> T:
    with _alarm(seconds):
        return function(*args, **kwargs)


@contextlib.contextmanager
def _alarm(seconds: float) -> Iterator[None]:
    def ring(_signal: int, _frame: FrameType | None) -> None:
        raise WorkTimeoutError(f"took longer than {seconds:g} s")

    signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
