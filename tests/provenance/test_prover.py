"""The background prover: real backends, a real ledger, a shadow that reads Postgres or does not."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from proxy.ledger import Canary, Ledger, standing
from proxy.model import Observation, ReadRequest, Side
from proxy.provenance import Prover
from proxy.provenance import prover as prover_module
from proxy.provenance.documents import MAX_BODY, Documents, fetcher
from proxy.settings import Settings
from proxy.window import Standing
from tests.e2e.backends import Script, backend, response, target_of
from tests.ledger.support import opened
from tests.provenance.support import START, Clock, Shadow, answered, get

MODES = "$.checks.modes"


def says(seen: list[bytes], modes: dict[str, str]) -> Script:
    """A backend's health document; the heads of requests are written down."""

    async def script(head: bytes, writer: asyncio.StreamWriter) -> None:
        seen.append(head)
        body = json.dumps({"version": "1.0", "checks": {"modes": modes}}).encode()
        writer.write(response(body, status=b"200 OK" if target_of(head) == b"/health" else b"404 Not Found"))

    return script


def domain(name: str, **more: Any) -> dict[str, Any]:
    return {
        "routes": [f"GET /api/{name}/{{id}}"],
        "tables": [name],
        "provenance": {
            "primary": {"path": f"{MODES}.{name}", "expect": "mongo"},
            "shadow": {"path": f"{MODES}.{name}", "expect": "pg"},
        },
        **more,
    }


def settings(primary: str, shadow: str, dsn: str = "", sources: Sequence[Any] = (), /, **domains: Any) -> Settings:
    return Settings.model_validate(
        {
            "primary": {"url": primary},
            "shadow": {"url": shadow},
            "postgres": {"dsn": dsn},
            "ids": {"sources": list(sources)},
            "provenance": {"health": "/health", "every": 0.05, "control": 0.5, "reads": 8},
            "domains": domains,
        }
    )


async def until(
    ledger: Ledger, name: str, check: str, condition: Callable[[Standing], bool], seconds: float = 10
) -> Standing:
    """Wait for a standing of the domain's current window that fulfils `condition`."""
    async with asyncio.timeout(seconds):
        while True:
            if (window := ledger.window(name)) is not None:
                for one in await ledger.ask(lambda c, id_=window.id: standing.standings(c, id_)):  # type: ignore[misc]
                    if one.check == check and condition(one):
                        return one
            await asyncio.sleep(0.02)


def now() -> datetime:
    return datetime.now(UTC)


async def test_documents_are_polled_once_for_all_domains_and_windows_follow_them(tmp_path: Path) -> None:
    seen: list[bytes] = []
    modes = {"users": "pg", "holds": "mongo"}
    async with (
        backend(says([], {"users": "mongo", "holds": "mongo"})) as primary,
        backend(says(seen, modes)) as shadow,
        opened(tmp_path / "a.db") as ledger,
    ):
        made = settings(primary, shadow, users=domain("users"), holds=domain("holds"), off=domain("off", stage="off"))
        prover = Prover(made, ledger, None, now)
        await prover.start()
        try:
            users = await until(ledger, "users", "health", lambda one: one.proof == "proven")
            holds = await until(ledger, "holds", "health", lambda one: one.proof == "failed")
            assert holds.text.startswith("both sides read the same store")
            assert (
                users.text
                == 'the primary says "mongo" at $.checks.modes.users; the shadow says "pg" at $.checks.modes.users'
            )
            window = ledger.window("users")
            assert window is not None
            assert window.parts == {"primary": "1.0, mongo", "shadow": "1.0, pg"}
            assert ledger.window("off") is None
            asked = len(seen)
            assert b"X-Shadow-Read: 1" in seen[0]
            await until(ledger, "users", "scans", lambda one: one.proof == "unknown")

            modes["users"] = "mongo"
            again = await until(ledger, "users", "health", lambda one: one.proof == "failed")
            assert again.text.startswith("both sides read the same store")
            later = ledger.window("users")
            assert later is not None
            assert later.id != window.id
            assert "shadow" in later.why
            assert len(seen) > asked
        finally:
            await prover.stop()


async def test_a_shadow_that_dies_is_unknown_and_its_part_stays(tmp_path: Path) -> None:
    async with opened(tmp_path / "a.db") as ledger, backend(says([], {"users": "mongo"})) as primary:
        async with AsyncExitStack() as stack:
            shadow = await stack.enter_async_context(backend(says([], {"users": "pg"})))
            prover = Prover(settings(primary, shadow, users=domain("users")), ledger, None, now)
            await prover.start()
            await until(ledger, "users", "health", lambda one: one.proof == "proven")
            before = ledger.window("users")
        gone = await until(ledger, "users", "health", lambda one: one.proof == "unknown")
        await prover.stop()
        assert gone.text.startswith("the shadow cannot be asked since 20")
        assert ledger.window("users") == before


async def test_documents_that_are_no_documents_say_so() -> None:
    async def look(answer: bytes) -> str:
        async def script(_head: bytes, writer: asyncio.StreamWriter) -> None:
            writer.write(answer)

        async with backend(script) as url, AsyncExitStack() as stack:
            made = settings(url, "", users=domain("users"))
            [account] = await Documents(made, fetcher(made, stack), now).look()
            assert account.primary.answer is not None
            return account.primary.answer.problem

    assert await look(response(b"{}", status=b"503 Service Unavailable")) == ""
    assert await look(response(b"{}", status=b"404 Not Found")) == "its health document answers 404"
    assert "is not JSON" in await look(response(b"<html>"))
    assert "no object" in await look(response(b"3"))
    assert "too_large" in await look(response(b" " * (MAX_BODY + 1) + b"{}"))


async def test_a_document_that_loses_its_version_is_no_other_build() -> None:
    bodies = [b'{"version": 7, "checks": {"modes": {"users": "pg"}}}', b'{"checks": {"modes": {"users": "pg"}}}']

    async def fetch(_side: Side, _path: str) -> Observation:
        return answered(body=bodies[0])

    clock = Clock()
    documents = Documents(settings("http://127.0.0.1:1", "", users=domain("users")), fetch, clock.now)
    [first] = await documents.look()
    assert first.primary.version == "7"
    del bodies[0]
    [second] = await documents.look()
    assert second.primary.answer is not None
    assert second.primary.answer.problem == "/health names no version any more at $.version"
    assert second.primary.answer.since == START


@pytest.mark.slow
async def test_postgres_is_asked_when_a_window_begins(tmp_path: Path, pg_database: str) -> None:
    pool = await asyncpg.create_pool(pg_database, min_size=1, max_size=2)
    await pool.execute(
        """CREATE TABLE users (id int PRIMARY KEY); INSERT INTO users SELECT generate_series(1, 10);
        CREATE TABLE posts (id int PRIMARY KEY)"""
    )

    async def answer(request: ReadRequest) -> Observation:
        if "users" in request.target:
            await pool.fetchval("SELECT id FROM users WHERE id = 1")
        return answered()

    class Shadows(Shadow):
        ready = False

        def recent(self, domain: str) -> list[ReadRequest]:
            return [get(f"/api/{domain}/1")] if self.ready else []

    reads = Shadows(answer)
    fetch = fetching(mode="pg")
    async with opened(tmp_path / "a.db") as ledger:
        made = settings("http://127.0.0.1:1", "http://127.0.0.1:2", pg_database, users=domain("users"))
        prover = Prover(made, ledger, reads, now, fetch=fetch)
        await prover.start()
        try:
            waiting = await until(ledger, "users", "scans", lambda one: one.proof == "unknown")
            assert waiting.text.startswith("not looked at yet")
            reads.ready = True
            proven = await until(ledger, "users", "scans", lambda one: one.proof == "proven", seconds=60)
            assert proven.text.startswith("Postgres saw ")
            assert reads.pauses == 1
            ledger.restart("users", "by hand", now())
            async with asyncio.timeout(10):
                while reads.pauses == 1:  # noqa: ASYNC110 - nobody tells
                    await asyncio.sleep(0.01)
        finally:
            await prover.stop()
            await pool.close()


def fetching(mode: str) -> Callable[[Side, str], Awaitable[Observation]]:
    async def fetch(side: Side, _path: str) -> Observation:
        body = {"checks": {"modes": {"users": mode if side is Side.SHADOW else "mongo"}}}
        return answered(body=json.dumps(body).encode())

    return fetch


async def test_the_process_before_has_looked_and_that_still_counts(tmp_path: Path) -> None:
    """A restart in the same window does not overwrite what was proven with what is not known yet."""
    said = Standing("users", "scans", "proven", "Postgres saw it", START)
    made = settings("http://127.0.0.1:1", "http://127.0.0.1:2", "postgresql://127.0.0.1:1/x", users=domain("users"))
    async with opened(tmp_path / "a.db") as ledger:
        window = ledger.enter("users", {"rules": "r"}, START)
        await ledger.write(lambda c: standing.keep(c, window.id, said))
        prover = Prover(made, ledger, Shadow(fetching_nothing), now, fetch=fetching("pg"))
        await prover.start()
        await until(ledger, "users", "health", lambda one: one.proof == "proven")
        await prover.stop()
        assert said in await ledger.ask(lambda c: standing.standings(c, window.id))


async def fetching_nothing(_request: ReadRequest) -> Observation:
    return answered(404)


async def fetching_all(_request: ReadRequest) -> Observation:
    return answered()


async def test_tables_of_the_id_map_are_looked_at_while_nothing_is_compared(tmp_path: Path, pg_database: str) -> None:
    connection = await asyncpg.connect(pg_database)
    await connection.execute("CREATE TABLE users (id int); CREATE TABLE own (id int)")
    await connection.close()
    paused: dict[str, set[str]] = {}

    class Watched(Shadow):
        async def shadow_read(self, domain: str, request: ReadRequest) -> Observation:
            paused.setdefault(domain, set(self.paused))
            return await super().shadow_read(domain, request)

    reads = Watched(fetching_all, [get("/api/users/1")])
    source = {"table": "public.users", "entity_name": "user", "legacy": "legacy", "uuid": "id"}
    made = settings(
        "http://127.0.0.1:1", "http://127.0.0.1:2", pg_database, [source], users=domain("users"), own=domain("own")
    )
    async with opened(tmp_path / "a.db") as ledger:
        for name in ("users", "own"):
            ledger.enter(name, {"rules": "r"}, START)
        prover = Prover(made, ledger, reads, now, fetch=fetching("pg"))
        await prover.start()
        async with asyncio.timeout(10):
            while "users" not in paused:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.01)
        await prover.stop()
    assert paused["users"] == {"users", "own"}
    assert not reads.paused


async def test_a_canary_that_is_left_while_the_proxy_runs_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(prover_module, "KEEP_SECONDS", 0.02)
    left = Canary("1", "users", "t", "id", "7", "bio", None, "mark", "marked", "", START, START, "elsewhere", 1, 2)
    async with opened(tmp_path / "a.db") as ledger:
        ledger.enter("users", {"rules": "r"}, START)
        made = settings("http://127.0.0.1:1", "http://127.0.0.1:2", users=domain("users"))
        prover = Prover(made, ledger, None, now, fetch=fetching("pg"))
        await prover.start()
        await until(ledger, "users", "health", lambda one: one.proof == "proven")
        await ledger.write(lambda c: standing.plan_canary(c, left))
        async with asyncio.timeout(10):
            while "a canary may still be in t.bio" not in caplog.text:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.01)
        await prover.stop()
