"""The id map as the rest of the proxy sees it: which of these ids are joined, from memory or from Postgres."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass

from comparators.ids import IdPair, IdTable
from proxy.identity.cache import Answer, Cache, Conflict, conflicts
from proxy.identity.database import Database
from proxy.identity.errors import IdentityError
from proxy.identity.pairs import LEGACY, UUID, read_pairs
from proxy.identity.sources import FileSource, Source, TableSource, sources_of
from proxy.settings import Settings
from proxy.tasks import TaskGroup

CONFLICTS_KEPT = 1_000


@dataclass(frozen=True, slots=True)
class Limits:
    """What bounds the id map. Times are seconds."""

    pairs: int = 200_000
    tokens: int = 50_000
    lookups: int = 64
    connections: int = 4
    timeout: float = 2.0
    hit_age: float = 60.0
    miss_age: float = 1.0
    hold_off: float = 0.25


@dataclass(frozen=True, slots=True)
class Figures:
    """What the id map did so far. `hits` and `misses` count ids asked for; a miss is an id joined to nothing."""

    hits: int
    misses: int
    size: int
    queries: int
    conflicts: int
    failures: int
    reachable: bool | None


@dataclass(frozen=True, slots=True)
class Probe:
    """What one source answered. `rows` is an estimate (Postgres' own) for a table, exact for a file."""

    source: str
    rows: int | None = None
    problem: str | None = None


class Identity:
    """Joins the ids of both stores. Asks Postgres only for what it does not know, in one batch a call.

    A pair written a moment ago is a miss at first: a miss is remembered for `limits.miss_age` at most, and not at
    all for a caller who says `fresh`. A pair is asked again after `limits.hit_age`, and served as it was while
    Postgres is away. Entries of files are held for good, outside the bounded cache.
    """

    def __init__(
        self,
        dsn: str | None,
        sources: Sequence[Source],
        *,
        limits: Limits | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._limits = limits or Limits()
        self._clock = clock
        self._sources = tuple(sources)
        tables = [source for source in sources if isinstance(source, TableSource)]
        if tables and not dsn:
            raise IdentityError("ids.sources name tables but postgres.dsn is not set; set it, or use files only")
        self._database = (
            Database(dsn, tables, connections=self._limits.connections, timeout=self._limits.timeout)
            if dsn and tables
            else None
        )
        self._cache = Cache(self._limits.pairs)
        self._held: dict[str, tuple[IdPair, ...]] = {}
        self._under_way: dict[str, asyncio.Future[None]] = {}
        self._tasks = TaskGroup(self._limits.lookups)
        self._conflicts: dict[tuple[str, str], Conflict] = {}
        self._hits = 0
        self._misses = 0
        self._failures = 0
        self._reachable: bool | None = None
        self._away_until = 0.0
        self._away_because = ""

    @classmethod
    def of(cls, settings: Settings) -> Identity:
        """The id map that the configuration describes, not yet started."""
        dsn = None if settings.postgres is None else settings.postgres.dsn.get_secret_value()
        return cls(dsn, sources_of(settings), limits=Limits(pairs=settings.ids.cache))

    async def start(self) -> None:
        """Read the files and make the pool. A server that is away is no error; a file that cannot be used is."""
        pairs: list[IdPair] = []
        for source in self._sources:
            if isinstance(source, FileSource):
                pairs += await asyncio.to_thread(read_pairs, source.path)
        table = IdTable.of(pairs)
        self._held = {**table.by_legacy, **table.by_uuid}
        self._note_conflicts(pairs)
        if self._database is not None:
            await self._database.start()

    async def close(self) -> None:
        await self._tasks.drain(0)
        # A task that is cancelled before its first step never gets to settle what others wait for.
        for token, wait in list(self._under_way.items()):
            self._settle([token], wait, IdentityError("the id map is being closed"))
        if self._database is not None:
            await self._database.close()

    @property
    def figures(self) -> Figures:
        return Figures(
            hits=self._hits,
            misses=self._misses,
            size=len(self._cache) + len(self._held),
            queries=0 if self._database is None else self._database.queries,
            conflicts=len(self._conflicts),
            failures=self._failures,
            reachable=self._reachable,
        )

    @property
    def conflicts(self) -> tuple[Conflict, ...]:
        """Ids joined twice within their entity that were met so far; the first thousand are kept."""
        return tuple(self._conflicts.values())

    async def lookup(self, tokens: Collection[str], *, fresh: bool = False) -> IdTable:
        """The pairs of these ids, in both directions. Ids that are joined to nothing are simply not in the table.

        Tokens are 24 lower-case hex digits or canonical lower-case uuids; anything else is joined to nothing.
        `fresh` asks again for what was not found before. IdentityError when something unknown is asked and
        Postgres does not answer, or when more than `limits.tokens` ids are asked at once.
        """
        if len(tokens) > self._limits.tokens:
            raise IdentityError(f"{len(tokens)} ids asked at once; at most {self._limits.tokens} are looked up")
        asked = set(tokens)
        if self._database is not None and (unknown := self._unknown(asked, fresh=fresh)):
            await self._learn(unknown, fresh=fresh)
        return IdTable.of(self._known(asked))

    async def ping(self) -> None:
        """IdentityError when the server of the id map does not answer now."""
        if self._database is not None:
            try:
                await self._database.ping()
            except IdentityError:
                self._reachable = False
                raise
            self._reachable = True
            self._away_until = 0.0

    async def probe(self) -> list[Probe]:
        """Ask every source for itself, to tell which of them cannot be used and why. Needs no `start`."""
        if self._database is not None:
            await self._database.start()
        return [await self._probe(source) for source in self._sources]

    async def _probe(self, source: Source) -> Probe:
        try:
            if isinstance(source, FileSource):
                return Probe(source.label, rows=len(await asyncio.to_thread(read_pairs, source.path)))
            assert self._database is not None  # noqa: S101 - the constructor refuses tables without an address
            return Probe(source.label, rows=await self._database.probe(source))
        except IdentityError as error:
            return Probe(source.label, problem=str(error))

    def _unknown(self, asked: Iterable[str], *, fresh: bool) -> list[str]:
        now = self._clock()
        unknown = []
        for token in asked:
            answer = self._cache.get(token)
            if answer is not None:
                age = now - answer.at
                if age <= self._limits.hit_age if answer.pairs else not fresh and age <= self._limits.miss_age:
                    continue
            if LEGACY.fullmatch(token) or UUID.fullmatch(token):
                unknown.append(token)
        return unknown

    def _known(self, asked: Iterable[str]) -> set[IdPair]:
        pairs: set[IdPair] = set()
        for token in asked:
            answer = self._cache.get(token)
            found = (*self._held.get(token, ()), *(answer.pairs if answer is not None else ()))
            if found:
                self._hits += 1
                pairs.update(found)
            else:
                self._misses += 1
        return pairs

    async def _learn(self, unknown: Sequence[str], *, fresh: bool) -> None:
        """Have these tokens in the cache, asking only for those that nobody is asking for right now.

        A fresh caller joins nobody: what is under way may have read the table before the row was there.
        """
        waits = set() if fresh else {self._under_way[token] for token in unknown if token in self._under_way}
        mine = unknown if fresh else [token for token in unknown if token not in self._under_way]
        try:
            if mine:
                waits.add(self._ask(mine))
            for wait in waits:
                # Shielded: the answer belongs to all who wait for it, whoever of them goes away.
                await asyncio.shield(wait)
        except IdentityError:
            if any(not self._is_served_as_it_was(token) for token in unknown):
                raise

    def _is_served_as_it_was(self, token: str) -> bool:
        answer = self._cache.get(token)
        return token in self._held or (answer is not None and bool(answer.pairs))

    def _ask(self, tokens: Sequence[str]) -> asyncio.Future[None]:
        if self._clock() < self._away_until:
            raise IdentityError(self._away_because)
        wait: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        # Nobody may be waiting any more when it fails; the exception then counts as seen.
        wait.add_done_callback(lambda done: done.cancelled() or done.exception())
        for token in tokens:
            self._under_way[token] = wait
        if self._tasks.start(self._fetch(tokens, wait), name="identity lookup") is None:
            self._settle(tokens, wait, IdentityError("too many id lookups are under way; try again"))
        return wait

    async def _fetch(self, tokens: Sequence[str], wait: asyncio.Future[None]) -> None:
        error: IdentityError | None = IdentityError("the id map is being closed")
        try:
            await self._fill(tokens)
            error = None
        except IdentityError as failure:
            error = failure
            self._failures += 1
            self._reachable = False
            self._away_until = self._clock() + self._limits.hold_off
            self._away_because = str(failure)
        finally:
            self._settle(tokens, wait, error)

    def _settle(self, tokens: Sequence[str], wait: asyncio.Future[None], error: IdentityError | None) -> None:
        for token in tokens:
            if self._under_way.get(token) is wait:
                del self._under_way[token]
        if not wait.done():
            if error is None:
                wait.set_result(None)
            else:
                wait.set_exception(error)

    async def _fill(self, tokens: Sequence[str]) -> None:
        if self._database is None:
            return
        legacy = [token for token in tokens if len(token) == 24]
        uuids = [token for token in tokens if len(token) != 24]
        # The moment of asking, not of the answer: a row written in between must count as older than the miss.
        now = self._clock()
        pairs = list(dict.fromkeys(await self._database.pairs(legacy, uuids)))
        self._reachable = True
        self._note_conflicts(pairs)
        table = IdTable.of(pairs)
        for token in tokens:
            known = self._cache.get(token)
            if known is None or known.at <= now:
                found = table.by_legacy.get(token) or table.by_uuid.get(token) or ()
                self._cache.put(token, Answer(tuple(found), now))

    def _note_conflicts(self, pairs: Iterable[IdPair]) -> None:
        for conflict in conflicts(pairs):
            if len(self._conflicts) < CONFLICTS_KEPT or (conflict.entity, conflict.token) in self._conflicts:
                self._conflicts[conflict.entity, conflict.token] = conflict
