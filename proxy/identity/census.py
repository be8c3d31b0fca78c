"""Going through the id map: how many entities of each kind it knows, and their ids page by page."""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from typing import Any, NamedTuple

import asyncpg

from comparators.ids import IdPair
from proxy.identity.errors import IdentityError
from proxy.identity.faults import POSTGRES_FAULTS
from proxy.identity.pairs import LEGACY, UUID, read_pairs
from proxy.identity.sources import COLUMN_TYPES, FileSource, Source, TableSource, quoted, sources_of
from proxy.settings import Settings
from proxy.window import KnownEntities

COUNT_SECONDS = 5.0
"""How long the server may count one table before the planner's estimate is taken."""
PAGE = 1_000
_CONNECT_SECONDS = 10.0

Connection = Any
"""asyncpg's connection, proxied by its pool or not."""


class Place(NamedTuple):
    """Behind which row to go on: the number of the source, and the row's legacy id as it stands there."""

    source: int = 0
    after: str = ""


BEGINNING = Place()


class Located(NamedTuple):
    """A pair of ids, None where a row bears none that can be used, and the place behind it."""

    pair: IdPair | None
    place: Place


class Census:
    """Reads the sources one after another, each in the order of its legacy ids; nothing of it is remembered.

    Raises IdentityError when a source cannot be read.
    """

    def __init__(
        self,
        dsn: str | None,
        sources: Sequence[Source],
        *,
        clock: Callable[[], datetime],
        seconds: float = COUNT_SECONDS,
    ) -> None:
        self._dsn = dsn
        self._sources = tuple(sources)
        self._clock = clock
        self._seconds = seconds
        self._files: dict[FileSource, dict[str, dict[str, IdPair]]] = {}

    @classmethod
    def of(cls, settings: Settings, clock: Callable[[], datetime]) -> Census:
        dsn = None if settings.postgres is None else settings.postgres.dsn.get_secret_value()
        return cls(dsn, sources_of(settings), clock=clock)

    @property
    def sources(self) -> str:
        """What is walked, and in which order: a place means something to the same sources only."""
        return repr(self._sources)

    async def known(self) -> list[KnownEntities]:
        """How many entities of each kind there are.

        A kind that stands in several sources counts as in the one that has the most of it: they bear the same rows.
        """
        most: dict[str, KnownEntities] = {}
        for source in self._sources:
            if isinstance(source, FileSource):
                exact, counted = True, {kind: len(pairs) for kind, pairs in (await self._file(source)).items()}
            else:
                async with self._connection() as connection:
                    exact, counted = await self._counted(connection, source)
            for entity, count in counted.items():
                if entity not in most or count > most[entity].count:
                    most[entity] = KnownEntities(entity, count, exact, self._clock())
        return [most[entity] for entity in sorted(most)]

    async def walk(self, entity: str, behind: Place = BEGINNING) -> AsyncGenerator[Located]:
        """Every pair of a kind behind a place, once: one that stood in an earlier source is passed over."""
        for number in range(behind.source, len(self._sources)):
            source = self._sources[number]
            after = behind.after if number == behind.source else ""
            while page := await self._page(source, entity, after):
                seen = await self._seen(entity, number, [pair.legacy for _, pair in page if pair is not None])
                for raw, pair in page:
                    if pair is None or pair.legacy not in seen:
                        yield Located(pair, Place(number, raw))
                after = page[-1][0]

    async def _page(self, source: Source, entity: str, after: str) -> list[tuple[str, IdPair | None]]:
        """The next rows, each with its legacy id as it stands; without a pair where it bears no usable ids."""
        if isinstance(source, FileSource):
            pairs = (await self._file(source)).get(entity, {})
            begin = bisect_right(rows := list(pairs), after)
            return [(legacy, pairs[legacy]) for legacy in rows[begin : begin + PAGE]]
        if source.entity_name not in (None, entity):
            return []
        async with self._connection() as connection:
            types = await _types(connection, source)
            legacy, uuid = quoted(source.legacy), quoted(source.uuid)
            own = f"{legacy} IS NOT NULL AND {uuid} IS NOT NULL"
            values: list[Any] = [PAGE]
            if source.entity is not None:
                values.append(entity)
                own += f" AND {quoted(source.entity)}::text = ${len(values)}"
            if after:
                values.append(after)
                own += f" AND {legacy} > ${len(values)}::text::{types[source.legacy]}"
            rows = await connection.fetch(
                f"SELECT {legacy}::text, {uuid}::text FROM {quoted(source.table)} "  # noqa: S608 - names are plain SQL names and quoted, types are the server's own
                f"WHERE {own} ORDER BY {legacy} LIMIT $1",
                *values,
            )
        return [(raw, _pair(entity, raw, uuid_text)) for raw, uuid_text in rows]

    async def _seen(self, entity: str, number: int, legacy: list[str]) -> set[str]:
        """Which of these stand in a source before."""
        found: set[str] = set()
        for source in self._sources[:number]:
            if isinstance(source, FileSource):
                found.update((await self._file(source)).get(entity, {}).keys() & set(legacy))
            elif source.entity_name in (None, entity):
                async with self._connection() as connection:
                    types = await _types(connection, source)
                    column = quoted(source.legacy)
                    sql = (
                        f"SELECT lower({column}::text) FROM {quoted(source.table)} "  # noqa: S608 - as above
                        f"WHERE {column} = ANY($1::text[]::{types[source.legacy]}[])"
                        f" AND {quoted(source.uuid)} IS NOT NULL"
                    )
                    values: list[Any] = [legacy]
                    if source.entity is not None:
                        sql += f" AND {quoted(source.entity)}::text = $2"
                        values.append(entity)
                    found.update(row[0].strip() for row in await connection.fetch(sql, *values))
        return found

    async def _counted(self, connection: Connection, source: TableSource) -> tuple[bool, dict[str, int]]:
        """Whether it is exact, and the count by kind."""
        await _types(connection, source)
        legacy, uuid, table = quoted(source.legacy), quoted(source.uuid), quoted(source.table)
        name = "NULL::text" if source.entity is None else f"{quoted(source.entity)}::text"
        try:
            async with connection.transaction(readonly=True):
                await connection.execute(f"SET LOCAL statement_timeout = {max(1, int(self._seconds * 1000))}")
                rows = await connection.fetch(
                    f"SELECT {name}, count(*) FROM {table} "  # noqa: S608 - as above
                    f"WHERE {legacy} IS NOT NULL AND {uuid} IS NOT NULL GROUP BY 1 LIMIT 10000"
                )
            named = ((kind or source.entity_name, int(count)) for kind, count in rows)
            return True, {kind: count for kind, count in named if kind}
        except asyncpg.QueryCanceledError:
            return False, await _estimated(connection, source)

    async def _file(self, source: FileSource) -> Mapping[str, Mapping[str, IdPair]]:
        """The pairs of a file by kind and legacy id, in order. Read once."""
        if source not in self._files:
            by_kind: dict[str, dict[str, IdPair]] = {}
            for pair in sorted(await asyncio.to_thread(read_pairs, source.path)):
                by_kind.setdefault(pair.entity, {})[pair.legacy] = pair
            self._files[source] = by_kind
        return self._files[source]

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[Connection]:
        """A connection for one question: hours of sweeping must not hold one that nobody uses."""
        if not self._dsn:
            raise IdentityError("ids.sources name tables but postgres.dsn is not set")
        try:
            connection = await asyncpg.connect(
                self._dsn,
                timeout=_CONNECT_SECONDS,
                command_timeout=max(_CONNECT_SECONDS, self._seconds * 2),
                statement_cache_size=0,
                server_settings={"application_name": "shadowread", "default_transaction_read_only": "on"},
            )
            try:
                yield connection
            finally:
                with suppress(*POSTGRES_FAULTS):
                    await connection.close(timeout=2)
        except POSTGRES_FAULTS as error:
            text = "no answer in time" if isinstance(error, TimeoutError) else str(error) or type(error).__name__
            raise IdentityError(f"the id map cannot be walked: {text}") from error


async def _estimated(connection: Connection, source: TableSource) -> dict[str, int]:
    """What the planner believes; kinds that are too rare for its statistics are not in it."""
    rows = await connection.fetchval(
        "SELECT greatest(reltuples, 0)::bigint FROM pg_class WHERE oid = to_regclass($1)", quoted(source.table)
    )
    total = int(rows or 0)
    if source.entity_name is not None:
        return {source.entity_name: total}
    found = await connection.fetchrow(
        "SELECT most_common_vals::text::text[] AS names, most_common_freqs AS shares FROM pg_stats "
        "WHERE format('%I.%I', schemaname, tablename)::regclass = to_regclass($1) AND attname = $2",
        quoted(source.table),
        source.entity,
    )
    if found is None or found["names"] is None:
        return {}
    return {name: round(share * total) for name, share in zip(found["names"], found["shares"], strict=True)}


async def _types(connection: Connection, source: TableSource) -> dict[str, str]:
    rows = await connection.fetch(COLUMN_TYPES, quoted(source.table), list(source.columns))
    types = {str(row["name"]): str(row["type"]) for row in rows}
    if missing := [column for column in source.columns if column not in types]:
        raise IdentityError(
            f"ids.sources: table {source.table}: no such table or column ({', '.join(missing)}) for this user"
        )
    return types


def _pair(entity: str, legacy: str, uuid: str) -> IdPair | None:
    pair = IdPair(entity, legacy.strip().lower(), uuid.strip().lower())
    return pair if LEGACY.fullmatch(pair.legacy) and UUID.fullmatch(pair.uuid) else None
