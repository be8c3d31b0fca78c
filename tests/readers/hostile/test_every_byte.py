"""A response that ends at every one of its bytes, by reset and by close: only the last byte makes it whole."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

import pytest

from tests.readers.hostile.conftest import Scene
from tests.readers.hostile.peer import BODY, GOOD, Got, Line, Script, says
from tests.readers.hostile.shapes import CHUNKED, OK

pytestmark = pytest.mark.asyncio(loop_scope="package")

AT_ONCE = 12
TRAILED = CHUNKED + b"3\r\n" + BODY[:3] + b"\r\n4;x=y\r\n" + BODY[3:] + b"\r\n0\r\nX-Sum: 1\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Framing:
    """One response. `until_close`: its end is the connection's, so that a FIN too early cannot be told from the end."""

    name: str
    data: bytes
    until_close: bool = False

    @property
    def headed(self) -> int:
        """How many bytes make the final head whole."""
        return self.data.rindex(b"\r\n\r\n", 0, self.data.rindex(b"Content-Type") + 80) + 4


FRAMINGS = [
    Framing("length", GOOD),
    Framing("chunks", TRAILED),
    Framing("until close", OK + b"\r\n" + BODY, until_close=True),
    Framing("103 first", b"HTTP/1.1 103 Early\r\nLink: x\r\n\r\n" + GOOD),
]


def cut(data: bytes, at: int, *, reset: bool) -> Script:
    async def script(line: Line) -> None:
        if at:
            await line.send(data[:at])
        if reset:
            line.reset()
        else:
            line.close()

    return script


async def answers(there: Scene, names: Sequence[str]) -> AsyncIterator[tuple[int, Got]]:
    """What a client gets for each of these, some at once."""
    for start in range(0, len(names), AT_ONCE):
        some = range(start, min(start + AT_ONCE, len(names)))
        async with asyncio.TaskGroup() as group:
            asked = [group.create_task(there.ask(names[at])) for at in some]
        for at, task in zip(some, asked, strict=True):
            yield at, task.result()


@pytest.mark.parametrize("reset", [False, True], ids=["FIN", "RST"])
@pytest.mark.parametrize("framing", FRAMINGS, ids=lambda framing: framing.name)
async def test_of_the_primary(there: Scene, framing: Framing, reset: bool) -> None:
    data = framing.data
    names = [f"cut-{at}" for at in range(len(data) + 1)]
    there.primary.scripts |= {name: cut(data, at, reset=reset) for at, name in enumerate(names)}
    expected: Counter[str] = Counter()
    async for at, got in answers(there, names):
        expected[_as_primary(framing, at, got, reset=reset)] += 1
    assert expected["primary_error"] >= framing.headed - 4
    assert await there.verdicts(len(names)) == expected


def _as_primary(framing: Framing, at: int, got: Got, *, reset: bool) -> str:
    """Look at what a client got of the first `at` bytes; the verdict that goes with it.

    A reset may overtake bytes before it, so that of the response any part may have been seen, and none more.
    """
    where = f"byte {at}: {got}"
    if got.end == "reset":
        assert at >= framing.headed, where
        assert at < len(framing.data) or reset, where
        assert got.body in BODY[: len(got.body)], where
        return "primary_error"
    if got.final.startswith(b"HTTP/1.1 502 "):
        assert at < framing.headed or reset, where
        return "primary_error"
    if framing.until_close and not reset:
        assert at >= framing.headed, where
        assert got.body == framing.data[framing.headed : at], where
        return "match" if at == len(framing.data) else "diff"
    assert at == len(framing.data), where
    assert got.body == BODY, where
    return "match"


@pytest.mark.parametrize("reset", [False, True], ids=["FIN", "RST"])
@pytest.mark.parametrize("framing", FRAMINGS, ids=lambda framing: framing.name)
async def test_of_the_twin(there: Scene, framing: Framing, reset: bool) -> None:
    data = framing.data
    names = [f"cut-{at}" for at in range(len(data) + 1)]
    there.primary.scripts |= dict.fromkeys(names, says(GOOD))
    there.twin.scripts |= {name: cut(data, at, reset=reset) for at, name in enumerate(names)}
    async for _, got in answers(there, names):
        assert (got.end, got.head + got.body) == ("closed", GOOD)
    seen = await there.verdicts(len(names))
    told = len(data) - framing.headed if framing.until_close and not reset else 0
    if reset:
        # Only the whole can be taken for a match, and a reset may overtake even that.
        assert seen.pop("match", 0) <= 1
        assert set(seen) == {"shadow_error"}
    else:
        assert seen == {"match": 1, "shadow_error": len(data) - told} | ({"diff": told} if told else {})
