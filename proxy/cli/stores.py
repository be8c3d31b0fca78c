"""The stores that direct readers read, as a check asks them: are they there, what do they say of what is asked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, TypeAlias

import asyncpg
from bson.errors import BSONError
from bson.raw_bson import RawBSONDocument
from motor.motor_asyncio import AsyncIOMotorClient
from pymongo.errors import PyMongoError

from comparators.ids import IdTable
from proxy.cli.scans import Explained, explain_unknown, of_mongo, of_postgres
from proxy.direct.mongo_query import Bound, Query, QueryError, compile_query
from proxy.direct.parameters import ParameterError, ids_wanted, value_of
from proxy.direct.plans import MongoPlan, PostgresPlan, ProvedStatement
from proxy.direct.statements import StatementError
from proxy.errors import ShadowreadError, UpstreamError
from proxy.identity import IdentityError
from proxy.identity.faults import POSTGRES_FAULTS
from proxy.model import ReadRequest, Side
from proxy.readers.asked import asked_of
from proxy.readers.mongo_store import MongoError, MongoStore
from proxy.readers.postgres import PostgresReader, Resolve
from proxy.readers.postgres_store import PostgresStore
from proxy.settings import Settings
from proxy.settings.patterns import parse_route

Plan: TypeAlias = PostgresPlan | MongoPlan
Fields: TypeAlias = tuple[tuple[str, str], ...]
SECONDS = 5.0
MAX_DOCUMENTS = 10_000
MAX_BYTES = 32 * 1024 * 1024


class StoreError(ShadowreadError):
    """What a store answers to a check when it is not well; the text says why."""


class Prover(Protocol):
    """One store. All raise StoreError."""

    async def start(self) -> None: ...

    async def prove(self, plan: Plan) -> list[ProvedStatement]: ...

    async def explain(self, plan: Plan, request: ReadRequest | None, resolve: Resolve) -> dict[str, Explained]: ...

    async def fields(self, plan: Plan, request: ReadRequest, resolve: Resolve) -> dict[str, Fields]: ...

    async def close(self) -> None: ...


class PostgresProver:
    """The Postgres of the configuration."""

    def __init__(self, settings: Settings) -> None:
        assert settings.postgres is not None  # noqa: S101 - a file with a postgres reader and no dsn does not load
        self._dsn = settings.postgres.dsn.get_secret_value()
        self._store = PostgresStore(
            self._dsn,
            connections=settings.postgres.connections,
            statement_timeout=settings.postgres.statement_timeout,
            lock_timeout=settings.postgres.lock_timeout,
        )
        self._connection: asyncpg.Connection[Any] | None = None

    async def start(self) -> None:
        """Connect."""
        try:
            self._connection = await asyncpg.connect(
                self._dsn,
                timeout=SECONDS,
                command_timeout=SECONDS,
                server_settings={"application_name": "shadowread", "default_transaction_read_only": "on"},
            )
            await self._store.start()
        except TimeoutError as error:
            raise StoreError(f"no connection within {SECONDS:g} seconds") from error
        except POSTGRES_FAULTS as error:
            raise StoreError(f"cannot be reached: {error or type(error).__name__}") from error

    async def prove(self, plan: Plan) -> list[ProvedStatement]:
        """Prepare every statement of a plan."""
        assert isinstance(plan, PostgresPlan)  # noqa: S101 - each prover gets plans of its own kind
        try:
            return await self._store.prepare(plan)
        except (StatementError, UpstreamError) as error:
            raise StoreError(str(error)) from error

    async def explain(self, plan: Plan, request: ReadRequest | None, resolve: Resolve) -> dict[str, Explained]:
        """The plan of each statement by its name, for `request` where there is one."""
        assert isinstance(plan, PostgresPlan)  # noqa: S101 - each prover gets plans of its own kind
        assert self._connection is not None  # noqa: S101 - only a prover that started is asked
        try:
            if request is None:
                texts = {each.name: await explain_unknown(self._connection, each.sql) for each in plan.statements}
            else:
                reader = PostgresReader(self._store, plan, Side.SHADOW, resolve)
                texts = {proved.name: text for proved, text in await reader.explain(request, SECONDS)}
            return {name: await of_postgres(self._connection, text) for name, text in texts.items()}
        except (StatementError, UpstreamError, ParameterError, IdentityError, *POSTGRES_FAULTS) as error:
            raise StoreError(f"cannot be explained: {error or type(error).__name__}") from error

    async def fields(self, plan: Plan, request: ReadRequest, resolve: Resolve) -> dict[str, Fields]:  # noqa: ARG002 - one call shape for both
        """Nothing: the columns of a statement are known before it is run."""
        return {}

    async def close(self) -> None:
        if self._connection is not None:
            self._connection.terminate()
        await self._store.close()


class MongoProver:
    """The MongoDB of the configuration."""

    def __init__(self, settings: Settings) -> None:
        assert settings.mongo is not None  # noqa: S101 - a file with a mongo reader and no url does not load
        self._url = settings.mongo.url.get_secret_value()
        self._database = settings.mongo.database
        self._max_time = settings.mongo.max_time
        self._store = MongoStore(
            self._url,
            self._database,
            connections=settings.mongo.connections,
            max_time=settings.mongo.max_time,
            read_preference=settings.mongo.read_preference,
        )
        self._client: AsyncIOMotorClient[dict[str, Any]] | None = None

    async def start(self) -> None:
        """Ask for a sign of life."""
        try:
            await self._store.start()
            await self._store.ping(SECONDS)
        except MongoError as error:
            raise StoreError(f"{error.code}: {error}") from error

    async def prove(self, plan: Plan) -> list[ProvedStatement]:
        """The parameters of every query. There is nothing to ask the server for: documents have no fixed fields."""
        assert isinstance(plan, MongoPlan)  # noqa: S101 - each prover gets plans of its own kind
        proved = []
        for query in plan.queries:
            try:
                compile_query(query)
            except QueryError as error:
                raise StoreError(str(error)) from error
            kinds = tuple(f"{'text' if p.type == 'auto' else p.type}{'[]' * p.is_list}" for p in query.parameters)
            proved.append(ProvedStatement(query.name, "", kinds, ()))
        return proved

    async def explain(self, plan: Plan, request: ReadRequest | None, resolve: Resolve) -> dict[str, Explained]:
        """The plan of each query by its name; nothing without a request, whose values a plan of MongoDB needs."""
        assert isinstance(plan, MongoPlan)  # noqa: S101 - each prover gets plans of its own kind
        if request is None:
            raise StoreError("cannot be explained without a request that was tried")
        try:
            bound = await _bound(plan, request, resolve)
            return {query.plan.name: await self._explained(query, values) for query, values in bound}
        except (ParameterError, IdentityError, PyMongoError, OSError) as error:
            raise StoreError(f"cannot be explained: {str(error)[:300] or type(error).__name__}") from error

    async def fields(self, plan: Plan, request: ReadRequest, resolve: Resolve) -> dict[str, Fields]:
        """The fields, with their BSON types as Python has them, of the documents that each query finds for `request`.

        A query that finds none is left out: nothing is known of it then.
        """
        assert isinstance(plan, MongoPlan)  # noqa: S101 - each prover gets plans of its own kind
        found: dict[str, Fields] = {}
        try:
            for query, bound in await _bound(plan, request, resolve):
                rows = await self._store.fetch(query.plan, bound, SECONDS, documents=MAX_DOCUMENTS, size=MAX_BYTES)
                kinds: dict[str, str] = {}
                for row in rows:
                    for name in (document := RawBSONDocument(row)):
                        kinds.setdefault(name, type(document[name]).__name__)
                if rows:
                    found[query.plan.name] = tuple(kinds.items())
        except (ParameterError, IdentityError, MongoError, BSONError) as error:
            raise StoreError(f"its documents cannot be read: {error}") from error
        return found

    async def _explained(self, query: Query, bound: Bound) -> Explained:
        if self._client is None:
            self._client = AsyncIOMotorClient(
                self._url, appname="shadowread", serverSelectionTimeoutMS=int(SECONDS * 1000)
            )
        database, collection = self._client[self._database], query.plan.collection
        command: dict[str, Any] = {"aggregate": collection, "pipeline": bound.document, "cursor": {}}
        if query.plan.operation == "find":
            command = {"find": collection, "filter": bound.document}
            if query.plan.sort:
                command["sort"] = dict(query.plan.sort)
            if bound.limit:
                command["limit"] = bound.limit
        milliseconds = int(self._max_time * 1000)
        answer: Mapping[str, Any] = await database.command(
            {"explain": command, "verbosity": "queryPlanner", "maxTimeMS": milliseconds}
        )
        count = await database[collection].estimated_document_count(maxTimeMS=milliseconds)
        return of_mongo(answer, collection, count)

    async def close(self) -> None:
        if self._client is not None:
            self._client.close()
        await self._store.close()


async def _bound(plan: MongoPlan, request: ReadRequest, resolve: Resolve) -> list[tuple[Query, Bound]]:
    """The queries of a plan with the values of a request in them."""
    asked = asked_of(request, parse_route(plan.route))
    wanted = ids_wanted([parameter for query in plan.queries for parameter in query.parameters], asked)
    table = await resolve(wanted) if wanted else IdTable()
    made = []
    for query in plan.queries:
        values = [value_of(each, asked, each.type, table) for each in query.parameters]
        compiled = compile_query(query)
        made.append((compiled, compiled.bound(values)))
    return made
