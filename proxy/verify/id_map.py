"""Faults of the id map that a comparison has met. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from comparators.ids import IdPair, IdTable
from comparators.model import Comparison, Difference, Kind
from proxy.identity import ambiguous

MAX_FAULTS = 10


def with_map_faults(comparison: Comparison, table: IdTable, rows: Sequence[str], *, named: bool) -> Comparison:
    """The comparison with what is wrong in the part of the id map that it used.

    A row joined twice within its entity is a difference of its own (path `id_map`), whatever the bodies say: which of
    the two the other store means, nobody can tell; `rows` says where such rows stand. An id that several entities join
    to different ids is only said, as any of them may be meant where the rules name no entity (`named`).
    """
    faults = [
        Difference("id_map", Kind.ID_MISMATCH, _rows(twice, "legacy"), _rows(twice, "uuid")) for twice in _twice(table)
    ][:MAX_FAULTS]
    remarks = [] if named else [one.text for one in ambiguous(table)[:MAX_FAULTS]]
    return comparison._replace(
        differences=(*comparison.differences, *faults),
        total=comparison.total + len(faults),
        remarks=(*comparison.remarks, *rows[:MAX_FAULTS], *remarks),
    )


def _twice(table: IdTable) -> list[tuple[IdPair, ...]]:
    """The pairs of every id that is joined twice within one entity."""
    found: dict[tuple[IdPair, ...], None] = {}
    for pairs in (*table.by_legacy.values(), *table.by_uuid.values()):
        for entity in {pair.entity for pair in pairs}:
            own = tuple(sorted({pair for pair in pairs if pair.entity == entity}))
            if len(own) > 1:
                found[own] = None
    return sorted(found)


def _rows(pairs: Iterable[IdPair], side: str) -> list[str]:
    return [f"{pair.entity} {pair.legacy if side == 'legacy' else pair.uuid}" for pair in pairs]
