"""`shadowread prove` against real backends and a real Postgres: proven, disproven, hidden, canaries, repair."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from proxy.cli.proving import Proved, Sensitivity
from proxy.ledger import Canary, LedgerReader, examined, standing
from proxy.window import Proof, Standing, Window
from tests.e2e.backends import Script, backend, response, target_of
from tests.ledger.support import opened

IDS = [{"entity": "user", "legacy": f"{n:024x}", "uuid": f"00000000-0000-4000-8000-{n:012x}"} for n in range(1, 6)]
SCHEMA = "CREATE TABLE users (id uuid PRIMARY KEY, legacy text, name text, bio text, age int)"
CONFIG = """
listen: 127.0.0.1:0
primary: {{url: {primary}}}
shadow: {{url: {shadow}}}
postgres: {{dsn: "{dsn}"}}
ids: {{sources: [{{file: ids.json}}]}}
ledger: {{url: "sqlite:///{ledger}"}}
provenance: {{reads: 12, control: 1s, canary_dsn: "{dsn}"}}
domains:
  users:
    tables: [users]
    provenance:
      primary: {{path: $.store, expect: mongo}}
      shadow: {{path: $.store, expect: pg}}
      scans: {scans}
      canary: {{table: users, key: id, column: bio, entity: user}}
    compare: {{ignore: [{ignore}]}}
    routes:
      - {{route: "GET /api/users/{{id}}", sweep: {{entities: {{id: user}}}}}}
"""
USER = {"name": "Ann", "bio": "likes tea", "age": 40}


@dataclass(frozen=True)
class Shop:
    """A shop on two stores. `run` runs a command on its configuration."""

    folder: Path
    people: asyncpg.Pool[asyncpg.Record]
    hanging: asyncio.Event

    async def start(self, *arguments: str) -> asyncio.subprocess.Process:
        line = [sys.executable, "-m", "proxy.cli", *arguments, "-c", str(self.folder / "shop.yaml")]
        pipe = asyncio.subprocess.PIPE
        return await asyncio.create_subprocess_exec(*line, stdin=asyncio.subprocess.DEVNULL, stdout=pipe, stderr=pipe)

    async def run(self, *arguments: str) -> tuple[int, dict[str, Any], str]:
        process = await self.start(*arguments)
        out, err = await process.communicate()
        assert process.returncode is not None
        return process.returncode, json.loads(out) if out.startswith(b"{") else {}, (out + err).decode()

    async def bios(self) -> set[str]:
        return {row["bio"] for row in await self.people.fetch("SELECT bio FROM users")}


def checks(content: dict[str, Any]) -> dict[str, tuple[str, str]]:
    return {one["check"]: (one["proof"], one["text"]) for one in content["checks"]}


def backend_of(store: str, read: Callable[[str], Any]) -> Script:
    async def script(head: bytes, writer: asyncio.StreamWriter) -> None:
        target = target_of(head).decode()
        if target == "/api/health":
            writer.write(response(json.dumps({"version": "2", "store": store}).encode()))
            return
        body = await read(target.rpartition("/")[2])
        status = b"404 Not Found" if body is None else b"200 OK"
        writer.write(response(json.dumps({"data": body}).encode(), status=status))

    return script


@asynccontextmanager
async def shop(
    folder: Path,
    dsn: str,
    *,
    shadow_reads: str = "pg",
    ignore: str = "",
    scans: str = "true",
    hang_on: str | None = None,
) -> AsyncIterator[Shop]:
    people, hanging = await asyncpg.create_pool(dsn, min_size=1, max_size=4), asyncio.Event()
    await people.execute(SCHEMA)
    await people.executemany(
        "INSERT INTO users VALUES ($1, $2, 'Ann', 'likes tea', 40)", [(one["uuid"], one["legacy"]) for one in IDS]
    )
    (folder / "ids.json").write_text(json.dumps(IDS))

    async def of_mongo(id_: str) -> dict[str, Any] | None:
        return {"id": id_, **USER} if any(id_ == one["legacy"] for one in IDS) else None

    async def of_postgres(id_: str) -> dict[str, Any] | None:
        row = await people.fetchrow("SELECT legacy AS id, name, bio, age FROM users WHERE legacy = $1", id_)
        if row and hang_on is not None and hang_on in row["bio"]:
            hanging.set()
            await asyncio.Event().wait()
        return dict(row) if row else None

    reads = of_postgres if shadow_reads == "pg" else of_mongo
    async with (
        backend(backend_of("mongo", of_mongo)) as primary,
        backend(backend_of(shadow_reads, reads)) as shadow,
    ):
        text = CONFIG.format(
            primary=primary, shadow=shadow, dsn=dsn, ledger=folder / "ledger.db", ignore=ignore, scans=scans
        )
        (folder / "shop.yaml").write_text(text)
        try:
            yield Shop(folder, people, hanging)
        finally:
            await people.close()


@pytest.mark.slow
async def test_a_shadow_on_postgres_is_proven_and_what_was_found_is_kept(tmp_path: Path, pg_database: str) -> None:
    async with shop(tmp_path, pg_database) as made:
        code, content, text = await made.run("prove", "users", "--canary", "--json")
        assert code == 0, text
        found = checks(content)
        assert found["health"] == ("proven", 'the primary says "mongo" at $.store; the shadow says "pg" at $.store')
        assert found["scans"][1].startswith("Postgres saw ")
        assert found["canary"][1].endswith("showed in the shadow's answer at $.data.bio")
        assert content["canary"]["restored"] == "users.bio has its value again"
        assert await made.bios() == {"likes tea"}
        sensitivity = content["sensitivity"]
        assert sensitivity["pairs"] == 5
        assert sensitivity["seen"] == sensitivity["tried"] > 20
        assert content["window"]["parts"]["shadow"] == "2, pg"

        ledger = await LedgerReader.open(f"sqlite:///{tmp_path / 'ledger.db'}")
        window = content["window"]["id"]
        kept = await ledger.ask(lambda c: standing.standings(c, window))
        assert {(one.check, one.proof) for one in kept} == {
            (check, "proven") for check in ("health", "scans", "canary")
        }
        damages = await ledger.ask(lambda c: examined.damages(c, window))
        assert sum(one.tried for one in damages) == sensitivity["tried"]
        # Nothing that was read on purpose is a verdict.
        assert all(counts.observed == 0 for counts in (await ledger.domains()).values())
        await ledger.close()


@pytest.mark.slow
async def test_a_shadow_on_the_same_store_is_disproven_three_times(tmp_path: Path, pg_database: str) -> None:
    async with shop(tmp_path, pg_database, shadow_reads="mongo") as made:
        code, content, text = await made.run("prove", "users", "--canary", "--json")
        assert code == 1, text
        found = checks(content)
        assert found["health"][1].startswith("both sides read the same store: ")
        assert "left no trace in users: it may not read Postgres" in found["scans"][1]
        assert "did not show in the shadow's answer" in found["canary"][1]
        assert {proof for proof, _ in found.values()} == {"failed"}
        assert await made.bios() == {"likes tea"}


@pytest.mark.slow
async def test_a_rule_that_hides_a_field_is_named(tmp_path: Path, pg_database: str) -> None:
    async with shop(tmp_path, pg_database, ignore='"$..bio"', scans="false") as made:
        code, content, text = await made.run("prove", "users", "--canary", "--json")
        assert code == 1, text
        assert checks(content)["canary"][1].endswith("but the rules hide it there")
        hidden = {(one["path"], one["rule"]) for one in content["sensitivity"]["unseen"]}
        assert hidden == {("$.data.bio", "ignore $..bio")}
        _, _, shown = await made.run("prove", "users", "--target", f"/api/users/{IDS[0]['legacy']}")
        assert "ignore $..bio" in shown
        assert pg_database.partition("://")[2].partition("@")[0].partition(":")[2] not in text + shown


@pytest.mark.parametrize(
    ("asked", "proofs", "code"),
    [
        (("health",), ("proven", "unknown"), 0),
        (("health", "scans"), ("proven", "unknown"), 2),
        (("health",), ("proven", "failed"), 1),
        ((), ("proven", "unknown"), 2),
        ((), ("proven", "proven"), 0),
    ],
)
def test_nothing_asked_for_is_not_all_proven(asked: tuple[str, ...], proofs: tuple[Proof, Proof], code: int) -> None:
    now = datetime.now(UTC)
    standings = (Standing("d", "health", proofs[0], "", now), Standing("d", "scans", proofs[1], "", now))
    proved = Proved(Window("w", "d", {}, now, ""), asked, standings, Sensitivity(0, 0, (), ()), None)
    assert proved.exit_code == code


@pytest.mark.slow
async def test_a_command_that_is_asked_to_end_takes_its_mark_back_first(tmp_path: Path, pg_database: str) -> None:
    async with shop(tmp_path, pg_database, scans="false", hang_on="canary") as made:
        process = await made.start("prove", "users", "--canary", "--target", f"/api/users/{IDS[3]['legacy']}")
        async with asyncio.timeout(40):
            await made.hanging.wait()
        assert any("canary" in bio for bio in await made.bios())
        process.terminate()
        out, err = await process.communicate()
        assert (process.returncode, b"Traceback" in out + err) == (143, False), err
        assert await made.bios() == {"likes tea"}


@pytest.mark.slow
async def test_a_mark_outlives_a_kill_and_is_put_back_by_restore(tmp_path: Path, pg_database: str) -> None:
    """The shadow hangs on the answer that bears the mark; the command is killed there and then."""
    async with shop(tmp_path, pg_database, scans="false", hang_on="canary") as made:
        target = f"/api/users/{IDS[3]['legacy']}"
        process = await made.start("prove", "users", "--canary", "--target", target)
        async with asyncio.timeout(40):
            await made.hanging.wait()
        process.kill()
        await process.wait()
        assert any("canary" in bio for bio in await made.bios())
        made.hanging.clear()
        code, _, text = await made.run("prove", "users", "--restore")
        assert (code, "users.bio has its value again" in text) == (0, True), text
        assert await made.bios() == {"likes tea"}


async def test_a_canary_of_a_crash_is_put_back_by_restore(tmp_path: Path, pg_database: str) -> None:
    async with shop(tmp_path, pg_database) as made:
        long_ago = datetime.now(UTC) - timedelta(hours=1)
        row = IDS[2]["uuid"]
        left = Canary(
            "c", "users", "users", "id", row, "bio", "likes tea", "MARK", "marked", "", long_ago, long_ago, "gone", 1, 1
        )
        await made.people.execute("UPDATE users SET bio = 'MARK' WHERE id = $1", row)
        async with opened(tmp_path / "ledger.db") as ledger:
            await ledger.write(lambda c: standing.plan_canary(c, left))
        code, _, text = await made.run("prove", "users", "--restore")
        assert (code, "users.bio has its value again" in text) == (0, True), text
        assert await made.bios() == {"likes tea"}
        code, _, text = await made.run("prove", "users", "--restore")
        assert (code, "no canary was left behind" in text) == (0, True)


async def test_what_cannot_be_proved_says_why(tmp_path: Path, pg_database: str) -> None:
    wrong = {
        ("nobody",): "nobody is no domain; there are users",
        ("users", "--target", "/elsewhere?token=secret"): "--target /elsewhere: no GET route of users claims it",
        ("users", "--restore", "--canary"): "--restore proves nothing",
    }
    async with shop(tmp_path, pg_database) as made:
        for (code, _, text), why in zip(
            await asyncio.gather(*(made.run("prove", *arguments) for arguments in wrong)), wrong.values(), strict=True
        ):
            assert code == 2
            assert why in text
            assert "Traceback" not in text
            assert "secret" not in text
