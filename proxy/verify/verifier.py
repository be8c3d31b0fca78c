"""What happens to an exchange behind the client's back: plan, shadow read, comparison, settling, verdict, record.

Most exchanges never get a task: the shadow is asked on a connection that is at hand, both answers are gathered by
callbacks, and a match that can be told at once is recorded at once. All others go on in a task, by `way`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import Mapping, Sequence

from comparators.model import Comparison
from proxy.errors import ShadowreadError
from proxy.identity import Identity
from proxy.ledger import Ledger
from proxy.model import COMPARISONS, Headers, Observation, ReadRequest, Side, Trace, Verdict
from proxy.settings.routes import RouteMatch, Router
from proxy.tasks import TaskGroup
from proxy.telemetry import NO_SPANS, UNTRACED, Figures, Spans
from proxy.telemetry.context import without_context
from proxy.verify.answers import Answers
from proxy.verify.bounds import Bounds
from proxy.verify.case import Asked, Case, Chance, End, RouteFacts
from proxy.verify.comparing import Comparing
from proxy.verify.entity import NOBODY, Subject, subject_at_once, subject_of, was_there
from proxy.verify.exchange import Buffered, Exchange
from proxy.verify.explaining import Explaining
from proxy.verify.followed import Followed, peer_of
from proxy.verify.gaps import Gaps
from proxy.verify.headroom import Headroom
from proxy.verify.memo import Memo
from proxy.verify.plan import MARK, Room, plan
from proxy.verify.reading import Reading
from proxy.verify.recent import Recent
from proxy.verify.record import Recorder
from proxy.verify.remembered import Remembered
from proxy.verify.requests import read_request, request_of
from proxy.verify.way import Offers, Way
from proxy.verify.work import Work

log = logging.getLogger(__name__)


class NotClaimedError(ShadowreadError):
    """No verified route claims a request that was to be read on purpose."""


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
        self._way = Way(self._reading, self._comparing, bounds, chance)
        self._headroom = Headroom(bounds.busy)
        self._explaining = None if gaps is None else Explaining(gaps, identity, work)
        self.work = work
        self._tasks = TaskGroup(bounds.queue)
        self._buffered = Buffered(bounds.buffered)
        self._loop = asyncio.get_running_loop()
        self._gathering: set[Answers] = set()
        self._gathered = asyncio.Event()
        self._paused: set[str] = set()
        self._busy: Counter[str] = Counter()
        self._recent = Recent()
        self.remembered = Remembered(chance.monotonic)

    @property
    def examiner(self) -> Offers | None:
        """Who is offered the pairs that matched."""
        return self._way.examiner

    @examiner.setter
    def examiner(self, examiner: Offers | None) -> None:
        self._way.examiner = examiner

    @property
    def under_way(self) -> int:
        """Exchanges that have no verdict yet."""
        return len(self._tasks) + len(self._gathering)

    @property
    def held(self) -> int:
        """Bytes of answers held for the exchanges that have no verdict yet."""
        return self._buffered.held

    @property
    def share(self) -> float:
        """Of the exchanges, how many there is room for by the processor: 0.01 to 1."""
        return self._headroom.share

    @property
    def memo(self) -> Memo:
        """The pairs seen equal."""
        return self._comparing.memo

    async def stop(self, seconds: float) -> int:
        """Wait up to `seconds` for what is under way; the rest is broken off and counts as lost. Returns how many."""
        until = self._chance.monotonic() + seconds
        if self._gathering:
            self._gathered.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._gathered.wait()
        rest = list(self._gathering)
        for answers in rest:
            answers.give_up()
            self._no_longer_gathering(answers)
            self._finish(answers.case, End(Verdict.LOST, detail="the proxy stopped first"), answers.request)
        return len(rest) + await self._tasks.drain(max(0.0, until - self._chance.monotonic()))

    def open(self, method: str, target: str, headers: Headers) -> Exchange | None:
        """The `OpenTap` of the edge: None when nothing more needs to be told.

        The client's request has not been sent yet when this is called, so that it only decides; reading begins in the
        event loop's next round.
        """
        names = {name.lower() for name, _ in headers}
        if MARK in names:
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
            names,
            sampling=facts.sampling,
            draw=self._chance.draw(),
            room=self._room(match.domain, facts, now),
        )
        if made.verdict is not None:
            self._recorder.record(ticket, match.domain, match.route, End(made.verdict))
            return None
        exchange = self._exchange(method, target, headers, bodied=made.when == "after")
        peer = peer_of(facts.primary)
        context = headers if b"traceparent" in names else ()
        exchange.trace_id, exchange.span = self._spans.begin(method, match.domain, match.route, context, peer)
        case = Case(ticket, match.domain, match.route, facts, _entity(match, facts), exchange, made.when)
        self._busy[case.domain] += 1
        facts.breaker.reading(now)
        if made.when == "now" and exchange.span is UNTRACED:
            answers = Answers(case, request_of(exchange), self._both)
            self._gathering.add(answers)
            self._loop.call_soon(self._ask_shadow, answers)
        else:
            self._start(case, None)
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
        names = {name.lower() for name, _ in request.headers}
        room = self._room(match.domain, facts, now, wanted=True)
        made = plan(request.method, request.headers, names, sampling=1.0, draw=0.0, room=room)
        if made.verdict is not None:
            self._recorder.record(ticket, match.domain, match.route, End(made.verdict))
            return Asked(match.domain, match.route, made.verdict, None, (), 0, None, "")
        facts.breaker.reading(now)
        # The trace that a stored request once was part of is over; this read is not something that it caused.
        exchange = self._exchange(request.method, request.target, without_context(request.headers))
        exchange.trace_id, exchange.span = self._spans.begin(request.method, match.domain, match.route, ())
        exchange.request_body(request.body)
        self._busy[match.domain] += 1
        case = Case(ticket, match.domain, match.route, facts, _entity(match, facts), exchange, "both")
        return await self._conclude(case, None)

    # --- the way of an exchange ---

    def _ask_shadow(self, answers: Answers) -> None:
        if answers not in self._gathering:
            return  # stopped meanwhile
        case = answers.case
        try:
            break_off = self._reading.ask(case.facts, answers.request, answers.shadow_came)
        except Exception:
            # A task will meet the fault again, where it is told and counted.
            log.exception("asking the shadow of %s failed", case.route)
            break_off = None
        if break_off is None:
            self._no_longer_gathering(answers)
            self._start(case, None)
            return
        if answers.shadow is None and not answers.again:
            answers.break_off = break_off
        case.exchange.listen(answers.primary_came)

    def _both(self, answers: Answers) -> None:
        """Both answers are there, or all that are needed."""
        self._no_longer_gathering(answers)
        case = answers.case
        try:
            matched = self._matched(answers)
        except Exception:
            # A task will meet the fault again, where it is told and counted.
            log.exception("a comparison on the way of %s failed", case.route)
            matched = None
        if matched is None:
            self._start(case, answers)
        else:
            # Behind the `try`: a fault in here must not end the exchange a second time.
            self._finish(case, matched[0], answers.request, subject=matched[1])

    def _matched(self, answers: Answers) -> tuple[End, Subject] | None:
        """The end of an exchange that can be seen to be a match at once, and whom it was about."""
        case = answers.case
        end = self._way.match_at_once(answers)
        if end is None:
            return None
        subject = subject_at_once(self._identity, case.entity, case.facts.entity) if was_there(end.primary) else NOBODY
        return None if subject is None else (end, subject)

    def _no_longer_gathering(self, answers: Answers) -> None:
        self._gathering.discard(answers)
        if not self._gathering:
            self._gathered.set()

    def _start(self, case: Case, answers: Answers | None) -> None:
        """Go on in a task. There is room, since what is gathered counts as under way, unless others were faster."""
        if self._tasks.start(self._see_through(case, answers), name=f"verify {case.route}") is None:
            case.exchange.span.end(Verdict.NO_ROOM)
            self._finish(case, End(Verdict.NO_ROOM), None)

    async def _see_through(self, case: Case, answers: Answers | None) -> None:
        await self._conclude(case, answers)

    async def _conclude(self, case: Case, answers: Answers | None) -> Asked:
        with Followed(case) as followed:
            return await self._concluded(case, answers, followed)

    async def _concluded(self, case: Case, answers: Answers | None, followed: Followed) -> Asked:
        end = End(Verdict.LOST, detail="the proxy stopped first")
        trace: Trace | None = None
        subject = NOBODY
        try:
            end = await self._way.verdict(case, answers)
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
            followed.ended(end.verdict)
            self._finish(case, end, request_of(case.exchange), trace, subject)
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

    def _finish(
        self, case: Case, end: End, request: ReadRequest | None, trace: Trace | None = None, subject: Subject = NOBODY
    ) -> None:
        """The one place where exchanges that were read for end; `request` is what the sides were asked."""
        exchange = case.exchange
        # What was refused or missing touches no table, so that asking for it again would tell nothing.
        if end.verdict in COMPARISONS and exchange.method == "GET" and request is not None and was_there(end.primary):
            self._recent.add(case.domain, case.route, request)
        exchange.release()
        self._busy[case.domain] -= 1
        self._recorder.record(case.ticket, case.domain, case.route, end, trace, subject, exchange.trace_id)

    # --- helpers ---

    def _room(self, domain: str, facts: RouteFacts, now: float, *, wanted: bool = False) -> Room:
        """`wanted`: no client is behind it, somebody waits for the verdict."""
        full = self.under_way >= self._bounds.queue or not (wanted or self._headroom.has(self._chance.draw()))
        return Room(facts.breaker.is_open(now), full, domain in self._paused)

    def _exchange(self, method: str, target: str, headers: Headers, *, bodied: bool = False) -> Exchange:
        return Exchange(
            method,
            target,
            headers,
            max_body=self._bounds.body,
            buffered=self._buffered,
            clock=self._chance.monotonic,
            wants_request_body=bodied,
            loop=self._loop,
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
