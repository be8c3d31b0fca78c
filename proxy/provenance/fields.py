"""One field of one row in Postgres, changed and put back by compare-and-set. The account is one that may write it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias

import asyncpg

from proxy.errors import ShadowreadError
from proxy.identity.faults import POSTGRES_FAULTS
from proxy.identity.sources import quoted
from proxy.settings import CanarySettings

TIMEOUT = 5.0
LOCK_MS = 2_000
MARK = "canary"

_TEXTS = frozenset({"text", "varchar", "bpchar"})
# Towards zero, so that no type overflows; by one unit in the last place where that is all there is.
_MARKS = {
    "bool": "NOT coalesce(c, false)",
    "int2": "CASE WHEN c > 0 THEN c - 1 ELSE coalesce(c, 0) + 1 END",
    "int4": "CASE WHEN c > 0 THEN c - 1 ELSE coalesce(c, 0) + 1 END",
    "int8": "CASE WHEN c > 0 THEN c - 1 ELSE coalesce(c, 0) + 1 END",
    "numeric": (
        "CASE WHEN c >= 1 THEN c - 1 WHEN c > 0 THEN c - power(10::numeric, -scale(c)) "
        "ELSE coalesce(c, 0) + power(10::numeric, -coalesce(scale(c), 0)) END"
    ),
    "float4": "CASE WHEN abs(c) >= 1 THEN c / 2 ELSE coalesce(c, 0) + 1 END",
    "float8": "CASE WHEN abs(c) >= 1 THEN c / 2 ELSE coalesce(c, 0) + 1 END",
    "date": "coalesce(c, current_date) - 1",
    "timestamp": "coalesce(c, localtimestamp) - interval '1 day'",
    "timestamptz": "coalesce(c, now()) - interval '1 day'",
}
_COLUMN = """
SELECT t.typname::text AS type, format_type(a.atttypid, a.atttypmod) AS cast, a.atttypmod AS modifier,
  a.attidentity <> '' OR a.attgenerated <> '' AS made,
  has_column_privilege(a.attrelid, a.attnum, 'UPDATE') AS allowed,
  EXISTS (SELECT FROM pg_constraint AS k WHERE k.contype IN ('p', 'u', 'f') AND (
    (k.conrelid = a.attrelid AND a.attnum = ANY(k.conkey)) OR
    (k.confrelid = a.attrelid AND a.attnum = ANY(k.confkey))))
  OR EXISTS (SELECT FROM pg_index AS i WHERE i.indrelid = a.attrelid AND i.indisunique
    AND a.attnum = ANY(i.indkey::int2[])) AS key
FROM pg_attribute AS a JOIN pg_type AS t ON t.oid = a.atttypid
WHERE a.attrelid = to_regclass($1) AND a.attname = $2 AND a.attnum > 0 AND NOT a.attisdropped
"""

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"


class FieldError(ShadowreadError):
    """The field cannot be changed, or nobody may; or Postgres cannot be asked."""


@dataclass(frozen=True, slots=True)
class Place:
    """A column of a table and the column that names its rows."""

    table: str
    key: str
    column: str

    @classmethod
    def of(cls, settings: CanarySettings) -> Place:
        return cls(settings.table, settings.key, settings.column)

    @property
    def name(self) -> str:
        return f"{self.table}.{self.column}"


@dataclass(frozen=True, slots=True)
class _Types:
    """How values of the key and of the column are spelled in SQL; `type` is the column's bare type."""

    key: str
    column: str
    type: str
    modifier: int


class Fields:
    """Reads and writes fields. All methods raise FieldError. Values are texts as Postgres prints them; None is NULL."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._live: Connection | None = None
        self._account = "the account of provenance.canary_dsn"
        self._types: dict[Place, _Types] = {}

    @classmethod
    @asynccontextmanager
    async def open(cls, dsn: str) -> AsyncIterator[Fields]:
        """Connect with the account of `dsn`, for as long as the block lasts; a connection that is lost is made anew."""
        fields = cls(dsn)
        try:
            await fields._connection()
            yield fields
        finally:
            await fields._close()

    async def _connection(self) -> Connection:
        if self._live is None or self._live.is_closed():
            try:
                self._live = await asyncpg.connect(
                    self._dsn,
                    timeout=TIMEOUT,
                    command_timeout=TIMEOUT,
                    server_settings={
                        "application_name": "shadowread canary",
                        "TimeZone": "UTC",
                        "DateStyle": "ISO",
                        "extra_float_digits": "1",
                        "lock_timeout": str(LOCK_MS),
                    },
                )
                self._account = str(await self._live.fetchval("SELECT current_user"))
            except POSTGRES_FAULTS as error:
                raise FieldError(f"provenance.canary_dsn: Postgres cannot be asked: {_line(error)}") from error
        return self._live

    async def _close(self) -> None:
        if self._live is not None:
            try:
                async with asyncio.timeout(TIMEOUT):
                    await self._live.close()
            except POSTGRES_FAULTS:
                self._live.terminate()

    async def check(self, place: Place) -> None:
        """FieldError where the column is a key, of a type that is not marked, or not to be updated by this account."""
        row = await self._column(place, place.column)
        if row["key"] or row["type"] == "uuid":
            raise FieldError(f"{place.name} is a key or an id; name a harmless column that a response shows")
        if row["made"]:
            raise FieldError(f"{place.name} is made by Postgres; name a column that is written")
        if row["type"] not in _MARKS and row["type"] not in _TEXTS:
            raise FieldError(
                f"{place.name} is {row['cast']}; name a column of text, a number, a boolean, a date or a timestamp"
            )
        if not row["allowed"]:
            raise FieldError(
                f"{self._account} may not update {place.name}; "
                f"GRANT SELECT, UPDATE ({place.column}) ON {place.table} TO {self._account}"
            )

    async def rows(self, place: Place, limit: int) -> list[str]:
        """Keys of some rows in which the column has a value."""
        key, column = _quoted(place.key), _quoted(place.column)
        sql = (
            f"SELECT {key}::text AS key FROM {quoted(place.table)} "  # noqa: S608 - checked names, quoted
            f"WHERE {key} IS NOT NULL AND {column} IS NOT NULL LIMIT $1"
        )
        return [str(row["key"]) for row in await self._fetch(sql, limit)]

    async def has(self, place: Place, row: str) -> bool:
        """Whether `row` is the key of exactly one row; False too where it is none of the key's type."""
        types = await self._types_of(place)
        sql = f"SELECT count(*) FROM {quoted(place.table)} WHERE {self._row(place, types)}"  # noqa: S608 - as above
        try:
            return bool(await (await self._connection()).fetchval(sql, row) == 1)
        except asyncpg.DataError:
            return False
        except POSTGRES_FAULTS as error:
            raise FieldError(f"Postgres does not answer as {self._account}: {_line(error)}") from error

    async def value(self, place: Place, row: str, mark: str) -> tuple[str | None, str]:
        """What the field has, and what it is to have while it is marked; `mark` is what makes a text another one."""
        types, field = await self._types_of(place), _quoted(place.column)
        mark_of = _MARKS.get(types.type, "NULL")
        # Names are checked and quoted, types come from the server's own catalogue: nothing here is free text.
        sql = (
            f"SELECT c::text AS before, ({mark_of})::{types.column}::text AS marked "  # noqa: S608 - see above
            f"FROM (SELECT {field} AS c FROM {quoted(place.table)} WHERE {self._row(place, types)}) AS t"
        )
        found = await self._fetch(sql, row)
        if len(found) != 1:
            raise FieldError(
                f"{len(found)} rows of {place.table} have the {place.key} that was asked for, one is needed"
            )
        before = found[0]["before"]
        marked = found[0]["marked"] if types.type not in _TEXTS else _marked(before, mark, types)
        if marked is None or marked == before:
            raise FieldError(f"{place.name}: the value cannot be marked; name another column or row")
        return before, str(marked)

    async def exchange(self, place: Place, row: str, old: str | None, new: str | None) -> bool:
        """Put `new` where `old` stands; False where something else stands there. Nothing else is changed."""
        types = await self._types_of(place)
        column = _quoted(place.column)
        sql = (
            f"UPDATE {quoted(place.table)} SET {column} = $2::text::{types.column} "  # noqa: S608 - checked names, quoted
            f"WHERE {self._row(place, types)} AND {column}::text IS NOT DISTINCT FROM $3::text"
        )
        connection = await self._connection()
        try:
            async with connection.transaction():
                done = await connection.execute(sql, row, new, old)
                if (count := int(done.rpartition(" ")[2])) > 1:
                    raise FieldError(f"{count} rows of {place.table} have this {place.key}; nothing was changed")
                return count == 1
        except POSTGRES_FAULTS as error:
            raise FieldError(f"{place.name} cannot be written: {_line(error)}") from error

    async def others(self, place: Place, row: str) -> Mapping[str, Any]:
        """The other columns of the row: a trigger may have changed them too."""
        types = await self._types_of(place)
        where = self._row(place, types)
        sql = f"SELECT to_jsonb(t)::text AS row FROM {quoted(place.table)} AS t WHERE {where}"  # noqa: S608 - as above
        found = await self._fetch(sql, row)
        whole: dict[str, Any] = json.loads(found[0]["row"]) if found else {}
        return {name: value for name, value in whole.items() if name != place.column}

    def _row(self, place: Place, types: _Types) -> str:
        return f"{_quoted(place.key)} = $1::text::{types.key}"

    async def _types_of(self, place: Place) -> _Types:
        if place not in self._types:
            key, column = await self._column(place, place.key), await self._column(place, place.column)
            self._types[place] = _Types(key["cast"], column["cast"], column["type"], column["modifier"])
        return self._types[place]

    async def _column(self, place: Place, column: str) -> asyncpg.Record:
        found = await self._fetch(_COLUMN, quoted(place.table), column)
        if not found:
            raise FieldError(f"{place.table}: no such table or column ({column}) for {self._account}")
        return found[0]

    async def _fetch(self, sql: str, *values: object) -> list[asyncpg.Record]:
        try:
            return await (await self._connection()).fetch(sql, *values)
        except POSTGRES_FAULTS as error:
            raise FieldError(f"Postgres does not answer as {self._account}: {_line(error)}") from error


def _marked(before: str | None, mark: str, types: _Types) -> str:
    """A text with the mark at its end, within the length that the column allows."""
    longest = types.modifier - 4 if types.modifier > 4 else None
    text = f"{before} {MARK} {mark}" if before else f"{MARK} {mark}"
    if longest is None or len(text) <= longest:
        return text
    return mark[-longest:] if longest <= len(mark) else f"{(before or '')[: longest - len(mark)]}{mark}"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
