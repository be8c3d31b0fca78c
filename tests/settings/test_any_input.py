"""Whatever stands in a file, it loads or is refused with problems that name their place; nothing else comes out."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from proxy.errors import SettingsError
from proxy.settings import load_settings, show
from proxy.settings.document import read_document

REFERENCE = Path(__file__).parents[2] / "config/shadowread.yaml"

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
    | st.sampled_from(["5s", "8MiB", "$.a", "$..*", "GET /x", "${X}", "${X:-5}", "h://", "http://[", "a:b@c", "-1s"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)  # fmt: skip


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every container of the reference with each of its keys."""
    for key in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        yield value, key
        yield from places(value[key])


def refused_or_loaded(path: Path) -> None:
    problems: list[str] = []
    try:
        json.dumps(show(load_settings(path, {})))
    except SettingsError as error:
        problems = error.problems or [""]
    for problem in problems:
        assert problem.startswith(str(path)), problem
        assert "Input should" not in problem, problem


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 10_000), VALUES, st.sampled_from(["put", "drop", "add"]))
def test_a_reference_with_one_place_changed(tmp_path: Path, number: int, value: Any, how: str) -> None:
    data = read_document(REFERENCE, {}).data()
    every = list(places(data))
    container, key = every[number % len(every)]
    if how == "put":
        container[key] = value
    elif how == "drop":
        del container[key]
    elif isinstance(container, dict):
        container["added"] = value
    else:
        container.append(value)
    path = tmp_path / "c.yaml"
    path.write_text(json.dumps(data), encoding="utf-8")
    refused_or_loaded(path)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(alphabet="ab: -[]{}&*!|>\"'#%@`\n\t${}", max_size=60) | st.text(max_size=40))
def test_any_text(tmp_path: Path, text: str) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(text, encoding="utf-8", errors="replace")
    refused_or_loaded(path)


@pytest.mark.parametrize(
    "raw",
    [
        b"\xef\xbb\xbf",
        b"\xff\xfe\x00",
        b"{" * 5000,
        b"? " * 5000,
        b"- - - " * 2000,
        b"%YAML 9.9\n---\na: 1\n",
    ],
)
def test_odd_bytes(tmp_path: Path, raw: bytes) -> None:
    path = tmp_path / "c.yaml"
    path.write_bytes(raw)
    refused_or_loaded(path)
