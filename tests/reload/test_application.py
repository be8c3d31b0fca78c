"""A configuration that takes over while exchanges are under way: theirs end under the old one, others begin under the
new one, and no client sees anything of it."""

from __future__ import annotations

import asyncio
import gc
import json
import weakref
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from proxy.ledger.schema import verdicts
from proxy.model import Verdict
from proxy.settings.changes import ReloadRefusedError, fingerprint
from proxy.verify.pulse import Seen
from tests.e2e.backends import backend
from tests.reload.conftest import SLOW, Side, reloading, until

ONE, OTHER = {"a": 1, "b": 1}, {"a": 1, "b": 2}
FORGIVING = {"ignore": ["$.b"]}


async def test_exchanges_end_under_the_rules_that_they_began_under(tmp_path: Path) -> None:
    async with reloading(tmp_path, ONE, OTHER, settle={"attempts": 0}) as at:
        at.primary.let.set()
        under_way = asyncio.create_task(at.fetch(SLOW))
        await at.shadow.waited_for()
        old = at.window()
        await at.reload(settle={"attempts": 0}, compare=FORGIVING)
        assert at.window() != old
        assert (await at.fetch()).endswith(b'{"a": 1, "b": 1}')
        now = await at.counted(1)
        assert now.window is not None
        assert (now.window.id, dict(now.verdicts)) == (at.window(), {Verdict.MATCH: 1})
        line = at.application._line
        assert (line.ending, line.busy_before("things"), line.busy_before("others")) == (1, 1, 0)
        assert "shadowread_queue_depth 1.0" in await at.admin("/metrics"), "also what is under way under old rules"

        at.shadow.let.set()
        assert (await under_way).endswith(b'{"a": 1, "b": 1}')
        await until(lambda: at.application._line.ending == 0)
        await at.application.ledger.flush()
        (finding,) = await at.application.ledger.findings("things", limit=None)
        assert (finding.path, finding.exchanges) == ("$.b", 1), "it was judged by the rules of its own time"
        assert dict((await at.counted(1)).verdicts) == {Verdict.MATCH: 1}, "and counts in the window of its time"


async def test_nothing_is_dropped_and_nothing_goes_uncounted_while_rules_change_under_load(tmp_path: Path) -> None:
    async with reloading(tmp_path, ONE, ONE, settle={"attempts": 0}) as at:
        host, port = at.application.edge.address
        sent = over = 0

        async def client() -> None:
            nonlocal sent
            reader, writer = await asyncio.open_connection(host, port)
            while not over:
                writer.write(b"GET /api/things/1 HTTP/1.1\r\nHost: shop.test\r\n\r\n")
                head = await reader.readuntil(b"\r\n\r\n")
                assert head.startswith(b"HTTP/1.1 200 OK\r\n")
                assert b"connection: close" not in head.lower(), "the connection goes on"
                assert await reader.readexactly(16) == b'{"a": 1, "b": 1}'
                sent += 1
            writer.close()

        async with asyncio.TaskGroup() as clients:
            for _ in range(8):
                clients.create_task(client())
            for number in range(6):
                goal = sent + 20
                await until(lambda: sent > goal)  # noqa: B023 - awaited within the round
                await at.reload(settle={"attempts": 0}, compare={"ignore": [f"$.none{number}"]})
            over = 1
        await until(lambda: at.application._line.under_way == 0)
        windows = await at.application.ledger.windows("things")
        assert len(windows) == 7
        await at.application.ledger.flush()
        text = await at.admin("/metrics")
        lines = [line for line in text.splitlines() if line.startswith("shadowread_exchanges_total{")]
        assert sum(float(line.rsplit(" ", 1)[1]) for line in lines) == sent
        assert "lost" not in "".join(lines)
        assert at.application.in_force.reloads == 6


async def test_what_needs_a_restart_is_named_and_nothing_of_the_file_is_taken(tmp_path: Path) -> None:
    async with reloading(tmp_path, ONE, OTHER) as at:
        before, window = at.application.settings, at.window()
        with pytest.raises(ReloadRefusedError) as refused:
            await at.reload(
                listen="127.0.0.1:1",
                admin={"listen": "127.0.0.1:2", "token": "long and secret"},
                ledger={"url": "sqlite:///other.db", "flush": 1.0},
                compare=FORGIVING,
            )
        keys = [problem.partition(":")[0] for problem in refused.value.problems]
        assert keys == ["listen", "admin.listen", "admin.token", "ledger.url", "ledger.flush"]
        assert "secret" not in str(refused.value)
        assert at.application.settings is before
        assert at.window() == window
        at.application.refused(refused.value.problems)
        told = (await at.admin("/readyz"))["configuration"]
        assert told["fingerprint"] == fingerprint(before)
        assert told["refused"]["problems"] == refused.value.problems
        assert "shadowread_config_refused 1.0" in await at.admin("/metrics")

        await at.reload(compare=FORGIVING)
        told = (await at.admin("/readyz"))["configuration"]
        assert (told["refused"], told["reloads"]) == (None, 1)
        text = await at.admin("/metrics")
        assert "shadowread_config_refused 0.0" in text
        assert "shadowread_config_reloads_total 1.0" in text
        assert f'shadowread_config_info{{fingerprint="{told["fingerprint"]}"}} 1.0' in text


async def test_the_same_again_changes_nothing(tmp_path: Path) -> None:
    async with reloading(tmp_path, ONE, ONE) as at:
        reign = at.application._line.reign
        # The fixture writes the file of ids anew with each call.
        await at.application.reload(at.application.settings.model_copy(deep=True))
        assert at.application._line.reign is reign
        assert at.application.in_force.reloads == 0


async def test_what_stays_the_same_stays_open(tmp_path: Path) -> None:
    async with reloading(tmp_path, ONE, ONE) as at:
        await at.fetch()
        await at.counted(1)
        before = at.application._line.reign.opened
        await at.application.reload(at.application.settings.model_copy(update={"sampling": 0.5}))
        after = at.application._line.reign.opened
        assert after.sides.backend is before.sides.backend
        assert (after.identity is before.identity, after.work is before.work) == (True, True)
        assert at.window() == after.ledger.window("things").id  # type: ignore[union-attr]  # it has one
        held = len(after.lasting.shelf)
        await until(lambda: at.application._line.ending == 0)
        assert len(after.lasting.shelf) == held, "what both need was not closed with the first"
        assert (await at.fetch()).startswith(b"HTTP/1.1 200 OK")


async def test_a_client_is_served_to_the_end_by_the_backend_that_it_began_with(tmp_path: Path) -> None:
    go = asyncio.Event()
    closed = asyncio.Event()

    async def stream(_head: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 10\r\n\r\nfirst")
        await writer.drain()
        await go.wait()
        writer.write(b"later")

    async def tunnel(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n")
        while data := await reader.read(100):
            writer.write(data.upper())
        closed.set()
        writer.close()

    new = Side(OTHER)
    async with (
        backend(stream) as streaming,
        backend(new) as new.url,
        await asyncio.start_server(tunnel, "127.0.0.1", 0) as server,
        reloading(tmp_path, ONE, ONE) as at,
    ):
        one = {"connect_timeout": 0.2, "forwarded": "off"}
        upgrading = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        await at.reload(primary={"url": upgrading, **one})
        host, port = at.application.edge.address
        reader, writer = await asyncio.open_connection(host, port)
        writer.write(b"GET /chat HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n")
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101")

        await at.reload(primary={"url": streaming, **one})
        streamed, sending = await asyncio.open_connection(host, port)
        sending.write(b"GET /long HTTP/1.1\r\nHost: a\r\n\r\n")
        await streamed.readuntil(b"first")

        await at.reload(primary={"url": new.url, **one})
        assert (await at.fetch()).endswith(b'{"a": 1, "b": 2}'), "whoever comes now is served by the new one"
        await until(lambda: at.application._line.ending == 0)
        writer.write(b"still here")
        assert await reader.readexactly(10) == b"STILL HERE"
        go.set()
        assert await streamed.readexactly(5) == b"later"
        held = len(at.application._line.reign.opened.lasting.shelf)
        writer.close()
        sending.close()
        await closed.wait()
        await until(lambda: len(at.application._line.reign.opened.lasting.shelf) <= held - 2)


async def test_too_many_that_cannot_end_lose_the_oldest_and_nobody_waits_for_ever(tmp_path: Path) -> None:
    shadow = {"timeout": 30.0}
    async with reloading(tmp_path, ONE, ONE, drain=0.1) as at:
        at.primary.let.set()
        for number in range(5):
            await at.reload(drain=0.1, shadow={"url": at.shadow.url, **shadow}, compare={"ignore": [f"$.none{number}"]})
            await at.fetch(SLOW)
            await until(lambda: at.shadow.slow > number)  # noqa: B023 - awaited within the round
        assert at.application._line.ending == 3
        assert at.application._line.under_way == 4
        await at.application.ledger.flush()
        assert await at.application.ledger.ask(_lost) == 1


async def _lost(connection: AsyncConnection) -> int:
    """In all windows."""
    asked = select(func.sum(verdicts.c.n)).where(verdicts.c.verdict == Verdict.LOST.value)
    return int((await connection.execute(asked)).scalar() or 0)


async def test_the_watch_of_a_domain_has_no_hole_where_its_rules_stay(tmp_path: Path) -> None:
    domains = {"things": {"routes": ["GET /api/things/{id}"]}, "others": {"routes": ["GET /api/others/{id}"]}}
    async with reloading(tmp_path, ONE, ONE, domains=domains) as at:
        pulse = at.application._pulse
        beat = pulse._beats["things"]
        window = at.window()
        changed = {**domains, "others": {"stage": "off"}, "new": {"routes": ["GET /api/new"]}}
        await at.reload(domains=changed, gate={"max_skip_rate": 0.2})
        assert at.window() == window
        assert list(pulse._beats) == ["things", "new"]
        assert (pulse._beats["things"] is beat, beat.max_skip_rate) == (True, 0.2)
        pulse.beat()
        assert at.application.ledger.window("new") is not None
        await at.reload(domains=domains)
        others = at.application.ledger.window("others")
        assert others is not None
        watch = pulse._beats["others"].pulse(datetime.now(UTC), others, Seen())
        assert watch is not None
        assert watch.why == "the domain was off", "and not that the proxy did not run"


async def test_stage_sampling_redaction_and_settling_take_effect(tmp_path: Path) -> None:
    async with reloading(tmp_path, {"note": "hush", "b": 1}, {"note": "hush", "b": 2}, settle={"attempts": 0}) as at:
        await at.fetch()
        await at.counted(1)
        await at.reload(settle={"attempts": 1, "delay": 0.0}, redact=["$.note"])
        await at.fetch()
        await at.counted(2)
        await at.application.ledger.flush()
        newer, older = await at.application.ledger.traces(domain="things", limit=2)
        traces = [await at.application.ledger.trace(one.id) for one in (older, newer)]
        assert [("hush" in (one.primary_body or ""), len(one.settling)) for one in traces if one] == [
            (True, 0),
            (False, 1),
        ]
        await at.reload(sampling=0.0)
        await at.fetch()
        assert (await at.counted(3)).verdicts[Verdict.NOT_SAMPLED] == 1
        before = weakref.ref(at.application.verifier)
        assert "\nshadowread_share 1.0" in await at.admin("/metrics")
        await at.reload(domains={"things": {"stage": "off", "routes": ["GET /api/things/{id}"]}})
        asked = len(at.shadow.heads)
        await at.fetch()
        assert len(at.shadow.heads) == asked
        assert at.application.verifier is None
        shown = [line.split()[0] for line in (await at.admin("/metrics")).splitlines() if not line.startswith("#")]
        assert [one for one in shown if "_share" in one or "_compare_" in one or "_buffered_" in one] == [
            one for one in shown if "_compare_duration" in one
        ], "what a verifier that is gone has shown"
        await until(lambda: gc.collect() >= 0 and before() is None)
        await at.reload()
        assert "\nshadowread_share 1.0" in await at.admin("/metrics")
        assert (await at.fetch()).startswith(b"HTTP/1.1 200")
        assert (await at.counted(4)).observed == 4


async def test_a_file_of_the_id_map_that_is_changed_is_read_and_a_broken_one_refused(tmp_path: Path) -> None:
    legacy, uuid = "b" * 24, "22222222-2222-4222-8222-222222222222"
    async with reloading(tmp_path, {"id": legacy}, {"id": uuid}, settle={"attempts": 0}) as at:
        await at.fetch()
        assert (await at.counted(1)).verdicts[Verdict.DIFF] == 1
        made = at.application.settings
        file = tmp_path / "ids.json"
        good = file.read_text()
        file.write_text("[{")
        with pytest.raises(ReloadRefusedError, match=r"ids\.json"):
            await at.application.reload(made)
        assert (await at.fetch()).startswith(b"HTTP/1.1 200"), "the one before stays"
        file.write_text(json.dumps([*json.loads(good), {"entity": "thing", "legacy": legacy, "uuid": uuid}]))
        await at.application.reload(made)
        await at.fetch()
        counts = await at.counted(3)
        assert dict(counts.verdicts) == {Verdict.DIFF: 2, Verdict.MATCH: 1}


async def test_the_admin_site_shows_the_new_one_and_keeps_who_listens(tmp_path: Path) -> None:
    async with reloading(tmp_path, ONE, ONE) as at:
        port = at.application.admin.port
        async with at.client.get(f"http://127.0.0.1:{port}/api/v1/events") as events:
            async with asyncio.timeout(10):
                assert b"changed" in await events.content.readuntil(b"event: changed\n")
                await at.reload(
                    domains={"things": {"routes": ["GET /api/things/{id}"]}, "new": {"routes": ["GET /api/new"]}},
                    gate={"min_comparisons": 7},
                )
                while b'"new"' not in await events.content.readline():
                    pass
        names = [one["name"] for one in (await at.admin("/api/v1/domains"))["domains"]]
        assert names == ["things", "new"]
        gate = await at.admin("/api/v1/gates/new")
        assert next(one for one in gate["conditions"] if one["name"] == "comparisons")["limit"] == 7
        assert "new" in await at.admin("/")
        assert 'shadowread_domain_info{domain="new",stage="shadow"} 1.0' in await at.admin("/metrics")


async def test_requests_to_be_replayed_are_still_known(tmp_path: Path) -> None:
    async with reloading(tmp_path, ONE, OTHER, settle={"attempts": 0}) as at:
        await at.fetch()
        await at.counted(1)
        await at.application.ledger.flush()
        (trace,) = await at.application.ledger.traces(domain="things", limit=1)
        await at.reload(settle={"attempts": 0}, compare=FORGIVING)
        replays = at.application._line.reign.replays
        assert replays is not None
        answer = await replays.trace(trace.id)
        assert (answer.answer, "as it came" in answer.text) == ("gone", True)


async def test_what_cannot_be_stopped_is_closed_all_the_same(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with reloading(tmp_path, ONE, ONE) as at:
        before = at.application._line.reign
        closed: list[bool] = []

        async def fault() -> None:
            raise RuntimeError("a fault of ours")

        before._watching.push_async_callback(fault)
        before._stack.callback(closed.append, True)
        await at.reload(compare=FORGIVING)
        await until(lambda: at.application._line.ending == 0)
        assert closed
        assert "end of a configuration failed" in caplog.text


async def test_what_is_over_is_let_go_of(tmp_path: Path) -> None:
    async with reloading(tmp_path, ONE, ONE) as at:
        gone: list[weakref.ref[Any]] = []
        primary = {"url": at.primary.url, "connect_timeout": 0.1}
        for number in range(2):
            await at.reload(primary=primary, compare={"ignore": [f"$.n{number}"]})
            await at.fetch()
            reign = at.application._line.reign
            gone += [weakref.ref(reign), weakref.ref(reign.opened.verifier), weakref.ref(reign.settings)]
            await at.admin("/")
            await until(lambda: at.application._line.ending == 0)
        del reign
        held = len(at.application._line.reign.opened.lasting.shelf)
        await at.reload(primary=primary)
        await until(lambda: at.application._line.ending == 0)
        await until(lambda: len(at.application._line.reign.opened.lasting.shelf) <= held)

        def left() -> list[object]:
            gc.collect()
            return [one() for one in gone if one() is not None]

        await until(lambda: not left())
