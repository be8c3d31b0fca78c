"""What is decoded exactly is written back exactly."""

from __future__ import annotations

import pytest

from comparators.decode import decode
from comparators.encode import dumps


@pytest.mark.parametrize(
    "text",
    [
        "123456789012345678901234567890",
        "0.12345678901234567890",
        '{"rate":1.08799008,"n":-0.5}',
        '["é","東京","\\n"]',
        '["\\ud83c"]',
        "[true,false,null,{}]",
    ],
)
def test_round_trip(text: str) -> None:
    assert dumps(decode(text.encode())) == text
    assert dumps(decode(text.encode())).encode()
