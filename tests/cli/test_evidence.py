"""status, findings, trace and gate, out of a ledger on disk."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from proxy.ledger import Decision, LedgerReader
from tests.admin.recorded import HUGE, date_rules, settings_in
from tests.cli.conftest import Run


def test_status_as_a_table(run: Run, config: Path) -> None:
    result = run("status", "-c", config)
    assert result.exit_code == 0
    lines = [line.split() for line in result.output.splitlines()]
    assert ["users", "shadow", "open", "31", "30", "0", "0", "0", "0", "1", "0", "0.09503", "2"] in lines
    assert "payments: Only 3 comparisons made of the 20" in result.output
    assert "not verified, since rules ignore it (values): users 31, payments 4;" in result.output


def test_status_json_is_the_domains_object(run: Run, config: Path) -> None:
    content = json.loads(run("status", "-c", config, "--json").output)
    assert list(content) == ["domains"]
    assert [domain["name"] for domain in content["domains"]] == ["users", "payments", "chat"]
    users = content["domains"][0]
    assert list(users) == [
        "name", "stage", "observed", "comparisons", "verdicts", "diff_rate", "upper_bound",
        "entities", "last_diff_at", "gate", "reasons",
    ]  # fmt: skip
    assert users["observed"] == sum(users["verdicts"].values()) == 31


def test_findings(run: Run, config: Path) -> None:
    content = json.loads(run("findings", "-c", config, "--json").output)
    assert list(content) == ["findings"]
    one = next(found for found in content["findings"] if found["path"] == "$.amount")
    assert list(one) == [
        "id", "domain", "route", "path", "kind", "exchanges", "differences", "first_at", "last_at",
        "first_trace", "last_trace", "sample",
    ]  # fmt: skip
    assert (one["kind"], one["exchanges"], one["first_trace"]) == ("number_string", 3, "trace0000")

    text = run("findings", "payments", "-c", config).output
    assert "GET /api/payments" in text
    assert str(HUGE) in text
    assert "no differences" in run("findings", "users", "-c", config).output
    assert len(json.loads(run("findings", "-c", config, "--json", "--limit", "1").output)["findings"]) == 1


def test_a_trace_in_full(run: Run, config: Path) -> None:
    content = json.loads(run("trace", "trace0001", "-c", config, "--json").output)
    assert list(content) == [
        "id", "at", "domain", "route", "verdict", "request", "primary", "shadow", "differences",
        "differences_total", "explanations", "settling", "detail",
    ]  # fmt: skip
    assert content["differences"][0]["primary"] == HUGE

    text = run("trace", "trace0001", "-c", config).output
    for told in (
        "/api/payments?page=1",
        "number_string",
        str(HUGE),
        '"amount": 10.5',
        "500 ms: still different",
    ):
        assert told in text
    assert "$.amount: number_string, a number on one side, a text that spells a number on the other" in text
    assert "  $.items.a[1] changed from 2 to 3" in text, "larger values are explained in words"
    assert "\x1b" not in text, "a header of a backend cannot steer the terminal"
    assert r"\x1b[31mred" in text


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["trace", "nothing"], "no trace has the id 'nothing'"),
        (["findings", "payment"], "did you mean payments?"),
        (["gate", "users", "zzz"], "known are users, payments, chat"),
    ],
)
def test_what_does_not_exist_is_bad_input(run: Run, config: Path, arguments: list[str], says: str) -> None:
    result = run(*arguments, "-c", config)
    assert result.exit_code == 2
    assert says in result.stderr


def test_gate_answers_by_exit_code(run: Run, config: Path) -> None:
    assert run("gate", "users", "-c", config).exit_code == 0
    assert run("gate", "users", "payments", "-c", config).exit_code == 1
    assert run("gate", "-c", config).exit_code == 1


def test_a_gate_without_domains_cannot_tell(run: Run, config: Path) -> None:
    text = config.read_text()
    config.write_text(text[: text.index("domains:")])
    assert run("gate", "-c", config).exit_code == 2


def test_gate_says_what_to_do(run: Run, config: Path) -> None:
    text = run("gate", "users", "payments", "-c", config).output
    assert "REPO_USER=pg" in text
    assert "users.md" in text
    assert "amounts are floats" in text
    (decided,) = json.loads(run("gate", "users", "-c", config, "--json").output)["gates"]
    assert (decided["domain"], decided["state"], decided["flags_to_change"]) == (
        "users",
        "open",
        ["REPO_USER=pg"],
    )
    assert {"name", "ok", "figure", "limit", "text"} == set(decided["conditions"][0])


def test_gate_tells_beside_the_zero_what_was_ignored_and_forgiven(run: Run, config: Path) -> None:
    lines = [line.strip() for line in run("gate", "users", "-c", config).output.splitlines()]
    found = next(number for number, line in enumerate(lines) if line.startswith("diffs"))
    assert lines[found + 1].split(maxsplit=2) == [
        "not_verified",
        "note",
        "What 1 rule ignores is not verified, 31 times so far: ignore $.requestId (31).",
    ]
    text = run("gate", "payments", "-c", config).output
    assert "1 rule forgave 6 times: date_format $..at (6)." in text


def test_rules_that_expired_or_soon_will_are_told_wherever_a_gate_is(run: Run, config: Path, tmp_path: Path) -> None:
    today = datetime.now(UTC).date()
    date_rules(tmp_path, expired=today - timedelta(days=3), soon=today + timedelta(days=9))
    gone = f"compare.ignore.0 (until {today - timedelta(days=3)})"
    soon = f"compare.tolerate.0 (until {today + timedelta(days=9)})"
    result = run("gate", "users", "-c", config, "--junit", tmp_path / "gate.xml")
    assert result.exit_code == 0, "an expired rule makes the comparison stricter; the zero stands"
    assert f"1 rule is past the date in until and no longer applied: {gone}." in result.output
    assert f"1 rule expires within 14 days: {soon}." in result.output
    assert gone in (tmp_path / "gate.xml").read_text()

    (decided,) = json.loads(run("gate", "users", "-c", config, "--json").output)["gates"]
    assert [note["name"] for note in decided["notes"]] == ["not_verified", "expired_rules", "expiring_rules"]
    assert gone in decided["notes"][1]["text"]

    status = run("status", "-c", config).output.splitlines()
    assert f"rule expired, no longer applied: {gone}" in status
    assert f"rule expires soon: {soon}" in status

    checked = json.loads(run("check", "-c", config, "--json").output)["checks"]
    assert [(one["where"], one["ok"], one["detail"]) for one in checked if one["name"] == "rule"] == [
        (gone, True, "expired, no longer applied"),
        (soon, True, "expires within 14 days"),
    ]
    assert all(one["remedy"] for one in checked if one["name"] == "rule")


def test_a_decision_is_stored_with_its_figures(run: Run, config: Path) -> None:
    run("gate", "users", "users", "-c", config)

    async def stored() -> list[Decision]:
        ledger = await LedgerReader.open(settings_in(config.parent).ledger.url)
        found = await ledger.decisions()
        await ledger.close()
        return found

    (decision,) = asyncio.run(stored())
    assert (decision.domain, decision.state) == ("users", "open")
    assert decision.result["rollback_digest"]


def test_gate_as_junit(run: Run, config: Path, tmp_path: Path) -> None:
    file = tmp_path / "gate.xml"
    config.write_text(config.read_text().replace("amounts are floats", '"amounts <are> & \\x01 floats"'))
    assert run("gate", "users", "payments", "-c", config, "--junit", file).exit_code == 1
    root = ET.parse(file).getroot()  # noqa: S314 - we have just written it
    suites = {suite.get("name"): suite for suite in root.iter("testsuite")}
    assert list(suites) == ["users", "payments"]
    assert suites["users"].get("failures") == "0"
    failed = {case.get("name") for case in suites["payments"].iter("testcase") if case.find("failure") is not None}
    assert {"comparisons", "diffs", "blockers", "rollback_plan"} <= failed
    assert suites["payments"].get("failures") == str(len(failed))
    assert root.get("failures") == str(len(failed))

    unwritable = run("gate", "users", "-c", config, "--junit", tmp_path / "nowhere" / "gate.xml")
    assert unwritable.exit_code == 2
    assert "cannot be written" in unwritable.stderr
