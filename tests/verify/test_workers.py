"""Processes beside the loop: what they answer, and what happens when they end, hang or are told too much."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import uvloop

from proxy.verify.work import Work, WorkerDiedError, WorkTimeoutError
from proxy.verify.worker import LENGTH
from proxy.verify.workers import pickled


class OddError(Exception):
    """Cannot be made again from what it bears."""

    def __init__(self, one: int, two: int) -> None:
        super().__init__(f"{one} and {two}")


def size_of(body: bytes) -> tuple[int, int]:
    return len(body), os.getpid()


def larger(body: bytes) -> bytes:
    return body * 2


def odd() -> None:
    raise OddError(1, 2)


def missing() -> None:
    raise KeyError("nothing here")


def busy() -> None:
    while True:
        pass


def deaf() -> None:
    """Hears no alarm, as code in C does not."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGALRM})
    busy()


def die() -> None:
    os._exit(3)


def die_once(mark: str) -> str:
    if not Path(mark).exists():
        Path(mark).touch()
        os._exit(3)
    return "the second time"


def unpicklable() -> object:
    return lambda: None


def runs(process: int) -> bool:
    """Whether there is such a process that is not just waiting to be buried."""
    try:
        return "Z" not in Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False


@pytest.fixture
async def work() -> AsyncIterator[Work]:
    made = Work(timeout=10.0)
    yield made
    await made.close()


async def test_large_arguments_and_answers_arrive_whole(work: Work) -> None:
    body = os.urandom(3_000_000)
    assert await work.apart(larger, body) == body * 2


async def test_what_is_raised_there_is_raised_here(work: Work) -> None:
    with pytest.raises(KeyError, match="nothing here"):
        await work.apart(missing)
    with pytest.raises(RuntimeError, match="OddError: 1 and 2"):
        await work.apart(odd)
    with pytest.raises(Exception, match="pickle"):
        await work.apart(unpicklable)
    assert await work.apart(len, b"still there") == 11


async def test_many_calls_at_once_use_as_many_processes_as_there_may_be() -> None:
    work = Work(timeout=10.0, processes=2)
    try:
        await asyncio.gather(work.start(), work.start(), work.start())
        found = await asyncio.gather(*(work.apart(size_of, b"x" * size) for size in range(200)))
        assert [size for size, _ in found] == list(range(200))
        assert len({process for _, process in found}) == 2
    finally:
        await work.close()


async def test_what_takes_too_long_ends_and_the_worker_goes_on() -> None:
    work = Work(timeout=0.3)
    try:
        first = await work.apart(os.getpid)
        with pytest.raises(WorkTimeoutError, match=r"took longer than 0\.3 s"):
            await work.apart(busy)
        assert await work.apart(os.getpid) == first
    finally:
        await work.close()


async def test_a_worker_that_hears_no_alarm_is_killed_and_replaced() -> None:
    work = Work(timeout=0.3, grace=1.0)
    try:
        first = await work.apart(os.getpid)
        with pytest.raises(WorkerDiedError):
            await work.apart(deaf)
        assert await work.apart(os.getpid) != first
    finally:
        await work.close()


async def test_a_call_whose_worker_dies_is_tried_once_more(work: Work, tmp_path: Path) -> None:
    assert await work.apart(die_once, str(tmp_path / "mark")) == "the second time"
    with pytest.raises(WorkerDiedError):
        await work.apart(die)
    assert await work.apart(len, b"abc") == 3


async def test_calls_that_wait_outlive_a_worker_that_another_call_kills(work: Work) -> None:
    await work.start()
    killing = asyncio.gather(work.apart(die), return_exceptions=True)
    others = await asyncio.gather(*(work.apart(size_of, b"x" * size) for size in range(20)))
    assert isinstance((await killing)[0], WorkerDiedError)
    assert [size for size, _ in others] == list(range(20)), "also those that were sent behind the one that kills"


async def test_a_caller_that_goes_away_leaves_the_worker_to_others(work: Work) -> None:
    await work.start()
    gone = asyncio.create_task(work.apart(larger, b"x" * 1_000_000))
    await asyncio.sleep(0)
    gone.cancel()
    with pytest.raises(asyncio.CancelledError):
        await gone
    assert await work.apart(len, b"abc") == 3


async def test_closing_ends_the_processes_and_what_they_were_doing() -> None:
    work = Work(timeout=30.0)
    process = await work.apart(os.getpid)
    waiting = asyncio.gather(work.apart(busy), work.apart(busy), return_exceptions=True)
    await asyncio.sleep(0)
    await work.close()
    assert [type(one) for one in await waiting] == [WorkerDiedError, WorkerDiedError]
    assert not runs(process)
    with pytest.raises(WorkerDiedError):
        await work.apart(len, b"")
    await work.close()


def test_a_worker_ends_with_its_parent(tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(
        "import asyncio, os, sys\n"
        "from proxy.verify.work import Work\n"
        "async def main():\n"
        "    work = Work(timeout=5.0)\n"
        "    print(await work.apart(os.getpid), flush=True)\n"
        "    await asyncio.Event().wait()\n"
        "asyncio.run(main())\n"
    )
    parent = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, cwd=Path.cwd())
    assert parent.stdout is not None
    worker = int(parent.stdout.readline())
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    until = time.monotonic() + 20
    while runs(worker) and time.monotonic() < until:
        time.sleep(0.02)
    assert not runs(worker)


def test_long_bytes_are_sent_as_they_are() -> None:
    body = b"x" * 1_000_000
    pieces = pickled(("call", body))
    assert any(piece is body for piece in pieces)
    assert LENGTH.unpack(pieces[0])[0] == sum(map(len, pieces[1:]))


async def many_and_some_that_kill() -> None:
    """Calls of all sizes, callers that go away and workers that die; nothing is left open after."""
    before = 0
    for turn in range(2):
        work = Work(timeout=10.0, processes=2)
        calls = [asyncio.create_task(work.apart(size_of, b"x" * (size * 20_000))) for size in range(40)]
        killers = [asyncio.create_task(work.apart(die)) for _ in range(2)]
        await asyncio.sleep(0)
        for call in calls[::4]:
            call.cancel()
        found = await asyncio.gather(*calls, *killers, return_exceptions=True)
        await work.close()
        for size, one in enumerate(found[:40]):
            assert isinstance(one, asyncio.CancelledError) if size % 4 == 0 else one[0] == size * 20_000  # type: ignore[index]
        assert [type(one) for one in found[40:]] == [WorkerDiedError] * 2
        assert work.waiting == 0
        # A loop opens some of its own when they are first needed.
        left = sum(1 for _ in Path("/proc/self/fd").iterdir())
        assert turn == 0 or left == before
        before = left


@pytest.mark.parametrize("policy", [asyncio.DefaultEventLoopPolicy, uvloop.EventLoopPolicy], ids=["asyncio", "uvloop"])
def test_both_event_loops(policy: type[asyncio.AbstractEventLoopPolicy]) -> None:
    with asyncio.Runner(loop_factory=policy().new_event_loop) as runner:
        runner.run(many_and_some_that_kill())
