"""A body whose length is known is taken past the parser: the same comes of it as of the parser alone, however the
bytes arrive."""

from __future__ import annotations

import asyncio
import math
from typing import Any, cast

import pytest

from proxy.readers.client_connection import Connection
from proxy.readers.client_response import ClientResponse
from proxy.readers.client_whole import Whole

NEXT = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n"
RESPONSES = {
    "plain": OK + b"\r\nhello",
    "old": b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello",
    "kept": b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\nhello",
    "closing": OK + b"Connection: close\r\n\r\nhello",
    "empty": b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    "informed": b"HTTP/1.1 103 Early\r\nLink: a\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n" + OK + b"\r\nhello",
    "no content": b"HTTP/1.1 204 None\r\nContent-Length: 5\r\n\r\n",
    "unmodified": b"HTTP/1.1 304 Not\r\nContent-Length: 5\r\n\r\n",
    "chunked": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nT: 1\r\n\r\n",
    "excess": OK + b"\r\nhelloHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil",
    "short": OK + b"\r\nhel",
    "endless": b"HTTP/1.1 200 OK\r\n\r\nhello",
    "twice": OK + b"Content-Length: 5\r\n\r\nhello",
    "both": OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    "not a number": b"HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\nhello",
    "bare line feeds": b"HTTP/1.1 200 OK\nContent-Length: 9\n\nhel\r\n\r\nlo",
    "line breaks first": b"\r\n\r\n" + OK + b"\r\nhello",
    "switched": b"HTTP/1.1 101 Sw\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nhello",
}


class Parsed(Connection):
    def _beginning(self, data: bytes) -> None:
        self._parser.feed_data(data)


class Transport:
    """What a connection needs of one; closed at once."""

    def __init__(self) -> None:
        self.closed = False

    def is_closing(self) -> bool:
        return self.closed

    def write(self, _: bytes) -> None: ...

    def pause_reading(self) -> None: ...

    def close(self) -> None:
        self.closed = True

    abort = close


class Owner:
    released_ = 0

    def released(self, _: Connection) -> None:
        self.released_ += 1

    def lost(self, _: Connection) -> None: ...


def _whole(connection: Connection, told: list[Any], method: str) -> ClientResponse | Whole:
    def done(one: Whole) -> None:
        told.append((one.body, one.error and one.error.code))

    return Whole(method, connection, 1_000, math.inf, done)


def _streamed(connection: Connection, told: list[Any], method: str) -> ClientResponse | Whole:
    def informed(*info: Any) -> None:
        told.append(info)

    return ClientResponse(method, connection, informed, connection.loop)


def came(kind: type[Connection], exchanges: list[tuple[str, list[bytes]]], *, whole: bool) -> list[Any]:
    """What came of each exchange on one connection, and whether the connection could be used again."""
    owner, transport, found = Owner(), Transport(), list[Any]()
    connection = kind(owner, 2_000)
    connection.connection_made(cast(asyncio.BaseTransport, transport))
    for number, (method, pieces) in enumerate(exchanges, 1):
        told: list[Any] = []
        response = _whole(connection, told, method) if whole else _streamed(connection, told, method)
        connection.begin(response, b"", upgrade=not whole)
        for piece in pieces:
            if not transport.closed:
                connection.data_received(piece)
        again = owner.released_ == number and not transport.closed
        if not again:
            connection.connection_lost(None)
        if isinstance(response, ClientResponse):
            fault = response.headed.exception() if response.headed.done() else "no head"
            tunnel = response.upgraded and response.upgraded.take()
            told += [getattr(fault, "code", fault), response.take(), response.complete, tunnel]
        found.append((response.status, response.headers, response.trailers, told, again))
        if not again:
            break
    return found


@pytest.mark.parametrize("name", RESPONSES)
async def test_the_same_comes_of_it_wherever_it_is_split(name: str) -> None:
    data = RESPONSES[name]
    for method in ("GET", "HEAD"):
        sent = data[: data.index(b"hel")] if method == "HEAD" and b"hel" in data else data
        splits = [[sent[:at], sent[at:]] for at in range(1, len(sent))]
        for pieces in [[sent], [sent[at : at + 1] for at in range(len(sent))], *splits]:
            for whole in (False, True):
                exchanges = [("GET", [NEXT]), (method, pieces), ("GET", [NEXT])]
                assert came(Connection, exchanges, whole=whole) == came(Parsed, exchanges, whole=whole), pieces
