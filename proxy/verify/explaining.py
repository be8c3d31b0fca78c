"""Asking the tables of gaps about a diff that has settled."""

from __future__ import annotations

from comparators.ids import IdTable, whole
from proxy.identity import Identity, IdentityError
from proxy.verify.case import Case, End
from proxy.verify.gaps import Gaps, explained, forms, ids_at
from proxy.verify.work import Work, WorkTimeoutError

MAX_IDS = 5_000
"""Ids of one diff that are asked for."""


class Explaining:
    """Marks ends that a known gap explains. What cannot be found out is no known gap, and the end says so."""

    def __init__(self, gaps: Gaps, identity: Identity, work: Work) -> None:
        self._gaps = gaps
        self._identity = identity
        self._work = work

    async def explain(self, case: Case, end: End) -> End:
        if end.pair is None:
            return end
        comparison, body = end.pair.comparison, end.pair.primary.body
        if comparison.total != len(comparison.differences):
            return end  # of what was not kept nobody can say whose it is
        subject = None if case.entity is None else whole(case.entity)
        try:
            at = await self._work.run(len(body or b""), ids_at, body, comparison.differences)
            asked = set().union(*at, () if subject is None else (subject,))
            if not asked or len(asked) > MAX_IDS:
                return end
            table: IdTable = await self._identity.lookup(asked)
            gaps = await self._gaps.open_for(set().union(*(forms(token, table) for token in asked)))
        except (IdentityError, WorkTimeoutError) as error:
            note = f"whether a known gap explains it could not be found out: {error}"
            return end._replace(detail=f"{end.detail}; {note}" if end.detail else note)
        return end._replace(known_gap=explained(at, subject, case.facts.entity or "", gaps, table))
