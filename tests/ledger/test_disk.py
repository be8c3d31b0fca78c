"""When the disk does not play along: the recording stops, says so, loses no count and catches up."""

from __future__ import annotations

import os
import resource
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from proxy.ledger import Ledger
from proxy.ledger import sqlite as sqlite_module
from proxy.model import Verdict
from tests.ledger.support import Home, assert_balanced, crash, diff, exchange, observed, opened, outcome, reading

root = pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk takes root")


@pytest.fixture(autouse=True)
def _no_long_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_module, "BUSY_SECONDS", 0.05)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 1 MiB."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", place], capture_output=True)
    if mounted.returncode:
        pytest.skip(f"cannot mount here: {mounted.stderr.decode().strip()}")
    yield place
    subprocess.run(["umount", place], check=True)


def fill(place: Path) -> Path:
    """Take all that is left of the disk."""
    filler = place / "filler"
    with filler.open("wb", buffering=0) as out, suppress(OSError):
        while out.write(bytes(4096)):
            pass
    assert os.statvfs(place).f_bavail == 0
    return filler


def remount(place: Path, how: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{how}", place], check=True)


def is_written(ledger: Ledger) -> bool:
    return ledger.recording.ok


@contextmanager
def file_limit(size: int) -> Iterator[None]:
    """No file of this process may grow past `size` bytes meanwhile: writes fail as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


async def stumble_and_recover(ledger: Ledger, reason: str) -> None:
    """While writing fails: counts go on, answers are right, the state is told. The caller then heals the disk."""
    before = observed(await ledger.domains())
    for n in range(1, 4):
        exchange(ledger, route=f"GET /{n}")
        ticket = ledger.begin("users", "GET /u")
        await ledger.flush()
        state = ledger.recording
        assert not state.ok
        assert reason in str(state.reason)
        assert state.waiting == 2 * n - 1
        domains = await ledger.domains()
        assert_balanced(domains)
        assert observed(domains) == before + 2 * n - 1
        assert domains["users"].under_way == 1
        ledger.record(ticket, outcome(Verdict.DIFF))


async def test_locked_by_another_process(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "a.db"
    async with opened(path) as ledger:
        exchange(ledger)
        await ledger.flush()
        with closing(sqlite3.connect(path)) as other:
            other.execute("BEGIN IMMEDIATE")
            await stumble_and_recover(ledger, "locked")
            assert len([one for one in caplog.records if "is not being written" in one.message]) == 1
        await ledger.flush()
        assert (ledger.recording.ok, ledger.recording.waiting) == (True, 0)
        assert "is being written again" in caplog.text
    async with reading(path) as reader:
        assert (await reader.domains())["users"].verdicts == {Verdict.MATCH: 4, Verdict.DIFF: 3}


async def test_it_tries_again_by_itself(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    async with opened(path, flush_seconds=0.01) as ledger:
        with closing(sqlite3.connect(path)) as other:
            other.execute("BEGIN IMMEDIATE")
            exchange(ledger)
            await ledger.flush()
            assert not is_written(ledger)
        async with reading(path) as reader:
            while not observed(await reader.domains()):
                pass
            assert observed(await reader.domains()) == 1


async def test_no_file_may_grow(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    async with opened(path) as ledger:
        exchange(ledger)
        await ledger.flush()
        with file_limit(4096):
            await stumble_and_recover(ledger, str(path))
            assert await ledger.findings() == []
        await ledger.flush()
        assert is_written(ledger)
        assert (await ledger.domains())["users"].verdicts == {Verdict.MATCH: 4, Verdict.DIFF: 3}


@root
async def test_a_full_disk(small_disk: Path) -> None:
    path = small_disk / "a.db"
    async with opened(path) as ledger:
        exchange(ledger)
        await ledger.flush()
        filler = fill(small_disk)
        for n in range(100):  # more routes than the journal has room for, and it cannot grow
            ledger.record(ledger.begin("users", f"GET /{n}"), outcome())
            diff(ledger, f"t{n}", target="/u?" + os.urandom(500).hex())
        await ledger.flush()
        state = ledger.recording
        assert not state.ok
        assert (state.waiting, state.traces) == (200, 100)
        domains = await ledger.domains()
        assert_balanced(domains)
        assert observed(domains) == 201
        assert len(await ledger.traces()) == 100
        filler.unlink()
        await ledger.flush()
        assert is_written(ledger), ledger.recording
    async with reading(path) as reader:
        assert (await reader.domains())["users"].verdicts == {Verdict.MATCH: 101, Verdict.DIFF: 100}
        assert len(await reader.traces()) == 100


@root
async def test_what_could_not_be_written_before_the_end_is_lost(small_disk: Path) -> None:
    path = small_disk / "a.db"
    async with opened(path) as ledger:
        exchange(ledger)
        await ledger.flush()
        filler = fill(small_disk)
        for n in range(100):
            diff(ledger, f"t{n}", target="/u?" + os.urandom(500).hex())
    filler.unlink()
    async with opened(path) as ledger:
        counts = (await ledger.domains())["users"]
        assert counts.balanced
        assert counts.verdicts == {Verdict.MATCH: 1, Verdict.LOST: 100}


@root
@pytest.mark.parametrize("new", [True, False])
async def test_a_disk_that_is_read_only_from_the_start(small_disk: Path, new: bool) -> None:
    path = small_disk / "a.db"
    if not new:
        async with opened(path) as ledger:
            exchange(ledger)
    remount(small_disk, "ro")
    if not new:
        async with reading(path) as reader:
            assert observed(await reader.domains()) == 1
    async with opened(path) as ledger:
        assert not is_written(ledger)
        exchange(ledger)
        ledger.begin("users", "GET /u")
        diff(ledger, "t1")
        await ledger.flush()
        assert not is_written(ledger)
        assert [one.id for one in await ledger.traces()] == ["t1"]
        assert len(await ledger.findings()) == 1
        domains = await ledger.domains()
        assert_balanced(domains)
        assert observed(domains) == 2
        remount(small_disk, "rw")
        await ledger.flush()
        assert is_written(ledger), ledger.recording
        assert observed(await ledger.domains()) == (2 if new else 3)


@pytest.mark.parametrize("pattern", ["a.db", "a.db*"])
async def test_a_deleted_file_is_noticed_and_replaced(tmp_path: Path, pattern: str) -> None:
    path = tmp_path / "a.db"
    async with opened(path) as ledger:
        exchange(ledger)
        waiting = ledger.begin("users", "GET /u")
        await ledger.flush()
        for found in tmp_path.glob(pattern):
            found.unlink()
        exchange(ledger, Verdict.DIFF)
        await ledger.flush()
        assert not is_written(ledger)
        assert "was deleted or replaced" in str(ledger.recording.reason)
        assert_balanced(await ledger.domains())
        await ledger.flush()
        assert is_written(ledger)
        ledger.begin("users", "GET /u")
        ledger.record(waiting, outcome(Verdict.TRANSIENT))
        async with reading(path) as reader:
            assert (await reader.domains())["users"].verdicts == {Verdict.DIFF: 1}
        await crash(ledger)
    async with opened(path) as ledger:
        counts = (await ledger.domains())["users"]
        assert counts.verdicts == {Verdict.DIFF: 1, Verdict.LOST: 2}
        assert counts.balanced


async def test_the_journal_of_a_deleted_ledger_does_not_count_in_a_new_one(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    async with opened(path) as ledger:
        exchange(ledger)
        await ledger.flush()
        await crash(ledger)
    for found in tmp_path.glob("a.db"):
        found.unlink()
    async with opened(path) as ledger:
        assert await ledger.domains() == {}
    assert list(tmp_path.glob("*.journal")) == []


async def test_one_row_that_cannot_be_stored_does_not_stop_the_counts(home: Home) -> None:
    async with opened(home / "a.db") as ledger:
        diff(ledger, "t\ud800")
        exchange(ledger, entity="1", entity_kind="user")
        await ledger.flush()
        assert not is_written(ledger)
        exchange(ledger)
        await ledger.flush()
        assert is_written(ledger)
        assert ledger.recording.dropped_traces == 1
        counts = (await ledger.domains())["users"]
        assert (counts.verdicts, counts.entities) == ({Verdict.DIFF: 1, Verdict.MATCH: 2}, 1)
        finding = (await ledger.findings())[0]
        assert (finding.differences, finding.sample_primary, finding.first_trace) == (1, '"a"', None)


async def test_findings_that_cannot_be_stored_do_not_stop_the_counts(home: Home) -> None:
    async with opened(home / "a.db") as ledger:
        diff(ledger, "t")
        exchange(ledger, entity="1", entity_kind="user")
        (finding,) = ledger._tally.details._findings.values()
        finding.known_gap = 2**70  # as no column takes it
        for written in (False, False, True):  # with traces, with findings, with counts alone
            await ledger.flush()
            assert is_written(ledger) is written
        assert await ledger.findings() == []
        diff(ledger, "t")
        exchange(ledger, entity="1", entity_kind="user")
        await ledger.flush()
        assert (await ledger.domains())["users"].entities == 1
        assert (await ledger.findings())[0].sample_primary == '"a"'


async def test_a_commit_that_worked_although_it_failed_is_not_repeated(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = AsyncConnection.commit

    async def commit_and_fail(connection: AsyncConnection) -> None:
        await commit(connection)
        raise OSError("the disk answered too late")

    async with opened(home / "a.db") as ledger:
        exchange(ledger)
        with monkeypatch.context() as patched:
            patched.setattr(AsyncConnection, "commit", commit_and_fail)
            await ledger.flush()
        assert not is_written(ledger)
        exchange(ledger)
        await ledger.flush()
        assert is_written(ledger)
        assert (await ledger.domains())["users"].verdicts == {Verdict.MATCH: 2}
