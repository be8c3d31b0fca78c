"""What is kept beside the counts until the next write: findings, traces, tolerances, entities. All bounded."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field, replace
from hashlib import blake2b, sha256
from sys import getsizeof
from typing import Any, TypeAlias

from comparators.encode import dumps
from comparators.model import Tolerated
from comparators.paths import pattern_of
from proxy.ledger.epoch import Epoch
from proxy.ledger.journal import shorten
from proxy.ledger.records import ENTITY_LIMIT
from proxy.model import Outcome, Trace, Verdict

QUEUE_TRACES = 500
QUEUE_BYTES = 64 * 1024 * 1024
"""What the traces that wait for the disk may take of memory."""
SAMPLE_CHARACTERS = 2_000
TOLERATED_PLACES = 10_000
OTHER_PLACES = "(other places)"
"""Where tolerances are counted past `TOLERATED_PLACES` different ones: by their rule until there are twice as many."""
PATH_CHARACTERS = 500
RULE_CHARACTERS = 500
PATH_BYTES, RULE_BYTES = 700, 500
"""Of what is part of a key: an index of Postgres takes 2,704 bytes, and the name of a route may be long."""
KIND_CHARACTERS = 100
ENTITY_BYTES = 64
"""Of what stands for an entity: clients write it, and tens of thousands are remembered. An id has 36 at most."""
LINKS = 50
"""How many findings one trace is listed under."""
TRACE_OVERHEAD, VALUE_OVERHEAD = 2_000, 500
"""Bytes that a trace takes beside its texts, and a value of a difference that is no text: it has been cut."""

Place: TypeAlias = tuple[str, str, str, str, str, str]
"""Where something was tolerated: window, domain, route, kind, path, rule."""


def finding_id(domain: str, route: str, path: str, kind: str) -> str:
    """Stable across runs and machines: the first 12 hex digits of a SHA-256 of the four."""
    return sha256("\0".join((domain, route, path, kind)).encode()).hexdigest()[:12]


def sample_of(value: Any) -> str:
    """`value` as JSON text, cut at `SAMPLE_CHARACTERS`; numbers keep every digit."""
    text = clean(dumps(value))
    return text if len(text) <= SAMPLE_CHARACTERS else f"{text[:SAMPLE_CHARACTERS]}..."


def clean(text: str) -> str:
    """`text` without lone surrogates and zeros, which JSON may bear and a database may not."""
    return text.encode(errors="replace").decode().replace("\0", "\ufffd")


def place_for(place: Place, known: set[Place]) -> Place:
    """`place`, or what it is counted under when there are too many; it is one of the `known` from then on."""
    if place not in known and len(known) >= TOLERATED_PLACES:
        place = (*place[:4], OTHER_PLACES, place[5])
        if place not in known and len(known) >= 2 * TOLERATED_PLACES:
            place = (*place[:5], "")
    known.add(place)
    return place


@dataclass(slots=True)
class FindingDelta:
    """What is new of a finding."""

    id: str
    domain: str
    route: str
    path: str
    kind: str
    first_at: int
    last_at: int
    exchanges: int = 0
    differences: int = 0
    first_trace: str | None = None
    last_trace: str | None = None
    sample_primary: str | None = None
    sample_shadow: str | None = None
    known_gap: int = 0


@dataclass(frozen=True, slots=True)
class DetailsBatch:
    """The details of one batch. Links are pairs of a finding and a trace; entities are hashes of 64 bits."""

    findings: tuple[FindingDelta, ...] = ()
    overflow: dict[str, int] = field(default_factory=dict)
    traces: tuple[Trace, ...] = ()
    links: tuple[tuple[str, str], ...] = ()
    tolerated: dict[Place, int] = field(default_factory=dict)
    entities: dict[tuple[str, str, str], frozenset[int]] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.findings or self.overflow or self.traces or self.tolerated or self.entities)

    def bare(self) -> DetailsBatch:
        """The same without traces."""
        findings = tuple(replace(finding, first_trace=None, last_trace=None) for finding in self.findings)
        return replace(self, findings=findings, traces=(), links=())


class TraceQueue:
    """Traces that wait to be written: the newest, and the first ones of findings before all others."""

    def __init__(self) -> None:
        self._first: deque[Trace] = deque()
        self._rest: deque[Trace] = deque()
        self._bytes = 0
        self.dropped = 0

    def __len__(self) -> int:
        return len(self._first) + len(self._rest)

    def add(self, trace: Trace, *, first: bool) -> bool:
        """Whether `trace` was taken in; an older one may have been dropped for it."""
        size = _size(trace)
        while len(self) >= QUEUE_TRACES or self._bytes + size > QUEUE_BYTES:
            if not self._rest:
                self.dropped += 1
                return False
            self._bytes -= _size(self._rest.popleft())
            self.dropped += 1
        (self._first if first else self._rest).append(trace)
        self._bytes += size
        return True

    def peek(self) -> tuple[Trace, ...]:
        return (*self._first, *self._rest)

    def take(self) -> tuple[Trace, ...]:
        found = self.peek()
        self._first.clear()
        self._rest.clear()
        self._bytes = 0
        return found


class Details:
    """Collects what the outcomes bear. `known` are the findings that have a row or are about to get one."""

    def __init__(self, max_findings: int) -> None:
        self.max_findings = max_findings
        self.traces = TraceQueue()
        self.known: set[str] = set()
        self.places: set[Place] = set()
        self._findings: dict[str, FindingDelta] = {}
        self._overflow: Counter[str] = Counter()
        self._links: list[tuple[str, str]] = []
        self._tolerated: Counter[tuple[Epoch, str, str, str, str, str]] = Counter()
        self._entities: dict[tuple[Epoch, str, str], set[str]] = {}
        self._seen: dict[tuple[Epoch, str, str], set[str]] = {}

    def add(self, epoch: Epoch, domain: str, route: str, outcome: Outcome, us: int) -> None:
        if outcome.verdict is Verdict.DIFF and outcome.differences:
            self._difference(domain, route, outcome, us)
        elif outcome.trace is not None:
            self.traces.add(outcome.trace, first=False)
        for tolerated in outcome.tolerated:
            self._tolerate(epoch, domain, route, tolerated)
        if outcome.entity is not None and outcome.verdict is Verdict.MATCH:
            self._entity((epoch, domain, clean(outcome.entity_kind[:KIND_CHARACTERS])), outcome.entity)

    def peek(self) -> DetailsBatch:
        """What `take` would give, without the entities. The findings in it still change."""
        traces = self.traces.peek()
        return DetailsBatch(
            tuple(self._findings.values()),
            dict(self._overflow),
            traces,
            self._links_to(traces),
            {(key[0].id, *key[1:]): n for key, n in self._tolerated.items()},
        )

    def take(self) -> DetailsBatch:
        batch = replace(self.peek(), entities=self._hashes())
        self.traces.take()
        kept = {trace.id for trace in batch.traces}
        for finding in batch.findings:
            # A trace that was pushed out of the queue must not be named: nobody could open it.
            if finding.first_trace not in kept:
                finding.first_trace = None
            if finding.last_trace not in kept:
                finding.last_trace = finding.first_trace
        self._findings, self._overflow, self._links = {}, Counter(), []
        self._tolerated, self._entities = Counter(), {}
        return batch

    def reopened(self, findings: set[str], places: set[Place]) -> None:
        """Start from what a file just opened knows: what was written may have been in another one."""
        self.known, self.places, self._seen = findings, places, {}

    def given_up(self, batch: DetailsBatch) -> None:
        """What `batch` bears is not in the file after all."""
        self.known.difference_update(finding.id for finding in batch.findings)
        self._seen = {}

    def forget(self, epochs: set[Epoch], windows: set[str]) -> None:
        """Remember of what was seen only what belongs to one of these."""
        self._seen = {key: seen for key, seen in self._seen.items() if key[0] in epochs}
        windows = windows | {epoch.id for epoch in epochs}
        self.places = {place for place in self.places if place[0] in windows}

    def _hashes(self) -> dict[tuple[str, str, str], frozenset[int]]:
        return {(key[0].id, *key[1:]): frozenset(map(_hash, found)) for key, found in self._entities.items()}

    def _links_to(self, traces: tuple[Trace, ...]) -> tuple[tuple[str, str], ...]:
        kept = {trace.id for trace in traces}
        return tuple(link for link in self._links if link[1] in kept)

    def _difference(self, domain: str, route: str, outcome: Outcome, us: int) -> None:
        touched: dict[str, FindingDelta] = {}
        fresh = False
        for difference in outcome.differences:
            path = clean(pattern_of(difference.path)[:PATH_CHARACTERS])
            key = finding_id(domain, route, path, difference.kind.value)
            new = key not in self.known
            if new and len(self.known) >= self.max_findings:
                self._overflow[domain] += 1
                continue
            finding = self._findings.get(key)
            if finding is None:
                finding = FindingDelta(key, domain, route, path, difference.kind.value, us, us)
                if new:
                    finding.sample_primary = sample_of(difference.primary)
                    finding.sample_shadow = sample_of(difference.shadow)
                self._findings[key] = finding
                self.known.add(key)
            fresh = fresh or new
            finding.differences += 1
            finding.known_gap += outcome.known_gap
            touched[key] = finding
        trace = outcome.trace
        kept = trace is not None and self.traces.add(trace, first=fresh)
        for index, (key, finding) in enumerate(touched.items()):
            finding.exchanges += 1
            finding.first_at = min(finding.first_at, us)
            finding.last_at = max(finding.last_at, us)
            if kept and trace is not None:
                finding.first_trace = finding.first_trace or trace.id
                finding.last_trace = trace.id
                if index < LINKS:
                    self._links.append((key, trace.id))
        if len(self._links) > 2 * LINKS * QUEUE_TRACES:
            self._links = list(self._links_to(self.traces.peek()))

    def _tolerate(self, epoch: Epoch, domain: str, route: str, tolerated: Tolerated) -> None:
        path = shorten(clean(tolerated.path[:PATH_CHARACTERS]), PATH_BYTES)
        rule = shorten(clean(tolerated.rule[:RULE_CHARACTERS]), RULE_BYTES)
        place = place_for((epoch.id, domain, route, tolerated.kind, path, rule), self.places)
        self._tolerated[epoch, *place[1:]] += tolerated.count

    def _entity(self, key: tuple[Epoch, str, str], entity: str) -> None:
        if len(entity) > ENTITY_BYTES:
            entity = shorten(clean(entity), ENTITY_BYTES)
        seen = self._seen.setdefault(key, set())
        if entity in seen:
            return
        waiting = self._entities.setdefault(key, set())
        if len(waiting) >= ENTITY_LIMIT:
            return
        # What was seen is only remembered to spare the file; it may be forgotten and is then found there.
        if len(seen) >= ENTITY_LIMIT:
            seen.clear()
        seen.add(entity)
        waiting.add(entity)


def _hash(entity: str) -> int:
    return int.from_bytes(blake2b(entity.encode(errors="replace"), digest_size=8).digest(), signed=True)


def _size(trace: Trace) -> int:
    headers = (trace.request_headers, trace.primary_headers, trace.shadow_headers)
    texts = [trace.primary_body or "", trace.shadow_body or "", trace.target, trace.detail]
    texts += [text for pairs in headers for pair in pairs for text in pair]
    values = [value for one in trace.differences for value in (one.path, one.primary, one.shadow)]
    sizes = (getsizeof(value) if isinstance(value, str) else VALUE_OVERHEAD for value in values)
    return sum(map(getsizeof, texts)) + sum(sizes) + TRACE_OVERHEAD
