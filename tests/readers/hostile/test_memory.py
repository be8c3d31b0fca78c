"""A real `shadowread serve` under everything that hostile backends send at once: its memory, its clients, its books."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import simplejson

from proxy.settings import show
from tests.demo.trees import tree, wait_until_gone
from tests.e2e.conftest import settings
from tests.readers.hostile.bombs import JSON_BOMBS, floods
from tests.readers.hostile.conftest import DOMAINS, Witness
from tests.readers.hostile.peer import GOOD, PATIENCE, Peer, Script, ask, endless, says
from tests.readers.hostile.shapes import CHUNKED, ENDLESS, HUGE, head
from tests.readers.hostile.test_content import answer

pytestmark = pytest.mark.asyncio(loop_scope="package")

BODY_LIMIT = 2 * 1024 * 1024
ROOM = 16
"""Shadow reads at once."""
AT_ONCE, ROUNDS = 48, 4
ALLOWED = 200 * 1024 * 1024
"""Bytes that the proxy may grow by: its buffer of 32 MiB, and for each shadow read and each exchange that waits for its
comparison a body or two of the limit. Unfolded, what is sent here would be tens of gigabytes."""


def scripts() -> dict[str, Script]:
    made: dict[str, Script] = {
        f"flood-{name.replace(' ', '-')}": says(answer(b"application/json", body, coding))
        for name, (coding, body) in floods().items()
    }
    made |= {
        f"json-{at}": says(answer(b"application/json", body))
        for at, body in enumerate(JSON_BOMBS.values())
        if len(body) > 100_000
    }
    made |= {f"endless-{at}": shape.script for at, shape in enumerate(ENDLESS)}
    made |= {
        "body-length": endless(head(b"Content-Length: 9223372036854775807"), HUGE),
        "body-chunks": endless(CHUNKED, b"10000\r\n" + HUGE + b"\r\n"),
        "body-crumbs": endless(CHUNKED, b"2\r\nok\r\n" * 8_000),
    }
    return made


@asynccontextmanager
async def serving(folder: Path, primary: str, twin: str) -> AsyncIterator[tuple[str, str, int]]:
    """A proxy in a process of its own: its address, its admin site, its process id."""
    made = settings(
        folder,
        primary,
        twin,
        shadow={"url": twin, "timeout": 5.0, "max_concurrency": ROOM, "breaker": {"failures": 1_000_000}},
        limits={"body": BODY_LIMIT, "buffered": "32MiB", "trace_body": "256KiB", "queue": 100},
        settle={"delay": 0.0, "attempts": 1},
        domains=DOMAINS,
    )
    path = folder / "shadowread.yaml"
    path.write_text(simplejson.dumps(show(made)))
    log = (folder / "log.txt").open("wb")
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "proxy.cli", "serve", "-c", str(path), stderr=log
    )
    members: set[tuple[int, int]] = set()
    try:
        async with asyncio.timeout(PATIENCE):
            while "serving http://" not in (text := (folder / "log.txt").read_text()):
                assert process.returncode is None, text
                await asyncio.sleep(0.02)
        line = text.split("serving http://")[1].splitlines()[0]
        yield "http://" + line.split(",")[0], line.rsplit(" ", 1)[1], process.pid
        members = tree(process.pid)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGTERM)
        await process.wait()
        log.close()
        await asyncio.to_thread(wait_until_gone, members)


def peak(pid: int) -> int:
    """The most memory that a process has had, in bytes."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise AssertionError("no VmHWM")


async def taste(url: str, name: str) -> None:
    """Ask, and go away after some megabytes, however the answer ends."""
    host, _, port = url.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    with contextlib.suppress(ConnectionError):
        writer.write(b"GET /api/hostile/%b HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n" % name.encode())
        got = 0
        while got < 2 * BODY_LIMIT and (piece := await reader.read(1 << 18)):
            got += len(piece)
    writer.transport.abort()


@pytest.mark.slow
async def test_memory_is_bounded_whatever_the_backends_send(tmp_path: Path) -> None:
    primary, twin = Peer(), Peer()
    await primary.start()
    await twin.start()
    hostile = await asyncio.to_thread(scripts)
    names = list(hostile)
    twin.scripts |= hostile
    # Every second exchange is answered so by the primary as well.
    primary.scripts |= {f"{name}-too": script for name, script in hostile.items()}
    twin.scripts |= {f"{name}-too": script for name, script in hostile.items()}
    names += [f"{name}-too" for name in names]
    try:
        async with serving(tmp_path, primary.url, twin.url) as (url, admin, pid):
            for _ in range(10):
                got = await ask(url, "/api/quiet/1")
                assert got.head + got.body == GOOD
            before = peak(pid)
            witness = Witness(url)
            async with asyncio.TaskGroup() as group:
                group.create_task(witness.run())
                await _storm(url, names)
                witness.stop()
            assert witness.answers > 10
            asked = len(names) * ROUNDS
            verdicts = await _verdicts(admin, asked)
            grown = peak(pid) - before
            assert grown < ALLOWED
            assert verdicts["shadow_error"] > len(hostile)
    finally:
        await primary.stop()
        await twin.stop()


async def _storm(url: str, names: list[str]) -> None:
    room = asyncio.Semaphore(AT_ONCE)

    async def one(name: str) -> None:
        async with room, asyncio.timeout(60):
            await taste(url, name)

    async with asyncio.TaskGroup() as group:
        for _ in range(ROUNDS):
            for name in names:
                group.create_task(one(name))


async def _verdicts(port: str, count: int) -> dict[str, int]:
    """The verdicts of all exchanges once they are `count`; the books balance at every look."""
    async with asyncio.timeout(90):
        while True:
            got = await ask(f"http://127.0.0.1:{port}", "/api/v1/domains", host="127.0.0.1")
            (domain,) = [one for one in json.loads(got.body)["domains"] if one["name"] == "hostile"]
            assert domain["observed"] == sum(domain["verdicts"].values())
            if domain["observed"] == count and not domain.get("under_way"):
                return {name: number for name, number in domain["verdicts"].items() if number}
            await asyncio.sleep(0.05)
