"""What becomes of workers that do wrong, and what is asked of those that do right."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from proxy.fleet import fleet as fleet_module
from proxy.fleet.fleet import Fleet
from proxy.fleet.gathered import Gathered
from proxy.fleet.member import WorkerError
from proxy.fleet.messages import Begin
from proxy.fleet.reads import FleetReads
from proxy.model import Observation, ReadRequest, Side
from proxy.tail import Tail
from proxy.telemetry import Figures
from proxy.verify.pulse import Tallies
from tests.fleet.conftest import until

STUB = "tests.fleet.stub"
REQUEST = ReadRequest("GET", "/", ())


class Reads:
    """The reads of the first process itself."""

    def __init__(self) -> None:
        self.paused: set[str] = set()

    def pause(self, domain: str) -> None:
        self.paused.add(domain)

    def resume(self, domain: str) -> None:
        self.paused.discard(domain)

    def busy(self, domain: str) -> int:
        return int(domain not in self.paused)

    def recent(self, domain: str) -> list[ReadRequest]:
        return [] if domain in self.paused else [REQUEST]

    async def shadow_read(self, domain: str, request: ReadRequest) -> Observation:
        return Observation(Side.SHADOW, 200 if request == REQUEST else 404, detail=domain)


def fleet_of(*modes: bytes) -> Fleet:
    """A worker for each mode of the stub; `modes` may change later."""
    gathered = Gathered(Figures(), Tallies(), Tail(), lambda: None)
    return Fleet(
        len(modes),
        lambda number: Begin(number, modes[number - 1], b"", "", 0, "text", False),
        gathered,
        drain=0.1,
        monotonic=time.monotonic,
        module=STUB,
    )


@asynccontextmanager
async def started(*modes: bytes) -> AsyncIterator[Fleet]:
    fleet = fleet_of(*modes)
    await fleet.start()
    try:
        yield fleet
    finally:
        await fleet.stop()
        assert fleet.pids == {}


async def test_a_worker_that_cannot_begin_keeps_the_proxy_from_starting() -> None:
    fleet = fleet_of(b"good", b"fails")
    with pytest.raises(WorkerError, match="no room in the inn"):
        await fleet.start()
    assert all(member.pid is None for member in fleet._members.values())


@pytest.mark.parametrize(
    ("mode", "said"),
    [
        (b"dies", "worker 1 ended with status 3"),
        (b"babbles", "could not be read"),
        (b"boasts", "4,294,967,295 bytes was announced"),
    ],
)
async def test_a_worker_that_goes_wrong_is_started_again_later_each_time(
    mode: bytes, said: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(fleet_module, "FIRST_WAIT", 0.01)
    async with started(mode) as fleet:
        await until(lambda: fleet.restarts >= 2)
    assert said in caplog.text
    waits = [record.args[-1] for record in caplog.records if isinstance(record.args, tuple) and len(record.args) == 3]
    assert waits[:2] == [0.01, 0.02]


async def test_one_that_does_not_take_a_configuration_is_started_under_it() -> None:
    async with started(b"good", b"good") as fleet:
        pids = fleet.pids
        await fleet.reload(b"fine", 0.1)
        assert fleet.pids == pids
        await fleet.reload(b"bad", 0.1)
        await until(lambda: fleet.serving == 2 and not set(fleet.pids.values()) & set(pids.values()))


async def test_requests_are_asked_for_and_told_a_turn_of_each_worker() -> None:
    async with started(b"good", b"good") as fleet:
        assert fleet.recent("a") == ()
        await until(lambda: len(fleet.recent("a")) == 4)
        assert [request.target for request in fleet.recent("a")] == ["/0", "/0", "/1", "/1"]


async def test_nothing_is_read_for_proof_before_all_have_paused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxy.fleet.reads.FOLLOW_SECONDS", 0.2)
    own = Reads()
    async with started(b"good", b"good") as fleet:
        reads = FleetReads(own, fleet)
        reads.pause("a")
        assert own.paused == {"a"}
        assert reads.busy("a") >= 1
        # Each stub has one exchange of a paused domain under way.
        assert (await reads.shadow_read("a", REQUEST)).status == 200
        assert reads.busy("a") == 2
        fleet._members[1].quiet = 0
        seen = await reads.shadow_read("a", REQUEST)
        assert (seen.status, seen.error) == (None, "not_paused")
        reads.resume("a")
        assert own.paused == set()
        assert (await reads.shadow_read("a", REQUEST)).status == 200


async def test_a_domain_goes_on_when_the_last_who_paused_it_says_so() -> None:
    async with started(b"good") as fleet:
        one, other = FleetReads(Reads(), fleet), FleetReads(Reads(), fleet)
        one.pause("a")
        other.pause("a")
        other.resume("a")
        await until(fleet.followed)
        assert fleet._members[1].busy == {"a": 1}, "it reads although it is still paused by the other"
        one.resume("a")
        await until(fleet.followed)
        assert fleet._members[1].busy == {}


async def test_a_worker_that_reads_nothing_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxy.fleet.channel.WAITING", 1000)
    async with started(b"good") as fleet:
        (pid,) = fleet.pids.values()
        member = fleet._members[1]
        # Nothing is taken while this loop does not run.
        for _ in range(3):
            fleet.pause("x" * 900_000)
        await until(lambda: fleet._members.get(1) is not member)
        await until(lambda: fleet.pids.get(1) not in (pid, None))
        await asyncio.sleep(0)


async def test_a_worker_that_begins_meanwhile_is_told_of_the_newer_configuration() -> None:
    modes = iter([b"good", b"bad"])
    current = b"bad"

    def begin_of(number: int) -> Begin:
        # The first time it is asked the configuration is about to change.
        return Begin(number, next(modes, current), b"", "", 0, "text", False)

    fleet = Fleet(
        1,
        begin_of,
        Gathered(Figures(), Tallies(), Tail(), lambda: None),
        drain=0.1,
        monotonic=time.monotonic,
        module=STUB,
    )
    await fleet.start()
    try:
        # It refuses what it is told, so another one has begun under it.
        await until(lambda: fleet.restarts == 1 and fleet.serving == 1)
    finally:
        await fleet.stop()


async def test_a_worker_that_dies_of_a_configuration_keeps_nobody_waiting() -> None:
    async with started(b"good", b"good") as fleet, asyncio.timeout(fleet_module.RELOAD_SECONDS / 2):
        await fleet.reload(b"deadly", 0.1)
        await until(lambda: fleet.serving == 2)
