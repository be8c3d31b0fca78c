"""From the end of a case to what the ledger and the figures keep of it, redacted first."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import lru_cache

from comparators.model import Difference, Tolerated
from comparators.paths import pattern_of
from proxy.ledger import Ledger, Ticket
from proxy.model import Ended, Outcome, Side, Trace, Verdict
from proxy.telemetry import Figures
from proxy.verify.case import Case, Chance, End
from proxy.verify.entity import NOBODY, Subject
from proxy.verify.exchange import Buffered
from proxy.verify.redact import Hiding, Kept, Redactor
from proxy.verify.redact_credentials import Credentials
from proxy.verify.redact_paths import pattern_without_secrets
from proxy.verify.work import INLINE_BYTES, Work, WorkTimeoutError

_TRACED = frozenset({Verdict.DIFF, Verdict.UNSTABLE, Verdict.TRANSIENT, Verdict.SHADOW_ERROR})
_COST = 6
"""How many times the comparison's time hiding takes, byte for byte: so much earlier it leaves the loop."""
UNDER_WAY_BYTES = 64 * 1024 * 1024
"""Bytes of bodies that may be on their way into traces at once. In the worker each is held several times over."""
_NO_ROOM = Kept(None, "too many large bodies are on their way into traces: not kept")


class Recorder:
    """Makes traces and outcomes. `key` makes the tags of hidden values and lives no longer than the process: a key that
    is stored would let whoever takes it with the ledger try short secrets until the tag fits.

    `under_way` bounds the bytes of bodies that are being redacted at once; what does not fit is not kept. `ended` is
    told of the end of every exchange, on the loop's thread: it must cost next to nothing.
    """

    def __init__(
        self,
        *,
        ledger: Ledger,
        figures: Figures,
        hiding: Hiding,
        key: bytes,
        work: Work,
        chance: Chance,
        under_way: int = UNDER_WAY_BYTES,
        ended: Callable[[Ended], None] = lambda _ended: None,
    ) -> None:
        self._ledger = ledger
        self._figures = figures
        self._hiding = hiding
        self._key = key
        self._redactor = Redactor(hiding, key)
        self._room = Buffered(under_way)
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
        trace_id: str = "",
    ) -> None:
        """Write down one verdict. A difference becomes part of a finding only when it has settled as one. `trace_id` is
        the one of the exchange in the team's tracing system, whether a trace is kept here or not."""
        verdict, pair, primary, shadow, *_ = end
        found: tuple[Difference, ...] = ()
        if verdict is Verdict.DIFF and pair is not None:
            # Without a trace redaction has failed; then no value is kept that it should have gone through.
            found = trace.differences if trace else _bare(pair.comparison.differences)
        tolerated = tuple(map(_tolerated, end.tolerated)) if end.tolerated else ()
        took = None if primary is None else primary.seconds
        shadow_took = None if shadow is None else shadow.seconds
        at = self._chance.now()
        self._ledger.record(
            ticket,
            # In the order of the fields: this is on the way of every exchange.
            Outcome(domain, route, verdict, at, found, tolerated, trace, took, shadow_took, *subject, end.known_gap),
        )
        trace_here, total = trace.id if trace else None, pair.comparison.total if pair else 0
        self._ended(Ended(at, domain, route, verdict, trace_here, total, took, shadow_took, trace_id))
        figures = self._figures
        figures.exchange(domain, route, verdict)
        if primary is not None and primary.error is None:
            figures.read(domain, Side.PRIMARY, primary.seconds)
        if shadow is not None and shadow.error is None:
            figures.read(domain, Side.SHADOW, shadow.seconds)
        for difference in found:
            figures.differences(domain, route, difference.kind, 1)

    async def trace(self, case: Case, end: End) -> Trace | None:
        """The trace of a case that differed or whose shadow failed; None for any other."""
        if end.verdict not in _TRACED:
            return None
        exchange, primary, shadow = case.exchange, end.primary, end.shadow
        comparison = end.pair.comparison if end.pair else None
        redactor = self._redactor
        also = redactor.credentials(
            target=exchange.target,
            route=case.route,
            fields=(exchange.headers, *(seen.headers for seen in (primary, shadow) if seen)),
            body=exchange.request,
        )
        bodies = (primary.body if primary else None, shadow.body if shadow else None)
        (kept_primary, kept_shadow), also = await self._bodies(bodies, also)
        differences: tuple[Difference, ...] = ()
        if comparison is not None and sum(len(body) for body in bodies if body) <= INLINE_BYTES // _COST:
            differences = redactor.differences(comparison.differences, also)
        elif comparison is not None:
            # Values of these may be as large as the bodies, and a search through one would hold the loop's thread up.
            differences = await self._differences(comparison.differences, also)
        notes = [end.detail]
        notes += [
            f"{side} body: {kept.why}"
            for side, kept in ((Side.PRIMARY, kept_primary), (Side.SHADOW, kept_shadow))
            if kept.why
        ]
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
            target=redactor.target(exchange.target, case.route, also),
            request_headers=redactor.headers(exchange.headers, also),
            primary_status=primary.status if primary else None,
            shadow_status=shadow.status if shadow else None,
            primary_headers=redactor.headers(primary.headers, also) if primary else (),
            shadow_headers=redactor.headers(shadow.headers, also) if shadow else (),
            primary_body=kept_primary.text,
            shadow_body=kept_shadow.text,
            primary_seconds=primary.seconds if primary else 0.0,
            shadow_seconds=shadow.seconds if shadow else 0.0,
            differences=differences,
            differences_total=comparison.total if comparison else 0,
            settling=tuple(redactor.text(text, also) for text in end.settling),
            detail=redactor.text("; ".join(note for note in notes if note), also),
            known_gap=end.known_gap,
            trace_id=exchange.trace_id,
        )

    async def _differences(self, found: tuple[Difference, ...], also: Credentials) -> tuple[Difference, ...]:
        try:
            return await self._work.apart(redacted_differences, self._hiding, self._key, found, also)
        except WorkTimeoutError:
            return _bare(found)

    async def _bodies(
        self, bodies: tuple[bytes | None, bytes | None], also: Credentials
    ) -> tuple[tuple[Kept, Kept], Credentials]:
        """Both bodies as they may be stored, and the credentials with what was found in them."""
        size = sum(len(body) for body in bodies if body and len(body) <= self._hiding.largest)
        if not self._room.take(size):
            return (_NO_ROOM, _NO_ROOM), also
        try:
            return await self._work.run(_COST * size, redacted_bodies, self._hiding, self._key, bodies, also)
        except WorkTimeoutError as error:
            kept = Kept(None, f"hiding what is secret {error}: not kept")
            return (kept, kept), also
        finally:
            self._room.give_back(size)


def _bare(found: Iterable[Difference]) -> tuple[Difference, ...]:
    """Differences without their values, and with the patterns of their paths."""
    return tuple(Difference(pattern_without_secrets(pattern_of(one.path)), one.kind) for one in found)


def _tolerated(one: Tolerated) -> Tolerated:
    path = pattern_without_secrets(one.path)
    return one if path == one.path else replace(one, path=path)


@lru_cache(maxsize=8)
def _redactor(hiding: Hiding, key: bytes) -> Redactor:
    return Redactor(hiding, key)


def redacted_bodies(
    hiding: Hiding, key: bytes, bodies: tuple[bytes | None, bytes | None], also: Credentials
) -> tuple[tuple[Kept, Kept], Credentials]:
    """Both bodies as they may be stored; plain data in and out, because large ones are done in the worker."""
    (primary, shadow), also = _redactor(hiding, key).bodies(bodies, also)
    return (primary, shadow), also


def redacted_differences(
    hiding: Hiding, key: bytes, found: tuple[Difference, ...], also: Credentials
) -> tuple[Difference, ...]:
    """Differences as they may be stored; plain data as well."""
    return _redactor(hiding, key).differences(found, also)
