"""Every shape at once against a whole proxy that verifies: the books balance, and the shadow sees only sound reads."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import pytest

from proxy.model import Verdict
from tests.e2e.conftest import running, settings
from tests.edge.hostile.backend import Recording, answer
from tests.edge.hostile.run import converse
from tests.edge.hostile.shapes import Shape, get
from tests.edge.hostile.test_shapes import SHAPES
from tests.edge.support import Upstream

ROUTES = {"things": {"routes": ["GET /", "GET /{one}", "GET /**", "HEAD /"]}}
AT_ONCE = 16
MARK = b"\r\nX-Shadow-Read: 1\r\n"


async def witness(url: str, going: asyncio.Event) -> int:
    """Ask on one connection as long as `going` is not set; returns how often. Every answer is its own."""
    host, port = url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    asked = 0
    while not going.is_set():
        asked += 1
        target = b"/witness-%d" % asked
        writer.write(get(target=target))
        want = answer(b"GET", target)
        assert await reader.readexactly(len(want)) == want
    writer.close()
    return asked


def _is_read(request: bytes) -> bool:
    """Whether a route claims it and it is a client's own. No route claims a path with an empty step."""
    return request.startswith((b"GET /", b"HEAD /")) and not request.startswith(b"GET //") and MARK not in request


async def test_hostile_clients_leave_verification_whole(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    primary, shadow = Recording(), Recording()
    sides = Upstream(primary.script), Upstream(shadow.script)
    for side in sides:
        await side.start()
    first, second = (f"http://127.0.0.1:{side.port}" for side in sides)
    try:
        async with running(settings(tmp_path, first, second, domains=ROUTES, limits={"busy": 1.0})) as proxy:
            done = asyncio.Event()
            room = asyncio.Semaphore(AT_ONCE)

            async def one(shape: Shape) -> None:
                async with room, asyncio.timeout(20):
                    await converse(proxy.application.edge.address, shape, piecewise=False)

            async with asyncio.TaskGroup() as group:
                other = group.create_task(witness(proxy.url, done))
                async with asyncio.TaskGroup() as shapes:
                    for shape in SHAPES.values():
                        shapes.create_task(one(shape))
                done.set()
            reads = [request for request in primary.requests if _is_read(request)]
            counts = await proxy.until(lambda found: found.observed >= len(reads))
            assert counts.observed == len(reads) == sum(counts.verdicts.values())
            assert other.result() > 10
            # Nothing that a hostile client does makes two sides differ that do not.
            assert set(counts.verdicts) == {Verdict.MATCH, Verdict.NOT_COMPARABLE}
            assert counts.verdicts[Verdict.NOT_COMPARABLE] == sum(b"\r\nUpgrade: " in request for request in reads)
    finally:
        for side in sides:
            await side.stop()
    assert primary.unsound == shadow.unsound == []
    assert shadow.requests
    for request in shadow.requests:
        assert request.startswith((b"GET ", b"HEAD "))
        assert MARK in request
    faults = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert [text for text in faults if "verification failed" in text or "the edge failed" in text] == []
