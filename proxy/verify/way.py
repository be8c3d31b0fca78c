"""The way of an exchange from its first answers to its verdict: shadow read, comparison, settling.

Waiting only; every decision is made by a pure function of `judge` and `comparators`.
"""

from __future__ import annotations

from typing import Protocol

from comparators.model import Comparison
from comparators.paths import pattern_of
from proxy.identity import IdentityError
from proxy.model import Observation, Side, Verdict, header
from proxy.telemetry import UNTRACED
from proxy.verify.answers import Answers
from proxy.verify.bounds import Bounds
from proxy.verify.case import Case, Chance, End
from proxy.verify.comparing import Comparing
from proxy.verify.exchange import NO_ROOM
from proxy.verify.judge import delays, failure_text, primary_verdict, settled, shadow_failed
from proxy.verify.reading import Reading
from proxy.verify.requests import request_of
from proxy.verify.settle import Pair, settle
from proxy.verify.work import Job, WorkTimeoutError

MAX_CONFIRMED = 10_000
LONGEST_PATH = 500
"""Characters of a path that tell findings apart here: it may be as long as a body, and is remembered."""
_CODING = b"content-encoding"


class NoRoomError(Exception):
    """What was read again cannot be held."""


class Offers(Protocol):
    """Takes matched pairs for a closer look. `window` is the id of the evidence window they belong to.

    Must not raise, and must cost next to nothing when it declines.
    """

    def wants(self, window: str, route: str) -> bool:
        """Whether the next match of the route would be taken; one that would not counts as declined."""

    def offer(self, domain: str, route: str, window: str, job: Job) -> None: ...


class Way:
    """Reads, compares and settles. `examiner` is offered the pairs that matched."""

    def __init__(self, reading: Reading, comparing: Comparing, bounds: Bounds, chance: Chance) -> None:
        self._reading = reading
        self._comparing = comparing
        self._bounds = bounds
        self._chance = chance
        self._confirmed: set[tuple[str, str, str]] = set()
        self.examiner: Offers | None = None

    def match_at_once(self, answers: Answers) -> End | None:
        """The match that both answers are, where that can be told without waiting; None: `verdict` has to tell."""
        case, primary, shadow = answers.case, answers.primary, answers.shadow
        if not answers.usable or primary is None or shadow is None or shadow_failed(shadow):
            return None
        if header(primary.headers, _CODING) is not None or header(shadow.headers, _CODING) is not None:
            return None
        answers.tried = True
        return self._at_once(case, primary, shadow)

    def _at_once(self, case: Case, primary: Observation, shadow: Observation) -> End | None:
        examiner, window = self.examiner, case.ticket.window
        wanted = examiner is not None and examiner.wants(window, case.route)
        found = self._comparing.at_once(case, primary, shadow, anew=wanted)
        if found is None:
            return None
        if examiner is not None and wanted and found.job is not None:
            examiner.offer(case.domain, case.route, window, found.job)
        return End(Verdict.MATCH, None, primary, shadow, tolerated=found.tolerated)

    async def verdict(self, case: Case, answers: Answers | None = None) -> End:
        """The steps of an exchange, in order; each may end it. `answers` are those that have come already."""
        shadow: Observation | None = None
        facts, span, keep = case.facts, case.exchange.span, case.exchange.keep
        if answers is not None and answers.primary is not None:
            primary = await self._reading.decoded(answers.primary, keep)
            shadow = None if answers.shadow is None else await self._reading.decoded(answers.shadow, keep)
        elif case.when == "now":
            asked = request_of(case.exchange)
            primary, shadow = await self._reading.beside(facts, asked, case.exchange.primary, span, keep)
        elif case.when == "both":
            primary, shadow = await self._reading.both(facts, request_of(case.exchange), span, keep)
        else:
            primary = await self._reading.decoded(await case.exchange.primary, keep)
        span.answered(primary)
        if primary.error == "cancelled":
            return End(Verdict.CANCELLED, primary=primary, shadow=shadow)
        early = primary_verdict(primary)
        if early is Verdict.NOT_MODIFIED and case.when == "after":
            # The client has the body already, so both sides are read again without the condition.
            span.again()
            primary, shadow = await self._reading.both(facts, request_of(case.exchange), span, keep)
            early = primary_verdict(primary)
        if early is not None:
            return End(early, primary=primary, shadow=shadow, detail=failure_text(primary))
        if shadow is None:
            shadow = await self._reading.read(facts, Side.SHADOW, request_of(case.exchange), span, keep)
        if shadow.error == NO_ROOM:
            return End(Verdict.NO_ROOM, primary=primary, shadow=shadow)
        if shadow_failed(shadow):
            return End(Verdict.SHADOW_ERROR, primary=primary, shadow=shadow, detail=failure_text(shadow))
        tried = answers is not None and answers.tried
        if span is UNTRACED and not tried and (end := self._at_once(case, primary, shadow)) is not None:
            return end
        try:
            async with self._comparing.turn(case, primary, shadow) as waited:
                if waited and (end := self._at_once(case, primary, shadow)) is not None:
                    return end
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
        exchange, keys = case.exchange, _findings(case, first.comparison)
        waits = delays(
            self._bounds.settle_delay,
            self._bounds.settle_factor,
            self._bounds.settle_attempts,
            known=keys <= self._confirmed and first.comparison.total == len(first.comparison.differences),
        )

        async def read() -> tuple[Observation, Observation]:
            exchange.span.again()
            pair = await self._reading.both(case.facts, request_of(exchange), exchange.span, exchange.keep)
            if any(seen.error == NO_ROOM for seen in pair):
                raise NoRoomError
            return pair

        async def again(primary: Observation, shadow: Observation) -> Comparison:
            return (await self._comparing.compare(case, primary, shadow, fresh=True)).comparison

        async def drift(before: Observation, after: Observation) -> Comparison:
            return await self._comparing.drift(case, before, after)

        try:
            seen = await settle(first, waits, read=read, compare=again, drift=drift, sleep=self._chance.sleep)
        except NoRoomError:
            # Whether the difference would have stayed is not known, so it is neither believed nor called a match.
            return End(Verdict.NO_ROOM, primary=first.primary, shadow=first.shadow)
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


def _findings(case: Case, comparison: Comparison) -> set[tuple[str, str, str]]:
    """What tells the findings of a comparison apart."""
    return {(case.route, pattern_of(d.path)[:LONGEST_PATH], d.kind.value) for d in comparison.differences}
