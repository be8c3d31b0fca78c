"""The id map as the rest of the proxy sees it: which of these ids are joined, from memory or from Postgres."""

from __future__ import annotations

import asyncio
import math
import sys
import time
from collections.abc import Callable, Collection, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from comparators.ids import IdTable
from proxy.identity.cache import Cache
from proxy.identity.conflicts import Ambiguity, Conflict, Row, ambiguous, conflicts
from proxy.identity.database import Database
from proxy.identity.errors import IdentityError
from proxy.identity.packed import LEGACY_LENGTH, UUID_LENGTH
from proxy.identity.pairs import LEGACY, UUID, read_pairs
from proxy.identity.sources import FileSource, Source, TableSource, sources_of
from proxy.identity.table import Gathering
from proxy.settings import Settings
from proxy.tasks import TaskGroup

AT_ONCE = 1_000
"""Ids that are looked up in memory in one go: two thirds of a millisecond."""
CONFLICTS_KEPT = 1_000
"""How many ids with conflicts are kept, and how many ambiguous ones."""

_Answers: TypeAlias = Mapping[str, Sequence[Row]]


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
    """What the id map did so far. `hits` and `misses` count ids asked for; a miss is an id joined to nothing.

    `conflicts` and `ambiguous` count ids met so far that have these faults (see `Conflict` and `Ambiguity`).
    """

    hits: int
    misses: int
    size: int
    queries: int
    conflicts: int
    ambiguous: int
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
        self._cache = Cache(self._limits.pairs, clock())
        self._held = Cache(sys.maxsize, 0.0)
        self._under_way: dict[str, asyncio.Future[_Answers]] = {}
        self._waits: set[asyncio.Future[_Answers]] = set()
        self._tasks = TaskGroup(self._limits.lookups)
        self._conflicts: dict[str, tuple[Conflict, ...]] = {}
        self._ambiguous: dict[str, Ambiguity] = {}
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
        for source in self._sources:
            if isinstance(source, FileSource):
                pairs = await asyncio.to_thread(read_pairs, source.path)
                self._note(self._held.hold(Row(source.label, pair) for pair in pairs))
        if self._database is not None:
            await self._database.start()

    async def close(self) -> None:
        await self._tasks.drain(0)
        # A task that is cancelled before its first step never gets to settle what others wait for.
        for wait in list(self._waits):
            self._settle((), wait, IdentityError("the id map is being closed"))
        self._under_way.clear()
        if self._database is not None:
            await self._database.close()

    @property
    def figures(self) -> Figures:
        return Figures(
            hits=self._hits,
            misses=self._misses,
            size=len(self._cache) + len(self._held),
            queries=0 if self._database is None else self._database.queries,
            conflicts=sum(map(len, self._conflicts.values())),
            ambiguous=len(self._ambiguous),
            failures=self._failures,
            reachable=self._reachable,
        )

    @property
    def conflicts(self) -> tuple[Conflict, ...]:
        """Ids joined twice within their entity, by what was last read of them; those of a thousand ids are kept."""
        return tuple(conflict for found in self._conflicts.values() for conflict in found)

    def conflicts_of(self, tokens: Iterable[str]) -> tuple[Conflict, ...]:
        """The known conflicts of these ids. Asks nothing: say `lookup` first."""
        known = sorted({*tokens} & self._conflicts.keys())
        return tuple(conflict for token in known for conflict in self._conflicts[token])

    @property
    def ambiguities(self) -> tuple[Ambiguity, ...]:
        """Ids that several entities join to different ids, by what was last read; a thousand are kept.

        A comparison takes any entity's pair for right where the rules name none, and a translation leaves such an id
        as it stands.
        """
        return tuple(self._ambiguous.values())

    def ambiguous(self, tokens: Iterable[str]) -> tuple[Ambiguity, ...]:
        """Those of these ids that are known to be ambiguous. Asks nothing: say `lookup` first."""
        return tuple(self._ambiguous[token] for token in sorted({*tokens} & self._ambiguous.keys()))

    async def lookup(self, tokens: Collection[str], *, fresh: bool = False) -> IdTable:
        """The pairs of these ids, in both directions. Ids that are joined to nothing are simply not in the table.

        Tokens are 24 lower-case hex digits or canonical lower-case uuids; anything else is joined to nothing.
        `fresh` asks again for what was not found before. IdentityError when something unknown is asked and
        Postgres does not answer, or when more than `limits.tokens` ids are asked at once.
        """
        self._check(tokens)
        asked = set(tokens)
        found, ordered = Gathering(), list(asked)
        unheld: set[str] = set()
        unknown: list[str] = []
        for at in range(0, len(ordered), AT_ONCE):
            if at:
                await asyncio.sleep(0)  # the thousands of ids of a large pair would keep every client waiting
            some_unheld, some_unknown = self._gathered(ordered[at : at + AT_ONCE], found, fresh=fresh)
            unheld.update(some_unheld)
            unknown += some_unknown
        if unknown:
            for rows in (await self._learn(unknown, unheld, fresh=fresh)).values():
                for row in rows:
                    found.add(row.pair)
        return self._counted(asked, found)

    def at_once(self, tokens: Collection[str]) -> IdTable | None:
        """What `lookup` says where nobody has to be asked; None, and nothing is counted, where somebody has."""
        self._check(tokens)
        asked, found = set(tokens), Gathering()
        _, unknown = self._gathered(asked, found, fresh=False)
        return None if unknown else self._counted(asked, found)

    def now(self) -> float:
        """The moment that `good_until` is held against."""
        return self._clock()

    @property
    def version(self) -> int:
        """Another number as soon as the answer to an id that was known has changed."""
        return self._cache.version

    def good_until(self, tokens: Iterable[str]) -> float:
        """The moment (of this map's clock) up to which `lookup` answers these ids from memory, as long as `version`
        stays the same; `-inf` when it does not."""
        if self._database is None:
            return math.inf
        # By their length alone: what looks like an id and is none is not known, and then nothing is remembered.
        ids = [token for token in tokens if len(token) in (LEGACY_LENGTH, UUID_LENGTH)]
        return self._cache.good_until(ids, hit_age=self._limits.hit_age, miss_age=self._limits.miss_age)

    def _check(self, tokens: Collection[str]) -> None:
        if len(tokens) > self._limits.tokens:
            raise IdentityError(f"{len(tokens)} ids asked at once; at most {self._limits.tokens} are looked up")

    def _gathered(self, asked: Collection[str], found: Gathering, *, fresh: bool) -> tuple[Collection[str], list[str]]:
        """Puts into `found` what memory has on these ids. Returns which of them no file has, and which of them Postgres
        has to be asked for."""
        unheld = asked
        if len(self._held):
            unheld = self._held.gather(asked, found, hits_since=0.0, misses_since=0.0)
        if self._database is None:
            return unheld, []
        now = self._clock()
        unknown = self._cache.gather(
            asked,
            found,
            hits_since=now - self._limits.hit_age,
            misses_since=math.inf if fresh else now - self._limits.miss_age,
        )
        return unheld, [token for token in unknown if LEGACY.fullmatch(token) or UUID.fullmatch(token)]

    def _counted(self, asked: set[str], found: Gathering) -> IdTable:
        table = found.table()
        misses = len(asked.difference(table.by_legacy, table.by_uuid))
        self._hits += len(asked) - misses
        self._misses += misses
        return table

    def forget(self, tokens: Iterable[str]) -> None:
        """Have these ids, and those they are joined to, read anew when they are next asked for.

        What is being read at this moment is not remembered either. Pairs of files stay: those are read at start.
        """
        for token in tokens:
            partners = [id_ for row in self._cache.rows(token) for id_ in (row.pair.legacy, row.pair.uuid)]
            for id_ in (token, *partners):
                self._cache.forget(id_)
                if self._under_way.pop(id_, None) is not None:
                    self._cache.version += 1

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

    async def _learn(self, unknown: Sequence[str], unheld: Container[str], *, fresh: bool) -> _Answers:
        """The answers to these tokens, asking only for those that nobody is asking for right now.

        A fresh caller joins nobody: what is under way may have read the table before the row was there.
        """
        waits = {} if fresh else {token: self._under_way[token] for token in unknown if token in self._under_way}
        try:
            if mine := [token for token in unknown if token not in waits]:
                waits |= dict.fromkeys(mine, self._ask(mine))
            for wait in set(waits.values()):
                # Shielded: the answer belongs to all who wait for it, whoever of them goes away.
                await asyncio.shield(wait)
        except IdentityError:
            served = {token: self._cache.rows(token) for token in unknown}
            if any(not rows and token in unheld for token, rows in served.items()):
                raise
            return served
        return {token: wait.result()[token] for token, wait in waits.items()}

    def _ask(self, tokens: Sequence[str]) -> asyncio.Future[_Answers]:
        if self._clock() < self._away_until:
            raise IdentityError(self._away_because)
        wait: asyncio.Future[_Answers] = asyncio.get_running_loop().create_future()
        # Nobody may be waiting any more when it fails; the exception then counts as seen.
        wait.add_done_callback(lambda done: done.cancelled() or done.exception())
        self._waits.add(wait)
        if not self._under_way.keys().isdisjoint(tokens):
            # Two answers of different moments are coming, and who gets the older one must not remember what it led to.
            self._cache.version += 1
        for token in tokens:
            self._under_way[token] = wait
        if self._tasks.start(self._fetch(tokens, wait), name="identity lookup") is None:
            self._settle(tokens, wait, IdentityError("too many id lookups are under way; try again"))
        return wait

    async def _fetch(self, tokens: Sequence[str], wait: asyncio.Future[_Answers]) -> None:
        outcome: _Answers | IdentityError = IdentityError("the id map is being closed")
        try:
            outcome = await self._read(tokens, wait)
        except IdentityError as failure:
            outcome = failure
            self._failures += 1
            self._reachable = False
            self._away_until = self._clock() + self._limits.hold_off
            self._away_because = str(failure)
        finally:
            self._settle(tokens, wait, outcome)

    def _settle(self, tokens: Sequence[str], wait: asyncio.Future[_Answers], outcome: _Answers | IdentityError) -> None:
        for token in tokens:
            if self._under_way.get(token) is wait:
                del self._under_way[token]
        self._waits.discard(wait)
        if wait.done():
            return
        if isinstance(outcome, IdentityError):
            wait.set_exception(outcome)
        else:
            wait.set_result(outcome)

    async def _read(self, tokens: Sequence[str], wait: asyncio.Future[_Answers]) -> _Answers:
        """The answers to these tokens from Postgres. Those that nobody has asked for anew or forgotten are kept."""
        answers: dict[str, list[Row]] = {token: [] for token in tokens}
        if self._database is None:
            return answers
        # The moment of asking, not of the answer: a row written in between must count as older than the miss.
        now = self._clock()
        rows = await self._database.rows(
            [token for token in tokens if len(token) == LEGACY_LENGTH],
            [token for token in tokens if len(token) != LEGACY_LENGTH],
        )
        self._reachable = True
        for row in dict.fromkeys(rows):
            for token in (row.pair.legacy, row.pair.uuid):
                if token in answers:
                    answers[token].append(row)
        self._cache.put({token: answers[token] for token in tokens if self._under_way.get(token) is wait}, now)
        if len(self._held):
            rows += [row for token in tokens for row in self._held.rows(token)]
        self._note(rows, tokens)
        return answers

    def _note(self, rows: Collection[Row], asked: Iterable[str] = ()) -> None:
        """Keep what is wrong with the ids of these rows, which are all that there are of the ids asked for."""
        if self._conflicts or self._ambiguous:
            for token in asked:
                self._conflicts.pop(token, None)
                self._ambiguous.pop(token, None)
        table = IdTable.of(row.pair for row in rows)
        if table.one_to_one:
            return
        found: dict[str, tuple[Conflict, ...]] = {}
        for conflict in conflicts(rows):
            found[conflict.token] = (*found.get(conflict.token, ()), conflict)
        for token, these in found.items():
            if len(self._conflicts) < CONFLICTS_KEPT or token in self._conflicts:
                self._conflicts[token] = these
        for ambiguity in ambiguous(table):
            if len(self._ambiguous) < CONFLICTS_KEPT or ambiguity.token in self._ambiguous:
                self._ambiguous[ambiguity.token] = ambiguity
