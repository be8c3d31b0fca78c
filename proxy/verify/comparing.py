"""Comparing what two sides answered: the ids of both are looked up, the work is done where it holds nobody up.

Where nothing has to be waited for (`at_once`) a pair costs what its comparison costs; where it was seen equal before,
what it costs to find that out.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date
from functools import lru_cache
from typing import NamedTuple

import xxhash

from comparators.ids import IdTable, Pairings
from comparators.model import Comparison, Tolerated
from comparators.rules import Rules
from proxy.identity import Identity, IdentityError
from proxy.model import Observation
from proxy.telemetry import Figures
from proxy.verify.bounds import Bounds
from proxy.verify.case import Case, Chance
from proxy.verify.id_map import with_map_faults
from proxy.verify.memo import Entry, Memo, Outside, Ruled, outside_of
from proxy.verify.work import INLINE_BYTES, Job, Work, compare, response_of, rules_of, tokens_of

_MEDIA_TYPE = b"content-type"
"""Read whatever the rules say: it decides how bodies are compared."""
HEAVY_SECONDS = 0.005
LIGHT_BYTES = 4 * 1024
HEAVY_FOR = 60.0
"""A pair that is equal costs what its bytes cost, but to tell what differs in a long array may take a hundred times as
long (0.1 s for what may be compared on the loop at all). Where that took more than `HEAVY_SECONDS`, the route's pairs
of more than `LIGHT_BYTES` are compared beside the loop for so many seconds."""


class Compared(NamedTuple):
    """A comparison, and the job that it was the answer to."""

    comparison: Comparison
    job: Job


class Matched(NamedTuple):
    """A pair that is equal. `job` where it was compared now, None where that was remembered."""

    tolerated: tuple[Tolerated, ...]
    job: Job | None


@lru_cache(maxsize=4096)
def ruled(layers: str, today: date) -> Ruled:
    rules = rules_of(layers, today)
    return Ruled(rules, frozenset({_MEDIA_TYPE}) | {name.encode("latin-1") for name in rules.headers})


class Comparing:
    """Raises IdentityError and WorkTimeoutError. What `ids: inferred` believes lives here, for each domain."""

    def __init__(self, *, identity: Identity, work: Work, bounds: Bounds, chance: Chance, figures: Figures) -> None:
        self._identity = identity
        self._work = work
        self._bounds = bounds
        self._chance = chance
        self._figures = figures
        self._pairings: dict[str, Pairings] = {}
        self._under_way: dict[tuple[str, int, int], asyncio.Event] = {}
        self._heavy: dict[str, float] = {}
        self.memo = Memo(bounds.memo)

    def at_once(self, case: Case, primary: Observation, shadow: Observation, *, anew: bool) -> Matched | None:
        """The match that these two are, where that can be told without waiting and at little cost; else None, and
        `compare` has to tell. `anew`: what is remembered does not count. Bodies are decoded."""
        rules, names = applied = ruled(case.facts.layers, self._chance.now().date())
        if rules.ids == "inferred":
            return None
        identity, head_only = self._identity, case.exchange.method == "HEAD"
        version = identity.version
        if not anew:
            kept = self.memo.find(
                case.route, applied, primary, shadow, head_only=head_only, ids=version, now=identity.now()
            )
            if kept is not None:
                return Matched(kept.tolerated, None)
        one, two = primary.body or b"", shadow.body or b""
        size = len(one) + len(two)
        if not self._here(case, size):
            return None
        outside = outside_of(primary, shadow, names, head_only=head_only)
        table, tokens = IdTable(), set[str]()
        if texts := self._texts(rules, outside, one, two):
            tokens = tokens_of(texts)
            try:
                known = identity.at_once(tokens) if tokens else table
            except IdentityError:
                return None
            if known is None or not known.one_to_one:
                return None
            table = known
        job = self._job(case, primary, shadow, table, outside)
        began = self._chance.monotonic()
        found = compare(job)
        self._took(case, size, self._chance.monotonic() - began, found)
        if not found.equal:
            return None
        self._remember(case, rules, outside, primary, shadow, tokens, version, found)
        return Matched(found.tolerated, job)

    @asynccontextmanager
    async def turn(self, case: Case, primary: Observation, shadow: Observation) -> AsyncIterator[bool]:
        """Around the comparison of a large pair. Whoever comes with the same pair meanwhile waits here until it is
        known what the first one found, and gets true: it may be remembered now. One wait is all, for it may not be."""
        one, two = primary.body or b"", shadow.body or b""
        if len(one) + len(two) <= INLINE_BYTES or not self.memo.limit:
            yield False
            return
        key = (case.route, xxhash.xxh3_64_intdigest(one), xxhash.xxh3_64_intdigest(two))
        first = self._under_way.get(key)
        if first is not None:
            await first.wait()
            yield True
            return
        ended = self._under_way[key] = asyncio.Event()
        try:
            yield False
        finally:
            del self._under_way[key]
            ended.set()

    async def compare(self, case: Case, primary: Observation, shadow: Observation, *, fresh: bool = False) -> Compared:
        """The shadow held against the primary. `fresh` asks the id map again for what it did not know before."""
        table = IdTable()
        rules, names = ruled(case.facts.layers, self._chance.now().date())
        outside = outside_of(primary, shadow, names, head_only=case.exchange.method == "HEAD")
        one, two = primary.body or b"", shadow.body or b""
        version = self._identity.version
        tokens = set[str]()
        if texts := self._texts(rules, outside, one, two):
            tokens = await self._work.run(sum(map(len, texts)), tokens_of, texts)
            if tokens:
                table = await self._identity.lookup(tokens, fresh=fresh)
        compared = await self._with(case, primary, shadow, table, outside)
        if table.one_to_one:
            if compared.comparison.equal and rules.ids != "inferred":
                self._remember(case, rules, outside, primary, shadow, tokens, version, compared.comparison)
            return compared
        rows = [conflict.text for conflict in self._identity.conflicts_of((*table.by_legacy, *table.by_uuid))]
        return compared._replace(
            comparison=with_map_faults(compared.comparison, table, rows, named=bool(rules.entities))
        )

    async def drift(self, case: Case, before: Observation, after: Observation) -> Comparison:
        """One side held against its own answer of before: ids are those of one store."""
        _, names = ruled(case.facts.layers, self._chance.now().date())
        outside = outside_of(before, after, names, head_only=case.exchange.method == "HEAD")
        return (await self._with(case, before, after, IdTable(), outside)).comparison

    def _here(self, case: Case, size: int) -> bool:
        """Whether a pair of bodies of this size is compared on the loop."""
        if size > LIGHT_BYTES and case.route in self._heavy:
            if self._chance.monotonic() < self._heavy[case.route]:
                return False
            del self._heavy[case.route]
        return size <= INLINE_BYTES

    def _took(self, case: Case, size: int, seconds: float, found: Comparison) -> None:
        """Such a pair was compared on the loop."""
        self._figures.compare(seconds)
        if seconds > HEAVY_SECONDS and size > LIGHT_BYTES and not found.equal:
            self._heavy[case.route] = self._chance.monotonic() + HEAVY_FOR

    @staticmethod
    def _texts(rules: Rules, outside: Outside, one: bytes, two: bytes) -> list[bytes]:
        """Where ids may stand that the comparison needs: a request id in another field would ask at every read."""
        if rules.ids == "exact":
            return []
        fields = (*outside.primary_fields, *outside.shadow_fields)
        texts = [value for name, value in fields if name.lower() != _MEDIA_TYPE]
        return texts if one == two else [*texts, one, two]

    def _remember(
        self,
        case: Case,
        rules: Rules,
        outside: Outside,
        primary: Observation,
        shadow: Observation,
        tokens: set[str],
        version: int,
        found: Comparison,
    ) -> None:
        """Remember an equal pair. `version` is that of the id map before it was asked."""
        until = self._identity.good_until(tokens)
        if until > self._identity.now():
            self.memo.add(case.route, Entry(rules, outside, primary, shadow, version, until, found.tolerated))

    def _job(self, case: Case, primary: Observation, shadow: Observation, table: IdTable, outside: Outside) -> Job:
        return Job(
            response_of(primary._replace(headers=outside.primary_fields)),
            response_of(shadow._replace(headers=outside.shadow_fields)),
            case.facts.layers,
            self._chance.now().date(),
            table,
            head_only=outside.head_only,
            max_depth=self._bounds.depth,
            max_differences=self._bounds.differences,
        )

    async def _with(
        self, case: Case, primary: Observation, shadow: Observation, table: IdTable, outside: Outside
    ) -> Compared:
        job = self._job(case, primary, shadow, table, outside)
        with case.exchange.span.compare() as step:
            result = await self._done(case, job)
            step.found(result.total)
        return Compared(result, job)

    async def _done(self, case: Case, job: Job) -> Comparison:
        began = self._chance.monotonic()
        if rules_of(job.layers, job.today).ids == "inferred":
            # What is believed lives here, so such comparisons cannot leave the process; a thread keeps the loop free.
            pairings = self._pairings.setdefault(case.domain, Pairings())
            result = await asyncio.to_thread(compare, job, pairings)
        elif self._here(case, size := len(job.primary.body) + len(job.shadow.body)):
            result = compare(job)
            self._took(case, size, self._chance.monotonic() - began, result)
            return result
        else:
            result = await self._work.apart(compare, job)
        self._figures.compare(self._chance.monotonic() - began)
        return result
