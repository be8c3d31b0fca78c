"""Reading every entity that the id map knows through a domain's routes, by the same way that traffic takes."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from contextlib import aclosing, suppress
from dataclasses import dataclass, field, replace
from typing import Protocol

from comparators.decode import Unparseable, decode
from comparators.ids import IdPair
from proxy.errors import LedgerError, ShadowreadError
from proxy.identity import IdentityError
from proxy.identity.census import Census, Place
from proxy.ledger import Ledger, sweeps
from proxy.ledger.sweeps import Progress
from proxy.model import COMPARISONS, Headers, ReadRequest, Verdict
from proxy.sweep.frontier import Frontier, Piece
from proxy.sweep.targets import Target, first_page, next_page, page_fault, page_query
from proxy.verify.case import Asked, Chance
from proxy.verify.entity import was_there

KEEP_SECONDS = 1.0
"""How often it is kept how far the sweep came."""
MOST_PAGES = 100_000
ATTEMPTS = 6
"""How often a read is tried that the shadow's breaker, or a lack of room, keeps from being made."""
UNUSABLE = Piece(1, 0, {"no usable id": 1})
"""A row of the id map that nothing can be read of."""
_NOT_NOW = frozenset({Verdict.BREAKER_OPEN, Verdict.NO_ROOM, Verdict.PAUSED})


class Asks(Protocol):
    """What makes the reads and judges them: the verifier."""

    async def ask(self, request: ReadRequest) -> Asked: ...


@dataclass(frozen=True, slots=True)
class Pace:
    """At most `rate` reads a second (None: as many as there are) and `concurrency` at once; `patience` is the seconds
    until a read is tried again that could not be made."""

    rate: float | None = None
    concurrency: int = 8
    patience: float = 2.0


@dataclass(frozen=True, slots=True)
class Swept:
    """What came of one route. `resumed` counts reads of the sweep that this one went on with."""

    target: Target
    progress: Progress
    resumed: int
    problem: str = ""


@dataclass(slots=True)
class _Turn:
    """When the next read may be made, in monotonic seconds."""

    next_at: float = 0.0


@dataclass(slots=True)
class _Tally:
    done: int = 0
    found: int = 0
    ended: Counter[str] = field(default_factory=Counter)

    def add(self, asked: Asked) -> None:
        self.done += 1
        self.ended[asked.verdict.value] += 1
        if asked.verdict in COMPARISONS and was_there(asked.primary):
            self.found += 1
        elif asked.verdict in COMPARISONS and asked.primary is not None:
            self.ended[f"{asked.primary.status} of the primary"] += 1

    @property
    def piece(self) -> Piece:
        return Piece(self.done, self.found, dict(self.ended))


class Sweep:
    """Sweeps the routes of one domain, one after another. `stop` ends it after the reads that are under way."""

    def __init__(
        self,
        asks: Asks,
        ledger: Ledger,
        census: Census,
        *,
        headers: Headers,
        pace: Pace,
        chance: Chance,
        told: Callable[[Progress], None] = lambda _progress: None,
    ) -> None:
        self._asks = asks
        self._ledger = ledger
        self._census = census
        self._headers = headers
        self._pace = pace
        self._chance = chance
        self._told = told
        self._turn = _Turn()
        self._stopping = False

    def stop(self) -> None:
        self._stopping = True

    async def route(self, domain: str, target: Target, before: Progress | None) -> Swept:
        """Sweep one route from where `before` ended, else from its beginning. Raises IdentityError and LedgerError."""
        now = self._chance.now()
        window = self._ledger.window(domain)
        key = key_of(target, self._census)
        started = before or Progress(domain, target.route, window.id if window else "", now, now, f"{key} ")
        if started.finished:
            return Swept(target, started, started.done)
        frontier = Frontier(started.place.partition(" ")[2], Piece(started.done, started.found, started.ended))
        problems: list[str] = []
        over = asyncio.Event()
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._keep_now_and_then(started, frontier, over))
                try:
                    ended = await self._walk(target, frontier, problems)
                finally:
                    over.set()
        except BaseExceptionGroup as errors:
            with suppress(LedgerError):
                await self._keep(started, frontier, finished=False)
            # What went wrong first is what a person is to read; the group came of the structure alone.
            raise next((one for one in _leaves(errors) if isinstance(one, ShadowreadError)), errors) from errors
        now_in = self._ledger.window(domain)
        if now_in is not None and now_in.id != started.window:
            problems.append(f"a new evidence window began meanwhile ({now_in.why}): sweep again without --resume")
        reached = await self._keep(started, frontier, finished=ended and not problems and frontier.under_way == 0)
        return Swept(target, reached, started.done, problems[0] if problems else "")

    async def _walk(self, target: Target, frontier: Frontier, problems: list[str]) -> bool:
        """Whether it came to the end."""
        if target.entity is None:
            return await self._pages(target, frontier, problems)
        room = asyncio.Semaphore(self._pace.concurrency)

        async def one(number: int, pair: IdPair | None) -> None:
            try:
                frontier.end(number, UNUSABLE if pair is None else await self._piece(target, pair, problems))
            finally:
                room.release()

        behind = Place(*json.loads(frontier.place)) if frontier.place else Place()
        failure: IdentityError | None = None
        async with asyncio.TaskGroup() as group, aclosing(self._census.walk(target.entity, behind)) as walk:
            try:
                async for pair, place in walk:
                    await room.acquire()
                    if self._stopping:
                        break
                    group.create_task(one(frontier.begin(json.dumps(place)), pair))
            except IdentityError as error:
                # Reads that are under way come to their end first: cancelled, they would count as lost.
                failure = error
        if failure is not None:
            raise failure
        return not self._stopping

    async def _piece(self, target: Target, pair: IdPair, problems: list[str]) -> Piece:
        tally = _Tally()
        if target.pages is None:
            tally.add(await self._ask(target.path(pair)))
        else:
            async with aclosing(self._each_page(target, pair, first_page(target.pages))) as pages:
                async for asked, _, fault in pages:
                    tally.add(asked)
                    problems += filter(None, [fault])
        return tally.piece

    async def _pages(self, target: Target, frontier: Frontier, problems: list[str]) -> bool:
        """A list without entities: its pages one after another. Whether the last one was reached."""
        if target.pages is None:
            return True
        behind = frontier.place or first_page(target.pages)
        async with aclosing(self._each_page(target, None, behind)) as pages:
            async for asked, following, fault in pages:
                tally = _Tally()
                tally.add(asked)
                frontier.end(frontier.begin(behind if following is None else following), tally.piece)
                if following is None:
                    problems += filter(None, [fault])
                    if not was_there(asked.primary):
                        said = "nothing" if asked.primary is None else asked.detail or f"status {asked.primary.status}"
                        problems.append(f"the pages end where the primary answered {said}")
                    return True
                behind = following
                if self._stopping:
                    return False
        problems.append(f"more than {MOST_PAGES} pages")
        return False

    async def _each_page(
        self, target: Target, pair: IdPair | None, value: str
    ) -> AsyncGenerator[tuple[Asked, str | None, str]]:
        """Each page as it was read, the value of the one behind it, and why that cannot be told."""
        pages, path = target.pages, target.path(pair)
        if pages is None:
            return
        for _ in range(MOST_PAGES):
            query = page_query(pages, value)
            asked = await self._ask(f"{path}?{query}" if query else path)
            following, fault = None, ""
            if was_there(asked.primary) and asked.primary is not None and asked.primary.body is not None:
                document = decode(asked.primary.body)
                if isinstance(document, Unparseable):
                    fault = "a page is no JSON"
                else:
                    following, fault = next_page(pages, value, document), page_fault(pages, value, document)
            yield asked, following, fault
            if following is None:
                return
            value = following

    async def _ask(self, target: str) -> Asked:
        """One read, tried again where it could not be made, and once more where a write was in flight."""
        request = ReadRequest("GET", target, self._headers)
        for attempt in range(ATTEMPTS):
            await self._wait_turn()
            asked = await self._asks.ask(request)
            if asked.verdict not in _NOT_NOW or self._stopping or attempt == ATTEMPTS - 1:
                break
            await self._chance.sleep(self._pace.patience)
        if asked.verdict is Verdict.TRANSIENT and not self._stopping:
            await self._wait_turn()
            asked = await self._asks.ask(request)
        return asked

    async def _wait_turn(self) -> None:
        if self._pace.rate is None:
            return
        now = self._chance.monotonic()
        at = max(now, self._turn.next_at)
        self._turn.next_at = at + 1 / self._pace.rate
        if at > now:
            await self._chance.sleep(at - now)

    # --- keeping how far it came ---

    async def _keep_now_and_then(self, started: Progress, frontier: Frontier, over: asyncio.Event) -> None:
        while not over.is_set():
            try:
                async with asyncio.timeout(KEEP_SECONDS):
                    await over.wait()
            except TimeoutError:
                await self._keep(started, frontier, finished=False)

    async def _keep(self, started: Progress, frontier: Frontier, *, finished: bool) -> Progress:
        """Keep how far it came, once the verdicts up to there are in the file: nothing is called done that is not."""
        reached = replace(
            started,
            updated_at=self._chance.now(),
            place=f"{started.place.partition(' ')[0]} {frontier.place}",
            done=frontier.done,
            found=frontier.found,
            ended=dict(frontier.ended),
            finished=finished,
        )
        self._told(reached)
        await self._ledger.flush()
        if not self._ledger.recording.ok:
            raise LedgerError(f"the sweep ends here, because nothing can be recorded: {self._ledger.recording.reason}")
        await self._ledger.write(lambda connection: sweeps.keep_progress(connection, reached))
        return reached


def _leaves(errors: BaseExceptionGroup[BaseException]) -> Iterator[BaseException]:
    for one in errors.exceptions:
        if isinstance(one, BaseExceptionGroup):
            yield from _leaves(one)
        else:
            yield one


def key_of(target: Target, census: Census) -> str:
    """What tells one sweep of a route from another: its places mean nothing to a sweep of other things."""
    told = f"{target.entity} {target.step} {target.by_uuid} {target.pages!r} {census.sources}"
    return hashlib.sha256(told.encode()).hexdigest()[:12]


def resumable(kept: Mapping[str, Progress], target: Target, census: Census, window: str) -> Progress | None:
    """What a sweep can go on with: what was found in the evidence window that still counts, by the same sweep."""
    found = kept.get(target.route)
    same = found is not None and found.window == window and found.place.partition(" ")[0] == key_of(target, census)
    return found if same else None
