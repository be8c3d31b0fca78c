"""HttpReader: whatever a side does, one observation comes of it."""

from __future__ import annotations

import asyncio
import gzip
import random
import threading

import pytest

from proxy.model import ReadRequest, Side
from proxy.readers.client import HttpClient
from proxy.readers.client_response import ClientResponse
from proxy.readers.client_wire import MAX_CRUMBS
from proxy.readers.codings import CodingError, decode
from proxy.readers.http import HttpReader, decoded
from tests.edge.support import Script, answering, until
from tests.readers.test_client import upstream

REQUEST = ReadRequest("GET", "/a", ((b"Accept", b"*/*"),))


def reader_of(client: HttpClient, max_body: int = 1000) -> HttpReader:
    return HttpReader(client, Side.SHADOW, max_body=max_body)


async def test_a_read_is_observed_decoded_and_carries_a_host() -> None:
    seen: list[bytes] = []
    body = gzip.compress(b'{"a": 1}')
    answer = b"HTTP/1.1 203 X\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
    async with upstream(answering(answer, seen)) as (client, server):
        got = await reader_of(client).read(REQUEST, 5)
    assert (got.side, got.status, got.body, got.error) == (Side.SHADOW, 203, b'{"a": 1}', None)
    assert got.headers[0] == (b"Content-Encoding", b"gzip")
    assert got.seconds > 0
    assert seen == [b"GET /a HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nAccept: */*\r\n\r\n" % server.port]


async def test_a_large_coded_body_is_decoded_too() -> None:
    body = random.Random(1).randbytes(100_000)
    async with upstream(answering(chunked(gzip.compress(body), b"gzip"))) as (client, _):
        assert (await reader_of(client, 110_000).read(REQUEST, 5)).body == body
        assert (await reader_of(client, 99_999).read(REQUEST, 5)).error == "too_large"


def chunked(body: bytes, coding: bytes = b"identity") -> bytes:
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: " + coding + b"\r\nTransfer-Encoding: chunked\r\n\r\n"
    return head + b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (chunked(b"x" * 1001), "too_large"),
        (chunked(gzip.compress(b"x" * 1001), b"gzip"), "too_large"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n", "too_large"),
        (chunked(b"x", b"lzma"), "coding"),
        (chunked(b"x", b"gzip"), "coding"),
        (b"nonsense", "protocol"),
    ],
)
async def test_failures_are_observations_with_a_code(answer: bytes, error: str) -> None:
    async with upstream(answering(answer)) as (client, _):
        got = await reader_of(client).read(REQUEST, 5)
    assert (got.error, got.status, got.body) == (error, None, None)
    assert got.detail


async def test_the_limit_itself_is_not_too_large_and_head_is_never() -> None:
    async with upstream(answering(chunked(b"x" * 1000))) as (client, _):
        assert (await reader_of(client).read(REQUEST, 5)).body == b"x" * 1000
    async with upstream(answering(b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n")) as (client, _):
        got = await reader_of(client).read(ReadRequest("HEAD", "/", ()), 5)
        assert (got.status, got.body) == (200, b"")


def dripping() -> Script:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n")
        while True:
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.02)

    return script


async def test_the_timeout_is_for_the_whole_read_and_closes_the_connection() -> None:
    async with upstream(dripping()) as (client, _):
        got = await reader_of(client).read(REQUEST, 0.1)
        assert (got.error, got.status) == ("timeout", None)
        assert 0.09 < got.seconds < 2
        await until(lambda: not client.open_connections)


async def test_cancelling_travels_and_closes_the_connection() -> None:
    async with upstream(dripping()) as (client, server):
        async with asyncio.TaskGroup() as group:
            task = group.create_task(reader_of(client).read(REQUEST, 10))
            await until(lambda: server.connections)
            task.cancel()
        assert task.cancelled()
        await until(lambda: not client.open_connections)


async def test_a_side_that_is_away_is_an_observation() -> None:
    client = HttpClient("http://127.0.0.1:1", connect_timeout=1, idle_timeout=1, max_connections=1, max_idle=1)
    got = await reader_of(client).read(REQUEST, 5)
    assert got.error == "refused"
    await client.close()


async def test_a_few_bytes_that_unfold_to_many_are_undone_in_a_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    here, where = threading.get_ident(), []

    def watched(body: bytes, named: str, limit: int) -> bytes:
        where.append((threading.get_ident() == here, limit))
        return decode(body, named, limit)

    monkeypatch.setattr("proxy.readers.http.decode", watched)
    fields = ((b"Content-Encoding", b"gzip, gzip"),)
    flood = gzip.compress(gzip.compress(bytes(4_000_000)))
    assert len(flood) < 4_000
    assert await decoded(flood, fields, 5_000_000) == bytes(4_000_000)
    assert where[1:] == [(False, 5_000_000)]
    assert where[0][1] < 100_000
    with pytest.raises(CodingError):
        await decoded(flood, fields, 50_000)
    assert where[2:] == [(True, 50_000)], "what is over the limit here is over it there"


async def test_crumbs_are_given_up_before_the_loop_has_gone_through_all_of_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fed = 0
    feed = ClientResponse.feed

    def counted(response: ClientResponse, data: bytes) -> None:
        nonlocal fed
        fed += 1
        feed(response, data)

    monkeypatch.setattr(ClientResponse, "feed", counted)
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    async with upstream(answering(head + b"2\r\nok\r\n" * 30_000 + b"0\r\n\r\n")) as (client, _):
        got = await reader_of(client, 1_000_000).read(REQUEST, 5)
    assert (got.error, got.status) == ("protocol", None)
    assert fed == MAX_CRUMBS
    async with upstream(answering(head + b"2\r\nok\r\n" * MAX_CRUMBS + b"0\r\n\r\n")) as (client, _):
        assert (await reader_of(client, 1_000_000).read(REQUEST, 5)).body == b"ok" * MAX_CRUMBS
