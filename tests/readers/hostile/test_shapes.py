"""Every shape of the table, from the primary and from the twin: what the client got, the verdict, and nobody harmed."""

from __future__ import annotations

import pytest

from tests.readers.hostile.conftest import Scene
from tests.readers.hostile.peer import GOOD, says
from tests.readers.hostile.shapes import SHAPES, Shape

pytestmark = pytest.mark.asyncio(loop_scope="package")

NAMES = [shape.name for shape in SHAPES]


async def test_no_shape_hides_another() -> None:
    assert len(set(NAMES)) == len(NAMES)


@pytest.mark.parametrize("shape", SHAPES, ids=NAMES)
async def test_from_the_primary(there: Scene, shape: Shape) -> None:
    there.primary.scripts["shape"] = shape.script
    got = await there.ask("shape", shape.method)
    if shape.client == "whole":
        assert (got.end, got.body) == ("closed", shape.body)
        assert b"Content-Type: application/json\r\n" in got.head
    elif shape.client == "502":
        assert got.end == "closed"
        assert got.final.startswith(b"HTTP/1.1 502 Bad Gateway\r\nContent-Type: application/problem+json\r\n")
    else:
        assert got.end == "reset", "a part must not look like the whole"
        assert len(got.data) < 1_000_000
    assert await there.verdicts() == {shape.as_primary: 1}
    await _not_out_of_step(there)


@pytest.mark.parametrize("shape", SHAPES, ids=NAMES)
async def test_from_the_twin(there: Scene, shape: Shape) -> None:
    there.primary.scripts["shape"] = says(GOOD)
    there.twin.scripts["shape"] = shape.script
    got = await there.ask("shape", shape.method)
    assert got.end == "closed"
    assert got.head + (b"" if shape.method == "HEAD" else got.body) == (GOOD[:-7] if shape.method == "HEAD" else GOOD)
    assert await there.verdicts() == {shape.as_twin: 1}
    there.twin.scripts.clear()
    await _not_out_of_step(there)


async def _not_out_of_step(there: Scene) -> None:
    """Whatever the connection before has left behind, the next client gets the answer to its own question."""
    there.primary.scripts["shape"] = says(GOOD)
    got = await there.ask("shape")
    assert (got.end, got.head + got.body) == ("closed", GOOD)
    assert await there.verdicts() == {"match": 1}
