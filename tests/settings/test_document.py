"""Reading a file: environment, types, lines, caps."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from proxy.errors import SettingsError
from proxy.settings.document import MAX_BYTES, MAX_DEPTH, Document, read_document
from proxy.settings.scalars import EnvText, retyped


def read(tmp_path: Path, text: str, env: Mapping[str, str] | None = None) -> Document:
    path = tmp_path / "c.yaml"
    path.write_text(text, encoding="utf-8")
    return read_document(path, env or {})


def problems(tmp_path: Path, text: str | bytes, env: Mapping[str, str] | None = None) -> list[str]:
    path = tmp_path / "c.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    try:
        document = read_document(path, env or {})
    except SettingsError as error:
        found = error.problems
    else:
        found = [problem.render(document.name) for problem in document.problems]
    return [problem.replace(str(path), "c.yaml") for problem in found]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("5", 5), ("-5", -5), ("200_000", 200000), ("0x10", 16), ("0o17", 15), ("017", 17), ("0.5", 0.5),
        ("1e3", 1000.0), ("true", True), ("null", None), ("~", None), ("", None), (".inf", math.inf), ("off", "off"),
        ("yes", "yes"),
        ("2027-01-31", "2027-01-31"), ('"5"', "5"), ("'true'", "true"), ("$.data", "$.data"), ("$..x", "$..x"),
        ("12:30", "12:30"), ("1" * 200, "1" * 200),
    ],
)  # fmt: skip
def test_plain_scalars_are_typed_by_the_core_schema(tmp_path: Path, text: str, value: Any) -> None:
    assert read(tmp_path, f"a: {text}\n").data() == {"a": value}


@pytest.mark.parametrize(
    ("text", "env", "value"),
    [
        ("${A}", {"A": "x"}, "x"),
        ("${A:-d}", {}, "d"),
        ("${A:-d}", {"A": ""}, "d"),
        ("${A}", {"A": ""}, ""),
        ("${A:-}", {}, ""),
        ("http://${H:-h}:${P:-80}/", {"P": "81"}, "http://h:81/"),
        ("${A:-postgresql://u@h:5/d?x=y}", {}, "postgresql://u@h:5/d?x=y"),
        ("$${A}", {"A": "x"}, "${A}"),
        ("a$$b", {}, "a$b"),
        ("$A", {"A": "x"}, "$A"),
        ("'${A}'", {"A": "x"}, "x"),
        ("${A}", {"A": "${B} $$ $.x"}, "${B} $$ $.x"),
    ],
)
def test_environment(tmp_path: Path, text: str, env: dict[str, str], value: str) -> None:
    assert read(tmp_path, f"a: {text}\n", env).data() == {"a": value}


@pytest.mark.parametrize("value", ["x\nb: 2", "{b: 2}", "[1, 2]", "*x", "!!python/name:os.system", "x # y", "- 1"])
def test_an_environment_value_is_never_structure(tmp_path: Path, value: str) -> None:
    document = read(tmp_path, "a: ${A}\nb: 1\n", {"A": value})
    assert document.data() == {"a": value, "b": 1}
    assert retyped(document.data()) == {"a": value, "b": 1}


def test_a_whole_scalar_is_typed_only_where_it_is_asked_for(tmp_path: Path) -> None:
    data = read(tmp_path, 'a: "${N:-5}"\nb: ["${T:-true}", "x${N:-5}"]\nc: ${E:-}\n').data()
    assert isinstance(data["a"], EnvText)
    assert not isinstance(data["b"][1], EnvText)
    assert retyped(data) == {"a": 5, "b": [True, "x5"], "c": None}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a: 1\nb: ${NOPE}\n", "c.yaml:2: b: environment variable NOPE is not set; set it or write ${NOPE:-default}"),
        ("a: ['${X']\n", 'c.yaml:1: a[0]: "${" is not closed by "}"'),
        ("a: '${1X}'\n", 'c.yaml:1: a: "${1X}" is not a reference; write ${NAME} or ${NAME:-default}'),
        ("a: '${}'\n", 'c.yaml:1: a: "${}" is not a reference'),
        ('"${K}": 1\n', "c.yaml:1: ${K}: ${...} is put into values, not into keys"),
        ("a:\n  b: 1\n  c: 2\n  b: 3\n", "c.yaml:4: a.b: given twice; first on line 2"),
        ("a: 1\n---\nb: 1\n", "c.yaml:2: a second document starts here"),
        ("a: !!python/object:os.system x\n", "c.yaml:1: a: YAML tags (tag:yaml.org,2002:python/object:os.system)"),
        ("a: *x\n", "c.yaml:1: a: *x names no anchor above"),
        ("a: &x [*x]\n", "c.yaml:1: a[0]: *x stands inside the value it names"),
        ("x: &x {a: 1}\ny:\n  <<: *x\n", "c.yaml:3: y: merge keys (<<) are not supported"),
        ("? [a, b]\n: 1\n", "c.yaml:1: a key must be a plain name"),
        ("a: [1\nb: 2\n", "c.yaml:2: not valid YAML: "),
        ("a: b: c\n", "c.yaml:1: not valid YAML: mapping values are not allowed here"),
        ("a:\n\tb: 1\n", "c.yaml:2: not valid YAML: "),
        (b"a: \x00\n", "c.yaml: not valid YAML: special characters are not allowed"),
        (b"a: 1\nb: \xff\n", "c.yaml:2: not UTF-8; save the file as UTF-8"),
        ("a: " + "[" * 100, f"nested deeper than {MAX_DEPTH} levels"),
        ("- " * 100, f"nested deeper than {MAX_DEPTH} levels"),
        (b"#" * (MAX_BYTES + 1), "c.yaml: larger than 1024 KiB"),
        ("a: &a [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
            f"{n}: &{n} [{','.join(['*' + p] * 10)}]\n" for p, n in zip("abcdef", "bcdefg", strict=True)
        ), "more than 50000 values (aliases count each time they are used)"),
    ],
)  # fmt: skip
def test_refused(tmp_path: Path, text: str | bytes, says: str) -> None:
    found = problems(tmp_path, text)
    assert len(found) == 1
    assert says in found[0]


def test_all_problems_are_told_even_before_a_stop(tmp_path: Path) -> None:
    found = problems(tmp_path, "a: ${X}\nb: ${Y}\nb: 1\nc: *z\n")
    assert [text.split(": ")[0] for text in found] == ["c.yaml:1", "c.yaml:2", "c.yaml:3", "c.yaml:4"]


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"none\.yaml: cannot be read: No such file or directory"):
        read_document(tmp_path / "none.yaml", {})
    with pytest.raises(SettingsError, match="cannot be read"):
        read_document(tmp_path, {})


def test_lines_and_keys(tmp_path: Path) -> None:
    document = read(tmp_path, "\ufeffa:\n  b:\n    - 1\n    - {c: 2}\nd: |\n  x\n  y\n")
    assert document.line(("a", "b")) == 2
    assert document.line(("a", "b", 1, "c")) == 4
    assert document.line(("a", "b", 7, "c")) == 2
    assert document.line(("d",)) == 5
    assert document.existing(("a", "b", 1, "zzz", 3)) == ("a", "b", 1)


def test_an_alias_repeats_its_value(tmp_path: Path) -> None:
    assert read(tmp_path, "a: &x {b: [1]}\nc: *x\n").data() == {"a": {"b": [1]}, "c": {"b": [1]}}


def test_characters_written_in_two_halves(tmp_path: Path) -> None:
    assert read(tmp_path, '{"\\ud83d\\ude00": "\\ud83d\\ude00"}').data() == {"😀": "😀"}
    assert problems(tmp_path, 'a: "\\ud83d"\n') == ["c.yaml:1: a: holds bytes or half a character that are not text"]
    assert len(problems(tmp_path, "a: ${A}\n", {"A": "\udcff"})) == 1


def test_an_empty_file_is_nothing(tmp_path: Path) -> None:
    assert read(tmp_path, "# only a comment\n").data() is None
    assert read(tmp_path, "").data() is None
