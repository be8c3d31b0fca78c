"""The two bodies of a trace side by side: small ones are put together at once, large ones in a process of their own."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from comparators.aligned import At
from comparators.ids import IdTable
from proxy.admin.evidence import Evidence
from proxy.admin.tree_work import Listed, Outlined, TreeJob, listed, listed_of_kept, outlined, outlined_and_kept
from proxy.errors import LedgerError, ShadowreadError
from proxy.model import Trace
from proxy.verify.work import INLINE_BYTES, Work, WorkerDiedError, WorkTimeoutError, layers_text, rules_of, tokens_of

if TYPE_CHECKING:
    from proxy.admin.desk import Ids

SECONDS = 10.0
CLOSE_SECONDS = 1.0
MAX_TOKENS = 50_000
"""Ids of one trace that the id map is asked for."""
MAX_KEPT = 8
TOO_LONG = f"putting the two bodies together took longer than {SECONDS:g} s"
DIED = "the process that puts the two bodies together has ended, as when memory runs out"


class Trees:
    """Puts the bodies of traces together. `close` it in the end: it may have a process.

    One large trace is worked on at a time, and the last few are kept there for those who look further into them.
    """

    def __init__(self, evidence: Evidence, ids: Ids | None, now: Callable[[], datetime]) -> None:
        self._evidence = evidence
        self._ids = ids
        self._now = now
        self._work = Work(timeout=SECONDS)
        self._one = asyncio.Semaphore(1)
        self._kept: OrderedDict[str, None] = OrderedDict()

    def look_with(self, evidence: Evidence, ids: Ids | None) -> None:
        """From now on align by the rules of `evidence` and the id map `ids`."""
        self._evidence, self._ids = evidence, ids
        self._kept.clear()

    async def close(self) -> None:
        """What is under way is not waited for: the proxy's clients wait for whoever stops next."""
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._work.close()

    async def outline(
        self, trace: Trace, *, focus: int | None = None, opened: Sequence[tuple[At, int]] = ()
    ) -> Outlined:
        """The differences of a trace with all that leads to them, the rest folded. Raises LedgerError."""
        try:
            job, remark = await self._job(trace)
            if job.size <= INLINE_BYTES:
                found = outlined(job, focus, opened)
            else:
                async with self._one:
                    found = await self._work.apart(outlined_and_kept, trace.id, job, focus, opened)
                    self._keep(trace.id)
        except WorkTimeoutError:
            return Outlined([], TOO_LONG)
        except WorkerDiedError:
            return Outlined([], DIED)
        return replace(found, remarks=(*remark, *found.remarks))

    async def children(
        self, id_: str, place: str, *, by_path: bool, offset: int, end: int | None, limit: int
    ) -> Listed:
        """What stands at one place of a trace, given by its address or by its path.

        Raises UnknownNameError for a trace that is not kept, NoPlaceError for a place that is not there, LedgerError,
        WorkTimeoutError and WorkerDiedError.
        """
        asked = place, by_path, offset, end, limit
        if id_ in self._kept:
            found = await self._work.apart(listed_of_kept, id_, *asked)
            if found is not None:
                return found
        trace = await self._evidence.trace(id_)
        job, _ = await self._job(trace)
        if job.size <= INLINE_BYTES:
            return listed(job, *asked)
        async with self._one:
            await self._work.apart(outlined_and_kept, id_, job, None, ())
            self._keep(id_)
            found = await self._work.apart(listed_of_kept, id_, *asked)
        return found if found is not None else await self._work.apart(listed, job, *asked)

    def _keep(self, id_: str) -> None:
        self._kept[id_] = None
        self._kept.move_to_end(id_)
        while len(self._kept) > MAX_KEPT:
            self._kept.popitem(last=False)

    async def _job(self, trace: Trace) -> tuple[TreeJob, tuple[str, ...]]:
        """What is to be done, and what must be said of it."""
        primary, shadow = (
            text.encode(errors="replace") if text else None for text in (trace.primary_body, trace.shadow_body)
        )
        today, remarks = self._now().astimezone(UTC).date(), []
        layers = "[]"
        domain = self._evidence.settings.domains.get(trace.domain)
        if domain is not None and trace.route in {route.route for route in domain.routes}:
            layers = layers_text(self._evidence.settings.compare_layers(trace.domain, trace.route))
        else:
            remarks.append(f"{trace.route} is no longer a route of {trace.domain}: aligned without its rules")
        table = IdTable()
        if self._ids is not None and rules_of(layers, today).ids != "exact":
            bodies = [body for body in (primary, shadow) if body is not None]
            found = await self._work.run(
                sum(map(len, bodies)), tokens_of, [*bodies, trace.target.encode(errors="replace")]
            )
            if len(found) > MAX_TOKENS:
                remarks.append(f"it holds {len(found):,} ids; {MAX_TOKENS:,} of them were looked up")
                found = set(sorted(found)[:MAX_TOKENS])
            try:
                table = await self._ids.lookup(found)
            except LedgerError:
                raise
            except ShadowreadError as error:
                remarks.append(f"the id map cannot be read ({error}): ids are aligned as they stand")
        depth = self._evidence.settings.limits.depth
        return TreeJob(primary, shadow, layers, today, table, trace.differences, trace.differences_total, depth), tuple(
            remarks
        )
