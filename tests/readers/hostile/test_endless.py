"""Answers that never end, and answers that nobody asked for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.readers.hostile.conftest import Scene, scene
from tests.readers.hostile.peer import BODY, GOOD, Line, Peer, Script, endless, hangs, says
from tests.readers.hostile.shapes import CHUNKED, HUGE, OK, head

pytestmark = pytest.mark.asyncio(loop_scope="package")

MUCH = 24 * 1024 * 1024
"""Bytes that a client reads of a body without end: three times what is compared."""

BODIES: dict[str, Script] = {
    "a length of all 63 bits": endless(head(b"Content-Length: 9223372036854775807"), HUGE),
    "chunks": endless(CHUNKED, b"10000\r\n" + HUGE + b"\r\n"),
    "small chunks": endless(CHUNKED, b"2\r\nok\r\n" * 8_000),
    "one chunk of all 63 bits": endless(CHUNKED + b"7fffffffffffffff\r\n", HUGE),
    "until close": endless(OK + b"\r\n", HUGE),
}


@pytest.mark.parametrize("name", BODIES)
async def test_an_endless_body_of_the_primary_goes_on_for_as_long_as_the_client_wants_it(
    there: Scene, name: str
) -> None:
    there.primary.scripts["endless"] = BODIES[name]
    reader, writer = await asyncio.open_connection(*there.application.edge.address)
    writer.write(b"GET /api/hostile/endless HTTP/1.1\r\nHost: a\r\n\r\n")
    got = 0
    while got < (MUCH if name != "small chunks" else MUCH // 24):
        piece = await reader.read(1 << 20)
        assert piece
        got += len(piece)
    writer.transport.abort()
    # What is no longer held for the comparison has its verdict at once; a client that leaves before that cancels.
    assert await there.verdicts() == {"skipped:cancelled" if name == "small chunks" else "skipped:too_large": 1}
    await _until_gone(there.primary, "endless")


@pytest.mark.parametrize("name", BODIES)
async def test_an_endless_body_of_the_twin_is_read_to_the_limit(there: Scene, name: str) -> None:
    ended = asyncio.Event()
    there.twin.scripts["endless"] = _telling(BODIES[name], ended)
    got = await there.ask("endless")
    assert got.head + got.body == GOOD
    assert await there.verdicts() == {"shadow_error": 1}
    async with asyncio.timeout(10):
        await ended.wait()


async def _until_gone(peer: Peer, name: str) -> None:
    """Wait until the proxy has let go of the connection that `name` was asked on."""
    async with asyncio.timeout(10):
        while peer.asked[name]:  # noqa: ASYNC110 - nothing tells of the end of another side's connection
            await asyncio.sleep(0.005)


def _telling(script: Script, ended: asyncio.Event) -> Script:
    async def telling(line: Line) -> None:
        try:
            await script(line)
        finally:
            ended.set()

    return telling


def drips(start: bytes, piece: bytes) -> Script:
    """Never silent for long, and never done."""

    async def script(line: Line) -> None:
        await line.send(start)
        while True:
            await line.send(piece)
            await asyncio.sleep(0.02)  # the time is the point

    return script


SLOW: dict[str, Script] = {
    "nothing": hangs(),
    "half a head": hangs(OK),
    "half a body": hangs(head(b"Content-Length: 8") + BODY),
    "a dripping head": drips(OK + b"X: ", b"y"),
    "a dripping body": drips(head(b"Content-Length: 1000000"), b" "),
    "dripping chunks": drips(CHUNKED, b"1\r\n \r\n"),
    "a dripping chunk extension": drips(CHUNKED + b"7;", b"x"),
    "dripping empty lines": drips(b"", b"\r\n"),
}


@pytest_asyncio.fixture(loop_scope="package")
async def hasty(tmp_path: Path) -> AsyncIterator[Scene]:
    """A proxy whose patience with either side is short."""
    async with scene(tmp_path, shadow={"timeout": 0.4}, primary={"idle_timeout": 0.4}, watched=False) as made:
        yield made


async def test_a_slow_twin_has_its_time_and_no_more(hasty: Scene) -> None:
    hasty.twin.scripts |= {name.replace(" ", "-"): script for name, script in SLOW.items()}
    async with asyncio.TaskGroup() as group:
        asked = [group.create_task(hasty.ask(name.replace(" ", "-"))) for name in SLOW]
    assert [task.result().body for task in asked] == [BODY] * len(SLOW)
    assert await hasty.verdicts(len(SLOW)) == {"shadow_error": len(SLOW)}


async def test_a_primary_that_falls_silent_is_given_up(hasty: Scene) -> None:
    hasty.primary.scripts |= {name.replace(" ", "-"): script for name, script in SLOW.items()}
    for name in ("nothing", "half-a-head"):
        got = await hasty.ask(name)
        assert (got.end, got.data[:13]) == ("closed", b"HTTP/1.1 504 ")
    got = await hasty.ask("half-a-body")
    assert got.end == "reset"
    assert await hasty.verdicts(3) == {"primary_error": 3}


@pytest.mark.parametrize("side", ["primary", "twin"])
async def test_what_comes_on_an_idle_connection_answers_nobody(hasty: Scene, side: str) -> None:
    peer = hasty.primary if side == "primary" else hasty.twin
    unasked = asyncio.Event()

    async def script(line: Line) -> None:
        await line.send(GOOD)
        await unasked.wait()
        await line.send(GOOD.replace(b"1}", b"2}"))
        await line.gone()

    peer.scripts["unasked"] = script
    assert (await hasty.ask("unasked")).body == BODY
    assert await hasty.verdicts() == {"match": 1}
    unasked.set()
    await _until_gone(peer, "unasked")
    assert (await hasty.ask("after")).body == BODY
    assert await hasty.verdicts() == {"match": 1}


async def test_one_byte_at_a_time_is_a_whole_response(there: Scene) -> None:
    def drops(data: bytes) -> Script:
        async def script(line: Line) -> None:
            for at in range(len(data)):
                await line.send(data[at : at + 1])
                await asyncio.sleep(0)

        return script

    chunks = CHUNKED + b"3;x=y\r\n" + BODY[:3] + b"\r\n4\r\n" + BODY[3:] + b"\r\n0\r\nX: y\r\n\r\n"
    for data in (GOOD, chunks):
        there.primary.scripts["drop"] = there.twin.scripts["drop"] = drops(data)
        assert (await there.ask("drop")).body == BODY
        assert await there.verdicts() == {"match": 1}


@pytest.mark.parametrize("side", ["primary", "twin"])
async def test_a_response_before_any_request_is_told_from_none_by_nobody_but_harms_only_who_asked(
    there: Scene, side: str
) -> None:
    """A greeting may pass for the answer to the first request of its connection; that connection is not used again."""
    peer = there.primary if side == "primary" else there.twin
    peer.greeting = GOOD
    try:
        for _ in range(5):
            got = await there.ask("greeted")
            assert got.body == BODY or got.final.startswith(b"HTTP/1.1 502 ")
            (verdict,) = await there.verdicts()
            assert verdict in ("match", "primary_error" if side == "primary" else "shadow_error")
    finally:
        peer.greeting = b""


async def test_says_is_kept_alive(there: Scene) -> None:
    """The table's well-behaved shapes are asked over kept connections, or they would show nothing about reuse."""
    before = there.primary.connections
    there.primary.scripts["kept"] = says(GOOD)
    for _ in range(5):
        assert (await there.ask("kept")).body == BODY
        assert await there.verdicts() == {"match": 1}
    assert there.primary.connections <= before + 1
