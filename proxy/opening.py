"""What every command that verifies has open: the ledger, the id map, both sides, and the verifier over them."""

from __future__ import annotations

import hashlib
import json
import random
import secrets
import time
from collections.abc import AsyncIterator, Hashable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import partial
from typing import Any

from proxy.identity import Identity
from proxy.identity.gaps import GapTables
from proxy.identity.sources import FileSource, sources_of
from proxy.ledger import Ledger
from proxy.model import Ended
from proxy.settings import Settings
from proxy.settings.routes import Router
from proxy.settings.secrets import secrets_of
from proxy.shelf import Shelf
from proxy.sides import Sides
from proxy.stamp import stamp
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
class Lasting:
    """What stays the same for as long as a process verifies, whatever becomes of its configuration.

    `key` makes the tags of hidden values (see `Recorder`).
    """

    ledger: Ledger
    figures: Figures
    chance: Chance
    tallies: Tallies
    tail: Tail
    spans: Spans
    shelf: Shelf
    key: bytes

    def ended(self, one: Ended) -> None:
        self.tallies.ended(one.domain, one.verdict)
        self.tail.add(one)


@dataclass(frozen=True, slots=True)
class Opened:
    """What is open under one configuration. `verifier` is None where no route has two sides."""

    settings: Settings
    lasting: Lasting
    identity: Identity
    identity_key: tuple[Hashable, ...]
    """What the id map was made from."""
    sides: Sides
    work: Work
    verifier: Verifier | None

    @property
    def ledger(self) -> Ledger:
        return self.lasting.ledger

    @property
    def chance(self) -> Chance:
        return self.lasting.chance

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
async def opening(settings: Settings, *, examine: bool = True) -> AsyncIterator[Opened]:
    """Open everything that verifying needs, from the ledger up; all of it is closed in order at the end.

    What is under way then has `settings.drain` seconds to end. `examine` false looks closer at no matched pair,
    whatever the configuration says. Raises LedgerError and IdentityError for what will not get better by itself.
    """
    async with AsyncExitStack() as stack:
        opened = await open_under(settings, await open_lasting(settings, stack), stack, examine=examine)
        opened.enter()
        yield opened


async def open_lasting(settings: Settings, stack: AsyncExitStack, spans: Spans = NO_SPANS) -> Lasting:
    """Open the ledger and what is counted beside it; `spans` tell of the exchanges. Raises LedgerError."""
    now = chance()
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
    return Lasting(ledger, Figures(), now, Tallies(), Tail(), spans, Shelf(), secrets.token_bytes(32))


async def open_under(
    settings: Settings,
    lasting: Lasting,
    stack: AsyncExitStack,
    *,
    examine: bool = True,
    before: Verifier | None = None,
    clients: AsyncExitStack | None = None,
) -> Opened:
    """Open what verifies under `settings`; what an earlier configuration has open in the same way is shared with it.

    Nothing of it takes effect before its `enter`. `before` is the verifier that the new one takes over from, `clients`
    as in `Sides.open`. Raises IdentityError for what will not get better by itself.
    """
    made_from = identity_key(settings)
    identity = await lasting.shelf.take(made_from, partial(_identity, settings), stack)
    sides = await Sides.open(settings, identity, stack, shelf=lasting.shelf, clients=clients)
    work = await lasting.shelf.take(("work", settings.limits.workers), partial(_work, settings.limits.workers), stack)
    verifier = None
    if sides.facts():
        verifier = await _verifier(settings, lasting, identity, sides, work, stack)
        if before is not None:
            verifier.remembered = before.remembered
        if examine and settings.examine.share > 0:
            examiner = Examiner(
                settings.examine, lasting.ledger, work, clock=lasting.chance.monotonic, draw=lasting.chance.draw
            )
            verifier.examiner = examiner
            stack.push_async_callback(examiner.stop)
    return Opened(settings, lasting, identity, made_from, sides, work, verifier)


def identity_key(settings: Settings) -> tuple[Hashable, ...]:
    """What the id map is made from: the address, the sources, and the files of them as they are on disk now."""
    sources = sources_of(settings)
    files = (stamp(one.path) for one in sources if isinstance(one, FileSource))
    return ("identity", settings.postgres, settings.ids.cache, *sources, *files)


async def _identity(settings: Settings, closing: AsyncExitStack) -> Identity:
    identity = Identity.of(settings)
    await identity.start()
    closing.push_async_callback(identity.close)
    return identity


async def _work(processes: int, closing: AsyncExitStack) -> Work:
    work = Work(timeout=COMPARISON_SECONDS, processes=processes)
    closing.push_async_callback(work.close)
    return work


async def _verifier(
    settings: Settings, lasting: Lasting, identity: Identity, sides: Sides, work: Work, stack: AsyncExitStack
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
        ledger=lasting.ledger,
        figures=lasting.figures,
        recorder=Recorder(
            ledger=lasting.ledger,
            figures=lasting.figures,
            hiding=hiding_of(settings),
            key=lasting.key,
            work=work,
            chance=lasting.chance,
            ended=lasting.ended,
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
            memo=limits.memo,
            busy=limits.busy,
        ),
        chance=lasting.chance,
        gaps=gaps,
        spans=lasting.spans,
    )
    stack.push_async_callback(verifier.stop, settings.drain)
    return verifier
