"""A ledger in a schema of a Postgres database, which proxies on several machines may share."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from secrets import token_hex
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import asyncpg
from sqlalchemy import Connection, event, inspect, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from proxy.errors import LedgerError
from proxy.ledger import schema as tables_of_ledger
from proxy.ledger.moments import to_us, utc_now
from proxy.ledger.store import Sight

PREFIXES = ("postgresql://", "postgres://")
SCHEMA = "shadowread"
"""The schema of the ledger where the address names no other by `?schema=`."""
SCHEMA_NAME = re.compile(r"(?!pg_)[a-z_][a-z0-9_]{0,62}")
PLACE = re.compile(r"[0-9a-f]{32}")
_SCHEMA_PART = re.compile(r"(?<=[?&])schema=([^&]*)(?:&|$)")
CONNECT_SECONDS = 5.0
LOCK_SECONDS = 5.0
"""How long a write waits for another process's before it gives up."""
STATEMENT_SECONDS = 15.0
ANSWER_SECONDS = 20.0
"""How long the server is waited for; it breaks a statement off before that, unless it does not answer at all."""
IDLE_SECONDS = 60.0
"""After so long the server ends a transaction of which it hears nothing more: no dead machine keeps others waiting."""
CONNECTIONS, MORE_CONNECTIONS = 3, 5
RECYCLE_SECONDS = 1_800

GONE = (asyncpg.UndefinedTableError, asyncpg.InvalidSchemaNameError, asyncpg.InvalidCatalogNameError)
"""What the server answers when the ledger, its schema or the database has been dropped."""
LASTING = (
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.InsufficientPrivilegeError,
)


@dataclass(frozen=True)
class PostgresStore:
    """The schema `schema` of the database at `dsn`, with journals in the folder `folder`. See `Store`."""

    dsn: str = field(repr=False)
    schema: str
    name: str
    address: str = field(repr=False)
    folder: Path
    secrets: tuple[str, ...] = field(repr=False)
    pooled = True
    advice = "correct ledger.url"

    @classmethod
    def of(cls, url: str, folder: Path | None) -> PostgresStore:
        """`folder` is the working directory when it is None. Raises LedgerError."""
        found = _SCHEMA_PART.search(url)
        schema = SCHEMA if found is None else found[1]
        if not SCHEMA_NAME.fullmatch(schema):
            raise LedgerError(
                "ledger.url: the schema must be small letters, digits and _, at most 63, not beginning with a digit "
                "or pg_"
            )
        dsn = _SCHEMA_PART.sub("", url).rstrip("?&")
        try:
            parts = urlsplit(dsn)
        except ValueError:
            raise LedgerError("ledger.url cannot be read; write postgresql://USER@HOST:5432/DATABASE") from None
        user, _, hosts = parts.netloc.rpartition("@")
        login, _, password = user.partition(":")
        asked = parse_qsl(parts.query)
        more = [value for key, value in asked if key in ("host", "port", "dbname", "database")]
        database = unquote(parts.path[1:]) or next((value for key, value in asked if key == "dbname"), unquote(login))
        name = f"postgresql://{hosts or ','.join(more)}/{database}"
        return cls(
            dsn,
            schema,
            name if schema == SCHEMA else f"{name}?schema={schema}",
            "\0".join((hosts.lower(), database, schema, *more)),
            (folder or Path()).absolute(),
            tuple({one for one in (password, unquote(password), *_passwords(asked)) if one}),
        )

    @property
    def journals(self) -> Path:
        # By the address: journals of several databases may lie in one folder, and none may count in another's ledger.
        return self.folder / f"{self.schema}-{sha256(self.address.encode()).hexdigest()[:12]}"

    def check_journals(self) -> None:
        if not self.folder.is_dir():
            raise LedgerError(f"ledger.journal: the folder {self.folder} does not exist; create it or name another one")

    def place(self) -> str:
        path = self.journals.with_name(f"{self.journals.name}.place")
        if not path.exists():
            unfinished = path.with_name(f"{path.name}-{token_hex(8)}")
            try:
                with unfinished.open("w") as file:
                    file.write(token_hex(16))
                    file.flush()
                    os.fsync(file.fileno())
                with suppress(FileExistsError):  # another process was first
                    os.link(unfinished, path)
            finally:
                unfinished.unlink(missing_ok=True)
        found = path.read_text(errors="replace").strip()
        if not PLACE.fullmatch(found):
            # Two machines that took the same for theirs would count each other's living runs as lost.
            raise OSError(f"{path} is damaged; remove it")
        return found

    def absent(self) -> str | None:
        return None

    def engine(self) -> AsyncEngine:
        engine = create_async_engine(
            "postgresql+asyncpg://",
            async_creator=self._connect,
            pool_size=CONNECTIONS,
            max_overflow=MORE_CONNECTIONS,
            pool_timeout=CONNECT_SECONDS,
            pool_pre_ping=True,
            pool_recycle=RECYCLE_SECONDS,
            hide_parameters=True,
        )
        # Each statement sees what was committed before it; nobody else commits once the lock is taken.
        to_write = (
            text("SET TRANSACTION ISOLATION LEVEL READ COMMITTED READ WRITE"),
            text(f"SELECT pg_advisory_xact_lock({_key(self.schema)})"),
        )

        @event.listens_for(engine.sync_engine, "begin")
        def begin(connection: Connection) -> None:
            if connection.get_execution_options().get("write", False):
                for statement in to_write:
                    connection.execute(statement)

        return engine

    def onlooker(self) -> AsyncEngine:
        return self.engine()

    def writer(self, engine: AsyncEngine) -> AsyncEngine:
        return engine.execution_options(write=True)

    def prepare(self, connection: Connection) -> None:
        connection.execute(text("SET LOCAL statement_timeout = 0"))
        # Asked first: the account may use the schema, and yet have no right to make one.
        known = text("SELECT 1 FROM pg_catalog.pg_namespace WHERE nspname = :schema")
        if connection.scalar(known, {"schema": self.schema}) is None:
            connection.execute(text(f'CREATE SCHEMA "{self.schema}"'))

    def tables(self, connection: Connection) -> set[str]:
        found = set(inspect(connection).get_table_names(schema=self.schema))
        usable = text("SELECT has_schema_privilege(:schema, 'USAGE')")
        if found and not connection.scalar(usable, {"schema": self.schema}):
            # The server passes over such a schema, and says of its tables that they do not exist.
            raise asyncpg.InsufficientPrivilegeError(f"permission denied for schema {self.schema}")
        return found

    async def sight(self, engine: AsyncEngine, ledger: bytes, run: str) -> Sight:
        """A ledger in the place of a dropped one has another id; one from a backup may not know the run."""
        meta, runs = tables_of_ledger.meta.c, tables_of_ledger.runs.c
        asked = select(meta.value).where(meta.name == "ledger", select(runs.id).where(runs.id == run).exists())

        async def there() -> bool:
            try:
                async with engine.connect() as connection:
                    return bool(await connection.scalar(asked) == ledger.hex())
            except (DBAPIError, asyncpg.PostgresError) as error:
                if isinstance(cause_of(error), GONE):
                    return False
                raise

        return there

    def reason(self, error: BaseException) -> str:
        cause = cause_of(error)
        told = str(cause).partition("\n")[0]
        if isinstance(cause, asyncpg.LockNotAvailableError):
            told = f"another process has been writing for more than {LOCK_SECONDS:g} s"
        elif isinstance(cause, TimeoutError):
            told = "it does not answer"
        elif isinstance(cause, asyncpg.InternalClientError):  # "cannot switch to state 12" and the like
            told = "the connection broke off"
        elif isinstance(cause, asyncpg.InvalidAuthorizationSpecificationError):
            told += "; correct the user and the password in ledger.url"
        elif isinstance(cause, asyncpg.InsufficientPrivilegeError):
            told += self._right(told)
        for secret in self.secrets:
            told = told.replace(secret, "***")
        return f"{self.name}: {told or type(cause).__name__}"

    def _right(self, told: str) -> str:
        if " for table " in told or " for schema " in told:
            of = f'SCHEMA "{self.schema}" TO its_name'
            return (
                f"; let the owner give the account the rights: GRANT USAGE ON {of}; GRANT SELECT ON ALL TABLES IN {of}"
            )
        return f'; give the account the schema: CREATE SCHEMA "{self.schema}" AUTHORIZATION its_name'

    def lasting(self, error: BaseException) -> bool:
        return isinstance(cause_of(error), LASTING)

    async def _connect(self) -> Any:
        settings = {
            "application_name": "shadowread ledger",
            "search_path": f'"{self.schema}"',
            # Of transactions that do not say otherwise: they answer of one moment.
            "default_transaction_isolation": "repeatable read",
            "default_transaction_read_only": "on",
            # What a flush has counted as written must be so after a power loss, too.
            "synchronous_commit": "on",
            "statement_timeout": _milliseconds(STATEMENT_SECONDS),
            "lock_timeout": _milliseconds(LOCK_SECONDS),
            "idle_in_transaction_session_timeout": _milliseconds(IDLE_SECONDS),
            "jit": "off",
        }
        try:
            return await asyncpg.connect(
                self.dsn, timeout=CONNECT_SECONDS, command_timeout=ANSWER_SECONDS, server_settings=settings
            )
        except (OSError, asyncpg.TargetServerAttributeNotMatched):  # a refused certificate is a ValueError, too
            raise
        except (ValueError, OverflowError, asyncpg.ClientConfigurationError) as error:  # OverflowError: of the port
            # The text may quote what it could not read, a part of a password for instance.
            raise LedgerError(f"ledger.url cannot be used: {type(error).__name__} while reading it") from None


def beside(url: str, ending: str) -> str:
    """The address of the ledger in the schema of the same name with `ending`."""
    found = _SCHEMA_PART.search(url)
    if found is not None:
        return f"{url[: found.end(1)]}{ending}{url[found.end(1) :]}"
    return f"{url}{'&' if '?' in url else '?'}schema={SCHEMA}{ending}"


async def drop(store: PostgresStore) -> None:
    """Remove the ledger with its schema, unless a process on another machine has written to it within a day.

    Raises LedgerError.
    """
    runs = tables_of_ledger.runs.c
    store.check_journals()
    try:
        place = store.place()
    except OSError as error:
        raise LedgerError(f"the ledger cannot be removed: {error}") from error
    elsewhere = runs.closed_at.is_(None) & (runs.place != place)
    lately = runs.written_at > to_us(utc_now() - timedelta(days=1))
    engine = store.engine()
    try:
        async with store.writer(engine).begin() as connection:
            if tables_of_ledger.runs.name in await connection.run_sync(store.tables):
                opened = await connection.scalar(select(runs.host).where(elsewhere, lately).limit(1))
                if opened is not None:
                    raise LedgerError(f"{store.name} is written by a run on {opened}; stop it first")
            await connection.execute(text(f'DROP SCHEMA IF EXISTS "{store.schema}" CASCADE'))
    except (DBAPIError, asyncpg.PostgresError, OSError) as error:
        raise LedgerError(f"the ledger cannot be removed: {store.reason(error)}") from error
    finally:
        await engine.dispose()


def cause_of(error: BaseException) -> BaseException:
    """What the driver raised, before SQLAlchemy wrapped it."""
    if isinstance(error, DBAPIError) and error.orig is not None:
        return error.orig.__cause__ or error.orig
    return error


def _key(schema: str) -> int:
    """Of the lock that whoever writes to the ledger holds; a database has one ledger in each schema."""
    return int.from_bytes(sha256(f"shadowread ledger {schema}".encode()).digest()[:8], signed=True)


def _milliseconds(seconds: float) -> str:
    return str(int(seconds * 1000))


def _passwords(asked: list[tuple[str, str]]) -> list[str]:
    return [value for key, value in asked if "pass" in key.lower()]
