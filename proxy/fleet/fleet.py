"""The workers of one proxy: kept running, told what to do, and what they tell brought together."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest

from proxy.fleet.channel import ChannelError
from proxy.fleet.gathered import Gathered
from proxy.fleet.member import MODULE, Member, WorkerError
from proxy.fleet.messages import (
    Anew,
    Begin,
    FromWorker,
    Quiet,
    Recents,
    Reload,
    Reloaded,
    WhichRecent,
)
from proxy.ledger import Recording
from proxy.model import ReadRequest
from proxy.tasks import TaskGroup

log = logging.getLogger(__name__)

LOOK_SECONDS = 0.5
SILENT_LOOKS = 40
"""A worker that says nothing for so many looks stands still, and is ended: its clients would wait for ever."""
FIRST_WAIT, LONGEST_WAIT = 0.2, 30.0
"""Seconds until a worker is started again; twice as many each time, until one has served for `STEADY` seconds."""
STEADY = 10.0
STOP_SECONDS = 10.0
"""How long workers may take to end, beside what draining takes."""
RELOAD_SECONDS = 30.0
FRESH = 5.0
"""For how many seconds the requests that workers have told of are given to who asks."""
ANSWER_SECONDS = 1.0
"""How long is waited for those that have not answered, while others have."""

BeginOf = Callable[[int], Begin]


@dataclass(slots=True)
class _Recent:
    asked: float
    answers: dict[int, Sequence[ReadRequest]]


class Fleet:
    """`begin_of` says what the worker of a number is to begin with, each time that it is started.

    `monotonic` is a clock in seconds, `module` what a worker process runs. Nothing waits for workers but what says so.
    """

    def __init__(
        self,
        count: int,
        begin_of: BeginOf,
        gathered: Gathered,
        *,
        drain: float,
        monotonic: Callable[[], float],
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
        module: str = MODULE,
    ) -> None:
        self.count = count
        self.restarts = 0
        """How often a worker had to be started again."""
        self.drain = drain
        self._begin_of = begin_of
        self._gathered = gathered
        self._monotonic = monotonic
        self._sleep = sleep
        self._module = module
        self._members: dict[int, Member] = {}
        self._paused: Counter[str] = Counter()
        self._version = 0
        self._recent: dict[str, _Recent] = {}
        self._reloads = 0
        self._reloading: dict[int, tuple[Member, asyncio.Future[str | None]]] = {}
        self._stopping = asyncio.Event()
        self._tasks = TaskGroup(count + 1)

    # --- life ---

    async def start(self) -> None:
        """Start all workers and wait until each takes connections. Raises WorkerError; none is left running then."""
        members = [Member(number, self._heard, self._module) for number in range(1, self.count + 1)]
        try:
            found = await asyncio.gather(*(self._begin(member) for member in members), return_exceptions=True)
            for failed in found:
                if isinstance(failed, BaseException):
                    raise failed
        except BaseException:
            for member in members:
                member.kill()
                await member.end()
            raise
        for member in members:
            self._tasks.start(self._keep(member), name=f"worker {member.number}")
        self._tasks.start(self._look(), name="look after workers")

    async def stop(self) -> None:
        """Have all drain and end, and wait for that; those that take too long are ended."""
        self._stopping.set()
        for member in self._members.values():
            if member.serving:
                member.stop()
            else:
                member.kill()
        # A worker drains its clients first, and what they have begun afterwards.
        late = self.drain * 2 + STOP_SECONDS
        try:
            async with asyncio.timeout(late):
                while self._members:
                    await self._sleep(0.02)
        except TimeoutError:
            log.warning("workers did not end within %g s and are ended", late)
            self.kill()
        await self._tasks.drain(STOP_SECONDS)

    def kill(self) -> None:
        """End all at once; they are not started again. What they have under way counts as lost."""
        self._stopping.set()
        for member in self._members.values():
            member.kill()

    async def _keep(self, member: Member) -> None:
        """See a worker to its end, and start one in its place until the fleet stops."""
        wait, began = FIRST_WAIT, self._monotonic()
        while True:
            try:
                await member.listen()
            except ChannelError as error:
                log.error("worker %d: %s", member.number, error)
                member.kill()
            how = await self._end(member)
            if self._stopping.is_set():
                return
            if self._monotonic() - began >= STEADY:
                wait = FIRST_WAIT
            while not self._stopping.is_set():
                log.error(
                    "worker %d %s; what it had under way counts as lost. Another one starts in %g s",
                    member.number,
                    how,
                    wait,
                )
                if await self._stopped_within(wait):
                    return
                wait, began = min(wait * 2, LONGEST_WAIT), self._monotonic()
                self.restarts += 1
                member = Member(member.number, self._heard, self._module)
                try:
                    await self._begin(member)
                    log.info("worker %d serves again", member.number)
                    break
                except (WorkerError, OSError, ChannelError) as error:
                    member.kill()
                    how = f"could not begin: {error}"
                    await self._end(member)
            else:
                return

    async def _begin(self, member: Member) -> None:
        # From here on it counts: it may serve before it has said so.
        self._members[member.number] = member
        first = self._begin_of(member.number)
        await member.begin(first)
        if (settings := self._begin_of(member.number).settings) != first.settings:
            member.send(Reload(0, settings))
        if self._version:
            self._tell_quiet([member])
        if self._stopping.is_set():
            member.stop()

    async def _end(self, member: Member) -> str:
        how = await member.end()
        if self._members.get(member.number) is member:
            del self._members[member.number]
        for who, answer in self._reloading.values():
            if who is member and not answer.done():
                answer.set_result(None)  # the next one begins under the new configuration
        return how

    async def _stopped_within(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        except TimeoutError:
            return False
        return True

    async def _look(self) -> None:
        while not self._stopping.is_set():
            await self._sleep(LOOK_SECONDS)
            for member in self._members.values():
                # Counted, not timed: while this process or the whole machine stood still nobody could be heard.
                member.silent += member.serving
                if member.silent >= SILENT_LOOKS:
                    log.error("worker %d has said nothing for %g s", member.number, SILENT_LOOKS * LOOK_SECONDS)
                    member.kill()

    # --- what is asked of the workers ---

    def pause(self, domain: str) -> None:
        """Have the workers pause `domain` until everybody who paused it has called `resume`; `followed` tells when
        they have. While a configuration takes over from another one, two may look at the same domain."""
        self._paused[domain] += 1
        self._tell_quiet(self._members.values(), anew=True)

    def resume(self, domain: str) -> None:
        self._paused[domain] -= 1
        self._paused = +self._paused
        self._tell_quiet(self._members.values(), anew=True)

    def followed(self) -> bool:
        """Whether every worker is known to have paused what is to be paused now, and that alone."""
        return all(member.quiet == self._version for member in self._members.values())

    def busy(self, domain: str) -> int:
        """Exchanges of `domain` without a verdict, as the workers said last; at least 1 until all have followed."""
        return sum(member.busy.get(domain, 0) for member in self._members.values()) + (not self.followed())

    def recent(self, domain: str) -> Sequence[ReadRequest]:
        """The requests that the workers have seen last, a turn of each; empty until they have answered.

        The workers are asked by this, for the next call.
        """
        now = self._monotonic()
        found = self._recent.get(domain)
        if found is None or now - found.asked > FRESH:
            self._recent[domain] = _Recent(now, {})
            for member in self._members.values():
                member.send(WhichRecent(domain))
            return ()
        if self._members.keys() - found.answers.keys() and now - found.asked < ANSWER_SECONDS:
            return ()
        turns = zip_longest(*(reversed(some) for some in found.answers.values()))
        return tuple(one for one in chain.from_iterable(turns) if one is not None)[::-1]

    def anew(self) -> None:
        """Have the workers say to the ledger anew which rules apply."""
        for member in self._members.values():
            member.send(Anew())

    async def reload(self, settings: bytes, drain: float) -> None:
        """Have all workers go on under other settings, and wait for that. One that does not is started anew."""
        self.drain = drain
        loop = asyncio.get_running_loop()
        for member in self._members.values():
            # Those that have not begun yet are told when they have.
            if member.serving:
                self._reloads += 1
                self._reloading[self._reloads] = member, loop.create_future()
                member.send(Reload(self._reloads, settings))
        waiting = dict(self._reloading)
        if waiting:
            await asyncio.wait([answer for _, answer in waiting.values()], timeout=RELOAD_SECONDS)
        self._reloading.clear()
        for member, answer in waiting.values():
            if not answer.done():
                self._refused(member, f"no answer within {RELOAD_SECONDS:g} s")
            elif (refused := answer.result()) is not None:
                self._refused(member, refused)

    # --- what they tell ---

    def recordings(self) -> Iterator[Recording]:
        """How the recording goes with each worker, as it said last."""
        return (one.recording for one in self._members.values() if one.recording is not None)

    def gauges(self, name: str) -> Iterator[Mapping[tuple[str, ...], float]]:
        """What the workers said of one gauge."""
        return (one.gauges[name] for one in tuple(self._members.values()) if name in one.gauges)

    @property
    def serving(self) -> int:
        """How many workers take connections."""
        return sum(member.serving for member in self._members.values())

    @property
    def pids(self) -> dict[int, int]:
        """The processes by number."""
        return {number: one.pid for number, one in self._members.items() if one.pid is not None}

    def _tell_quiet(self, members: Iterable[Member], *, anew: bool = False) -> None:
        self._version += anew
        for member in members:
            member.send(Quiet(self._version, tuple(sorted(self._paused))))

    def _refused(self, member: Member, why: str) -> None:
        """It goes on under other rules than the rest: it drains, and another one begins."""
        log.error("worker %d did not take the new configuration and starts anew: %s", member.number, why)
        member.stop()

    def _heard(self, member: Member, message: FromWorker) -> None:
        match message:
            case Reloaded(number, refused):
                _, answer = self._reloading.get(number, (member, None))
                if answer is not None and not answer.done():
                    answer.set_result(refused)
                elif refused is not None:
                    self._refused(member, refused)
            case Recents(domain, requests):
                if (found := self._recent.get(domain)) is not None:
                    found.answers[member.number] = requests
            case _:
                self._gathered.take(message)
