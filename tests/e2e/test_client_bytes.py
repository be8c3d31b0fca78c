"""The client's bytes are the same whatever happens behind them, and the verdict says what happened."""

from __future__ import annotations

import asyncio
import shutil
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from proxy.model import Verdict
from tests.e2e.backends import Script, answering, backend, fetch, response
from tests.e2e.conftest import running, settings

BODY = b'{"data":{"_id":"aaaaaaaaaaaaaaaaaaaaaaaa","n":1,"note":"caf\xc3\xa9"}}'
TWIN = BODY.replace(b"a" * 24, b"11111111-1111-4111-8111-111111111111")
PRIMARY = response(BODY, b"X-Twice: 1", b"x-twice: 2", b"Set-Cookie: a=b")


def closed_port() -> str:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{held.getsockname()[1]}"


@pytest.fixture
async def primary() -> AsyncIterator[str]:
    async with backend(answering(PRIMARY)) as url:
        yield url


@pytest.fixture
async def plain(primary: str, folder: Path) -> bytes:
    """What a client gets when nothing is verified at all."""
    async with running(settings(folder, primary, None)) as proxy:
        return await fetch(proxy.url)


async def test_without_verification_the_answer_is_the_primarys(plain: bytes) -> None:
    head, _, body = plain.partition(b"\r\n\r\n")
    own = PRIMARY.partition(b"\r\n\r\n")[0].split(b"\r\n")
    assert [line for line in head.split(b"\r\n") if line.lower() != b"connection: close"] == own
    assert body == BODY


async def _hang(_head: bytes, _writer: asyncio.StreamWriter) -> None:
    await asyncio.Event().wait()


async def _reset(_head: bytes, writer: asyncio.StreamWriter) -> None:
    writer.write(PRIMARY[: len(PRIMARY) // 2])
    await writer.drain()
    writer.transport.abort()


SHADOWS: list[tuple[str, Script, Verdict]] = [
    ("equal", answering(response(TWIN)), Verdict.MATCH),
    ("another value", answering(response(TWIN.replace(b'"n":1', b'"n":2'))), Verdict.DIFF),
    ("another status", answering(response(TWIN, status=b"404 Not Found")), Verdict.DIFF),
    ("not JSON", answering(response(b"<html>")), Verdict.DIFF),
    ("failing", answering(response(b"{}", status=b"500 Oops")), Verdict.SHADOW_ERROR),
    ("garbage", answering(b"\x00\xff\r\n\r\nwhat"), Verdict.SHADOW_ERROR),
    ("reset in the body", _reset, Verdict.SHADOW_ERROR),
    ("hanging", _hang, Verdict.SHADOW_ERROR),
]


@pytest.mark.parametrize(("script", "verdict"), [s[1:] for s in SHADOWS], ids=[s[0] for s in SHADOWS])
async def test_whatever_the_shadow_answers(
    primary: str, plain: bytes, folder: Path, script: Script, verdict: Verdict
) -> None:
    async with backend(script) as shadow, running(settings(folder, primary, shadow)) as proxy:
        assert await fetch(proxy.url) == plain
        counts = await proxy.until(lambda c: c.observed == 1)
        assert counts.verdicts == {verdict: 1}


async def test_the_client_has_its_answer_while_the_shadow_still_thinks(
    primary: str, plain: bytes, folder: Path
) -> None:
    asked, released = asyncio.Event(), asyncio.Event()

    async def slow(_head: bytes, writer: asyncio.StreamWriter) -> None:
        asked.set()
        await released.wait()
        writer.write(response(TWIN))

    async with backend(slow) as shadow, running(settings(folder, primary, shadow)) as proxy:
        assert await fetch(proxy.url) == plain
        await asyncio.wait_for(asked.wait(), 5)
        assert (await proxy.counts()).under_way == 1
        released.set()
        assert (await proxy.until(lambda c: c.observed == 1)).verdicts == {Verdict.MATCH: 1}


async def test_shadow_down(primary: str, plain: bytes, folder: Path) -> None:
    async with running(settings(folder, primary, closed_port())) as proxy:
        assert await fetch(proxy.url) == plain
        assert (await proxy.until(lambda c: c.observed == 1)).verdicts == {Verdict.SHADOW_ERROR: 1}


async def test_postgres_with_the_id_map_gone(primary: str, plain: bytes, folder: Path) -> None:
    dsn = closed_port().replace("http", "postgresql") + "/nowhere"
    tables: dict[str, Any] = {
        "postgres": {"dsn": dsn},
        "ids": {"sources": [{"table": "id_map", "entity": "entity", "legacy": "legacy_id", "uuid": "new_id"}]},
    }
    async with (
        backend(answering(response(TWIN))) as shadow,
        running(settings(folder, primary, shadow, **tables)) as proxy,
    ):
        assert await fetch(proxy.url) == plain
        counts = await proxy.until(lambda c: c.observed == 1)
        assert counts.verdicts == {Verdict.SHADOW_ERROR: 1}, "ids that cannot be asked for are never taken for equal"


async def test_an_id_in_a_field_that_is_not_compared_is_not_asked_for(folder: Path) -> None:
    answer = response(b'{"n":1}', b"X-Request-Id: 22222222-2222-4222-8222-222222222222")
    tables: dict[str, Any] = {
        "postgres": {"dsn": closed_port().replace("http", "postgresql") + "/nowhere"},
        "ids": {"sources": [{"table": "id_map", "entity": "entity", "legacy": "legacy_id", "uuid": "new_id"}]},
    }
    async with backend(answering(answer)) as url, running(settings(folder, url, url, **tables)) as proxy:
        await fetch(proxy.url)
        assert (await proxy.until(lambda c: c.observed == 1)).verdicts == {Verdict.MATCH: 1}


async def test_ledger_gone(primary: str, plain: bytes, folder: Path) -> None:
    async with AsyncExitStack() as stack:
        shadow = await stack.enter_async_context(backend(answering(response(TWIN))))
        proxy = await stack.enter_async_context(running(settings(folder, primary, shadow)))
        shutil.rmtree(folder / "ledger")
        (folder / "ledger").write_text("not a folder")
        assert await fetch(proxy.url) == plain
        await proxy.application.ledger.flush()
        assert not proxy.application.ledger.recording.ok
        assert await fetch(proxy.url) == plain
        counts = await proxy.until(lambda c: c.observed == 2)
        assert counts.verdicts == {Verdict.MATCH: 2}, "what cannot be written is still counted"


async def test_verification_that_raises(
    primary: str, plain: bytes, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_args: object, **_kwargs: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr("proxy.verify.work.compare_responses", broken)
    async with backend(answering(response(TWIN))) as shadow, running(settings(folder, primary, shadow)) as proxy:
        assert await fetch(proxy.url) == plain
        assert (await proxy.until(lambda c: c.observed == 1)).verdicts == {Verdict.LOST: 1}


async def test_a_tap_that_cannot_be_opened_is_counted_where_it_is_seen(
    primary: str, plain: bytes, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_args: object, **_kwargs: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr("proxy.settings.routes.Router.match", broken)
    async with backend(answering(response(TWIN))) as shadow, running(settings(folder, primary, shadow)) as proxy:
        assert await fetch(proxy.url) == plain
        shown = await fetch(f"http://127.0.0.1:{proxy.application.admin.port}", b"/metrics", authority=b"127.0.0.1")
        assert b"shadowread_edge_tap_faults_total 1.0" in shown
        assert b"shadowread_ledger_dropped_traces_total 0.0" in shown
        assert b"shadowread_ledger_misused_total 0.0" in shown
