"""What SQLite and Postgres say differently in statements that are otherwise the same."""

from __future__ import annotations

from typing import Any, TypeAlias

from sqlalchemy import BigInteger, ColumnElement, Table, cast, func, literal
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

POSTGRES = "postgresql"
"""SQLAlchemy's name of the dialect."""

Insert: TypeAlias = sqlite.Insert | postgresql.Insert
"""An INSERT that may say ON CONFLICT. Both have the same methods, but each is understood by its own database only."""


def insert(connection: AsyncConnection, table: Table) -> Insert:
    """INSERT into `table`, as the database of `connection` says it."""
    return insert_in(connection.dialect.name, table)


def insert_in(dialect: str, table: Table) -> Insert:
    """INSERT into `table` as `dialect` says it: for statements that are made once, since making one takes longer than
    having it executed."""
    return postgresql.insert(table) if dialect == POSTGRES else sqlite.insert(table)


def total(column: ColumnElement[Any]) -> ColumnElement[int]:
    """The sum as a whole number, which Postgres would make a NUMERIC of."""
    return cast(func.sum(column), BigInteger)


def greater(one: ColumnElement[Any] | int, other: ColumnElement[Any] | int) -> ColumnElement[int]:
    """The greater of two whole numbers; neither may be NULL, of which the databases think differently."""
    return _Greater(_whole(one), _whole(other))


def lesser(one: ColumnElement[Any] | int, other: ColumnElement[Any] | int) -> ColumnElement[int]:
    """The lesser of two whole numbers; see `greater`."""
    return _Lesser(_whole(one), _whole(other))


class _Greater(FunctionElement[int]):
    name = "greatest"
    inherit_cache = True
    type = BigInteger()


class _Lesser(FunctionElement[int]):
    name = "least"
    inherit_cache = True
    type = BigInteger()


@compiles(_Greater, "sqlite")
def _greater_in_sqlite(element: _Greater, compiler: Any, **more: Any) -> str:
    return f"max({compiler.process(element.clauses, **more)})"


@compiles(_Lesser, "sqlite")
def _lesser_in_sqlite(element: _Lesser, compiler: Any, **more: Any) -> str:
    return f"min({compiler.process(element.clauses, **more)})"


@compiles(_Greater, POSTGRES)
@compiles(_Lesser, POSTGRES)
def _in_postgres(element: _Greater | _Lesser, compiler: Any, **more: Any) -> str:
    return f"{element.name}({compiler.process(element.clauses, **more)})"


def _whole(value: ColumnElement[Any] | int) -> ColumnElement[Any]:
    return literal(value, BigInteger) if isinstance(value, int) else value
