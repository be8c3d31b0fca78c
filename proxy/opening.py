"""What every command that verifies has open: the ledger, the id map, both sides, and the verifier over them."""

from __future__ import annotations

import asyncio
import hashlib
import json
import random
import secrets
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from proxy.identity import Identity
from proxy.identity.gaps import GapTables
from proxy.ledger import Ledger
from proxy.model import Ended
from proxy.settings import Settings
from proxy.settings.routes import Router
from proxy.settings.secrets import secrets_of
from proxy.sides import Sides
from proxy.tail import Tail
from proxy.telemetry import NO_SPANS, Figures, Spans
from proxy.verify.bounds import Bounds
from proxy.verify.case import Chance
from proxy.verify.examine import Examiner
from proxy.verify.pulse import Tallies
from proxy.verify.record import Recorder
from proxy.verify.redact import Hiding
from proxy.verify.redact_names import is_plain
from proxy.verify.verifier import Verifier
from proxy.verify.work import Work, layers_text, rules_of
from proxy.window import RULES

COMPARISON_SECONDS = 10.0
FINGERPRINT_DIGITS = 16


def new_id() -> str:
    """An id that sorts by time: 12 hex digits of milliseconds, 12 of chance."""
    return f"{time.time_ns() // 1_000_000:012x}{secrets.token_hex(6)}"


def chance() -> Chance:
    """The real clock and real randomness. Sampling needs no cryptography; ids and keys use `secrets`."""
    return Chance(time.monotonic, lambda: datetime.now(UTC), random.random, new_id)


def rules_fingerprint(settings: Settings, domain: str, today: date) -> str:
    """What decides the comparisons of a domain on a day, as a hash: the rules of its routes, who reads their sides, and
    how ids are put. A rule past its `until` no longer applies, so the day may change it."""
    named = settings.domains[domain]
    whole: list[Any] = [named.translate_ids if settings.shadow.translate_ids else None]
    for route in named.routes:
        # As written, not as compiled: a compiled plan bears functions and sets, which no two processes print alike.
        readers = [reader and reader.model_dump(mode="json") for reader in (route.primary, route.shadow)]
        rules = rules_of(layers_text(settings.compare_layers(domain, route.route)), today)
        whole.append([route.route, rules.fingerprint, readers])
    text = json.dumps(whole, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:FINGERPRINT_DIGITS]


def hiding_of(settings: Settings) -> Hiding:
    """What the configuration says about hiding, its own secrets among it.

    A password that is a plain word ("postgres") is not looked for: the word would be hidden wherever it stands.
    """
    known = tuple(text for text in secrets_of(settings) if not is_plain(text))
    return Hiding(tuple(settings.redact), tuple(settings.redact_keep), known, settings.limits.trace_body)


@dataclass(frozen=True, slots=True)
class Opened:
    """What is open. `verifier` is None where no route has two sides."""

    settings: Settings
    ledger: Ledger
    identity: Identity
    sides: Sides
    work: Work
    figures: Figures
    chance: Chance
    tallies: Tallies
    tail: Tail
    verifier: Verifier | None

    def enter(self) -> None:
        """Say to the ledger which rules apply to each verified domain today."""
        at = self.chance.now()
        for name, domain in self.settings.domains.items():
            if domain.stage != "off":
                self.ledger.enter(name, {RULES: rules_fingerprint(self.settings, name, at.date())}, at)

    def entered(self, domain: str, parts: Mapping[str, str]) -> None:
        """Say to the ledger what the sides of `domain` report of themselves."""
        self.ledger.enter(domain, parts, self.chance.now())


@asynccontextmanager
async def opening(settings: Settings, *, examine: bool = True, spans: Spans = NO_SPANS) -> AsyncIterator[Opened]:
    """Open everything that verifying needs, from the ledger up; all of it is closed in order at the end.

    What is under way then has `settings.drain` seconds to end. `examine` false looks closer at no matched pair,
    whatever the configuration says. `spans` tell of the exchanges. Raises LedgerError and IdentityError for what will
    not get better by itself.
    """
    async with AsyncExitStack() as stack:
        yield await _open(settings, stack, examine=examine, spans=spans)


async def _open(settings: Settings, stack: AsyncExitStack, *, examine: bool, spans: Spans) -> Opened:
    now, figures, tallies, tail = chance(), Figures(), Tallies(), Tail()
    ledger = await Ledger.open(
        settings.ledger.url,
        journal=settings.ledger.journal,
        flush_seconds=settings.ledger.flush,
        max_traces=settings.limits.traces,
        max_trace_bytes=settings.limits.trace_bytes,
        max_findings=settings.limits.findings,
        gone_after=settings.findings.gone_after,
        clock=now.now,
    )
    stack.push_async_callback(ledger.close)
    identity = Identity.of(settings)
    await identity.start()
    stack.push_async_callback(identity.close)
    sides = await Sides.open(settings, identity, stack)
    work = Work(timeout=COMPARISON_SECONDS)
    stack.push_async_callback(asyncio.to_thread, work.close)
    verifier = None

    def ended(one: Ended) -> None:
        tallies.ended(one.domain, one.verdict)
        tail.add(one)

    if sides.facts():
        verifier = await _verifier(settings, ledger, identity, sides, work, figures, now, ended, stack, spans)
        if examine and settings.examine.share > 0:
            examiner = Examiner(settings.examine, ledger, work, clock=now.monotonic, draw=now.draw)
            verifier.examiner = examiner
            stack.push_async_callback(examiner.stop)
    opened = Opened(settings, ledger, identity, sides, work, figures, now, tallies, tail, verifier)
    opened.enter()
    return opened


async def _verifier(
    settings: Settings,
    ledger: Ledger,
    identity: Identity,
    sides: Sides,
    work: Work,
    figures: Figures,
    now: Chance,
    ended: Callable[[Ended], None],
    stack: AsyncExitStack,
    spans: Spans,
) -> Verifier:
    limits, facts = settings.limits, sides.facts()
    gaps = GapTables.of(settings)
    if gaps is not None:
        await gaps.start()
        stack.push_async_callback(gaps.close)
    verifier = Verifier(
        router=Router([claim for claim in settings.claims() if (claim.domain, claim.pattern.text) in facts]),
        routes=facts,
        identity=identity,
        ledger=ledger,
        figures=figures,
        recorder=Recorder(
            ledger=ledger,
            figures=figures,
            hiding=hiding_of(settings),
            key=secrets.token_bytes(32),
            work=work,
            chance=now,
            ended=ended,
        ),
        work=work,
        bounds=Bounds(
            timeout=settings.shadow.timeout,
            settle_delay=settings.settle.delay,
            settle_factor=settings.settle.factor,
            settle_attempts=settings.settle.attempts,
            body=limits.body,
            buffered=limits.buffered,
            depth=limits.depth,
            differences=limits.differences,
            queue=limits.queue,
            concurrency=settings.shadow.max_concurrency,
        ),
        chance=now,
        gaps=gaps,
        spans=spans,
    )
    stack.push_async_callback(verifier.stop, settings.drain)
    return verifier
