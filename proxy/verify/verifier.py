"""The way of an exchange behind the client's back: plan, shadow read, comparison, settling, verdict, record.

Wiring and waiting only; every decision is made by a pure function of `plan`, `judge` and `comparators`.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Protocol

from comparators.model import Comparison
from comparators.paths import pattern_of
from proxy.errors import ShadowreadError
from proxy.identity import Identity, IdentityError
from proxy.ledger import Ledger
from proxy.model import COMPARISONS, Headers, Observation, ReadRequest, Side, Trace, Verdict
from proxy.settings.routes import RouteMatch, Router
from proxy.tasks import TaskGroup
from proxy.telemetry import NO_SPANS, Figures, Spans
from proxy.telemetry.context import without_context
from proxy.verify.bounds import Bounds
from proxy.verify.case import Asked, Case, Chance, End, RouteFacts
from proxy.verify.comparing import Comparing
from proxy.verify.entity import NOBODY, subject_of, was_there
from proxy.verify.exchange import Buffered, Exchange
from proxy.verify.explaining import Explaining
from proxy.verify.followed import Followed, peer_of
from proxy.verify.gaps import Gaps
from proxy.verify.judge import delays, failure_text, primary_verdict, settled, shadow_failed
from proxy.verify.plan import Room, marked, plan
from proxy.verify.reading import Reading
from proxy.verify.recent import Recent
from proxy.verify.record import Recorder
from proxy.verify.remembered import Remembered
from proxy.verify.requests import read_request, request_of
from proxy.verify.settle import Pair, settle
from proxy.verify.work import Job, Work, WorkTimeoutError

log = logging.getLogger(__name__)

MAX_CONFIRMED = 10_000


class NotClaimedError(ShadowreadError):
    """No verified route claims a request that was to be read on purpose."""


class Offers(Protocol):
    """Takes matched pairs for a closer look. `window` is the id of the evidence window they belong to.

    Must not raise, and must cost next to nothing when it declines.
    """

    def offer(self, domain: str, route: str, window: str, job: Job) -> None: ...


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
        gaps: Gaps | None = None,
        spans: Spans = NO_SPANS,
    ) -> None:
        self._router = router
        self._routes = routes
        self._identity = identity
        self._ledger = ledger
        self._figures = figures
        self._spans = spans
        self._recorder = recorder
        self._bounds = bounds
        self._chance = chance
        self._reading = Reading(identity=identity, work=work, bounds=bounds, chance=chance)
        self._comparing = Comparing(identity=identity, work=work, bounds=bounds, chance=chance, figures=figures)
        self._explaining = None if gaps is None else Explaining(gaps, identity, work)
        self._tasks = TaskGroup(bounds.queue)
        self._buffered = Buffered(bounds.buffered)
        self._confirmed: set[tuple[str, str, str]] = set()
        self._paused: set[str] = set()
        self._busy: Counter[str] = Counter()
        self._recent = Recent()
        self.remembered = Remembered(chance.monotonic)
        self.examiner: Offers | None = None
        """Who is offered the pairs that matched."""

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
            room=self._room(match.domain, facts, now),
        )
        if made.verdict is not None:
            self._recorder.record(ticket, match.domain, match.route, End(made.verdict))
            return None
        exchange = self._exchange(method, target, headers)
        peer = peer_of(facts.primary)
        exchange.trace_id, exchange.span = self._spans.begin(method, match.domain, match.route, headers, peer)
        case = Case(ticket, match.domain, match.route, facts, _entity(match, facts), exchange, made.when)
        if self._tasks.start(self._see_through(case), name=f"verify {match.route}") is None:
            exchange.span.end(Verdict.NO_ROOM)
            self._recorder.record(ticket, match.domain, match.route, End(Verdict.NO_ROOM))
            return None
        facts.breaker.reading(now)
        return exchange

    # --- what others ask of it ---

    def pause(self, domain: str) -> None:
        """Read nothing more of `domain` from the shadow until `resume`; its exchanges end as `skipped:paused`."""
        self._paused.add(domain)

    def resume(self, domain: str) -> None:
        self._paused.discard(domain)

    def busy(self, domain: str) -> int:
        """How many exchanges of `domain` have no verdict yet; those that settle go on reading while it is paused."""
        return self._busy[domain]

    def recent(self, domain: str) -> Sequence[ReadRequest]:
        """The last few different GETs that were compared, newest last, with their credentials: kept in memory only."""
        return self._recent.of(domain)

    async def shadow_read(self, domain: str, request: ReadRequest) -> Observation:
        """One read of the shadow that counts nowhere, also while the domain is paused."""
        try:
            match, facts = self._claimed(request)
        except NotClaimedError as error:
            return Observation(Side.SHADOW, error="unclaimed", detail=str(error))
        if match.domain != domain:
            return Observation(Side.SHADOW, error="unclaimed", detail=f"the request belongs to {match.domain}")
        headers = without_context(request.headers)
        marked_request = read_request(request.method, request.target, headers, request.body)
        return await self._reading.read(facts, Side.SHADOW, marked_request)

    async def ask(self, request: ReadRequest) -> Asked:
        """Read both sides and see it through to a verdict, counted like an exchange but not sampled.

        Raises NotClaimedError when no verified route claims the request.
        """
        match, facts = self._claimed(request)
        now = self._chance.monotonic()
        ticket = self._ledger.begin(match.domain, match.route)
        made = plan(request.method, request.headers, sampling=1.0, draw=0.0, room=self._room(match.domain, facts, now))
        if made.verdict is not None:
            self._recorder.record(ticket, match.domain, match.route, End(made.verdict))
            return Asked(match.domain, match.route, made.verdict, None, (), 0, None, "")
        facts.breaker.reading(now)
        # The trace that a stored request once was part of is over; this read is not something that it caused.
        exchange = self._exchange(request.method, request.target, without_context(request.headers))
        exchange.trace_id, exchange.span = self._spans.begin(request.method, match.domain, match.route, ())
        exchange.request_body(request.body)
        case = Case(ticket, match.domain, match.route, facts, _entity(match, facts), exchange, "both")
        return await self._conclude(case)

    # --- the way of an exchange ---

    async def _see_through(self, case: Case) -> None:
        await self._conclude(case)

    async def _conclude(self, case: Case) -> Asked:
        with Followed(case) as followed:
            return await self._concluded(case, followed)

    async def _concluded(self, case: Case, followed: Followed) -> Asked:
        end = End(Verdict.LOST, detail="the proxy stopped first")
        trace: Trace | None = None
        subject = NOBODY
        self._busy[case.domain] += 1
        try:
            end = await self._verdict(case)
            if end.verdict is Verdict.MATCH and was_there(end.primary):
                subject = await subject_of(self._identity, case.entity, case.facts.entity)
            elif end.verdict is Verdict.DIFF and self._explaining is not None:
                end = await self._explaining.explain(case, end)
            trace = await self._recorder.trace(case, end)
            if trace is not None:
                self.remembered.add(trace.id, request_of(case.exchange))
        except Exception as error:
            log.exception("verification of %s failed", case.route)
            followed.failed(error)
            if end.verdict is Verdict.LOST:
                end = End(Verdict.LOST, detail=f"verification failed: {type(error).__name__}")
        finally:
            # What was refused or missing touches no table, so that asking for it again would tell nothing.
            if end.verdict in COMPARISONS and case.exchange.method == "GET" and was_there(end.primary):
                self._recent.add(case.domain, case.route, request_of(case.exchange))
            case.exchange.release()
            self._busy[case.domain] -= 1
            followed.ended(end.verdict)
            self._recorder.record(case.ticket, case.domain, case.route, end, trace, subject, case.exchange.trace_id)
        found = end.pair.comparison if end.pair else Comparison()
        return Asked(
            case.domain,
            case.route,
            end.verdict,
            trace.id if trace else None,
            trace.differences if trace else (),
            found.total,
            end.primary,
            end.detail,
        )

    async def _verdict(self, case: Case) -> End:
        """The steps of an exchange, in order; each may end it."""
        shadow: Observation | None = None
        facts, span = case.facts, case.exchange.span
        if case.when == "now":
            primary, shadow = await self._reading.beside(facts, request_of(case.exchange), case.exchange.primary, span)
        elif case.when == "both":
            primary, shadow = await self._reading.both(facts, request_of(case.exchange), span)
        else:
            primary = await self._reading.decoded(await case.exchange.primary)
        span.answered(primary)
        if primary.error == "cancelled":
            return End(Verdict.CANCELLED, primary=primary, shadow=shadow)
        if primary.error == "no_room":
            return End(Verdict.NO_ROOM, primary=primary, shadow=shadow)
        early = primary_verdict(primary)
        if early is Verdict.NOT_MODIFIED and case.when == "after":
            # The client has the body already, so both sides are read again without the condition.
            span.again()
            primary, shadow = await self._reading.both(facts, request_of(case.exchange), span)
            early = primary_verdict(primary)
        if early is not None:
            return End(early, primary=primary, shadow=shadow, detail=failure_text(primary))
        if shadow is None:
            shadow = await self._reading.read(facts, Side.SHADOW, request_of(case.exchange), span)
        if shadow_failed(shadow):
            return End(Verdict.SHADOW_ERROR, primary=primary, shadow=shadow, detail=failure_text(shadow))
        try:
            comparison, job = await self._comparing.compare(case, primary, shadow)
            pair = Pair(primary, shadow, comparison)
            if not comparison.equal:
                return await self._settle(case, pair)
        except IdentityError as error:
            return End(Verdict.SHADOW_ERROR, None, primary, shadow, detail=f"the id map could not be read: {error}")
        except WorkTimeoutError as error:
            return End(Verdict.TOO_LARGE, None, primary, shadow, detail=f"the comparison {error}")
        if self.examiner is not None:
            self.examiner.offer(case.domain, case.route, case.ticket.window, job)
        return End(Verdict.MATCH, pair, primary, shadow, tolerated=comparison.tolerated)

    async def _settle(self, case: Case, first: Pair) -> End:
        keys = _findings(case, first.comparison)
        waits = delays(
            self._bounds.settle_delay,
            self._bounds.settle_factor,
            self._bounds.settle_attempts,
            known=keys <= self._confirmed and first.comparison.total == len(first.comparison.differences),
        )

        async def read() -> tuple[Observation, Observation]:
            case.exchange.span.again()
            return await self._reading.both(case.facts, request_of(case.exchange), case.exchange.span)

        async def again(primary: Observation, shadow: Observation) -> Comparison:
            return (await self._comparing.compare(case, primary, shadow, fresh=True)).comparison

        async def drift(before: Observation, after: Observation) -> Comparison:
            return await self._comparing.drift(case, before, after)

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

    # --- helpers ---

    def _room(self, domain: str, facts: RouteFacts, now: float) -> Room:
        return Room(facts.breaker.is_open(now), len(self._tasks) >= self._bounds.queue, domain in self._paused)

    def _exchange(self, method: str, target: str, headers: Headers) -> Exchange:
        return Exchange(
            method,
            target,
            headers,
            max_body=self._bounds.body,
            buffered=self._buffered,
            clock=self._chance.monotonic,
            wants_request_body=method not in ("GET", "HEAD"),
        )

    def _claimed(self, request: ReadRequest) -> tuple[RouteMatch, RouteFacts]:
        match = self._router.match(request.method, request.target)
        facts = None if match is None else self._routes.get((match.domain, match.route))
        if match is None or facts is None:
            path = request.target.partition("?")[0]
            raise NotClaimedError(
                f"no verified route claims {request.method} {path}; is its domain off, or misspelled?"
            )
        return match, facts


def _entity(match: RouteMatch, facts: RouteFacts) -> str | None:
    """The id in the path: where the route says that an entity stands, else its last step with a name."""
    if facts.entity_step is not None:
        return match.params.get(facts.entity_step)
    return next(reversed(match.params.values())) if match.params else None


def _findings(case: Case, comparison: Comparison) -> set[tuple[str, str, str]]:
    """What tells the findings of a comparison apart."""
    return {(case.route, pattern_of(d.path), d.kind.value) for d in comparison.differences}
