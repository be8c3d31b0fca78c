"""kill -9 of the proxy: a hole in the watched time, `lost` for what was under way, and no difference is missing."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import simplejson

from proxy.ledger import LedgerReader
from proxy.model import Verdict
from proxy.settings import Settings, show
from tests.demo.trees import tree, wait_until_gone
from tests.e2e.backends import answering, backend, fetch, response, target_of
from tests.e2e.conftest import running, settings
from tests.e2e.evidence import EASY, asked_until, plan

SEEN, UNDER_WAY = 6, 4


@asynccontextmanager
async def served(folder: Path, made: Settings) -> AsyncIterator[str]:
    """`shadowread serve` as a process of its own; ends it by kill -9, with whatever it has started."""
    path = folder / "shadowread.yaml"
    path.write_text(simplejson.dumps(show(made)))
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "proxy.cli", "serve", "-c", str(path), stderr=asyncio.subprocess.PIPE
    )
    try:
        yield await asyncio.wait_for(_address(process), 30)
    finally:
        members = tree(process.pid)
        if process.returncode is None:
            os.kill(process.pid, signal.SIGKILL)
        await process.wait()
        await asyncio.to_thread(wait_until_gone, members)


async def _address(process: asyncio.subprocess.Process) -> str:
    assert process.stderr is not None
    said = b""
    async for line in process.stderr:
        if b"serving http://" in line:
            return "http://" + line.decode().split("serving http://")[1].split(",")[0]
        said += line
    raise AssertionError(f"the proxy ended before it served: {said.decode()}")


@pytest.mark.slow
async def test_a_kill_leaves_a_hole_lost_counts_and_every_finding(folder: Path) -> None:
    held, gone = asyncio.Event(), asyncio.Event()

    async def shadow_script(head: bytes, writer: asyncio.StreamWriter) -> None:
        if target_of(head) == b"/api/things/held":
            held.set()
            await gone.wait()
        writer.write(response(b'{"data": {"price": 2}}'))

    domain = {"routes": ["GET /api/things/{id}"], "rollback_plan": plan(folder)}
    async with backend(answering(response(b'{"data": {"price": 1}}'))) as primary, backend(shadow_script) as shadow:
        made = settings(
            folder,
            primary,
            shadow,
            shadow={"url": shadow, "timeout": 50.0},
            domains={"things": domain},
            gate={**EASY, "max_hole": 0.0},
        )
        async with served(folder, made) as url:
            for _ in range(SEEN):
                await fetch(url)
            before = await recorded(made, SEEN)
            async with asyncio.TaskGroup() as group:
                for _ in range(UNDER_WAY):
                    group.create_task(fetch(url, b"/api/things/held"))
            await asyncio.wait_for(held.wait(), 10)
        gone.set()
        assert before == (SEEN, {("$.data.price", SEEN)})

        async with running(made) as proxy:
            told = await asked_until(proxy, lambda one: one["verdicts"].get("diff", 0) > SEEN)
    verdicts = told["verdicts"]
    assert verdicts["lost"] == UNDER_WAY
    assert told["observed"] == sum(verdicts.values())
    assert "the proxy did not run" in str(told["holes"])
    assert told["observed_seconds"] < 60
    diffs, after = await recorded(made, verdicts["diff"])
    assert after == {("$.data.price", diffs)}


async def recorded(made: Settings, least: int) -> tuple[int, set[tuple[str, int]]]:
    """The diffs in the ledger's file once there are so many, and its findings: their paths and exchanges."""
    async with asyncio.timeout(20):
        while True:
            reader = await LedgerReader.open(made.ledger.url)
            try:
                counts = (await reader.domains()).get("things")
                diffs = 0 if counts is None else counts.verdicts.get(Verdict.DIFF, 0)
                if diffs >= least:
                    return diffs, {(one.path, one.exchanges) for one in await reader.findings("things")}
            finally:
                await reader.close()
            await asyncio.sleep(0.05)
