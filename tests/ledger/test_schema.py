"""How a ledger comes to be: made from nothing, brought up to date, refused when it cannot be used."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from proxy.errors import LedgerError
from proxy.ledger import Ledger, LedgerReader, OutdatedLedgerError, schema
from proxy.ledger.database import store_of
from proxy.model import Verdict
from tests.ledger.support import START, TOLERATED, exchange, make, opened, reading, url_of


async def test_made_from_nothing_with_the_tables_the_code_uses(tmp_path: Path) -> None:
    path = tmp_path / "odd name %41 #1?.db"
    async with opened(path):
        pass

    def differences(connection: Any) -> list[Any]:
        return list(compare_metadata(MigrationContext.configure(connection), schema.metadata))

    engine = store_of(url_of(path)).engine()
    async with engine.connect() as connection:
        assert await connection.run_sync(differences) == []
    await engine.dispose()
    async with reading(path) as reader:
        assert await reader.domains() == {}


def test_the_known_revisions_are_the_scripts() -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(schema.__file__).with_name("migrations")))
    config.set_main_option("path_separator", "os")
    scripts = [script.revision for script in ScriptDirectory.from_config(config).walk_revisions()]
    assert tuple(reversed(scripts)) == schema.REVISIONS


async def test_write_ahead_log_is_on(tmp_path: Path) -> None:
    async with opened(tmp_path / "a.db"):
        with sqlite3.connect(tmp_path / "a.db") as other:
            assert other.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        other.close()


async def test_counts_outlive_a_restart_and_a_clean_end_leaves_one_file(tmp_path: Path) -> None:
    for n in range(1, 4):
        async with opened(tmp_path / "a.db") as ledger:
            exchange(ledger)
            assert (await ledger.domains())["users"].observed == n
        assert [one.name for one in tmp_path.iterdir()] == ["a.db"]
    with sqlite3.connect(tmp_path / "a.db") as other:
        assert other.execute("SELECT run, observed FROM observed").fetchall() == [("", 3)]
    other.close()


def execute(path: Path, statement: str) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute(statement)
    connection.close()


async def test_a_newer_schema_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    async with opened(path):
        pass
    execute(path, "UPDATE alembic_version SET version_num = '0999'")
    with pytest.raises(LedgerError, match="schema 0999, which is newer than this shadowread knows"):
        await open_plain(path)
    with pytest.raises(LedgerError, match="schema 0999"):
        await LedgerReader.open(url_of(path))
    assert list(tmp_path.glob("*.journal")) == []


async def test_a_ledger_of_the_first_schema_is_brought_forward_without_loss(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.db"
    with monkeypatch.context() as then:
        then.setattr(schema, "REVISIONS", ("0001",))
        await make(path)
    execute(path, "INSERT INTO observed VALUES ('', 'users', 'GET /u', 7, 0, 0)")
    execute(path, "INSERT INTO verdicts VALUES ('users', 'GET /u', 'match', 7, 1, 1, 60000000)")
    execute(path, "INSERT INTO tolerated VALUES ('users', 'GET /u', 'null_missing', '$.data[*].note', 9)")
    execute(path, "INSERT INTO tolerated VALUES ('users', 'GET /u', 'ignore', '(other places)', 2)")
    with pytest.raises(
        OutdatedLedgerError,
        match=f"schema 0001, this shadowread reads {schema.REVISIONS[-1]}; start `shadowread serve`",
    ):
        await LedgerReader.open(url_of(path))
    async with opened(path) as ledger:
        exchange(ledger, tolerated=(TOLERATED,))
        await ledger.flush()
        counts = (await ledger.domains())["users"]
        assert (counts.observed, counts.verdicts) == (8, {Verdict.MATCH: 8})
        assert {(one.kind, one.path, one.rule): one.count for one in counts.tolerated} == {
            ("null_missing", "$.data[*].note", ""): 9,
            ("null_missing", "$.data[*].note", "$..note"): 3,
            ("ignore", "(other places)", ""): 2,
        }
    async with reading(path) as reader:
        assert (await reader.domains())["users"] == counts


async def test_what_is_no_ledger_is_refused(tmp_path: Path) -> None:
    text, foreign = tmp_path / "text.db", tmp_path / "foreign.db"
    text.write_text("this is not a database " * 100)
    execute(foreign, "CREATE TABLE something (x)")
    for path, why in ((text, "not a database"), (foreign, "database of something else")):
        with pytest.raises(LedgerError, match=why):
            await open_plain(path)
        with pytest.raises(LedgerError, match=why):
            await LedgerReader.open(url_of(path))


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("mysql://x/y", "write sqlite:///FILE"),
        ("sqlite:///", "write sqlite:///FILE"),
        ("sqlite:///:memory:", "write sqlite:///FILE"),
        ("sqlite:////no/such/folder/a.db", "the folder /no/such/folder does not exist"),
        ("sqlite:////tmp", "is a folder"),
    ],
)
async def test_an_unusable_url_is_refused(url: str, why: str) -> None:
    with pytest.raises(LedgerError, match=why):
        await Ledger.open(url, flush_seconds=1, max_traces=1, max_trace_bytes=1, max_findings=1, clock=lambda: START)


async def test_looking_at_what_is_not_there_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match="does not exist; start `shadowread serve` once"):
        await LedgerReader.open(url_of(tmp_path / "a.db"))
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "a.db").touch()
    with pytest.raises(LedgerError, match="start `shadowread serve` once"):
        await LedgerReader.open(url_of(tmp_path / "a.db"))


async def open_plain(path: Path) -> None:
    async with opened(path):
        pass
