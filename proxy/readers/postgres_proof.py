"""What the server says of a route's statements before they are run for anyone: types, columns, volatile functions."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, TypeAlias

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from proxy.direct.parameters import Parameter, ParameterError, ParameterType, convert
from proxy.direct.plans import PostgresPlan, ProvedStatement, StatementPlan
from proxy.direct.postgres_binding import bound, settled
from proxy.direct.sql_tokens import StatementError, place
from proxy.direct.statements import Statement, check_statement

if TYPE_CHECKING:
    from asyncpg.types import Type

Connection: TypeAlias = "PoolConnectionProxy[asyncpg.Record]"

_checked = lru_cache(maxsize=1_024)(check_statement)
"""Statements are proved again and again, and their texts do not change."""

_OF_DATA = ("22", "23")
_VALUES = re.compile(r'".*"', re.DOTALL)
_VOLATILE = """
SELECT 'function ' || proname FROM pg_catalog.pg_proc
WHERE provolatile = 'v' AND (proname = ANY($1::text[]::name[])
  OR proname = ANY($2::text[]::name[]) AND pronargs = 1
  AND proargtypes[0] IN (SELECT oid FROM pg_catalog.pg_type WHERE typtype = 'c'))
UNION
SELECT 'operator ' || oprname FROM pg_catalog.pg_operator AS o JOIN pg_catalog.pg_proc AS p ON p.oid = o.oprcode
WHERE provolatile = 'v' AND oprname = ANY($3::text[]::name[])
ORDER BY 1
"""
"""Of all overloads and schemas: which one a call means is the server's own affair, and it can change."""


@dataclass(frozen=True, slots=True)
class Proof:
    """A statement that may be run, with its parameters as they are once Postgres has typed them."""

    statement: ProvedStatement
    parameters: tuple[Parameter, ...]
    kinds: tuple[ParameterType, ...]


async def prove(connection: Connection, plan: PostgresPlan) -> list[Proof]:
    """Prove every statement of a plan, inside of a transaction. Raises StatementError and what asyncpg raises."""
    proofs = [await _prove(connection, statement) for statement in plan.statements]
    _check_shape(plan, [proof.statement for proof in proofs])
    return proofs


async def _prove(connection: Connection, plan: StatementPlan) -> Proof:
    try:
        checked = _checked(plan.sql)
        await _check_volatile(connection, checked)
        prepared = await connection.prepare(plan.sql)
        types = prepared.get_parameters()
        parameters, kinds = _settled(plan.parameters, types)
    except (StatementError, ParameterError) as error:
        raise StatementError(f"statement {plan.name}: {error}") from error
    except asyncpg.UnsupportedClientFeatureError as error:
        hint = "cast it to text, or select its parts or to_jsonb of it"
        raise StatementError(f"statement {plan.name}: {str(error).partition(': ')[0]}; {hint}") from error
    except asyncpg.PostgresError as error:
        if is_fault_of_statement(error):
            raise StatementError(f"statement {plan.name}: {told(error, plan.sql)}") from error
        raise
    columns = tuple((column.name, column.type.name) for column in prepared.get_attributes())
    names = [name for name, _ in columns]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise StatementError(f"statement {plan.name}: two columns are called {', '.join(twice)}; name one with AS")
    proved = ProvedStatement(plan.name, plan.sql, tuple(each.name for each in types), columns)
    return Proof(proved, parameters, kinds)


async def _check_volatile(connection: Connection, checked: Statement) -> None:
    rows = await connection.fetch(
        _VOLATILE, sorted(checked.functions), sorted(checked.members), sorted(checked.operators)
    )
    if rows:
        named = ", ".join(row[0] for row in rows)
        raise StatementError(f"{named} is volatile; a direct read calls only what is stable or immutable")


def _settled(
    parameters: Sequence[Parameter], types: Sequence[Type]
) -> tuple[tuple[Parameter, ...], tuple[ParameterType, ...]]:
    if len(parameters) != len(types):
        raise StatementError(f"has {len(types)} parameters ($1 and so on), and params names {len(parameters)}")
    pairs = []
    for number, (parameter, pg_type) in enumerate(zip(parameters, types, strict=True), 1):
        try:
            pair = settled(parameter, pg_type.name, builtin=pg_type.schema == "pg_catalog")
            bound(convert(pair[0], None, pair[1]), pg_type.name)
        except ParameterError as error:
            raise StatementError(f"${number}: {error}") from error
        pairs.append(pair)
    return tuple(parameter for parameter, _ in pairs), tuple(kind for _, kind in pairs)


def _check_shape(plan: PostgresPlan, proved: Sequence[ProvedStatement]) -> None:
    known = {statement.name: {name for name, _ in statement.columns} for statement in proved}
    for name, columns in plan.shape.columns().items():
        if name not in known:
            raise StatementError(f"shape: there is no statement {name}; there are {', '.join(known)}")
        for column in sorted(columns):
            if column not in known[name] and column.partition(".")[0] not in known[name]:
                has = ", ".join(sorted(known[name]))
                raise StatementError(f"shape: statement {name} has no column {column}; it has {has}")


def is_fault_of_statement(error: asyncpg.PostgresError) -> bool:
    """Whether the server understood and will say the same again: no trouble of the connection or of its resources."""
    return (error.sqlstate or "")[:2] not in ("08", "28", "3D", "53", "57", "58", "XX", "")


def told(error: asyncpg.PostgresError, sql: str) -> str:
    """The server's own words, with the place in the statement where it gives one, and without values of the data."""
    position = getattr(error, "position", None)
    where = f"{place(sql, int(position) - 1)}: " if position and position.isdigit() else ""
    message = str(getattr(error, "message", None) or error)
    if (error.sqlstate or "").startswith(_OF_DATA):
        message = _VALUES.sub('"…"', message)
    return f"{where}{message}"[:500]
