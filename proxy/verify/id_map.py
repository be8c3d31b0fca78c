"""Faults of the id map that a comparison has met. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from comparators.ids import IdPair, IdTable
from comparators.model import Comparison, Difference, Kind

MAX_FAULTS = 10


def with_map_faults(comparison: Comparison, table: IdTable, *, named: bool) -> Comparison:
    """The comparison with what is wrong in the part of the id map that it used.

    A row joined twice within its entity is a difference of its own (path `id_map`), whatever the bodies say: which of
    the two the other store means, nobody can tell. A legacy id that two entities join to two uuids is only said, as any
    of them may be meant where the rules name no entity (`named`).
    """
    faults = [
        Difference("id_map", Kind.ID_MISMATCH, _rows(twice, "legacy"), _rows(twice, "uuid")) for twice in _twice(table)
    ][:MAX_FAULTS]
    remarks = [] if named else [_ambiguity(legacy, pairs) for legacy, pairs in _ambiguous(table)][:MAX_FAULTS]
    return comparison._replace(
        differences=(*comparison.differences, *faults),
        total=comparison.total + len(faults),
        remarks=(*comparison.remarks, *remarks),
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


def _ambiguous(table: IdTable) -> list[tuple[str, tuple[IdPair, ...]]]:
    return [
        (legacy, pairs)
        for legacy, pairs in sorted(table.by_legacy.items())
        if len({pair.entity for pair in pairs}) > 1 and len({pair.uuid for pair in pairs}) > 1
    ]


def _ambiguity(legacy: str, pairs: Iterable[IdPair]) -> str:
    joined = ", ".join(f"{pair.entity} {pair.uuid}" for pair in pairs)
    return f"{legacy} is joined under several entities ({joined}) and the rules name none, so any was accepted"
