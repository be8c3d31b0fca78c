"""Requests that no browser and no program of ours sends, over a real socket."""

from __future__ import annotations

import asyncio

import pytest

from tests.admin.conftest import TOKEN, Site

BEARER = f"Authorization: Bearer {TOKEN}\r\n".encode()
FORM = b"POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded"
JSON = b"POST /api/v1/findings/x/revoke HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n" + BEARER
PAGE = b" HTTP/1.1\r\nHost: localhost\r\nAccept: text/html\r\nConnection: close\r\n"


async def send(site: Site, data: bytes) -> tuple[int, str]:
    """Status and head of the first answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", site.site.port)
    writer.write(data)
    async with asyncio.timeout(10):
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    writer.close()
    return int(head.split()[1]), head


ODD = (
    (FORM + b"; charset=nope\r\nContent-Length: 3\r\n\r\na=b", 400),
    (FORM + b"; charset=hex\r\nContent-Length: 3\r\n\r\na=b", 400),
    (FORM + b"\r\nContent-Length: 3\r\n\r\na=\xff", 400),
    (FORM + b"\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\n\x1f\x8b\xff", 400),
    (FORM + b"\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n\r\n", 400),
    (FORM + b"\r\nContent-Length: 8000\r\n\r\n" + b"a=b&" * 2_000, 413),
    (JSON + b"Content-Encoding: gzip\r\nContent-Length: 3\r\n\r\n{} ", 404),
    (JSON + b"Content-Encoding: gzip\r\nContent-Length: 3\r\n\r\n\x1f\x8b\xff", 400),
    (JSON + b"Content-Length: 2000\r\n\r\n" + b"[" * 2_000, 400),
    (b"GET /healthz HTTP/1.0\r\n\r\n", 421),
    (b"GET /findings HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n" + BEARER + b"\r\n", 400),
    (b"OPTIONS * HTTP/1.1\r\nHost: localhost\r\n" + BEARER + b"\r\n", 404),
    (b"GET /findings/%00" + PAGE + BEARER + b"\r\n", 404),
    (b"GET /findings?q=%ed%a0%80%00&route=%ff" + PAGE + BEARER + b"\r\n", 200),
    (b"GET /findings" + PAGE + b'Cookie: shadowread_session=\xff"; \x80=;;=\r\n\r\n', 303),
)
"""Each with the status that it is answered with."""
ASTRAY = ("http://evil.example//evil.example/x", "//evil.example/", "/\\evil.example")


async def test_nothing_odd_is_a_fault_of_ours(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    for data, status in ODD:
        assert (await send(site, data))[0] == status, data
        assert "Traceback" not in caplog.text, data


async def test_an_odd_target_leads_nowhere_else(site: Site) -> None:
    for target in ASTRAY:
        status, head = await send(site, b"GET " + target.encode() + PAGE + b"\r\n")
        assert (status, "Location: /login\r\n" in head) in ((303, True), (400, False)), target


async def test_what_cannot_be_read_is_not_logged(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    for head in (f"Authorization: Bearer \x00{TOKEN}", f"{TOKEN}"):
        assert (await send(site, f"GET / HTTP/1.1\r\nHost: localhost\r\n{head}\r\n\r\n".encode()))[0] == 400
    assert "BadHttpMessage" in caplog.text
    assert TOKEN not in caplog.text
