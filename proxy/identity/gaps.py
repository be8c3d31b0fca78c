"""The tables in which the application notes writes that reached one store only, asked in batches."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Mapping, Sequence

import asyncpg

from proxy.identity.errors import IdentityError
from proxy.identity.faults import POSTGRES_FAULTS
from proxy.identity.sources import quoted
from proxy.settings import Settings
from proxy.settings.sweeps import GapSource
from proxy.tasks import TaskGroup

ANSWERS = 20_000
"""Ids whose answers are remembered; when there are more, all are asked anew."""
AGE = 1.0
"""Seconds for which an answer is believed."""
GATHER = 0.02
"""Seconds in which questions are gathered into one."""
MOST_IDS = 20_000
"""Ids of one question to the server; who asks beyond is told to ask again."""


class GapTables:
    """Open gaps by id. `timeout` (seconds) bounds each question as a whole, connecting included."""

    def __init__(
        self,
        dsn: str,
        sources: Sequence[GapSource],
        *,
        timeout: float = 2.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._dsn = dsn
        self._statements = [_statement(source) for source in sources]
        self._timeout = timeout
        self._clock = clock
        self._pool: asyncpg.Pool[asyncpg.Record] | None = None
        self._known: dict[str, tuple[float, frozenset[str] | None]] = {}
        self._waiting: set[str] = set()
        self._next: asyncio.Future[Mapping[str, frozenset[str]]] | None = None
        self._tasks = TaskGroup(16)
        self.queries = 0

    @classmethod
    def of(cls, settings: Settings) -> GapTables | None:
        """The tables that the configuration names; None where it names none."""
        if not settings.gaps or settings.postgres is None:
            return None
        return cls(settings.postgres.dsn.get_secret_value(), settings.gaps)

    async def start(self) -> None:
        """Make the pool without connecting."""
        self._pool = await asyncpg.create_pool(
            self._dsn,
            min_size=0,
            max_size=1,
            timeout=self._timeout,
            command_timeout=self._timeout,
            server_settings={"application_name": "shadowread", "default_transaction_read_only": "on"},
        )

    async def close(self) -> None:
        await self._tasks.drain(0)
        if self._next is not None and not self._next.done():
            self._next.set_exception(IdentityError("the tables of gaps are being closed"))
            self._next.exception()  # seen: nobody may be waiting any more
        if self._pool is not None:
            pool, self._pool = self._pool, None
            pool.terminate()

    async def open_for(self, ids: Collection[str]) -> Mapping[str, frozenset[str]]:
        """Which of these ids have an open gap, with the entities it is recorded under (an empty set: of whatever bears
        the id). Raises IdentityError when one of the tables cannot be asked."""
        since = self._clock() - AGE
        found: dict[str, frozenset[str]] = {}
        unknown: set[str] = set()
        for id_ in ids:
            at, entities = self._known.get(id_, (-1e9, None))
            if at < since:
                unknown.add(id_)
            elif entities is not None:
                found[id_] = entities
        if unknown:
            answers = await self._ask(unknown)
            found.update((id_, answers[id_]) for id_ in unknown if id_ in answers)
        return found

    async def _ask(self, ids: set[str]) -> Mapping[str, frozenset[str]]:
        if len(self._waiting) + len(ids) > MOST_IDS:
            raise IdentityError("too many ids are being looked up in the tables of gaps")
        self._waiting |= ids
        wait = self._next
        if wait is None:
            wait = self._next = asyncio.get_running_loop().create_future()
            wait.add_done_callback(lambda done: done.cancelled() or done.exception())
            if self._tasks.start(self._gather(wait), name="gaps") is None:
                self._next, self._waiting = None, set()
                raise IdentityError("too many questions to the tables of gaps are under way")
        return await asyncio.shield(wait)

    async def _gather(self, wait: asyncio.Future[Mapping[str, frozenset[str]]]) -> None:
        await asyncio.sleep(GATHER)
        ids, self._waiting, self._next = self._waiting, set(), None
        try:
            answers = await self._read(list(ids))
        except POSTGRES_FAULTS as error:
            text = "no answer in time" if isinstance(error, TimeoutError) else str(error) or type(error).__name__
            if not wait.done():
                wait.set_exception(IdentityError(f"gaps: the table cannot be asked: {text}"))
            return
        except BaseException:
            # Who waits would wait for ever, and hold the place of another exchange.
            if not wait.done():
                wait.set_exception(IdentityError("the tables of gaps could not be asked, or are being closed"))
            raise
        now = self._clock()
        if len(self._known) + len(ids) > ANSWERS:
            self._known.clear()
        self._known.update((id_, (now, answers.get(id_))) for id_ in ids)
        if not wait.done():
            wait.set_result(answers)

    async def _read(self, ids: list[str]) -> dict[str, frozenset[str]]:
        pool = self._pool
        if pool is None:
            raise OSError("not started")
        found: dict[str, frozenset[str]] = {}
        async with asyncio.timeout(self._timeout), pool.acquire() as connection:
            for statement in self._statements:
                self.queries += 1
                for id_, entity in await connection.fetch(statement, ids):
                    known = found.get(id_)
                    # One row that names no entity is a gap of whatever bears the id, whatever other rows say.
                    named = frozenset() if entity is None or known == frozenset() else frozenset({entity})
                    found[id_] = named | known if named and known else named
        return found


def _statement(source: GapSource) -> str:
    """A source's statement; `$1` is a text array of lower-case ids. Names are plain SQL names, and quoted."""
    entity = "NULL::text" if source.entity is None else f"{quoted(source.entity)}::text"
    open_ = "" if source.resolved is None else f" AND {quoted(source.resolved)} IS NULL"
    return (
        f"SELECT DISTINCT lower({quoted(source.id)}::text), {entity} FROM {quoted(source.table)} "  # noqa: S608 - see above
        f"WHERE lower({quoted(source.id)}::text) = ANY($1::text[]){open_} LIMIT {2 * MOST_IDS}"
    )
