"""Every shape of the tables has its outcome, sent whole and byte by byte, and harms no other client."""

from __future__ import annotations

import logging

import pytest

from tests.edge.hostile.backend import Recording
from tests.edge.hostile.framing import CHUNKS, CODINGS, LENGTHS
from tests.edge.hostile.heads import FIELDS, LINES
from tests.edge.hostile.run import play
from tests.edge.hostile.sequences import SEQUENCES
from tests.edge.hostile.shapes import Shape
from tests.edge.support import running

TABLES = (LENGTHS, CODINGS, CHUNKS, FIELDS, LINES, SEQUENCES)
SHAPES = {name: shape for table in TABLES for name, shape in table.items()}


@pytest.mark.parametrize("piecewise", [False, True], ids=["whole", "byte by byte"])
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
async def test_a_shape_has_its_outcome(shape: Shape, piecewise: bool, caplog: pytest.LogCaptureFixture) -> None:
    primary = Recording()
    async with running(primary.script) as setup:
        await play(setup, primary, shape, piecewise=piecewise)
    # Anyone can send these: none may fill the log.
    assert [record for record in caplog.records if record.levelno > logging.DEBUG] == []


def test_no_shape_is_named_twice() -> None:
    assert len(SHAPES) == sum(map(len, TABLES))
