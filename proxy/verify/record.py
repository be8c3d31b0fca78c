"""From the end of a case to what the ledger and the figures keep of it, redacted first."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache

from comparators.model import Difference
from proxy.ledger import Ledger, Ticket
from proxy.model import Ended, Outcome, Trace, Verdict
from proxy.telemetry import Figures
from proxy.verify.case import Case, Chance, End
from proxy.verify.entity import NOBODY, Subject
from proxy.verify.redact import Redactor
from proxy.verify.work import Work

_TRACED = frozenset({Verdict.DIFF, Verdict.UNSTABLE, Verdict.TRANSIENT, Verdict.SHADOW_ERROR})


class Recorder:
    """Makes traces and outcomes. `key` makes the tags of hidden values and lives no longer than the process.

    `ended` is told of the end of every exchange, on the loop's thread: it must cost next to nothing.
    """

    def __init__(
        self,
        *,
        ledger: Ledger,
        figures: Figures,
        redact: Sequence[str],
        key: bytes,
        work: Work,
        chance: Chance,
        ended: Callable[[Ended], None] = lambda _ended: None,
    ) -> None:
        self._ledger = ledger
        self._figures = figures
        self._paths = tuple(redact)
        self._key = key
        self._redactor = Redactor(redact, key)
        self._work = work
        self._chance = chance
        self._ended = ended

    def record(
        self,
        ticket: Ticket,
        domain: str,
        route: str,
        end: End,
        trace: Trace | None = None,
        subject: Subject = NOBODY,
    ) -> None:
        """Write down one verdict. A difference becomes part of a finding only when it has settled as one."""
        found: tuple[Difference, ...] = ()
        if end.verdict is Verdict.DIFF and end.pair is not None:
            found = trace.differences if trace else self._redactor.differences(end.pair.comparison.differences)
        at = self._chance.now()
        self._ledger.record(
            ticket,
            Outcome(
                domain=domain,
                route=route,
                verdict=end.verdict,
                at=at,
                differences=found,
                tolerated=end.tolerated,
                trace=trace,
                primary_seconds=end.primary.seconds if end.primary else None,
                shadow_seconds=end.shadow.seconds if end.shadow else None,
                entity=subject.id,
                entity_kind=subject.kind,
                known_gap=end.known_gap,
            ),
        )
        self._ended(
            Ended(
                at,
                domain,
                route,
                end.verdict,
                trace.id if trace else None,
                end.pair.comparison.total if end.pair else 0,
                end.primary.seconds if end.primary else None,
                end.shadow.seconds if end.shadow else None,
                trace.trace_id if trace else "",
            )
        )
        self._figures.exchange(domain, route, end.verdict)
        for seen in (end.primary, end.shadow):
            if seen is not None and seen.error is None:
                self._figures.read(domain, seen.side, seen.seconds)
        for difference in found:
            self._figures.differences(domain, route, difference.kind, 1)

    async def trace(self, case: Case, end: End) -> Trace | None:
        """The trace of a case that differed or whose shadow failed; None for any other."""
        if end.verdict not in _TRACED:
            return None
        exchange, primary, shadow = case.exchange, end.primary, end.shadow
        bodies = (primary.body if primary else None, shadow.body if shadow else None)
        size = sum(len(body) for body in bodies if body)
        (kept_primary, why_primary), (kept_shadow, why_shadow) = await self._work.run(
            size, redacted_bodies, self._paths, self._key, bodies
        )
        notes = [end.detail]
        notes += [f"{side} body: {why}" for side, why in (("primary", why_primary), ("shadow", why_shadow)) if why]
        comparison = end.pair.comparison if end.pair else None
        notes += comparison.remarks if comparison else ()
        notes += [
            f"{seen.side}: {seen.detail}" for seen in (primary, shadow) if seen and seen.detail and not seen.error
        ]
        return Trace(
            id=self._chance.new_id(),
            at=self._chance.now(),
            domain=case.domain,
            route=case.route,
            verdict=end.verdict,
            method=exchange.method,
            target=self._redactor.target(exchange.target),
            request_headers=self._redactor.headers(exchange.headers),
            primary_status=primary.status if primary else None,
            shadow_status=shadow.status if shadow else None,
            primary_headers=self._redactor.headers(primary.headers) if primary else (),
            shadow_headers=self._redactor.headers(shadow.headers) if shadow else (),
            primary_body=kept_primary,
            shadow_body=kept_shadow,
            primary_seconds=primary.seconds if primary else 0.0,
            shadow_seconds=shadow.seconds if shadow else 0.0,
            differences=self._redactor.differences(comparison.differences) if comparison else (),
            differences_total=comparison.total if comparison else 0,
            settling=end.settling,
            detail="; ".join(note for note in notes if note),
            known_gap=end.known_gap,
        )


@lru_cache(maxsize=8)
def _redactor(paths: tuple[str, ...], key: bytes) -> Redactor:
    return Redactor(paths, key)


def redacted_bodies(
    paths: tuple[str, ...], key: bytes, bodies: tuple[bytes | None, bytes | None]
) -> tuple[tuple[str | None, str], tuple[str | None, str]]:
    """Both bodies as they may be stored; plain data in and out, because large ones are done in the worker."""
    redactor = _redactor(paths, key)
    return redactor.body(bodies[0]), redactor.body(bodies[1])
