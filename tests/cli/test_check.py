"""`check` against real servers, `serve` as a process, `config`."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sqlite3
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from tests.admin.recorded import configure
from tests.cli.conftest import Run, start


@pytest.fixture
def listening() -> Iterator[int]:
    """A port that accepts connections."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def checks(output: str) -> dict[str, dict[str, object]]:
    content = json.loads(output)
    assert set(content) == {"ok", "checks", "readers"}
    assert all(set(one) == {"name", "where", "ok", "detail", "remedy"} for one in content["checks"])
    return {f"{one['name']} {one['where']}": one for one in content["checks"]}


def test_all_is_well(run: Run, tmp_path: Path, listening: int, pg_database: str) -> None:
    async def make() -> None:
        connection = await asyncpg.connect(pg_database)
        await connection.execute("CREATE TABLE users (id uuid, legacy_object_id text)")
        await connection.close()

    asyncio.run(make())
    config = configure(tmp_path, primary=listening)
    (tmp_path / "ids.json").write_text("[]")
    config.write_text(
        config.read_text()
        + f'\npostgres: {{dsn: "{pg_database}"}}\n'
        + "ids: {sources: [{file: ids.json}, "
        + "{table: users, entity_name: user, legacy: legacy_object_id, uuid: id}]}\n"
    )
    result = run("check", "-c", config, "--json")
    assert result.exit_code == 0, result.output
    found = checks(result.output)
    assert found["id map ids.sources[1]: table users"]["detail"] == "about 0 rows"
    assert run("check", "-c", config).output.endswith("all is well\n")
    assert not (tmp_path / "ledger.db").exists(), "checking makes no ledger"

    config.write_text(config.read_text().replace("uuid: id}", "uuid: uid}"))
    result = run("check", "-c", config, "--json")
    assert result.exit_code == 2
    wrong = checks(result.output)["id map ids.sources[1]: table users"]
    assert "uid" in str(wrong["detail"])
    assert wrong["remedy"]


def test_every_problem_is_told_at_once(run: Run, config: Path, listening: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        nobody = closed.getsockname()[1]
    text = config.read_text().replace("5001", str(nobody))
    config.write_text(
        text + f"\nshadow: {{url: http://127.0.0.1:{listening}}}\nids: {{sources: [{{file: no.json}}]}}\n"
    )
    (config.parent / "users.md").write_text(" \n")
    (config.parent / "ledger.db").write_bytes(b"this is no database" * 100)
    result = run("check", "-c", config, "--json")
    assert result.exit_code == 2
    found = {name: one["ok"] for name, one in checks(result.output).items()}
    assert found == {
        f"configuration {config}": True,
        f"primary http://127.0.0.1:{nobody}": False,
        f"shadow http://127.0.0.1:{listening}": True,
        f"id map ids.sources[0]: file {config.parent}/no.json": False,
        f"ledger sqlite:///{config.parent}/ledger.db": False,
        "rollback plan domains.users.rollback_plan": False,
        "rollback plan domains.payments.rollback_plan": True,
        "rollback plan domains.chat.rollback_plan": True,
    }
    assert "4 problems" in run("check", "-c", config).output


def test_checking_changes_no_evidence(run: Run, config: Path) -> None:
    before = run("status", "-c", config, "--json").output
    ledger = (config.parent / "ledger.db").read_bytes()
    assert checks(run("check", "-c", config, "--json").output)[f"ledger sqlite:///{config.parent}/ledger.db"]["ok"]
    assert (config.parent / "ledger.db").read_bytes() == ledger
    assert run("status", "-c", config, "--json").output == before


def test_a_ledger_of_an_earlier_version_is_no_problem(run: Run, config: Path) -> None:
    with sqlite3.connect(config.parent / "ledger.db") as ledger:
        ledger.execute("UPDATE alembic_version SET version_num = '0001'")
    ledger.close()
    found = checks(run("check", "-c", config, "--json").output)[f"ledger sqlite:///{config.parent}/ledger.db"]
    assert found["ok"] is True
    assert "schema 0001" in str(found["detail"])
    assert found["remedy"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_ledger_that_cannot_be_written(run: Run, config: Path) -> None:
    (config.parent / "ledger.db").chmod(0o400)
    found = checks(run("check", "-c", config, "--json").output)
    assert not found[f"ledger sqlite:///{config.parent}/ledger.db"]["ok"]


def test_a_configuration_that_cannot_be_read(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text("sampling: 7\nprimry: 1\n")
    result = run("check", "-c", path, "--json")
    assert result.exit_code == 2
    content = json.loads(result.output)
    assert content["ok"] is False
    assert any("primary" in one["detail"] for one in content["checks"])


def test_the_schema_is_json_and_the_configuration_hides_its_secrets(run: Run, tmp_path: Path) -> None:
    assert json.loads(run("config", "schema").output)["title"] == "shadowread configuration"
    config = configure(tmp_path, token="a-secret-token")
    config.write_text(config.read_text() + '\npostgres: {dsn: "postgresql://u:a-secret-word@127.0.0.1/x"}\n')
    for arguments in ([], ["--json"]):
        result = run("config", "show", "-c", config, *arguments)
        assert result.exit_code == 0
        assert "a-secret" not in result.output
    assert list(json.loads(result.output))[:3] == ["listen", "admin", "primary"]
    again = tmp_path / "again.yaml"
    again.write_text(run("config", "show", "-c", configure(tmp_path)).output)
    assert run("config", "show", "-c", again, "--json").exit_code == 0


def test_serve_until_it_is_told_to_stop(tmp_path: Path, listening: int) -> None:
    config = configure(tmp_path, primary=listening)
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
        ports = one.getsockname()[1], other.getsockname()[1]
    text = config.read_text().replace("127.0.0.1:8080", f"127.0.0.1:{ports[0]}")
    config.write_text(text.replace("admin: {", f"admin: {{listen: 127.0.0.1:{ports[1]}, "))
    with start("serve", "-c", config) as process:
        try:
            assert process.stderr is not None
            for told in process.stderr:
                if b"serving" in told:
                    break
            with urllib.request.urlopen(f"http://127.0.0.1:{ports[1]}/api/v1/domains", timeout=10) as answer:
                assert [domain["name"] for domain in json.load(answer)["domains"]] == [
                    "users",
                    "payments",
                    "chat",
                ]
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0
        finally:
            process.kill()
    assert (tmp_path / "ledger.db").exists()
