"""Workers that die or stand still, and a first process that does."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from proxy.fleet import fleet as fleet_module
from proxy.ledger import LedgerReader
from proxy.model import Verdict
from tests.e2e.backends import backend, fetch
from tests.fleet.conftest import Crewed, Side, crewed, until

pytestmark = pytest.mark.slow


async def test_a_worker_that_dies_is_started_again_and_what_it_had_is_lost(tmp_path: Path) -> None:
    async with crewed(tmp_path) as proxy:
        await proxy.ask("/api/a/bad", 10)
        await proxy.counted("a", 10)
        pids = proxy.crew.fleet.pids
        # Requests that wait for the primary keep exchanges under way in both workers.
        async with held(proxy, 12):
            os.kill(pids[1], signal.SIGKILL)
            await until(lambda: proxy.crew.fleet.pids.get(1) not in (pids[1], None))
            # Those who ask meanwhile are served by the other one.
            await proxy.ask("/api/a/same", 5)
            await until(lambda: proxy.crew.fleet.serving == 2, 60)
        await proxy.ask("/api/a/same", 5)
        assert proxy.crew.fleet.pids[2] == pids[2]
        assert proxy.crew.fleet.restarts == 1
        counts = await proxy.counted("slow", 12)
        assert counts.observed == 12
        assert counts.verdicts[Verdict.LOST] + counts.verdicts.get(Verdict.MATCH, 0) == 12
        assert 0 < counts.verdicts[Verdict.LOST] < 12, "the connections were not spread over both"
        # No diff that was ever told of is gone.
        assert (await proxy.counted("a", 20)).verdicts == {Verdict.DIFF: 10, Verdict.MATCH: 10}


async def test_a_worker_that_stands_still_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fleet_module, "SILENT_LOOKS", 4)
    async with crewed(tmp_path) as proxy:
        pids = proxy.crew.fleet.pids
        os.kill(pids[1], signal.SIGSTOP)
        await until(lambda: proxy.crew.fleet.pids.get(1) not in (pids[1], None))
        await until(lambda: proxy.crew.fleet.serving == 2, 60)
        await proxy.ask("/api/a/same", 10)
        await proxy.counted("a", 10)


async def test_a_worker_begins_under_the_pauses_that_are_in_force(tmp_path: Path) -> None:
    async with crewed(tmp_path, 1) as proxy:
        assert proxy.application.verifier is not None
        reads = proxy.crew.reads(proxy.application.verifier)
        reads.pause("a")
        pid = proxy.crew.fleet.pids[1]
        os.kill(pid, signal.SIGKILL)
        await until(lambda: proxy.crew.fleet.pids.get(1) not in (pid, None))
        assert reads.busy("a") >= 1, "a worker that has only begun is not known to have paused"
        await until(lambda: reads.busy("a") == 0, 60)
        await proxy.ask("/api/a/same", 5)
        assert (await proxy.counted("a", 5)).verdicts == {Verdict.PAUSED: 5}


async def test_stopping_lets_clients_and_verification_end(tmp_path: Path) -> None:
    async with crewed(tmp_path, drain=5.0) as proxy:
        async with held(proxy, 6) as answers:
            stopping = asyncio.create_task(proxy.application.stop())
            url = proxy.url
            await until(lambda: not _listens(url))
        assert [answer.partition(b"\r\n")[0] for answer in answers] == [b"HTTP/1.1 200 OK"] * 6
        await stopping
        assert proxy.crew.fleet.pids == {}
        reader = await LedgerReader.open(proxy.with_rules().ledger.url)
        counts = (await reader.domains())["slow"]
        await reader.close()
        assert counts.verdicts == {Verdict.MATCH: 6}


async def test_serve_with_workers_from_start_to_end(tmp_path: Path) -> None:
    """The command itself: it takes SIGHUP, leaves no worker behind when it is killed, and ends in order."""
    primary, shadow = Side(1), Side(2)
    async with backend(primary) as one, backend(shadow) as other:
        config = _config(tmp_path, one, other)
        async with _serving(config) as (process, url, log):
            pids = _children(process.pid)
            assert len(pids) == 2
            assert b"200 OK" in await fetch(url, b"/api/a/bad")
            content = json.loads(config.read_text())
            config.write_text(json.dumps({**content, "compare": {"ignore": ["$.value"]}}))
            os.kill(process.pid, signal.SIGHUP)
            await until(lambda: "taken over" in log.read_text(), 40)
            for _ in range(8):
                assert b"200 OK" in await fetch(url, b"/api/a/bad")
            process.kill()
            await process.wait()
            await until(lambda: not any(_lives(pid) for pid in pids), 40)
            assert not _listens(url)
        reader = await LedgerReader.open(content["ledger"]["url"])
        counts = (await reader.domains())["a"]
        await reader.close()
        assert counts.verdicts == {Verdict.MATCH: 8}
        async with _serving(config) as (process, url, log):
            pids = _children(process.pid)
            with pytest.raises(AssertionError, match="Address already in use"):
                async with _serving(config):
                    pass
            process.terminate()
            assert await asyncio.wait_for(process.wait(), 30) == 0
            assert not any(_lives(pid) for pid in pids)


async def test_a_second_signal_ends_all_at_once(tmp_path: Path) -> None:
    primary, shadow = Side(1), Side(2)
    async with backend(primary) as one, backend(shadow) as other:
        config = _config(tmp_path, one, other, drain="60s")
        async with _serving(config) as (process, url, log):
            pids = _children(process.pid)
            client = asyncio.create_task(fetch(url, b"/api/slow/1"))
            await until(lambda: primary.waiting == 1)
            process.terminate()
            await until(lambda: "stopping" in log.read_text())
            process.terminate()
            assert await asyncio.wait_for(process.wait(), 20) == 128 + signal.SIGTERM
            await until(lambda: not any(_lives(pid) for pid in pids))
            with suppress(ConnectionError):
                assert await client == b""


@asynccontextmanager
async def held(proxy: Crewed, count: int) -> AsyncIterator[list[bytes]]:
    """So many requests that wait for the primary as long as the block lasts, each on a connection of its own; what
    came of them is known after it."""
    answers: list[bytes] = []

    async def one(number: int) -> None:
        with suppress(ConnectionError):
            answers.append(await fetch(proxy.url, b"/api/slow/%d" % number))

    tasks = [asyncio.create_task(one(number)) for number in range(count)]
    await until(lambda: proxy.primary.waiting >= count and proxy.shadow.waiting >= count)
    try:
        yield answers
    finally:
        for side in (proxy.primary, proxy.shadow):
            side.let.set()
        await asyncio.gather(*tasks)


def _config(folder: Path, one: str, other: str, drain: str = "2s") -> Path:
    ids = folder / "ids.json"
    ids.write_text(json.dumps([{"entity": "a", "legacy": "a" * 24, "uuid": "11111111-1111-4111-8111-111111111111"}]))
    (folder / "ledger").mkdir()
    config = folder / "config.yaml"
    content = {
        "listen": f"127.0.0.1:{_free()}",
        "admin": {"listen": f"127.0.0.1:{_free()}"},
        "primary": {"url": one},
        "shadow": {"url": other},
        "ids": {"sources": [{"file": str(ids)}]},
        "ledger": {"url": f"sqlite:///{folder / 'ledger' / 'shadowread.db'}", "flush": "50ms"},
        "settle": {"delay": "20ms", "factor": 1, "attempts": 2},
        "drain": drain,
        "domains": {"a": {"routes": ["GET /api/a/{id}"]}},
    }
    config.write_text(json.dumps(content))
    return config


@asynccontextmanager
async def _serving(config: Path) -> AsyncIterator[tuple[asyncio.subprocess.Process, str, Path]]:
    """`shadowread serve --workers 2`, its url, and its log. AssertionError with the log when it ends before it does."""
    log = config.with_suffix(f".{len(list(config.parent.glob('*.log')))}.log")
    with log.open("wb") as stream:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "proxy.cli", "serve", "-c", str(config), "--workers", "2", stderr=stream
        )
    try:
        await until(lambda: "serving http" in log.read_text() or process.returncode is not None, 60)
        assert process.returncode is None, log.read_text()
        yield process, f"http://{json.loads(config.read_text())['listen']}", log
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def _children(pid: int) -> list[int]:
    """The worker processes among the children of a process."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            parent = int((folder / "stat").read_text().rpartition(") ")[2].split()[1])
            if parent == pid and b"proxy.fleet" in (folder / "cmdline").read_bytes():
                found.append(int(folder.name))
    return found


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()[0] != "Z"
    except OSError:
        return False


def _listens(url: str) -> bool:
    host, port = url.removeprefix("http://").split(":")
    with socket.socket() as probe:
        return probe.connect_ex((host, int(port))) == 0


def _free() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
