"""status, findings, trace and gate, out of a ledger on disk."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from proxy.ledger import Decision, LedgerReader
from tests.admin.recorded import HUGE, SAME_STORE, date_rules, settings_in
from tests.cli.conftest import Run, write


def test_status_as_a_table(run: Run, config: Path) -> None:
    result = run("status", "-c", config)
    assert result.exit_code == 0
    lines = [line.split() for line in result.output.splitlines()]
    assert ["users", "shadow", "open", "31", "30", "0", "0", "0", "0", "1", "0", "0.09503", "30"] in lines
    assert "payments: Only 3 comparisons made of the 20" in result.output
    assert "not verified, since rules ignore it (values): users 31, payments 4;" in result.output


def test_status_json_is_the_domains_object(run: Run, config: Path) -> None:
    content = json.loads(run("status", "-c", config, "--json").output)
    assert list(content) == ["domains"]
    assert [domain["name"] for domain in content["domains"]] == ["users", "payments", "chat"]
    users = content["domains"][0]
    assert list(users) == [
        "name", "stage", "observed", "comparisons", "verdicts", "diff_rate", "upper_bound",
        "entities", "last_diff_at", "gate", "reasons", "provenance", "window", "observed_seconds",
        "latency_ratio", "coverage", "history",
    ]  # fmt: skip
    assert users["observed"] == sum(users["verdicts"].values()) == 31


def test_status_never_shows_a_zero_for_a_domain_that_is_not_proven(run: Run, config: Path) -> None:
    lines = run("status", "-c", config).output.splitlines()
    chat = next(line.split() for line in lines if line.split()[:1] == ["chat"])
    assert [chat[number] for number in (5, 10, 11)] == ["?", "unproven", "unproven"]
    assert (
        f"chat: Unproven, so that no figure of this domain means anything: health: failed, {SAME_STORE}"
        in "\n".join(lines)
    )
    (row,) = [
        one for one in json.loads(run("status", "-c", config, "--json").output)["domains"] if one["name"] == "chat"
    ]
    assert (row["provenance"], row["diff_rate"], row["upper_bound"]) == ("unproven", None, None)


def test_status_tells_since_when_and_why_the_figures_count(run: Run, config: Path) -> None:
    (users, *_) = json.loads(run("status", "-c", config, "--json").output)["domains"]
    rules = users["window"]["parts"]["rules"]
    lines = [line.split() for line in run("status", "-c", config).output.splitlines()]
    since = datetime.fromisoformat(users["window"]["started_at"]).strftime("%Y-%m-%d %H:%M:%S").split()
    assert ["users", *since, "1", "d", rules, *users["window"]["why"].split()] in lines


def test_one_domain_in_full(run: Run, config: Path) -> None:
    text = run("status", "users", "-c", config).output
    lines = [line.split() for line in text.splitlines()]
    assert "users: stage shadow, gate open, proven" in text
    assert "31 exchanges in this window, 30 compared, 0 diffs of which 0 are explained by a known gap" in text
    assert ["GET", "/api/users/{id}", "15", "0", "109", "94.4", "%"] in lines
    assert ["user", "15"] in lines, "no route names a kind, so nothing is known of it"
    assert ["GET", "/api/users/{id}", "$.deletedAt", "15", "15", "15", "0"] in lines
    assert "fields: 2 seen, 1 of them never with a value on both sides" in text
    assert "sensitivity: 104 of 110 planted damages were seen (94.5 %)" in text
    assert any(line[:2] == ["shadow", "30"] for line in lines)

    payments = run("status", "payments", "-c", config).output
    assert "ignore $.requestId" in payments
    chat = run("status", "chat", "-c", config).output
    assert "never compared: GET /api/chats" in chat
    assert SAME_STORE in chat
    assert "0 compared, ? diffs" in chat, "what is not proven has no zero"
    found = json.loads(run("status", "chat", "-c", config, "--json").output)
    assert (found["name"], found["coverage"]["routes"]["compared"]) == ("chat", 0)
    assert run("status", "chats", "-c", config).exit_code == 2


def test_a_changed_rule_begins_the_window_anew_and_is_told_before_the_proxy_knows_it(run: Run, config: Path) -> None:
    config.write_text(config.read_text() + "compare: {ignore: [$.requestId]}\n")
    result = run("gate", "users", "-c", config)
    assert result.exit_code == 1
    assert "Restart `shadowread serve` with this configuration." in result.output
    write(config)
    (first, second) = json.loads(run("window", "users", "-c", config, "--json").output)["windows"]
    assert (first["current"], second["current"]) == (True, False)
    assert first["parts"]["rules"] != second["parts"]["rules"]
    assert second["parts"]["rules"] in first["why"]
    (users, *_) = json.loads(run("status", "-c", config, "--json").output)["domains"]
    assert (users["window"]["id"], users["observed"]) == (first["id"], 31), "what was counted before counts no more"


def test_a_window_by_hand(run: Run, config: Path) -> None:
    assert run("gate", "users", "-c", config).exit_code == 0
    (before,) = json.loads(run("window", "users", "-c", config, "--json").output)["windows"]
    result = run("window", "users", "-c", config, "--restart", "--why", "the diffs are repaired")
    assert result.exit_code == 0
    current, past = json.loads(run("window", "users", "-c", config, "--json").output)["windows"]
    assert (current["why"], current["parts"]) == ("by hand: the diffs are repaired", before["parts"])
    assert past["id"] == before["id"]
    assert run("gate", "users", "-c", config).exit_code == 1
    everyone = json.loads(run("window", "-c", config, "--json").output)["windows"]
    assert [one["domain"] for one in everyone] == ["users", "payments", "chat"]
    assert "by hand: the diffs are repaired" in run("window", "-c", config).output


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["window", "user"], "did you mean users?"),
        (["window", "--restart", "--why", "x"], "needs a DOMAIN and --why TEXT"),
        (["window", "users", "--restart"], "needs a DOMAIN and --why TEXT"),
        (["window", "users", "--restart", "--why", " "], "needs a DOMAIN and --why TEXT"),
        (["window", "users", "--why", "x"], "--why belongs to --restart"),
        (["gate", "users", "--verify-log"], "takes no DOMAIN"),
        (["gate", "--head", "a"], "--head belongs to --verify-log"),
        (["gate", "--verify-log", "--head", "xyz"], "is no hash of a decision"),
    ],
)
def test_what_cannot_be_meant_is_refused(run: Run, config: Path, arguments: list[str], says: str) -> None:
    result = run(*arguments, "-c", config)
    assert result.exit_code == 2
    assert says in result.stderr
    assert len(json.loads(run("window", "users", "-c", config, "--json").output)["windows"]) == 1


def test_findings(run: Run, config: Path) -> None:
    content = json.loads(run("findings", "-c", config, "--json").output)
    assert list(content) == ["findings"]
    one = next(found for found in content["findings"] if found["path"] == "$.amount")
    assert list(one) == [
        "id", "domain", "route", "path", "kind", "exchanges", "differences", "first_at", "last_at",
        "first_trace", "last_trace", "sample", "state", "gone_at", "gone_why", "returned_at", "acceptance", "known_gap",
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
        "differences_total", "explanations", "settling", "detail", "known_gap",
        "trace_id",
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
    assert sha256((config.parent / "users.md").read_bytes()).hexdigest() in text
    assert "  unset REPO_USER and restart" in text, "the way back itself"
    assert "amounts are floats" in text
    assert "Explain and repair them" in text
    assert "$.requestId of GET /api/payments (text, 40 tried, hidden by ignore $.requestId)" in text
    (decided,) = json.loads(run("gate", "users", "-c", config, "--json").output)["gates"]
    assert (decided["domain"], decided["state"], decided["flags_to_change"]) == (
        "users",
        "open",
        ["REPO_USER=pg"],
    )
    assert {"name", "ok", "figure", "limit", "text", "remedy"} == set(decided["conditions"][0])
    assert decided["inputs"]["limits"]["min_comparisons"] == 20
    assert decided["inputs"]["evidence"]["verdicts"]["match"] == 30


def test_a_long_plan_is_named_and_begun(run: Run, config: Path) -> None:
    (config.parent / "users.md").write_text("\n".join(f"step {number}" for number in range(50)))
    text = run("gate", "users", "-c", config).output
    assert "  step 19\n  ... and 30 more lines" in text


def test_every_decision_stands_in_a_log_that_shows_what_was_done_to_it(run: Run, config: Path, tmp_path: Path) -> None:
    assert "0 decisions, all as they were made" in run("gate", "--verify-log", "-c", config).output
    hashes = [
        json.loads(run("gate", "users", "-c", config, "--json").output)["gates"][0]["log"]["hash"] for _ in range(3)
    ]
    shown = run("gate", "payments", "-c", config).output
    found = json.loads(run("gate", "--verify-log", "-c", config, "--json").output)
    assert (found["whole"], found["entries"], found["faults"]) == (True, 4, [])
    assert f"decision 4 in the log, hash {found['head']}" in shown
    for noted in (*hashes, found["head"]):
        assert run("gate", "--verify-log", "--head", noted, "-c", config).exit_code == 0

    with closing(sqlite3.connect(tmp_path / "ledger.db")) as ledger, ledger:
        ledger.execute("UPDATE decisions SET state = 'closed' WHERE seq = 2")
        ledger.execute("DELETE FROM decisions WHERE seq = 3")
    result = run("gate", "--verify-log", "-c", config)
    assert result.exit_code == 1
    assert "entry 2 was changed" in result.output
    assert "entry 3 is missing" in result.output
    assert run("gate", "--verify-log", "--head", hashes[2], "-c", config).exit_code == 1
    broken = json.loads(run("gate", "--verify-log", "-c", config, "--json").output)
    assert {2, 3} <= {fault["seq"] for fault in broken["faults"]}
    (tmp_path / "ledger.db").write_bytes(b"no database")
    assert run("gate", "--verify-log", "-c", config).exit_code == 2


def test_github_is_told_on_lines_of_their_own(run: Run, config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config.write_text(config.read_text().replace("amounts are floats", '"floats\\n::error title=x::y"'))
    assert "::" not in run("gate", "users", "-c", config).output
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    result = run("gate", "users", "payments", "-c", config)
    assert result.exit_code == 1
    lines = result.stdout.splitlines()
    token = lines[0].removeprefix("::stop-commands::")
    silent = lines[: lines.index(f"::{token}::")]
    assert any(line.lstrip().startswith("::error") for line in silent), "a line of the table that must not be obeyed"
    told = [line for line in lines[len(silent) + 1 :] if line.startswith("::")]
    assert [line.partition("::")[2].split("::")[0] for line in told] == [
        "notice title=shadowread gate users%3A open",
        "error title=shadowread gate payments%3A closed",
    ]
    plain = run("gate", "payments", "-c", config, "--json")
    assert json.loads(plain.stdout)["gates"][0]["domain"] == "payments"
    assert plain.stderr.startswith("::error title=shadowread gate payments%3A closed::")


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
    write(config)
    gone = f"compare.ignore.0 (until {today - timedelta(days=3)})"
    soon = f"compare.tolerate.0 (until {today + timedelta(days=9)})"
    result = run("gate", "users", "-c", config, "--junit", tmp_path / "gate.xml")
    assert result.exit_code == 0, "an expired rule makes the comparison stricter; the zero stands"
    assert f"1 rule is past the date in until and no longer applied: {gone}." in result.output
    assert f"1 rule expires within 14 days: {soon}." in result.output
    assert gone in (tmp_path / "gate.xml").read_text()

    (decided,) = json.loads(run("gate", "users", "-c", config, "--json").output)["gates"]
    assert [note["name"] for note in decided["notes"]] == [
        "not_verified", "expired_rules", "expiring_rules", "fields_not_verified",
    ]  # fmt: skip
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
    assert decision.result is not None
    assert decision.result["rollback_digest"]
    assert decision.result["inputs"]


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
