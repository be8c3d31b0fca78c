"""The way of an exchange behind the client's back: plan, shadow read, comparison, settling, verdict, record.

Wiring and waiting only; every decision is made by a pure function of `plan`, `judge` and `comparators`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace

from comparators.ids import IdTable, Pairings
from comparators.model import Comparison
from comparators.paths import pattern_of
from proxy.identity import Identity, IdentityError
from proxy.ledger import Ledger
from proxy.model import Headers, Observation, ReadRequest, Side, Trace, Verdict
from proxy.readers.codings import CodingError
from proxy.readers.http import decoded
from proxy.settings.routes import Router
from proxy.tasks import TaskGroup
from proxy.telemetry import Figures
from proxy.verify.case import Case, Chance, End, RouteFacts
from proxy.verify.exchange import Buffered, Exchange
from proxy.verify.id_map import with_map_faults
from proxy.verify.judge import delays, failure_text, primary_verdict, settled, shadow_failed
from proxy.verify.plan import Room, marked, plan
from proxy.verify.record import Recorder
from proxy.verify.requests import read_request
from proxy.verify.settle import Pair, settle
from proxy.verify.translation import To, ids_of, translated
from proxy.verify.work import Job, Work, WorkTimeoutError, compare, response_of, rules_of, tokens_of

log = logging.getLogger(__name__)

MAX_CONFIRMED = 10_000
MAX_NAMED = 5
_NOT_THE_SHADOWS = frozenset({"too_large", "id_map"})
"""Errors of a shadow read that say nothing of the shadow's health."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """Limits of verification: seconds, bytes and counts as in the configuration."""

    timeout: float
    settle_delay: float
    settle_factor: float
    settle_attempts: int
    body: int
    buffered: int
    depth: int
    differences: int
    queue: int
    concurrency: int


class Verifier:
    """Opens a tap for each claimed request and sees it to exactly one verdict."""

    def __init__(
        self,
        *,
        router: Router,
        routes: Mapping[tuple[str, str], RouteFacts],
        identity: Identity,
        ledger: Ledger,
        figures: Figures,
        recorder: Recorder,
        work: Work,
        bounds: Bounds,
        chance: Chance,
    ) -> None:
        self._router = router
        self._routes = routes
        self._identity = identity
        self._ledger = ledger
        self._figures = figures
        self._recorder = recorder
        self._work = work
        self._bounds = bounds
        self._chance = chance
        self._tasks = TaskGroup(bounds.queue)
        self._reading = asyncio.Semaphore(bounds.concurrency)
        self._buffered = Buffered(bounds.buffered)
        self._pairings: dict[str, Pairings] = {}
        self._confirmed: set[tuple[str, str, str]] = set()

    @property
    def under_way(self) -> int:
        """Exchanges that have no verdict yet."""
        return len(self._tasks)

    async def stop(self, seconds: float) -> int:
        """Wait up to `seconds` for what is under way; the rest is cancelled and counts as lost. Returns how many."""
        return await self._tasks.drain(seconds)

    def open(self, method: str, target: str, headers: Headers) -> Exchange | None:
        """The `OpenTap` of the edge: None when nothing more needs to be told."""
        if marked(headers):
            return None
        match = self._router.match(method, target)
        if match is None or (facts := self._routes.get((match.domain, match.route))) is None:
            self._figures.unclaimed()
            return None
        now = self._chance.monotonic()
        ticket = self._ledger.begin(match.domain, match.route)
        made = plan(
            method,
            headers,
            sampling=facts.sampling,
            draw=self._chance.draw(),
            room=Room(facts.breaker.is_open(now), len(self._tasks) >= self._bounds.queue),
        )
        if made.verdict is not None:
            self._recorder.record(ticket, match.domain, match.route, End(made.verdict))
            return None
        exchange = Exchange(
            method,
            target,
            headers,
            max_body=self._bounds.body,
            buffered=self._buffered,
            clock=self._chance.monotonic,
            wants_request_body=method not in ("GET", "HEAD"),
        )
        entity = next(reversed(match.params.values())) if match.params else None
        case = Case(ticket, match.domain, match.route, facts, entity, exchange, made.when)
        if self._tasks.start(self._see_through(case), name=f"verify {match.route}") is None:
            self._recorder.record(ticket, match.domain, match.route, End(Verdict.NO_ROOM))
            return None
        facts.breaker.reading(now)
        return exchange

    async def _see_through(self, case: Case) -> None:
        end = End(Verdict.LOST, detail="the proxy stopped first")
        trace: Trace | None = None
        try:
            end = await self._verdict(case)
            trace = await self._recorder.trace(case, end)
        except Exception as error:
            log.exception("verification of %s failed", case.route)
            if end.verdict is Verdict.LOST:
                end = End(Verdict.LOST, detail=f"verification failed: {type(error).__name__}")
        finally:
            case.exchange.release()
            self._recorder.record(case.ticket, case.domain, case.route, end, trace, case.entity)

    async def _verdict(self, case: Case) -> End:
        """The steps of an exchange, in order; each may end it."""
        shadow: Observation | None = None
        if case.when == "now":
            primary, shadow = await self._beside(case)
        else:
            primary = await self._decoded(await case.exchange.primary)
        if primary.error == "cancelled":
            return End(Verdict.CANCELLED, primary=primary, shadow=shadow)
        if primary.error == "no_room":
            return End(Verdict.NO_ROOM, primary=primary, shadow=shadow)
        early = primary_verdict(primary)
        if early is Verdict.NOT_MODIFIED and case.when == "after":
            # The client has the body already, so both sides are read again without the condition.
            primary, shadow = await self._read_both(case)
            early = primary_verdict(primary)
        if early is not None:
            return End(early, primary=primary, shadow=shadow)
        if shadow is None:
            shadow = await self._read(case, Side.SHADOW)
        if shadow_failed(shadow):
            return End(Verdict.SHADOW_ERROR, primary=primary, shadow=shadow, detail=failure_text(shadow))
        try:
            pair = Pair(primary, shadow, await self._compare(case, primary, shadow))
            if pair.comparison.equal:
                return End(Verdict.MATCH, pair, primary, shadow, tolerated=pair.comparison.tolerated)
            return await self._settle(case, pair)
        except IdentityError as error:
            return End(Verdict.SHADOW_ERROR, None, primary, shadow, detail=f"the id map could not be read: {error}")
        except WorkTimeoutError as error:
            return End(Verdict.TOO_LARGE, None, primary, shadow, detail=f"the comparison {error}")

    async def _settle(self, case: Case, first: Pair) -> End:
        keys = _findings(case, first.comparison)
        waits = delays(
            self._bounds.settle_delay,
            self._bounds.settle_factor,
            self._bounds.settle_attempts,
            known=keys <= self._confirmed and first.comparison.total == len(first.comparison.differences),
        )

        async def read() -> tuple[Observation, Observation]:
            return await self._read_both(case)

        async def again(primary: Observation, shadow: Observation) -> Comparison:
            return await self._compare(case, primary, shadow, fresh=True)

        async def drift(before: Observation, after: Observation) -> Comparison:
            return await self._compare_with(case, before, after, IdTable())

        seen = await settle(first, waits, read=read, compare=again, drift=drift, sleep=self._chance.sleep)
        verdict = settled(seen.attempts) if waits else Verdict.DIFF
        if verdict is Verdict.DIFF and len(self._confirmed) < MAX_CONFIRMED:
            self._confirmed |= _findings(case, seen.last.comparison)
        return End(
            verdict,
            seen.last,
            seen.last.primary,
            seen.last.shadow,
            tuple(attempt.text for attempt in seen.attempts),
            tolerated=seen.last.comparison.tolerated,
        )

    # --- reading ---

    async def _read(self, case: Case, side: Side) -> Observation:
        exchange, facts = case.exchange, case.facts
        request = read_request(exchange.method, exchange.target, exchange.headers, exchange.request)
        if side is Side.PRIMARY:
            async with self._reading:
                return await facts.primary.read(request, self._bounds.timeout)
        unknown: tuple[str, ...] = ()
        if facts.translate is not None:
            try:
                request, unknown = await self._translated(request, facts.translate)
            except IdentityError as error:
                return Observation(side, error="id_map", detail=f"the id map could not be read: {error}")
            except WorkTimeoutError as error:
                return Observation(side, error="too_large", detail=f"putting the other store's ids {error}")
        async with self._reading:
            seen = await facts.shadow.read(request, self._bounds.timeout)
        if seen.error is None:
            facts.breaker.succeeded()
        elif seen.error not in _NOT_THE_SHADOWS:
            facts.breaker.failed(self._chance.monotonic())
        if unknown:
            note = f"asked with ids that the map does not know: {', '.join(unknown[:MAX_NAMED])}"
            seen = replace(seen, detail=f"{seen.detail}; {note}" if seen.detail else note)
        return seen

    async def _translated(self, request: ReadRequest, to: To) -> tuple[ReadRequest, tuple[str, ...]]:
        """The request with the other store's ids, and the ids that the map does not know. Raises IdentityError."""
        ids = await self._work.run(len(request.body), ids_of, request)
        if not ids:
            return request, ()
        table = await self._identity.lookup(ids)
        made = await self._work.run(len(request.body), translated, request, table, to)
        return made.request, made.unknown

    async def _beside(self, case: Case) -> tuple[Observation, Observation | None]:
        """The primary's answer and the shadow's, read at the same time.

        When the primary's turns out to be nothing to compare with, the shadow's read ends too: a client has gone, or
        both sides stream events for ever, which is no failure of the shadow.
        """
        async with asyncio.TaskGroup() as group:
            reading = group.create_task(self._read(case, Side.SHADOW))
            primary = await self._decoded(await case.exchange.primary)
            if primary_verdict(primary) is not None:
                reading.cancel()
        return primary, None if reading.cancelled() else reading.result()

    async def _read_both(self, case: Case) -> tuple[Observation, Observation]:
        async with asyncio.TaskGroup() as group:
            primary = group.create_task(self._read(case, Side.PRIMARY))
            shadow = group.create_task(self._read(case, Side.SHADOW))
        return primary.result(), shadow.result()

    async def _decoded(self, seen: Observation) -> Observation:
        """The client's own answer without its content coding; readers' answers come without it."""
        if seen.body is None:
            return seen
        try:
            body = await decoded(seen.body, seen.headers, self._bounds.body)
        except CodingError as error:
            return replace(seen, body=None, error=error.code, detail=str(error))
        return replace(seen, body=body)

    # --- comparing ---

    async def _compare(
        self, case: Case, primary: Observation, shadow: Observation, *, fresh: bool = False
    ) -> Comparison:
        table = IdTable()
        rules = rules_of(case.facts.layers, self._chance.now().date())
        if rules.ids != "exact":
            # Only what will be compared is worth a question: a request id in another header would ask at every read.
            texts = [
                value
                for side in (primary, shadow)
                for name, value in side.headers
                if name.decode("latin-1").lower() in rules.headers
            ]
            if primary.body != shadow.body:
                texts += [primary.body or b"", shadow.body or b""]
            if found := await self._work.run(sum(map(len, texts)), tokens_of, texts):
                table = await self._identity.lookup(found, fresh=fresh)
        comparison = await self._compare_with(case, primary, shadow, table)
        if table.one_to_one:
            return comparison
        rows = [conflict.text for conflict in self._identity.conflicts_of((*table.by_legacy, *table.by_uuid))]
        return with_map_faults(comparison, table, rows, named=rules.entities)

    async def _compare_with(self, case: Case, primary: Observation, shadow: Observation, table: IdTable) -> Comparison:
        today = self._chance.now().date()
        job = Job(
            response_of(primary),
            response_of(shadow),
            case.facts.layers,
            today,
            table,
            head_only=case.exchange.method == "HEAD",
            max_depth=self._bounds.depth,
            max_differences=self._bounds.differences,
        )
        began = self._chance.monotonic()
        if rules_of(case.facts.layers, today).ids == "inferred":
            # What is believed lives here, so such comparisons cannot leave the process; a thread keeps the loop free.
            pairings = self._pairings.setdefault(case.domain, Pairings())
            result = await asyncio.to_thread(compare, job, pairings)
        else:
            result = await self._work.run(len(job.primary.body) + len(job.shadow.body), compare, job)
        self._figures.compare(self._chance.monotonic() - began)
        return result


def _findings(case: Case, comparison: Comparison) -> set[tuple[str, str, str]]:
    """What tells the findings of a comparison apart."""
    return {(case.route, pattern_of(d.path), d.kind.value) for d in comparison.differences}
