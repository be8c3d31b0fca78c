"""Decisions as GitHub shows them: one command a line, and nothing in it that would be another command."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from proxy.cli.annotations import MOST, annotate, in_actions
from proxy.gate import decide
from tests.gate.making import STRICT, evidence

COMMAND = re.compile(r"::(?P<level>\w+) title=(?P<title>[^:,]*)::(?P<text>.*)")


def told(line: str) -> tuple[str, str, str]:
    """What GitHub makes of a line, by the rules of its documentation."""
    found = COMMAND.fullmatch(line)
    assert found is not None, line
    title, text = found["title"], found["text"]
    for sign, escaped in ((":", "%3A"), (",", "%2C")):
        title = title.replace(escaped, sign)
    for sign, escaped in (("\r", "%0D"), ("\n", "%0A"), ("%", "%25")):
        title, text = title.replace(escaped, sign), text.replace(escaped, sign)
    return found["level"], title, text


def test_each_state_has_its_level_and_says_what_to_do() -> None:
    opened = decide("users", STRICT, evidence())
    closed = decide("payments", STRICT, evidence(blockers=("amounts are floats",), rollback_path=None))
    unknown = decide("chat", STRICT, evidence(recording="the disk is full"))
    first, second, third = map(told, annotate([opened, closed, unknown]))
    assert first[:2] == ("notice", "shadowread gate users: open")
    assert "REPO_USER=pg, AUTH_STORE=postgres" in first[2]
    assert second[:2] == ("error", "shadowread gate payments: closed")
    assert [line.split(":")[0] for line in second[2].splitlines()] == ["blockers", "rollback_plan"]
    assert "Write one and name it under rollback_plan." in second[2]
    assert third[:2] == ("error", "shadowread gate chat: unknown")


@pytest.mark.parametrize(
    "hostile", ["a\n::error::b", "100 % sure", "a::b,title=c", "\r\n::stop-commands::x", "\x1b[31mred", "%0A::x::y"]
)
def test_what_a_text_holds_stays_text(hostile: str) -> None:
    named = replace(decide("x", STRICT, evidence(blockers=(hostile,))), domain=f"d{hostile}")
    (line,) = annotate([named])
    assert "\n" not in line
    assert "\r" not in line
    assert "\x1b" not in line
    _, title, text = told(line)
    shown = hostile.replace("\r", r"\x0d").replace("\x1b", r"\x1b")
    assert title == f"shadowread gate d{shown}: closed"
    assert hostile.strip().replace("\x1b", r"\x1b") in text


def test_too_many_reasons_are_cut_between_two_of_them() -> None:
    long = decide("x", STRICT, evidence(blockers=tuple("b" * 900 for _ in range(4)), rollback_path=None, standings=()))
    text = told(next(iter(annotate([long]))))[2]
    assert len(text) <= MOST
    assert text.splitlines()[-1] == "and 2 more: shadowread gate shows them"
    assert text.splitlines()[0].startswith("provenance: Unproven")


def test_only_a_step_of_github_asks_for_them() -> None:
    assert in_actions({"GITHUB_ACTIONS": "true"})
    assert not in_actions({"GITHUB_ACTIONS": "false"})
    assert not in_actions({})
