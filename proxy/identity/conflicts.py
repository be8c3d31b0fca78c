"""What is wrong with an id map: ids joined more than once, with the rows that say so. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from comparators.ids import IdPair, IdTable

ROWS_SHOWN = 10


class Row(NamedTuple):
    """One pair and where it stands: the label of a source, such as `table id_map`."""

    source: str
    pair: IdPair


@dataclass(frozen=True, slots=True)
class Conflict:
    """An id that the map joins to more than one id of the same entity.

    `total` counts the ids that it is joined to. Of these and of the rows that say so the first ten are kept, at least
    one row for each id kept.
    """

    entity: str
    token: str
    joined: tuple[str, ...]
    rows: tuple[Row, ...]
    total: int

    @property
    def text(self) -> str:
        """The conflict in one sentence that names its rows."""
        own, other = ("uuid", "legacy ids") if "-" in self.token else ("legacy id", "uuids")
        rows = "; ".join(f"{row.source}: {row.pair.legacy} = {row.pair.uuid}" for row in self.rows)
        more = f"; {self.total - len(self.joined)} more" if self.total > len(self.joined) else ""
        return f"{own} {self.token} serves {self.total} {other} of {self.entity} ({rows}{more})"


@dataclass(frozen=True, slots=True)
class Ambiguity:
    """An id that different entities join to different ids. Where no entity is configured, any of them matches."""

    token: str
    pairs: tuple[IdPair, ...]

    @property
    def text(self) -> str:
        """The ambiguity in one sentence."""
        legacy = "-" not in self.token
        shown = self.pairs[:ROWS_SHOWN]
        names = ", ".join(f"{pair.uuid if legacy else pair.legacy} as {pair.entity}" for pair in shown)
        more = f" and {len(self.pairs) - len(shown)} more" if len(self.pairs) > len(shown) else ""
        return f"{self.token} may be {names}{more}; name the entity at its path under compare.ids.entities"


def conflicts(rows: Iterable[Row]) -> list[Conflict]:
    """Every id among `rows` that is joined to several ids within an entity, in a stable order."""
    joined: dict[tuple[str, str], dict[str, list[Row]]] = {}
    for row in dict.fromkeys(rows):
        entity, legacy, uuid = row.pair
        joined.setdefault((entity, legacy), {}).setdefault(uuid, []).append(row)
        joined.setdefault((entity, uuid), {}).setdefault(legacy, []).append(row)
    return [_conflict(entity, token, others) for (entity, token), others in sorted(joined.items()) if len(others) > 1]


def _conflict(entity: str, token: str, others: dict[str, list[Row]]) -> Conflict:
    shown = sorted(others)[:ROWS_SHOWN]
    first = [others[other][0] for other in shown]
    further = [row for other in shown for row in others[other][1:]]
    rows = sorted((*first, *further[: ROWS_SHOWN - len(first)]), key=lambda row: (row.pair, row.source))
    return Conflict(entity, token, tuple(shown), tuple(rows), len(others))


def ambiguous(table: IdTable) -> tuple[Ambiguity, ...]:
    """The ids of a looked-up table that several entities join to different ids, in a stable order.

    The same pair under several entities is not ambiguous. What is joined twice within one entity is a conflict, and is
    told here only when another entity joins it otherwise. Where the rules name an entity, the ambiguity does no harm:
    whether they do is for the caller to know.
    """
    if table.one_to_one:
        return ()
    found = []
    for of in (table.by_legacy, table.by_uuid):
        for token, pairs in of.items():
            by_entity: dict[str, set[tuple[str, str]]] = {}
            for pair in pairs:
                by_entity.setdefault(pair.entity, set()).add((pair.legacy, pair.uuid))
            joined = list(by_entity.values())
            if any(other != joined[0] for other in joined[1:]):
                found.append(Ambiguity(token, tuple(sorted(pairs))))
    return tuple(sorted(found, key=lambda ambiguity: ambiguity.token))
