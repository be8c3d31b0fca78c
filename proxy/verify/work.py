"""Where comparisons run: small ones at once, large ones in a process of their own, so that no client waits for them.

What crosses the process boundary is plain data. The rules cross as the JSON text of their blocks and are compiled once
over there.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Any, ParamSpec, TypeVar

from comparators.compare import compare_responses
from comparators.ids import IdTable, Pairings
from comparators.model import Comparison, Response
from comparators.rules import Rules, compile_rules
from comparators.spelling import tokens
from proxy.model import Observation
from proxy.verify.worker import WorkTimeoutError
from proxy.verify.workers import GRACE, WorkerDiedError, Workers

__all__ = [
    "Job",
    "Work",
    "WorkTimeoutError",
    "WorkerDiedError",
    "compare",
    "layers_text",
    "response_of",
    "rules_of",
    "tokens_of",
]

P = ParamSpec("P")
T = TypeVar("T")

INLINE_BYTES = 32 * 1024
"""Work on fewer bytes than this is done at once: handing it over would cost more than it saves. A pair of bodies counts
with both; comparing one of this size that is equal takes a tenth of a millisecond."""


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
    """Runs functions on bytes, inline or in one of `processes` workers; each call may take `timeout` seconds there.

    A worker that does not stop by itself then is killed `grace` seconds later.
    """

    def __init__(self, *, timeout: float, processes: int = 1, grace: float = GRACE) -> None:
        self._timeout = timeout
        self._workers = Workers(processes, grace=grace)

    @property
    def waiting(self) -> int:
        """Calls that no worker has yet."""
        return self._workers.waiting

    async def run(self, size: int, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """`function(*args)` over about `size` bytes. Raises as `apart` does."""
        if size <= INLINE_BYTES:
            return function(*args, **kwargs)
        return await self.apart(function, *args, **kwargs)

    async def apart(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """`function(*args)` in a worker, however little there is to do. It is named, not sent: a function of a module.

        Raises WorkTimeoutError, WorkerDiedError, and whatever the function raises.
        """
        result: T = await self._workers.call(self._timeout, function, args, kwargs)
        return result

    async def start(self) -> None:
        """Start a worker before there is traffic: a first start costs some hundred milliseconds."""
        await self.apart(os.getpid)

    async def close(self) -> None:
        await self._workers.close()
