"""What `check` says of the things that a zero will rest on, against two real backends and a real Postgres."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import asyncpg

from proxy.cli.meaning import meaning
from proxy.settings import Settings, load_settings
from tests.e2e.backends import Script, backend, response
from tests.provenance.support import Clock

CONFIG = """
primary: {{url: {primary}}}
shadow: {{url: {shadow}}}
postgres: {{dsn: "{dsn}"}}
ids: {{sources: [{{table: id_map, entity: entity, legacy: legacy_id, uuid: new_id}}]}}
gaps: [{{table: {gaps}, id: legacy_id}}]
domains:
  users:
    tables: [{table}]
    provenance: {{primary: {{path: $.users, expect: mongo}}, shadow: {{path: $.users, expect: postgres}}}}
    routes: [{{route: "GET /api/users/{{id}}", sweep: {{entities: {{id: {entity}}}}}}}]
  holds:
    tables: [id_map]
    provenance: {{primary: {{path: $.holds, expect: mongo}}, shadow: {{path: $.holds, expect: postgres}}}}
    routes: [GET /api/holds]
"""
SCHEMA = """
CREATE TABLE users (id uuid);
CREATE TABLE missed (legacy_id text);
CREATE TABLE id_map (entity text, legacy_id text, new_id uuid);
INSERT INTO id_map VALUES ('user', '65f1a2b3c4d5e6f708192a01', '0b8e6a10-3c5d-4e7f-8a91-b2c3d4e5f601');
"""


def reporting(**stores: str) -> Script:
    """A backend whose health document says which store each domain is read from."""

    async def script(_head: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(response(json.dumps({"version": "1", **stores}).encode()))

    return script


async def lines_of(tmp_path: Path, dsn: str, **names: str) -> dict[str, tuple[bool, str, str]]:
    async with (
        backend(reporting(users="mongo", holds="mongo")) as primary,
        backend(reporting(users="postgres", holds="mongo")) as shadow,
    ):
        values = {"table": "users", "gaps": "missed", "entity": "user", **names}
        path = tmp_path / "shadowread.yaml"
        path.write_text(CONFIG.format(primary=primary, shadow=shadow, dsn=dsn, **values))
        settings: Settings = load_settings(path, {})
        found = await meaning(settings, Clock().now)
    return {one.where: (one.ok, one.detail, one.remedy) for one in found}


async def test_what_is_well_is_one_line_and_what_is_not_is_named(tmp_path: Path, pg_database: str) -> None:
    connection = await asyncpg.connect(pg_database)
    await connection.execute(SCHEMA)
    await connection.close()
    found = await lines_of(tmp_path, pg_database)
    ok, text, remedy = found.pop("domains.holds.provenance")
    assert ok
    assert text.startswith("both sides read the same store")
    assert "the gate stays closed" in remedy
    assert found == {
        "health": (True, "1 of 2 domains read two stores, as both sides say", ""),
        "scans": (True, "Postgres counts the scans of 2 domains' tables", ""),
        "gaps": (True, "missed can be asked", ""),
        "entities": (True, "1 user", ""),
    }


async def test_wrong_names_are_found_before_there_is_traffic(tmp_path: Path, pg_database: str) -> None:
    connection = await asyncpg.connect(pg_database)
    await connection.execute(SCHEMA)
    await connection.close()
    found = await lines_of(tmp_path, pg_database, table="people", gaps="lost", entity="person")
    ok, text, remedy = found["domains.users.tables"]
    assert not ok
    assert "people" in text
    assert "domains.users.tables" in remedy
    ok, text, _ = found["gaps"]
    assert not ok
    assert "lost" in text
    assert found["domains.users.routes[0].sweep.entities.id"] == (True, "the id map has no person", "known are user")
