"""`compare`: two files, and lines in and out."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from proxy.cli import batch
from tests.cli.conftest import Run, start

LEGACY, UUID = "64b0c8f2a1d3e4f5a6b7c8d9", "0197b2c4-d5e6-7a1b-8c3d-4e5f60718293"
IDS = [{"entity": "user", "legacy": LEGACY, "uuid": UUID}]


@pytest.fixture
def file(tmp_path: Path) -> Any:
    def write(name: str, content: Any) -> Path:
        path = tmp_path / name
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return path

    return write


def test_equal_files(run: Run, file: Any) -> None:
    result = run("compare", file("a", '{"a": 1, "b": 2}'), file("b", '{"b": 2.0, "a": 1}'))
    assert (result.exit_code, result.output.strip()) == (0, "match")


def test_different_files(run: Run, file: Any) -> None:
    files = file("a", '{"a": {"b": [1, 2]}, "x": 1}'), file("b", '{"a": {"b": [1, 3]}, "x": "\\u001b[2J"}')
    result = run("compare", *files)
    assert result.exit_code == 1
    assert "$.a.b[1]" in result.output
    assert "value_changed" in result.output
    assert "\x1b" not in result.output
    result = run("compare", *files, "--json")
    assert result.exit_code == 1
    content = json.loads(result.output)
    assert list(content) == ["verdict", "differences", "tolerated"]
    assert content["verdict"] == "diff"
    assert content["differences"][0] == {
        "path": "$.a.b[1]", "kind": "value_changed", "primary": 2, "shadow": 3,
    }  # fmt: skip


def test_ids_and_rules_from_files(run: Run, file: Any) -> None:
    files = file("a", {"id": LEGACY, "at": "2026-05-01T00:00:00Z"}), file("b", {"id": UUID, "at": "x"})
    ids, rules = file("ids.json", IDS), file("rules.yaml", 'compare: {ignore: ["$.at"]}')
    assert run("compare", *files, "--ids", ids).exit_code == 1
    assert run("compare", *files, "--rules", rules).exit_code == 1
    result = run("compare", *files, "--ids", ids, "--rules", rules, "--json")
    assert result.exit_code == 0
    (tolerated,) = json.loads(result.output)["tolerated"]
    assert set(tolerated) == {"kind", "path", "count"}


def pasted(output: str) -> str:
    """The rules that a reader copies from what was printed."""
    lines = output.splitlines()
    start = lines.index("compare:")
    length = next((n for n, one in enumerate(lines[start + 1 :]) if not one.startswith("  ")), len(lines))
    return "\n".join(lines[start : start + 1 + length])


def test_differences_are_explained_and_the_rules_can_be_pasted(run: Run, file: Any) -> None:
    primary: dict[str, Any] = {
        "data": [{"amount": 1.5, "fee": 1}, {"amount": 2, "fee": 2}], "at": "2026-05-01T00:00:00Z", "gone": None,
        "tags": ["b", "a"], "by": {"_id": 7}, "name": "A", "${HOME}": "x", "odd\u009b's": [], "user": LEGACY,
        "bad": "64b0c8f2a1d3e4f5a6b7c8aa",
    }  # fmt: skip
    shadow: dict[str, Any] = {
        "data": [{"amount": "1.50", "fee": 1}, {"amount": "2", "fee": 2}], "at": "2026-05-01 00:00:00+00:00",
        "tags": ["a", "b"], "by": {"id": 7}, "name": "a", "${HOME}": "X", "odd\u009b's": None, "user": UUID,
        "bad": UUID,
    }  # fmt: skip
    files = file("a", primary), file("b", shadow)
    ids = file("ids.json", IDS)
    result = run("compare", *files, "--ids", ids)
    assert result.exit_code == 1
    for told in (
        "$.data[0].amount: number_string, a number on one side, a text that spells a number on the other",
        '  equal with tolerate: {kind: number_string, at: "$.data[*].amount"} (hides 2 differences here)',
        '  "a" moved from $.tags[1] to $.tags[0]',
        "$.bad: id_mismatch, the id map does not join the two ids to each other but to other rows",
        "  64b0c8f2a1d3e4f5a6b7c8aa (primary) is not in the id map",
        f"  {UUID} (shadow) belongs to user {LEGACY}",
        "with all of them 1 of 10 would stay",
    ):
        assert told in result.output
    assert set(filter(lambda char: not char.isprintable(), result.output)) == {"\n"}

    rules = file("rules.yaml", pasted(result.output))
    result = run("compare", *files, "--ids", ids, "--rules", rules, "--json")
    assert [one["path"] for one in json.loads(result.output)["differences"]] == ["$.bad"]
    files = file("a", {**primary, "bad": 1}), file("b", {**shadow, "bad": 1})
    assert run("compare", *files, "--ids", ids, "--rules", rules).exit_code == 0

    primary["data"], shadow["data"] = [{"amount": 3, "fee": 3, "tax": None}], [{"amount": "3", "fee": "3"}]
    files = file("a", {**primary, "bad": 1}), file("b", {**shadow, "bad": 1})
    result = run("compare", *files, "--ids", ids, "--rules", rules, "--json")
    assert [(one["path"], one["kind"]) for one in json.loads(result.output)["differences"]] == [
        ("$.data[0].fee", "number_string"), ("$.data[0].tax", "null_missing"),
    ]  # fmt: skip


def test_no_rule_is_offered_for_a_changed_value(run: Run, file: Any) -> None:
    result = run("compare", file("a", {"amount": 10.29, "fee": 1}), file("b", {"amount": 10.3}))
    assert result.exit_code == 1
    assert "value_changed" in result.output
    assert "compare:" not in result.output


def test_what_is_printed_of_huge_and_hostile_values_is_bounded(run: Run, file: Any) -> None:
    hostile = "\x1b]0;title\x07\x9b31m\u202e"
    primary = {hostile: [hostile * 1000] * 1000, "k" * 100_000: 1, "d": list(range(100_000))}
    shadow = {hostile: "x" * 1_000_000, "k" * 100_000: 2, "d": {"e": "y" * 100_000}}
    result = run("compare", file("a", primary), file("b", shadow))
    assert result.exit_code == 1
    assert len(result.output) < 20_000
    assert set(filter(lambda char: not char.isprintable(), result.output)) == {"\n"}
    assert "the primary's value is not shown in full" in result.output


@pytest.mark.parametrize("as_json", [True, False])
def test_unusable_input(run: Run, file: Any, as_json: bool) -> None:
    good = file("a", "{}")
    cases = [
        ([good, "/nowhere"], "/nowhere: cannot be read"),
        ([good, good, "--ids", file("ids", "[7]")], "expected an object"),
        ([good, good, "--rules", file("rules", "compare: {ignroe: []}")], "ignroe"),
        ([good, good, "--rules", "/nowhere"], "/nowhere"),
    ]
    for arguments, says in cases:
        result = run("compare", *arguments, *(["--json"] if as_json else []))
        assert result.exit_code == 2
        if as_json:
            content = json.loads(result.stdout)
            assert set(content) == {"verdict", "error"}
            assert content["verdict"] == "error"
            assert says in content["error"]
        else:
            assert result.stdout == ""
            assert says in result.stderr


def test_what_to_compare_must_be_clear(run: Run, file: Any) -> None:
    good = file("a", "{}")
    for arguments in ([], [good], [good, good, "--batch", "-"], ["--batch", "/nowhere"]):
        assert run("compare", *arguments).exit_code == 2


def test_a_body_that_is_no_json_is_a_difference(run: Run, file: Any) -> None:
    result = run("compare", file("a", "{}"), file("b", "<html>"), "--json")
    assert result.exit_code == 1
    assert json.loads(result.output)["differences"][0]["kind"] == "unparseable"


def line(id_: Any, primary: Any, shadow: Any, **more: Any) -> str:
    return json.dumps({"id": id_, "primary": json.dumps(primary), "shadow": json.dumps(shadow), **more})


def answers(output: str) -> list[dict[str, Any]]:
    return [json.loads(one) for one in output.splitlines()]


def test_lines_are_answered_in_order(run: Run, file: Any) -> None:
    pairs = file("pairs", "\n".join(line(n, {"a": n}, {"a": n if n % 3 else -1}) for n in range(50)) + "\n\n")
    result = run("compare", "--batch", pairs)
    assert result.exit_code == 1
    found = answers(result.stdout)
    assert [one["id"] for one in found] == list(range(50))
    assert [one["verdict"] for one in found] == ["match" if n % 3 else "diff" for n in range(50)]
    assert list(found[0]) == ["id", "verdict", "differences", "tolerated"]
    assert result.stderr == "", "no bar where nobody looks"


def test_a_line_may_bring_rules_and_ids_and_other_things(run: Run) -> None:
    text = "\n".join(
        [
            line("plain", {"id": LEGACY}, {"id": UUID}),
            line("ids", {"id": LEGACY}, {"id": UUID}, ids=IDS, note="passed over"),
            line("rules", {"t": 1, "a": 1}, {"t": 2, "a": 1}, rules={"ignore": ["$.t"]}),
            line("file's form", {"t": 1, "a": 1}, {"t": 2, "a": 1}, rules={"compare": {"ignore": ["$.t"]}}),
            line("none", {"t": 1}, {"t": 1}, rules=None, ids=None),
        ]
    )
    found = answers(run("compare", "--batch", "-", text=text).stdout)
    assert {one["id"]: one["verdict"] for one in found} == {
        "plain": "diff", "ids": "match", "rules": "match", "file's form": "match", "none": "match",
    }  # fmt: skip


def test_files_hold_for_every_line(run: Run, file: Any) -> None:
    ids, rules = file("ids.json", IDS), file("rules.yaml", 'compare: {ignore: ["$.t"]}')
    text = line(1, {"id": LEGACY, "t": 1, "u": 1}, {"id": UUID, "t": 2, "u": 2}, rules={"ignore": ["$.u"]})
    result = run("compare", "--batch", "-", "--ids", ids, "--rules", rules, text=text)
    assert (result.exit_code, answers(result.stdout)[0]["verdict"]) == (0, "match")


@pytest.mark.parametrize(
    ("text", "id_", "says"),
    [
        ("{", None, "not a JSON line"),
        ("[1]", None, "must be an object"),
        ('{"id": 7, "primary": "1"}', 7, '"shadow" is missing'),
        ('{"id": 7, "primary": "1", "shadow": {}}', 7, '"shadow" must be a string'),
        ('{"primary": "1", "shadow": "1"}', None, '"id" is missing'),
        (line(7, 1, 1, rules=[]), 7, '"rules" must be an object'),
        (line(7, 1, 1, rules={"ignroe": []}), 7, "ignroe"),
        (line(7, 1, 1, ids=[{"entity": "user"}]), 7, "ids[0]"),
        ("[" * 100_000, None, "not a JSON line"),
    ],
)
def test_an_unusable_line_stops_nothing(run: Run, text: str, id_: Any, says: str) -> None:
    result = run("compare", "--batch", "-", text=f"{text}\n{line('next', 1, 2)}\n")
    assert result.exit_code == 2
    first, second = answers(result.stdout)
    assert (set(first), first["id"], first["verdict"]) == ({"id", "verdict", "error"}, id_, "error")
    assert says in first["error"]
    assert (second["id"], second["verdict"]) == ("next", "diff")


def test_values_that_few_libraries_print(run: Run) -> None:
    text = '{"id": 1, "primary": "{\\"a\\": 123456789012345678901234567890}", "shadow": "{\\"a\\": \\"\\\\ud800\\"}"}'
    (found,) = answers(run("compare", "--batch", "-", text=text).stdout)
    assert found["verdict"] == "diff"
    lone = run("compare", "--batch", "-", text='{"id": 2, "primary": "\\ud800", "shadow": "1"}')
    assert answers(lone.stdout)[0]["verdict"] == "diff"


def test_a_line_that_is_too_long_is_passed_over(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch, "LINE_BYTES", 1000)
    text = f"{line('long', 'x' * 5000, 1)}\n{line('next', 1, 1)}\n"
    first, second = answers(run("compare", "--batch", "-", text=text).stdout)
    assert "longer than 1000 bytes" in first["error"]
    assert (second["id"], second["verdict"]) == ("next", "match")


def test_each_line_is_answered_before_the_next_one_comes() -> None:
    with start("compare", "--batch", "-", stdin=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for number in range(3):
            process.stdin.write(line(number, number, number).encode() + b"\n")
            process.stdin.flush()
            assert json.loads(process.stdout.readline())["id"] == number
        process.stdin.close()
        assert process.wait(30) == 0
        assert process.stdout.read() == b""
