"""What a primary is sent with spans and without: the trace context changes, and not one other byte."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from proxy.telemetry.context import parse
from tests.e2e.backends import backend
from tests.e2e.conftest import running, settings
from tests.e2e.test_shadowing import Recorded
from tests.telemetry.receiver import Receiver, telling, variables
from tests.telemetry.test_trace import EQUAL, SAMPLED, STATE

PARENT = SAMPLED.partition(b": ")[2]
ROUTES = ["GET /api/things/{id}", {"route": "POST /api/things/search", "safe": True}]
GET, POST = b"GET /api/things/1?a=%20b HTTP/1.1", b"POST /api/things/search HTTP/1.1"
OTHER = b"00-" + b"1" * 32 + b"-" + b"2" * 16 + b"-01"
BODY = [b"Content-Type: application/json", b"Content-Length: 2"]
UPGRADE = [b"Connection: Upgrade", b"Upgrade: websocket", b"Sec-WebSocket-Version: 13", b"Sec-WebSocket-Key: x3JJ"]
CASES: dict[str, tuple[bytes, list[bytes], list[bytes] | None]] = {
    # Request line, fields, and what they are for the primary when sampled: None where they stay as they came.
    "none": (GET, [b"X-A: 1", b"x-a: 2"], [b"X-A: 1", b"x-a: 2", b"traceparent: *"]),
    "one": (
        GET,
        [b"X-A: 1", b"TraceParent: " + PARENT, STATE, b"B: 2"],
        [b"X-A: 1", b"TraceParent: *", STATE, b"B: 2"],
    ),
    "malformed": (GET, [b"traceparent: 00-zz", STATE, b"B: 2"], [b"traceparent: *", b"B: 2"]),
    "two": (GET, [b"traceparent: " + PARENT, b"B: 2", b"Traceparent: " + OTHER], [b"traceparent: *", b"B: 2"]),
    "state alone": (GET, [STATE, b"B: 2"], [b"B: 2", b"traceparent: *"]),
    "old": (GET[:-1] + b"0", [b"X-A: 1"], [b"X-A: 1", b"traceparent: *"]),
    "safe": (POST, [*BODY, b"X-A: 1"], [*BODY, b"X-A: 1", b"traceparent: *"]),
    "unclaimed": (b"GET /api/others HTTP/1.1", [b"traceparent: " + PARENT, STATE], None),
    "a write": (b"PUT /api/things/1 HTTP/1.1", [*BODY, b"traceparent: 00-zz", STATE], None),
    "an upgrade": (GET, [*UPGRADE, b"traceparent: " + PARENT, STATE], None),
    "a range": (GET, [b"Range: bytes=0-1", b"traceparent: " + PARENT, b"traceparent: " + OTHER, STATE], None),
    "a mark": (GET, [b"X-Shadow-Read: 1", b"traceparent: " + PARENT, STATE], None),
}


class Reading(Recorded):
    """Of a request with a body only the head is told; the body is passed over with the next one."""

    async def __call__(self, head: bytes, writer: asyncio.StreamWriter) -> None:
        await super().__call__(head.removeprefix(b"{}"), writer)


async def asked(url: str, line: bytes, fields: list[bytes]) -> None:
    host, port = url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    body = b"{}" if b"Content-Length: 2" in fields else b""
    writer.write(b"\r\n".join([line, b"Host: shop.test", *fields]) + b"\r\n\r\n" + body)
    await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
    writer.close()


async def test_only_the_context_changes(folder: Path, receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    primary, shadow = Reading(EQUAL), Recorded(EQUAL)
    async with backend(primary) as one, backend(shadow) as other:
        made = settings(folder, one, other, domains={"things": {"routes": ROUTES}})
        async with running(made) as proxy:
            for line, fields, _ in CASES.values():
                await asked(proxy.url, line, fields)
        plain, primary.heads = primary.heads, []
        for name, value in variables(receiver.url):
            monkeypatch.setenv(name, value)
        async with telling(made) as proxy:
            for line, fields, _ in CASES.values():
                await asked(proxy.url, line, fields)
        traced = primary.heads
    assert len(plain) == len(traced) == len(CASES)
    for name, before, after in zip(CASES, plain, traced, strict=True):
        line, fields, sampled = CASES[name]
        expected = head(line, fields)
        assert before == expected, f"{name}: without telemetry nothing changes"
        contexts = [value[13:] for value in after.split(b"\r\n") if value[:13].lower() == b"traceparent: "]
        if sampled is None:
            assert after == expected, name
            continue
        (context,) = contexts
        found = parse(context)
        assert found is not None, name
        assert found.sampled, name
        assert (found.trace_id.encode() in PARENT) == (name == "one"), name
        assert after.replace(context, b"*") == head(line, sampled), name


def head(line: bytes, fields: list[bytes]) -> bytes:
    return b"\r\n".join([line.replace(b"1.0", b"1.1"), b"Host: shop.test", *fields]) + b"\r\n\r\n"
