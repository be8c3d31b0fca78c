"""Comparing what two sides answered: the ids of both are looked up, the work is done where it holds nobody up."""

from __future__ import annotations

import asyncio
from typing import NamedTuple

from comparators.ids import IdTable, Pairings
from comparators.model import Comparison
from proxy.identity import Identity
from proxy.model import Observation
from proxy.telemetry import Figures
from proxy.verify.bounds import Bounds
from proxy.verify.case import Case, Chance
from proxy.verify.id_map import with_map_faults
from proxy.verify.work import Job, Work, compare, response_of, rules_of, tokens_of


class Compared(NamedTuple):
    """A comparison, and the job that it was the answer to."""

    comparison: Comparison
    job: Job


class Comparing:
    """Raises IdentityError and WorkTimeoutError. What `ids: inferred` believes lives here, for each domain."""

    def __init__(self, *, identity: Identity, work: Work, bounds: Bounds, chance: Chance, figures: Figures) -> None:
        self._identity = identity
        self._work = work
        self._bounds = bounds
        self._chance = chance
        self._figures = figures
        self._pairings: dict[str, Pairings] = {}

    async def compare(self, case: Case, primary: Observation, shadow: Observation, *, fresh: bool = False) -> Compared:
        """The shadow held against the primary. `fresh` asks the id map again for what it did not know before."""
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
        compared = await self._with(case, primary, shadow, table)
        if table.one_to_one:
            return compared
        rows = [conflict.text for conflict in self._identity.conflicts_of((*table.by_legacy, *table.by_uuid))]
        return compared._replace(
            comparison=with_map_faults(compared.comparison, table, rows, named=bool(rules.entities))
        )

    async def drift(self, case: Case, before: Observation, after: Observation) -> Comparison:
        """One side held against its own answer of before: ids are those of one store."""
        return (await self._with(case, before, after, IdTable())).comparison

    async def _with(self, case: Case, primary: Observation, shadow: Observation, table: IdTable) -> Compared:
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
        else:
            result = await self._work.run(len(job.primary.body) + len(job.shadow.body), compare, job)
        self._figures.compare(self._chance.monotonic() - began)
        return result
