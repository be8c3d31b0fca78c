"""Responses that no backend should give, and what becomes of each: the table that the tests run through."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Literal

from tests.readers.hostile.peer import BODY, GOOD, JSON, Line, Script, endless, ends, says

Client = Literal["whole", "502", "broken"]
"""`whole`: status, fields and body as they were meant. `502`: a problem document. `broken`: a part, then a reset."""

OK = b"HTTP/1.1 200 OK\r\n" + JSON
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
CHUNKS = b"3\r\n" + BODY[:3] + b"\r\n4\r\n" + BODY[3:] + b"\r\n0\r\n\r\n"
HUGE = b"y" * 65_536


@dataclass(frozen=True, slots=True)
class Shape:
    """One way to answer.

    `client` is what a client gets when the primary answers so. `as_primary` and `as_twin` are the verdicts where the
    other side gives `GOOD`. `body` is what a client gets where it gets the whole; None: the body of `GOOD`.
    """

    name: str
    script: Script
    client: Client
    as_primary: str
    as_twin: str
    body: bytes = BODY
    method: str = "GET"


def fault(name: str, script: Script) -> Shape:
    """No response head that could be believed."""
    return Shape(name, script, "502", "primary_error", "shadow_error")


def broken(name: str, script: Script) -> Shape:
    """A head, and then no whole body."""
    return Shape(name, script, "broken", "primary_error", "shadow_error")


def whole(name: str, script: Script, verdict: str = "match", *, body: bytes = BODY, method: str = "GET") -> Shape:
    """Odd, but right."""
    return Shape(name, script, "whole", verdict, verdict, body, method)


def head(*fields: bytes, status: bytes = b"HTTP/1.1 200 OK") -> bytes:
    return b"\r\n".join([status, b"Content-Type: application/json", *fields]) + b"\r\n\r\n"


def sized(*fields: bytes, status: bytes = b"HTTP/1.1 200 OK") -> bytes:
    """A head with the right length, and the body."""
    return head(b"Content-Length: 7", *fields, status=status) + BODY


async def _reset_until_close(line: Line) -> None:
    await line.send(OK + b"\r\n" + BODY)
    # The proxy must have read it: a reset takes away what waits to be read.
    await asyncio.sleep(0.05)
    line.reset()


TRUNCATED = [
    fault("nothing", ends()),
    fault("half a status line", ends(b"HTTP/1.1 20")),
    fault("a status line alone", ends(b"HTTP/1.1 200 OK\r\n")),
    fault("half a field", ends(b"HTTP/1.1 200 OK\r\nContent-Le")),
    fault("a head without its end", ends(OK + b"Content-Length: 7\r\n")),
    fault("a head without its last line feed", ends(OK + b"Content-Length: 7\r\n\r")),
    broken("a length and no body", ends(head(b"Content-Length: 7"))),
    broken("a length and half the body", ends(head(b"Content-Length: 7") + BODY[:4])),
    broken("one byte short", ends(head(b"Content-Length: 8") + BODY)),
    broken("half closed within the body", lambda line: _half_close(line, head(b"Content-Length: 8") + BODY)),
    broken("no chunk", ends(CHUNKED)),
    broken("half a chunk size", ends(CHUNKED + b"1")),
    broken("a chunk size alone", ends(CHUNKED + b"7\r\n")),
    broken("half a chunk", ends(CHUNKED + b"7\r\n" + BODY[:4])),
    broken("a chunk without its line end", ends(CHUNKED + b"7\r\n" + BODY)),
    broken("chunks without the last one", ends(CHUNKED + b"7\r\n" + BODY + b"\r\n")),
    broken("half a last chunk", ends(CHUNKED + b"7\r\n" + BODY + b"\r\n0\r\n")),
    broken("a last chunk without its last line feed", ends(CHUNKED + b"7\r\n" + BODY + b"\r\n0\r\n\r")),
    broken("half a trailer", ends(CHUNKED + b"7\r\n" + BODY + b"\r\n0\r\nX-Sum: ")),
    broken("a body that ends with a reset connection", _reset_until_close),
    # Nothing on the wire tells that this is a part: the comparison does.
    whole("a body cut short that ends with the connection", ends(OK + b"\r\n" + BODY[:4]), "diff", body=BODY[:4]),
    whole("a body that ends with the connection", ends(OK + b"\r\n" + BODY)),
    whole("a body that ends with HTTP/1.0", ends(b"HTTP/1.0 200 OK\r\n" + JSON + b"\r\n" + BODY)),
]


async def _half_close(line: Line, data: bytes) -> None:
    await line.send(data)
    await line.half_close()


LENGTHS = [
    whole("a length below the body's", says(sized() + b"surplus")),
    whole("a length far below the body's", says(sized() + HUGE * 8)),
    whole("a length of nothing before a body", says(head(b"Content-Length: 0") + BODY), "diff", body=b""),
    whole("two responses at once", says(GOOD + GOOD.replace(b"1}", b"2}"))),
    fault("a length and chunks", says(head(b"Content-Length: 7", b"Transfer-Encoding: chunked") + CHUNKS)),
    fault("chunks and a length", says(head(b"Transfer-Encoding: chunked", b"Content-Length: 7") + CHUNKS)),
    fault("chunked in HTTP/1.0", says(head(b"Transfer-Encoding: chunked", status=b"HTTP/1.0 200 OK") + CHUNKS)),
    fault("two lengths", says(head(b"Content-Length: 7", b"Content-Length: 8") + BODY)),
    fault("one length twice", says(head(b"Content-Length: 7", b"Content-Length: 7") + BODY)),
    fault("a list of lengths", says(head(b"Content-Length: 7, 7") + BODY)),
    fault("a negative length", says(head(b"Content-Length: -7") + BODY)),
    fault("a signed length", says(head(b"Content-Length: +7") + BODY)),
    fault("a hexadecimal length", says(head(b"Content-Length: 0x7") + BODY)),
    fault("a length with a fraction", says(head(b"Content-Length: 7.0") + BODY)),
    fault("a length with a space inside", says(head(b"Content-Length: 0 7") + BODY)),
    fault("an empty length", says(head(b"Content-Length:") + BODY)),
    fault("a length that is a word", says(head(b"Content-Length: seven") + BODY)),
    fault("a length beyond 64 bits", says(head(b"Content-Length: 18446744073709551623") + BODY)),
    fault("a length of thousands of digits", says(head(b"Content-Length: " + b"9" * 5_000) + BODY)),
    fault("Arabic digits", says(head("Content-Length: \u0667".encode()) + BODY)),
    fault("gzip as transfer coding", ends(head(b"Transfer-Encoding: gzip") + BODY)),
    fault("gzip and chunked", says(head(b"Transfer-Encoding: gzip, chunked") + CHUNKS)),
    fault("chunked and gzip", ends(head(b"Transfer-Encoding: chunked, gzip") + CHUNKS)),
    fault("chunked twice", says(head(b"Transfer-Encoding: chunked, chunked") + CHUNKS)),
    fault("chunked in two fields", says(head(b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked") + CHUNKS)),
    fault("xchunked", ends(head(b"Transfer-Encoding: xchunked") + CHUNKS)),
    fault("identity", ends(head(b"Transfer-Encoding: identity") + BODY)),
    fault("an empty transfer coding", ends(head(b"Transfer-Encoding:") + CHUNKS)),
    fault("quoted chunked", ends(head(b'Transfer-Encoding: "chunked"') + CHUNKS)),
    whole("Chunked in capitals", says(head(b"Transfer-Encoding: CHUNKED") + CHUNKS)),
    whole("a short chunk extension", says(CHUNKED + b'7;a="b;c"\r\n' + BODY + b"\r\n0;z\r\n\r\n")),
    whole("leading zeros in a chunk size", says(CHUNKED + b"0007\r\n" + BODY + b"\r\n000\r\n\r\n")),
    broken("a chunk size beyond 64 bits", says(CHUNKED + b"10000000000000007\r\n" + BODY + b"\r\n0\r\n\r\n")),
    broken("a chunk size of a thousand digits", says(CHUNKED + b"f" * 1_000 + b"\r\n" + BODY + b"\r\n0\r\n\r\n")),
    broken("a negative chunk size", says(CHUNKED + b"-7\r\n" + BODY + b"\r\n0\r\n\r\n")),
    broken("a chunk size with 0x", says(CHUNKED + b"0x7\r\n" + BODY + b"\r\n0\r\n\r\n")),
    broken("no chunk size", says(CHUNKED + b"\r\n" + BODY + b"\r\n0\r\n\r\n")),
    broken("a chunk longer than its size", says(CHUNKED + b"6\r\n" + BODY + b"\r\n0\r\n\r\n")),
    broken("a chunk size below its line", says(CHUNKED + b"7\n" + BODY + b"\n0\n\n")),
    broken("a chunk extension with a line feed", says(CHUNKED + b"7;a\nb\r\n" + BODY + b"\r\n0\r\n\r\n")),
    broken("a chunk extension with NUL", says(CHUNKED + b"7;a\0b\r\n" + BODY + b"\r\n0\r\n\r\n")),
    broken("a body where chunks were promised", says(CHUNKED + BODY)),
    broken("a trailer that is no field", says(CHUNKED + b"7\r\n" + BODY + b"\r\n0\r\nno field\r\n\r\n")),
]

ENDLESS = [
    fault("an endless status line", endless(b"HTTP/1.1 200 ", HUGE)),
    fault("an endless field name", endless(b"HTTP/1.1 200 OK\r\n", HUGE)),
    fault("an endless field value", endless(b"HTTP/1.1 200 OK\r\nX: ", HUGE)),
    fault("endless fields", endless(b"HTTP/1.1 200 OK\r\n", b"X-Y: z\r\n" * 8_000)),
    fault("endless empty fields", endless(b"HTTP/1.1 200 OK\r\n", b"X:\r\n" * 16_000)),
    fault("an endless folded field", endless(b"HTTP/1.1 200 OK\r\nX: y", b"\r\n y" * 16_000)),
    fault("endless line ends", endless(b"", b"\r\n" * 32_000)),
    fault("endless garbage", endless(b"", bytes(range(256)) * 256)),
    fault("a head of 100 KB at once", says(head(b"X: " + b"y" * 100_000, b"Content-Length: 7") + BODY)),
    fault("ten thousand fields at once", says(head(*[b"X:"] * 10_000, b"Content-Length: 7") + BODY)),
    broken("an endless chunk size", endless(CHUNKED, b"0" * 65_536)),
    broken("an endless chunk extension", endless(CHUNKED + b"7;a=", HUGE)),
    broken("endless chunk extensions", endless(CHUNKED + b"7", b";a=b" * 16_000)),
    broken("an endless extension of the last chunk", endless(CHUNKED + b"7\r\n" + BODY + b"\r\n0;", HUGE)),
    broken("an endless trailer", endless(CHUNKED + b"7\r\n" + BODY + b"\r\n0\r\nX: ", HUGE)),
    broken("endless trailers", endless(CHUNKED + b"7\r\n" + BODY + b"\r\n0\r\n", b"X: y\r\n" * 10_000)),
    fault("a storm of 103", endless(b"", b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" * 100)),
    fault("a storm of 100", endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 100)),
    fault("a storm of large 103", endless(b"", b"HTTP/1.1 103 E\r\nX: " + b"y" * 50_000 + b"\r\n\r\n")),
    fault("seventeen 103", says(b"HTTP/1.1 103 E\r\n\r\n" * 17 + GOOD)),
]

HEADS = [
    fault("garbage", ends(b"\x00\xff\xfe\x01\r\n\r\n")),
    fault("a TLS alert", ends(b"\x15\x03\x03\x00\x02\x02\x28")),
    fault("a TLS hello", ends(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(501))),
    fault("an SSH banner", ends(b"SSH-2.0-OpenSSH_9.6\r\n")),
    fault("an SMTP banner", ends(b"220 mail.example ESMTP\r\n")),
    fault("an HTTP/2 settings frame", ends(b"\x00\x00\x12\x04\x00\x00\x00\x00\x00" + bytes(18))),
    fault("the request itself", ends(b"GET /api/hostile/x HTTP/1.1\r\nHost: a\r\n\r\n")),
    fault("HTML alone, as HTTP/0.9 had it", ends(b"<html>hello</html>\r\n")),
    fault("HTTP/2.0", says(sized(status=b"HTTP/2.0 200 OK"))),
    fault("HTTP/0.9", says(sized(status=b"HTTP/0.9 200 OK"))),
    fault("HTTP/9.9", says(sized(status=b"HTTP/9.9 200 OK"))),
    fault("HTTP/1.10", says(sized(status=b"HTTP/1.10 200 OK"))),
    fault("http in small letters", says(sized(status=b"http/1.1 200 OK"))),
    fault("ICY", says(sized(status=b"ICY 200 OK"))),
    fault("status 000", says(sized(status=b"HTTP/1.1 000 Nothing"))),
    fault("status 099", says(sized(status=b"HTTP/1.1 099 Less"))),
    fault("status 20", says(sized(status=b"HTTP/1.1 20 OK"))),
    fault("status 2000", says(sized(status=b"HTTP/1.1 2000 OK"))),
    fault("status -200", says(sized(status=b"HTTP/1.1 -200 OK"))),
    fault("status 2OO", says(sized(status=b"HTTP/1.1 2OO OK"))),
    fault("no status", says(sized(status=b"HTTP/1.1"))),
    fault("101 that nobody asked for", says(b"HTTP/1.1 101 Go\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n")),
    fault("a space before the colon", says(sized(b"X-Y : z"))),
    fault("a field without a colon", says(sized(b"no field"))),
    fault("a field without a name", says(sized(b": value"))),
    fault("NUL in a field", says(sized(b"X: a\0b"))),
    fault("NUL in a name", says(sized(b"X\0: a"))),
    fault("a bare carriage return in a field", says(sized(b"X: a\rContent-Length: 9"))),
    fault("a folded field", says(sized(b"X: a\r\n b"))),
    fault("bare line feeds", says(sized().replace(b"\r\n", b"\n"))),
    fault("one bare line feed", says(sized(b"X: a\nY: b"))),
    fault("control characters in a field", says(sized(b"X: a\x1b[31mb"))),
    fault("control characters in the reason", says(sized(status=b"HTTP/1.1 200 \x1b[31mOK"))),
    fault("NUL in the reason", says(sized(status=b"HTTP/1.1 200 O\0K"))),
    whole("no reason", says(sized(status=b"HTTP/1.1 200 "))),
    whole("bytes over 0x7f in a field", says(sized(b"X: caf\xc3\xa9 \xff"))),
    whole("fields of one name", says(sized(*[b"X-Y: z"] * 100))),
    whole("an odd name", says(sized(b"!#$%&'*+-.^_`|~0aZ: y"))),
    whole("sixteen 103", says(b"HTTP/1.1 103 E\r\n\r\n" * 16 + GOOD)),
    whole("empty lines first", says(b"\r\n\r\n" + GOOD)),
    Shape("status 999", says(sized(status=b"HTTP/1.1 999 Odd")), "whole", "primary_error", "shadow_error"),
]

BODILESS = [
    whole("HEAD with a body", says(GOOD), method="HEAD", body=b""),
    whole("HEAD with a body that is longer", says(sized() + b"surplus"), method="HEAD", body=b""),
    whole("HEAD with chunks", says(CHUNKED + CHUNKS), method="HEAD", body=b""),
    whole("HEAD with half a body", ends(head(b"Content-Length: 8") + BODY), method="HEAD", body=b""),
    whole("HEAD with an endless body", endless(head(b"Content-Length: 7"), HUGE), method="HEAD", body=b""),
    whole("204 with a body", says(head(status=b"HTTP/1.1 204 No Content") + BODY), "diff", body=b""),
    whole("204 with a length and a body", says(sized(status=b"HTTP/1.1 204 No Content")), "diff", body=b""),
    whole(
        "204 with chunks",
        says(head(b"Transfer-Encoding: chunked", status=b"HTTP/1.1 204 No Content") + CHUNKS),
        "diff",
        body=b"",
    ),
    Shape(
        "304 with a body",
        says(sized(status=b"HTTP/1.1 304 Not Modified")),
        "whole",
        "skipped:not_modified",
        "diff",
        b"",
    ),
    whole("205 with a body", says(sized(status=b"HTTP/1.1 205 Reset Content")), "diff"),
]

SHAPES = [*TRUNCATED, *LENGTHS, *ENDLESS, *HEADS, *BODILESS]
