"""status, findings, trace and gate, out of a ledger on disk."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from proxy.ledger import Decision, LedgerReader
from tests.admin.recorded import HUGE, settings_in
from tests.cli.conftest import Run


def test_status_as_a_table(run: Run, config: Path) -> None:
    result = run("status", "-c", config)
    assert result.exit_code == 0
    lines = [line.split() for line in result.output.splitlines()]
    assert ["users", "shadow", "open", "31", "30", "0", "0", "0", "0", "1", "0", "0.09503", "2"] in lines
    assert "payments: Only 3 comparisons made of the 20" in result.output


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
        "differences_total", "settling", "detail",
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
    assert "changed from 2 to 3" in text, "larger values are explained in words"
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
