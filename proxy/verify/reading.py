"""Reading the two sides for verification: bounded, in their own time, with the ids that each side knows."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from proxy.identity import Identity, IdentityError
from proxy.model import Observation, ReadRequest, Side
from proxy.readers.codings import CodingError
from proxy.readers.http import HttpReader, decoded
from proxy.readers.serving import Reader
from proxy.telemetry import UNTRACED, Untraced
from proxy.verify.bounds import Bounds
from proxy.verify.case import Chance, RouteFacts
from proxy.verify.followed import peer_of
from proxy.verify.judge import primary_verdict
from proxy.verify.places import Places
from proxy.verify.translation import To, ids_of, translated
from proxy.verify.work import Work, WorkTimeoutError

MAX_NAMED = 5
_NOT_THE_SHADOWS = frozenset({"too_large", "id_map"})
"""Errors of a shadow read that say nothing of the shadow's health."""

Keep = Callable[[Observation], Observation]


def as_it_is(seen: Observation) -> Observation:
    """For who holds an answer for a moment only."""
    return seen


class Reading:
    """Reads sides of routes, at most `bounds.concurrency` at once. What fails is an observation that bears an error."""

    def __init__(self, *, identity: Identity, work: Work, bounds: Bounds, chance: Chance) -> None:
        self._identity = identity
        self._work = work
        self._bounds = bounds
        self._chance = chance
        self._places = Places(bounds.concurrency)

    async def read(
        self, facts: RouteFacts, side: Side, request: ReadRequest, span: Untraced = UNTRACED, keep: Keep = as_it_is
    ) -> Observation:
        """One side's answer. The shadow's outcome is told to the route's breaker. `span` is that of the exchange, and
        so is `keep`, which counts what is held."""
        if side is Side.PRIMARY:
            return keep(await self._asked(facts.primary, side, request, span))
        unknown: tuple[str, ...] = ()
        if facts.translate is not None:
            try:
                request, unknown = await self._translated(request, facts.translate)
            except IdentityError as error:
                return Observation(side, error="id_map", detail=f"the id map could not be read: {error}")
            except WorkTimeoutError as error:
                return Observation(side, error="too_large", detail=f"putting the other store's ids {error}")
        seen = await self._asked(facts.shadow, side, request, span)
        self._told(facts, seen)
        if unknown:
            note = f"asked with ids that the map does not know: {', '.join(unknown[:MAX_NAMED])}"
            seen = seen._replace(detail=f"{seen.detail}; {note}" if seen.detail else note)
        return keep(seen)

    def ask(
        self, facts: RouteFacts, request: ReadRequest, done: Callable[[Observation | None], None]
    ) -> Callable[[], None] | None:
        """The shadow's answer without a task that waits for it: `done` is called with it, its content coding still on,
        or with None when it has to be read by `read` after all. Returns how to break the read off, so that `done` is
        not called; None, and nothing is asked, where there is no room or no connection at hand, or the shadow cannot
        be asked so.
        """
        reader = facts.shadow
        if not isinstance(reader, HttpReader) or facts.translate is not None or not self._places.take():
            return None

        def answered(seen: Observation | None) -> None:
            self._places.give()
            if seen is not None:
                self._told(facts, seen)
            done(seen)

        try:
            asking = reader.ask(request, self._bounds.timeout, answered)
        except BaseException:
            self._places.give()
            raise
        if asking is None:
            self._places.give()
            return None

        def break_off() -> None:
            asking.abort()
            self._places.give()

        return break_off

    async def both(
        self, facts: RouteFacts, request: ReadRequest, span: Untraced = UNTRACED, keep: Keep = as_it_is
    ) -> tuple[Observation, Observation]:
        """Both sides, read at the same time."""
        async with asyncio.TaskGroup() as group:
            primary = group.create_task(self.read(facts, Side.PRIMARY, request, span, keep))
            shadow = group.create_task(self.read(facts, Side.SHADOW, request, span, keep))
        return primary.result(), shadow.result()

    async def beside(
        self,
        facts: RouteFacts,
        request: ReadRequest,
        answer: asyncio.Future[Observation],
        span: Untraced = UNTRACED,
        keep: Keep = as_it_is,
    ) -> tuple[Observation, Observation | None]:
        """The primary's answer to a client, and the shadow's, read while that one comes.

        When the primary's turns out to be nothing to compare with, the shadow's read ends too: a client has gone, or
        both sides stream events for ever, which is no failure of the shadow.
        """
        async with asyncio.TaskGroup() as group:
            reading = group.create_task(self.read(facts, Side.SHADOW, request, span, keep))
            primary = await self.decoded(await answer, keep)
            if primary_verdict(primary) is not None:
                reading.cancel()
        return primary, None if reading.cancelled() else reading.result()

    async def decoded(self, seen: Observation, keep: Keep = as_it_is) -> Observation:
        """The client's own answer without its content coding; readers' answers come without it.

        What is decoded is held beside what came.
        """
        if seen.body is None:
            return seen
        try:
            body = await decoded(seen.body, seen.headers, self._bounds.body)
        except CodingError as error:
            return seen._replace(body=None, error=error.code, detail=str(error))
        return seen if body is seen.body else keep(seen._replace(body=body))

    def _told(self, facts: RouteFacts, seen: Observation) -> None:
        """Tell the breaker of a read of the shadow."""
        if seen.error is None:
            facts.breaker.succeeded()
        elif seen.error not in _NOT_THE_SHADOWS:
            facts.breaker.failed(self._chance.monotonic())

    async def _asked(self, reader: Reader, side: Side, request: ReadRequest, span: Untraced) -> Observation:
        async with self._places:
            with span.read(side, request.method, peer_of(reader)) as step:
                seen = await reader.read(step.asked(request), self._bounds.timeout)
                step.saw(seen)
        return seen

    async def _translated(self, request: ReadRequest, to: To) -> tuple[ReadRequest, tuple[str, ...]]:
        """The request with the other store's ids, and the ids that the map does not know. Raises IdentityError."""
        ids = await self._work.run(len(request.body), ids_of, request)
        if not ids:
            return request, ()
        table = await self._identity.lookup(ids)
        made = await self._work.run(len(request.body), translated, request, table, to)
        return made.request, made.unknown
