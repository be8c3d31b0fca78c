"""The commands over a ledger in Postgres: the same answers, from the same address that the proxy has."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path

import asyncpg
import pytest

from proxy.errors import ShadowreadError
from proxy.ledger import Ledger, LedgerReader
from proxy.ledger.schema import REVISIONS
from proxy.noise import aa_settings, begin_anew
from proxy.settings import load_settings
from tests.admin.recorded import configure
from tests.cli.conftest import Run, write


@pytest.fixture
def config(tmp_path: Path, pg_database: str) -> Path:
    path = configure(tmp_path)
    lines = [line for line in path.read_text().splitlines() if not line.startswith("ledger:")]
    (tmp_path / "run").mkdir()
    path.write_text("\n".join(lines) + f"\nledger: {{url: '{pg_database}', journal: run}}\n")
    return path


def ledger_lines(run: Run, config: Path) -> dict[str, tuple[bool, str, str]]:
    found = json.loads(run("check", "-c", config, "--json").output)["checks"]
    return {one["name"]: (one["ok"], one["where"], one["detail"]) for one in found if "ledger" in one["name"]}


def execute(dsn: str, *statements: str) -> None:
    async def run() -> None:
        connection = await asyncpg.connect(dsn)
        for statement in statements:
            await connection.execute(statement)
        await connection.close()

    asyncio.run(run())


def test_what_a_check_says_of_it(run: Run, config: Path, pg_database: str, tmp_path: Path) -> None:
    password = pg_database.split(":")[2].partition("@")[0]
    name = pg_database.replace(f"shadowread:{password}@", "")
    there = (True, str(tmp_path / "run"), "the journals of this machine lie here")
    made = (True, name, "schema shadowread will be made by serve")
    assert ledger_lines(run, config) == {"ledger": made, "ledger journal": there}
    result = run("status", "-c", config)
    assert (result.exit_code, "there is no ledger in postgresql://" in result.output) == (2, True)
    write(config)
    assert ledger_lines(run, config)["ledger"] == (True, name, "can be read and written")
    execute(pg_database, "UPDATE shadowread.alembic_version SET version_num = '0003'")
    old = f"has schema 0003, serve brings it to {REVISIONS[-1]}; until then no command can read it"
    assert ledger_lines(run, config)["ledger"] == (True, name, old)
    (tmp_path / "run").rename(tmp_path / "other")
    assert ledger_lines(run, config)["ledger journal"][0] is False
    config.write_text(config.read_text().replace(password, "Zebra-Sesame"))
    result = run("check", "-c", config)
    assert result.exit_code == 2
    assert "password authentication failed" in " ".join(result.output.split())
    assert "Zebra" not in result.output
    config.write_text(config.read_text().replace(f"{pg_database.rpartition('/')[2]}'", "d?schema=Odd-Name'"))
    found = ledger_lines(run, config)["ledger"]
    assert found[:2] == (False, "ledger.url")
    assert "the schema must be small letters" in found[2]


def test_the_commands_answer_from_it(run: Run, config: Path, tmp_path: Path) -> None:
    write(config)
    domains = {one["name"]: one for one in json.loads(run("status", "-c", config, "--json").output)["domains"]}
    assert {name: n for name, n in domains["users"]["verdicts"].items() if n} == {"match": 30, "skipped:not_sampled": 1}
    assert domains["payments"]["comparisons"] == 3
    findings = json.loads(run("findings", "-c", config, "payments", "--json").output)
    assert "number_string" in json.dumps(findings)
    assert '"amount"' in run("trace", "-c", config, "trace0001").output
    result = run("gate", "-c", config, "payments", "--json")
    assert result.exit_code == 1, result.output
    result = run("gate", "-c", config, "--verify-log")
    assert (result.exit_code, "1" in result.output) == (0, True), result.output
    finding = findings["findings"][0]["id"]
    accepted = ("accept", "-c", config, finding, "--owner", "ana", "--why", "known", "--until", "2026-12-31")
    assert run(*accepted).exit_code == 0
    assert run("window", "-c", config, "payments", "--restart", "--why", "by hand").exit_code == 0
    assert [one.suffix for one in (tmp_path / "run").iterdir()] == [".place"], "those who look on have no journal"


def test_the_noise_of_a_run_before_is_dropped_with_its_schema(config: Path, pg_database: str) -> None:
    settings = aa_settings(load_settings(config, {}))
    assert settings.ledger.url == f"{pg_database}?schema=shadowread_aa"
    begin_anew(settings)

    async def opened() -> Ledger:
        return await Ledger.open(
            settings.ledger.url,
            journal=settings.ledger.journal,
            flush_seconds=1,
            max_traces=1,
            max_trace_bytes=1,
            max_findings=1,
            clock=lambda: datetime.now(UTC),
        )

    async def while_it_runs() -> None:
        ledger = await opened()
        with pytest.raises(ShadowreadError, match=r"another A/A run writes to .*schema=shadowread_aa"):
            await asyncio.to_thread(begin_anew, settings)
        await ledger.close()

    asyncio.run(while_it_runs())
    begin_anew(settings)
    with pytest.raises(ShadowreadError, match="there is no ledger in"):
        asyncio.run(LedgerReader.open(settings.ledger.url))
