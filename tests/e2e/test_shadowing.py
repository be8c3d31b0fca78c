"""Which requests are shadowed, what the shadow is asked, and how differences settle, over real sockets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from proxy.model import Verdict
from tests.e2e.backends import Script, backend, fetch, response, target_of
from tests.e2e.conftest import Proxy, running, settings

ROUTES = ["GET /api/things/{id}", {"route": "POST /api/things/search", "safe": True}]


class Recorded:
    """A backend's script that remembers the request heads it was sent; `answer` may be changed at any time."""

    def __init__(self, answer: bytes) -> None:
        self.answer = answer
        self.heads: list[bytes] = []

    async def __call__(self, head: bytes, writer: asyncio.StreamWriter) -> None:
        if not target_of(head).startswith(b"/api/health"):  # the proxy asks for that by itself
            self.heads.append(head)
        if b"\r\nif-none-match:" in head.lower():
            writer.write(b'HTTP/1.1 304 Not Modified\r\nETag: "1"\r\n\r\n')
        elif head.startswith(b"HEAD "):
            writer.write(self.answer.partition(b"\r\n\r\n")[0] + b"\r\n\r\n")
        else:
            writer.write(self.answer)


@asynccontextmanager
async def pair(folder: Path, primary: Script, shadow: Script, **more: Any) -> AsyncIterator[Proxy]:
    async with backend(primary) as one, backend(shadow) as other:
        more.setdefault("domains", {"things": {"routes": ROUTES}})
        async with running(settings(folder, one, other, **more)) as proxy:
            yield proxy


async def test_the_shadow_is_asked_with_credentials_mark_and_no_conditions(folder: Path) -> None:
    primary, shadow = Recorded(response(b"{}")), Recorded(response(b"{}"))
    async with pair(folder, primary, shadow) as proxy:
        fields = (b"Authorization: Bearer t", b"traceparent: 00-1-2-01", b"Accept-Encoding: gzip")
        await fetch(proxy.url, b"/api/things/1?a=%2F", *fields)
        await proxy.until(lambda c: c.observed == 1)
        (head,) = shadow.heads
        assert head.startswith(b"GET /api/things/1?a=%2F HTTP/1.1\r\n")
        assert b"Authorization: Bearer t\r\n" in head
        assert b"traceparent: 00-1-2-01\r\n" in head
        assert b"Host: shop.test\r\n" in head
        assert b"X-Shadow-Read: 1\r\n" in head
        assert b"gzip" not in head
        assert b"x-shadow-read" not in primary.heads[0].lower()


async def test_a_conditional_request_is_verified_by_reading_both_sides_again(folder: Path) -> None:
    primary, shadow = Recorded(response(b'{"n":1}')), Recorded(response(b'{"n":1}'))
    async with pair(folder, primary, shadow) as proxy:
        answer = await fetch(proxy.url, b"/api/things/1", b'If-None-Match: "1"')
        assert answer.startswith(b"HTTP/1.1 304 ")
        counts = await proxy.until(lambda c: c.observed == 1)
        assert counts.verdicts == {Verdict.MATCH: 1}
        assert b"if-none-match" in primary.heads[0].lower()
        assert b"if-none-match" not in primary.heads[1].lower()
        assert b"X-Shadow-Read: 1" in primary.heads[1]
        assert b"if-none-match" not in shadow.heads[0].lower()


async def test_a_conditional_request_that_is_answered_in_full_needs_no_second_read(folder: Path) -> None:
    primary, shadow = Recorded(response(b'{"n":1}')), Recorded(response(b'{"n":2}'))
    async with pair(folder, primary, shadow, settle={"attempts": 0}) as proxy:
        await fetch(proxy.url, b"/api/things/1", b"If-Modified-Since: Mon, 01 Jan 2024 00:00:00 GMT")
        counts = await proxy.until(lambda c: c.observed == 1)
        assert counts.verdicts == {Verdict.DIFF: 1}
        assert len(primary.heads) == 1


@pytest.mark.parametrize(
    ("fields", "verdict"),
    [
        ((b"Range: bytes=0-1",), Verdict.NOT_COMPARABLE),
        ((b"Accept: text/event-stream",), Verdict.NOT_COMPARABLE),
        ((b"Connection: Upgrade", b"Upgrade: websocket"), Verdict.NOT_COMPARABLE),
    ],
)
async def test_what_cannot_be_compared_is_never_sent_to_the_shadow(
    folder: Path, fields: tuple[bytes, ...], verdict: Verdict
) -> None:
    primary, shadow = Recorded(response(b"{}")), Recorded(response(b"{}"))
    async with pair(folder, primary, shadow) as proxy:
        await fetch(proxy.url, b"/api/things/1", *fields)
        assert (await proxy.until(lambda c: c.observed == 1)).verdicts == {verdict: 1}
        assert shadow.heads == []


async def test_marked_and_unclaimed_requests_pass_through_unobserved(folder: Path) -> None:
    primary, shadow = Recorded(response(b"{}")), Recorded(response(b"{}"))
    async with pair(folder, primary, shadow) as proxy:
        await fetch(proxy.url, b"/api/things/1", b"X-Shadow-Read: 1")
        await fetch(proxy.url, b"/api/else")
        await fetch(proxy.url, b"/api/things/1")
        counts = await proxy.until(lambda c: c.observed == 1 and c.under_way == 0)
        assert counts.verdicts == {Verdict.MATCH: 1}
        assert len(primary.heads) == 3
        assert len(shadow.heads) == 1


async def test_head_is_compared_by_status_and_headers(folder: Path) -> None:
    primary, shadow = Recorded(response(b"{}", b"X-Total-Count: 3")), Recorded(response(b"{}", b"X-Total-Count: 4"))
    async with pair(folder, primary, shadow) as proxy:
        host, port = proxy.url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"HEAD /api/things/1 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert (await reader.read()).endswith(b"\r\n\r\n")
        writer.close()
        assert (await proxy.until(lambda c: c.observed == 1)).verdicts == {Verdict.DIFF: 1}
        (finding,) = await proxy.application.ledger.findings("things", limit=5)
        assert (finding.path, finding.kind) == ("headers.x-total-count", "header")


async def test_a_safe_post_is_repeated_on_the_shadow_with_its_body(folder: Path) -> None:
    bodies: list[bytes] = []

    def echo() -> Any:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            bodies.append(await reader.readexactly(length))
            writer.write(response(b'{"n":1}'))
            await writer.drain()
            writer.close()

        return serve

    one = await asyncio.start_server(echo(), "127.0.0.1", 0)
    other = await asyncio.start_server(echo(), "127.0.0.1", 0)
    urls = [f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}" for server in (one, other)]
    made = settings(folder, urls[0], urls[1], domains={"things": {"routes": ROUTES}})
    async with one, other, running(made) as proxy:
        host, port = proxy.url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"POST /api/things/search HTTP/1.1\r\nHost: x\r\nContent-Length: 7\r\nConnection: close\r\n\r\n")
        writer.write(b'{"q":1}')
        assert (await reader.read()).endswith(b'{"n":1}')
        writer.close()
        assert (await proxy.until(lambda c: c.observed == 1)).verdicts == {Verdict.MATCH: 1}
        assert bodies == [b'{"q":1}', b'{"q":1}']


async def test_a_write_is_passed_through_once(folder: Path) -> None:
    primary, shadow = Recorded(response(b"{}")), Recorded(response(b"{}"))
    async with pair(folder, primary, shadow) as proxy:
        host, port = proxy.url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"DELETE /api/things/1 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert (await reader.read()).startswith(b"HTTP/1.1 200")
        writer.close()
        assert (await proxy.counts()).observed == 0
        assert (len(primary.heads), len(shadow.heads)) == (1, 0)


async def test_a_write_in_flight_settles_as_transient(folder: Path) -> None:
    primary, shadow = Recorded(response(b'{"n":2}')), Recorded(response(b'{"n":1}'))

    async def lagging(head: bytes, writer: asyncio.StreamWriter) -> None:
        await shadow(head, writer)
        if shadow.heads:
            shadow.answer = response(b'{"n":2}')

    async with pair(folder, primary, lagging) as proxy:
        await fetch(proxy.url)
        assert (await proxy.until(lambda c: c.observed == 1)).verdicts == {Verdict.TRANSIENT: 1}
        assert await proxy.application.ledger.findings("things", limit=5) == []


async def test_a_primary_that_never_repeats_itself_is_unstable(folder: Path) -> None:
    seen = 0

    async def restless(_head: bytes, writer: asyncio.StreamWriter) -> None:
        nonlocal seen
        seen += 1
        writer.write(response(b'{"n":%d,"m":1}' % seen))

    async with pair(folder, restless, Recorded(response(b'{"n":0,"m":1}'))) as proxy:
        await fetch(proxy.url)
        assert (await proxy.until(lambda c: c.observed == 1)).verdicts == {Verdict.UNSTABLE: 1}


async def test_a_difference_is_a_finding_with_a_redacted_trace(folder: Path) -> None:
    primary = Recorded(response(b'{"n":1,"password":"hunter2"}', b"Set-Cookie: sid=hunter2"))
    shadow = Recorded(response(b'{"n":2,"password":"hunter2"}'))
    async with pair(folder, primary, shadow, redact=["$..password"]) as proxy:
        await fetch(proxy.url, b"/api/things/1?token=hunter2", b"Authorization: hunter2")
        await proxy.until(lambda c: c.observed == 1)
        ledger = proxy.application.ledger
        (finding,) = await ledger.findings("things", limit=5)
        assert (finding.path, finding.kind, finding.exchanges) == ("$.n", "value_changed", 1)
        trace = await ledger.trace(finding.first_trace or "")
        assert trace is not None
        assert "hunter2" not in repr(trace)
        assert (trace.differences[0].primary, trace.differences[0].shadow) == (1, 2)
        assert len(trace.settling) == 2
        await ledger.flush()
        stored = b"".join(path.read_bytes() for path in (folder / "ledger").iterdir())
        assert b"hunter2" not in stored


async def test_sampling_zero_counts_everything_as_not_sampled(folder: Path) -> None:
    primary, shadow = Recorded(response(b"{}")), Recorded(response(b"{}"))
    async with pair(folder, primary, shadow, sampling=0.0) as proxy:
        await fetch(proxy.url)
        assert (await proxy.until(lambda c: c.observed == 1)).verdicts == {Verdict.NOT_SAMPLED: 1}


async def test_a_body_over_the_limit_streams_through_and_is_counted(folder: Path) -> None:
    large = b'"' + b"x" * 5000 + b'"'
    primary, shadow = Recorded(response(large)), Recorded(response(large))
    async with pair(folder, primary, shadow, limits={"body": 4096}) as proxy:
        assert (await fetch(proxy.url)).endswith(large)
        assert (await proxy.until(lambda c: c.observed == 1)).verdicts == {Verdict.TOO_LARGE: 1}


async def test_large_bodies_are_compared_in_the_worker(folder: Path) -> None:
    body = b'{"data":[' + b",".join(b'{"_id":"%024x","n":%d}' % (n, n) for n in range(2000)) + b"]}"
    twin = body.replace(b'"n":1999', b'"n":7')
    async with pair(folder, Recorded(response(body)), Recorded(response(twin)), compare={"ids": "exact"}) as proxy:
        await fetch(proxy.url)
        assert (await proxy.until(lambda c: c.observed == 1)).verdicts == {Verdict.DIFF: 1}
        (finding,) = await proxy.application.ledger.findings("things", limit=5)
        assert finding.path == "$.data[*].n"


async def test_breaker_opens_and_says_so(folder: Path) -> None:
    primary, shadow = Recorded(response(b"{}")), Recorded(b"\x00\r\n\r\n")
    async with backend(primary) as one, backend(shadow) as other:
        made = settings(folder, one, other, shadow={"url": other, "breaker": {"failures": 2, "open_for": 60}})
        async with running(made) as proxy:
            for number in range(4):
                await fetch(proxy.url)
                await proxy.until(lambda c, n=number: c.observed == n + 1)  # type: ignore[misc]
            counts = await proxy.counts()
            assert counts.verdicts == {Verdict.SHADOW_ERROR: 2, Verdict.BREAKER_OPEN: 2}
            assert len(shadow.heads) == 2


async def test_an_endless_stream_of_events_is_passed_by_and_is_no_failure_of_the_shadow(folder: Path) -> None:
    """Nobody asked for events by name: only the answer tells."""
    ended = asyncio.Event()

    async def endless(_head: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n")
        await writer.drain()
        await ended.wait()

    async with backend(endless) as one, backend(endless) as other:
        made = settings(folder, one, other, shadow={"url": other, "timeout": 300, "breaker": {"failures": 1}})
        async with running(made) as proxy:
            for number in (1, 2):
                host, port = proxy.url.removeprefix("http://").split(":")
                reader, writer = await asyncio.open_connection(host, int(port))
                writer.write(b"GET /api/things/1 HTTP/1.1\r\nHost: x\r\n\r\n")
                assert b"data: 1" in await reader.readuntil(b"data: 1")
                counts = await proxy.until(lambda c, n=number: c.observed == n)  # type: ignore[misc]
                assert counts.verdicts == {Verdict.NOT_COMPARABLE: number}
                writer.close()
        ended.set()


async def test_a_client_that_goes_away_ends_the_shadows_read(folder: Path) -> None:
    asked = asyncio.Event()

    async def silent(_head: bytes, _writer: asyncio.StreamWriter) -> None:
        asked.set()
        await asyncio.Event().wait()

    async with backend(silent) as one, backend(silent) as other:
        made = settings(folder, one, other, shadow={"url": other, "timeout": 300})
        async with running(made) as proxy:
            host, port = proxy.url.removeprefix("http://").split(":")
            _, writer = await asyncio.open_connection(host, int(port))
            writer.write(b"GET /api/things/1 HTTP/1.1\r\nHost: x\r\n\r\n")
            await asyncio.wait_for(asked.wait(), 5)
            writer.transport.abort()
            assert (await proxy.until(lambda c: c.observed == 1)).verdicts == {Verdict.CANCELLED: 1}
