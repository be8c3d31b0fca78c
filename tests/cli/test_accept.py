"""accept, and what findings tells of a finding's life."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from proxy.ledger import LedgerReader
from proxy.ledger.findings import Acceptance, accept, close
from tests.admin.recorded import settings_in
from tests.cli.conftest import Run

WORD = ("--owner", "mara", "--why", "old \x1b[31mrows", "--until", "2999-01-31")


def findings(run: Run, config: Path, *more: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(run("findings", "payments", "-c", config, "--json", *more).output)[
        "findings"
    ]
    return found


def amount(run: Run, config: Path) -> dict[str, Any]:
    return next(one for one in findings(run, config) if one["path"] == "$.amount")


def counts(run: Run, config: Path) -> list[object]:
    domains = json.loads(run("status", "--json", "-c", config).output)["domains"]
    return [
        [one[key] for key in ("name", "observed", "verdicts", "diff_rate", "upper_bound", "gate")] for one in domains
    ]


def test_accepted_until_it_is_taken_back(run: Run, config: Path) -> None:
    before = amount(run, config)
    assert (before["state"], before["acceptance"]) == ("open", None)
    counted = counts(run, config)

    result = run("accept", before["id"], *WORD, "-c", config)
    assert result.exit_code == 0
    assert f"finding {before['id']} (payments $.amount number_string) is accepted by mara" in result.output
    assert "through 2999-01-31: old \\x1b[31mrows" in result.output
    assert "\x1b" not in result.output
    after = amount(run, config)
    assert after["acceptance"].pop("at").startswith(str(datetime.now(UTC).year))
    assert after == {
        **before,
        "state": "accepted",
        "acceptance": {"owner": "mara", "why": "old \x1b[31mrows", "until": "2999-01-31"},
    }
    assert counts(run, config) == counted, "no count and no gate is another"
    text = run("findings", "payments", "-c", config).output
    assert "accepted by mara through 2999-01-31: old \\x1b[31mrows" in text

    taken = json.loads(run("accept", before["id"], "--revoke", "--json", "-c", config).output)["finding"]
    assert taken == before == amount(run, config)
    assert "was not accepted; nothing is changed" in run("accept", before["id"], "--revoke", "-c", config).output


def test_findings_of_one_state(run: Run, config: Path, tmp_path: Path) -> None:
    one, other = findings(run, config)
    seen = datetime.fromisoformat(one["last_at"])

    async def change() -> None:
        ledger = await LedgerReader.open(settings_in(tmp_path).ledger.url)
        past = Acceptance("mara", "for a while", date(2026, 5, 2), seen)
        await ledger.write(lambda c: close(c, one["id"], seen + timedelta(hours=1), "read again: equal"))
        await ledger.write(lambda c: accept(c, other["id"], past))
        await ledger.close()

    asyncio.run(change())
    (gone,) = findings(run, config, "--state", "gone")
    assert (gone["id"], gone["gone_at"], gone["gone_why"]) == (
        one["id"],
        (seen + timedelta(hours=1)).isoformat(),
        "read again: equal",
    )
    assert [found["id"] for found in findings(run, config, "--state", "open")] == [other["id"]]
    assert findings(run, config, "--state", "returned") == []
    text = run("findings", "-c", config).output
    assert f"gone since {seen + timedelta(hours=1):%Y-%m-%d %H:%M:%S}: read again: equal" in text
    assert "open, accepted by mara until 2026-05-02, which is past" in text
    assert "no findings are returned" in run("findings", "--state", "returned", "-c", config).output


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (WORD[:4], "--until must be given: who accepts it, why, and until when"),
        ((), "--owner, --why, --until must be given"),
        ((*WORD[:5], "31.1.2999"), "'31.1.2999' is no date; write it as in 2026-12-31"),
        ((*WORD[:5], "2020-01-01"), "--until 2020-01-01 is past"),
        (("--owner", " ", *WORD[2:]), "it is empty"),
        (("--owner", "x" * 201, *WORD[2:]), "it has 201 characters, at most 200 are kept"),
        ((*WORD, "--revoke"), "--revoke takes no --owner"),
        (WORD, "no finding has the id 'none'; `shadowread findings` shows those there are"),
    ],
)
def test_what_cannot_be_accepted(run: Run, config: Path, arguments: tuple[str, ...], says: str) -> None:
    result = run("accept", "none", *arguments, "-c", config)
    assert result.exit_code == 2
    assert says in " ".join(result.stderr.split())
