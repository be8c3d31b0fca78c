from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.settings.units import (
    DURATION_PATTERN,
    SIZE_PATTERN,
    format_duration,
    format_size,
    parse_duration,
    parse_size,
)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("500ms", 0.5),
        ("5s", 5),
        ("1.5m", 90),
        ("2h", 7200),
        ("7d", 604800),
        ("0", 0),
        ("0s", 0),
        ("250 ms", 0.25),
    ],
)
def test_duration(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds
    assert re.search(DURATION_PATTERN, text)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("512B", 512),
        ("64KiB", 65536),
        ("8MiB", 8388608),
        ("1.5GiB", 1610612736),
        ("0", 0),
        ("8 MiB", 8388608),
    ],
)
def test_size(text: str, size: int) -> None:
    assert parse_size(text) == size
    assert re.search(SIZE_PATTERN, text)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("5", 'a duration needs a unit (ms, s, m, h, d); did you mean "5s"?'),
        ("5 sec", 'unknown unit "sec"; durations take ms, s, m, h, d; did you mean "5s"?'),
        ("5S", 'did you mean "5s"?'),
        ("5 fortnights", 'unknown unit "fortnights"; durations take ms, s, m, h, d'),
        ("-5s", "must be a duration such as"),
        ("", "must be a duration such as"),
        ("1m30s", "must be a duration such as"),
        ("1e9s", "must be a duration such as"),
        ("9" * 400 + "s", "must be a duration such as"),
    ],
)
def test_bad_duration(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=re.escape(says)):
        parse_duration(text)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("8", 'a size needs a unit (B, KiB, MiB, GiB); did you mean "8B"?'),
        ("8MB", 'unknown unit "MB"; sizes take B, KiB, MiB, GiB; did you mean "8MiB"?'),
        ("8kb", 'did you mean "8KiB"?'),
        ("0.3B", "is not a whole number of bytes"),
        ("8 TiB", 'unknown unit "TiB"'),
        ("much", "must be a size such as"),
    ],
)
def test_bad_size(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=re.escape(says)):
        parse_size(text)


@given(st.integers(0, 10**9))
def test_what_is_formatted_reads_back(milliseconds: int) -> None:
    assert parse_duration(format_duration(milliseconds / 1000)) == milliseconds / 1000
    assert parse_size(format_size(milliseconds)) == milliseconds


def test_the_shortest_exact_spelling() -> None:
    assert [format_duration(s) for s in (0, 0.0005, 0.5, 5, 90, 120, 7200)] == [
        "0", "0.0005s", "500ms", "5s", "90s", "2m", "2h",
    ]  # fmt: skip
    assert [format_size(s) for s in (0, 1000, 1024, 8 * 1024**2)] == ["0", "1000B", "1KiB", "8MiB"]
