"""What a gate needs of all that was examined, added up by the database: a window may have ten thousands of paths."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import case, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from proxy.ledger.dialect import total
from proxy.ledger.moments import from_us
from proxy.ledger.schema import metadata
from proxy.ledger.standing import standing_table
from proxy.window import DamageCount, FieldCount, Standing

ALL_PATHS = ""
"""Stands for the paths of damage that was always seen: only their sums decide anything."""
NAMED_FIELDS = 200
"""How many fields that never bore a value are named."""


@dataclass(frozen=True, slots=True)
class Weighed:
    """What is kept of a window beside its exchanges.

    `fields` paths are known, `not_verified` of them never bore a value on both sides; the first ones are named. Damage
    that was always seen is summed by route and sort, with the path `ALL_PATHS`.
    """

    fields: int = 0
    not_verified: int = 0
    named: tuple[FieldCount, ...] = ()
    damages: tuple[DamageCount, ...] = ()
    standings: tuple[Standing, ...] = ()


NOTHING = Weighed()


async def weighed(connection: AsyncConnection, windows: Collection[str]) -> dict[str, Weighed]:
    """Of each window, by its id."""
    fields, damages = metadata.tables["examined_fields"].c, metadata.tables["examined_damages"].c
    wanted = list(windows)
    known, blank = Counter[str](), Counter[str]()
    empty = fields.valued == 0
    for window, n, never in await connection.execute(
        select(fields.window, func.count(), total(case((empty, 1), else_=0)))
        .where(fields.window.in_(wanted))
        .group_by(fields.window)
    ):
        known[window], blank[window] = n, never
    path = case((damages.tried == damages.seen, ALL_PATHS), else_=damages.path).label("place")
    found: dict[str, list[DamageCount]] = {}
    for window, *one in await connection.execute(
        select(
            damages.window,
            damages.route,
            path,
            damages.damage,
            total(damages.tried),
            total(damages.seen),
            func.max(damages.rule),
        )
        .where(damages.window.in_(wanted))
        .group_by(damages.window, damages.route, path, damages.damage)
    ):
        found.setdefault(window, []).append(DamageCount(*one))
    named = {
        window: tuple(
            [
                FieldCount(*row)
                for row in await connection.execute(
                    select(
                        fields.route,
                        fields.path,
                        fields.looked,
                        fields.present,
                        fields.null_count,
                        fields.empty_count,
                        fields.valued,
                    )
                    .where(fields.window == window, empty)
                    .order_by(fields.route, fields.path)
                    .limit(NAMED_FIELDS)
                )
            ]
        )
        for window in wanted
        if blank[window]
    }
    standings: dict[str, list[Standing]] = {}
    table = standing_table.c
    for row in await connection.execute(
        select(standing_table).where(table.window.in_(wanted)).order_by(table.window, table.check)
    ):
        standings.setdefault(row.window, []).append(
            Standing(row.domain, row.check, row.proof, row.text, from_us(row.at))
        )
    return {
        window: Weighed(
            known[window],
            blank[window],
            named.get(window, ()),
            tuple(found.get(window, ())),
            tuple(standings.get(window, ())),
        )
        for window in wanted
    }
