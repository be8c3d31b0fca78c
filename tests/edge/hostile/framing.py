"""How long a body is, said in ways that two parsers could read in two ways (RFC 9112 6 and 7, 11.2)."""

from __future__ import annotations

from dataclasses import replace

from tests.edge.hostile.shapes import SMUGGLED, Shape, broken, chunked, get, post, refused, served

_ZERO = b"0\r\n\r\n"
_ABC = b"3\r\nabc\r\n0\r\n\r\n"
_CODED = post(b"Transfer-Encoding: chunked")
"""The head of a chunked request as the primary sees it."""
_HIDDEN = b"Content-Length: %d" % len(SMUGGLED)
_HIDDEN_CHUNK = b"%x\r\n%b" % (len(SMUGGLED), SMUGGLED)


def _length(value: bytes, body: bytes = b"abc") -> bytes:
    return post(b"Content-Length:" + value, body=body)


def _coding(*lines: bytes, body: bytes = _ZERO + SMUGGLED) -> bytes:
    return post(*lines, body=body)


LENGTHS: dict[str, Shape] = {
    "CL.TE": refused(post(b"Content-Length: 40", b"Transfer-Encoding: chunked", body=_ZERO + SMUGGLED)),
    "TE.CL": refused(post(b"Transfer-Encoding: chunked", b"Content-Length: 4", body=_HIDDEN_CHUNK + b"\r\n0\r\n\r\n")),
    "two lengths": refused(post(b"Content-Length: 3", b"Content-Length: 4", body=b"abcd")),
    "two lengths, one nought": refused(post(b"Content-Length: 0", _HIDDEN, body=SMUGGLED)),
    "one length twice": refused(post(b"Content-Length: 3", b"content-length: 3", body=b"abc")),
    "length list": refused(_length(b" 3, 3")),
    "length with plus": refused(_length(b" +3")),
    "length below zero": refused(_length(b" -1")),
    "length minus nought": refused(_length(b" -0", SMUGGLED)),
    "length empty": refused(_length(b" ")),
    "length in hex": refused(_length(b" 0x3")),
    "length in hex without prefix": refused(_length(b" A")),
    "length with a fraction": refused(_length(b" 3.0")),
    "length with an exponent": refused(_length(b" 3e0")),
    "length with a parameter": refused(_length(b" 3;a=b")),
    "length with an underscore": refused(_length(b" 1_0")),
    "length of two numbers": refused(_length(b" 3 4")),
    "length in other digits": refused(_length(b" \xd9\xa3")),
    "length behind a control": refused(_length(b" \x0b3")),
    "length before NUL": refused(_length(b" 3\0")),
    "length quoted": refused(_length(b' "3"')),
    "length over 64 bits": refused(_length(b" 99999999999999999999999")),
    "length of 64 bits plus three": refused(_length(b" 18446744073709551619")),
    "length of 64 ones": refused(_length(b" 18446744073709551615", SMUGGLED)),
    "length folded": refused(post(b"Content-Length:", b" 3", body=b"abc")),
    "length before a space and the colon": refused(post(b"Content-Length : 36", body=SMUGGLED)),
    "length by an underscore": refused(post(b"Content_Length: 36", body=SMUGGLED)),
    "length with noughts before": served(_length(b" 0003"), _length(b" 3")),
    "length among white space": served(_length(b" \t 3 \t"), _length(b" 3")),
    "length without a space": served(_length(b"3"), _length(b" 3")),
    "length of nought": served(_length(b" 0", b"")),
    "no length, no coding (0.CL)": served(post(body=SMUGGLED), post(), SMUGGLED),
    "length shorter than what follows": Shape(_length(b" 1", b"abc"), (200, 400), (_length(b" 1", b"a"),)),
    "a request as the body of a GET (CL.0)": served(get(_HIDDEN) + SMUGGLED),
    "a request as the body of a POST (CL.0)": served(post(_HIDDEN) + SMUGGLED),
    "length named by Connection": served(
        post(b"Connection: Content-Length", _HIDDEN) + SMUGGLED, post(_HIDDEN) + SMUGGLED
    ),
}

CODINGS: dict[str, Shape] = {
    "TE.TE, second unknown": refused(_coding(b"Transfer-Encoding: chunked", b"Transfer-Encoding: cow")),
    "TE.TE, first unknown": refused(_coding(b"Transfer-Encoding: cow", b"Transfer-Encoding: chunked")),
    "coding twice": refused(_coding(b"Transfer-Encoding: chunked", b"transfer-encoding: chunked")),
    "chunked, chunked": refused(_coding(b"Transfer-Encoding: chunked, chunked")),
    "gzip, chunked": refused(_coding(b"Transfer-Encoding: gzip, chunked")),
    "chunked, gzip": refused(_coding(b"Transfer-Encoding: chunked, gzip")),
    "chunked, identity": refused(_coding(b"Transfer-Encoding: chunked, identity")),
    "identity, chunked": refused(_coding(b"Transfer-Encoding: identity, chunked")),
    "identity": refused(_coding(b"Transfer-Encoding: identity")),
    "identity with a length": refused(post(b"Transfer-Encoding: identity", _HIDDEN, body=SMUGGLED)),
    "xchunked": refused(_coding(b"Transfer-Encoding: xchunked")),
    "chunkedx": refused(_coding(b"Transfer-Encoding: chunkedx")),
    "coding quoted": refused(_coding(b'Transfer-Encoding: "chunked"')),
    "coding with a parameter": refused(_coding(b"Transfer-Encoding: chunked;q=1")),
    "coding behind a comma": refused(_coding(b"Transfer-Encoding: ,chunked")),
    "coding before a comma": refused(_coding(b"Transfer-Encoding: chunked,")),
    "coding behind a vertical tab": refused(_coding(b"Transfer-Encoding:\x0bchunked")),
    "coding before a vertical tab": refused(_coding(b"Transfer-Encoding: chunked\x0b")),
    "coding before NUL": refused(_coding(b"Transfer-Encoding: chunked\0")),
    "coding behind a no-break space": refused(_coding(b"Transfer-Encoding: \xa0chunked")),
    "coding behind a bare CR": refused(_coding(b"Transfer-Encoding: \rchunked")),
    "coding in two words": refused(_coding(b"Transfer-Encoding: chun ked")),
    "coding empty": refused(_coding(b"Transfer-Encoding: ")),
    "coding empty with a length": refused(post(b"Transfer-Encoding:", _HIDDEN, body=SMUGGLED)),
    "coding folded": refused(_coding(b"Transfer-Encoding:", b" chunked")),
    "coding before a space and the colon": refused(_coding(b"Transfer-Encoding : chunked")),
    "coding before a tab and the colon": refused(_coding(b"Transfer-Encoding\t: chunked")),
    "coding with its colon on the next line": refused(_coding(b"Transfer-Encoding", b" : chunked")),
    "coding behind a bare LF": refused(_coding(b"X: y\nTransfer-Encoding: chunked")),
    "coding behind a bare CR in a field": refused(_coding(b"X: y\rTransfer-Encoding: chunked")),
    "coding behind a space": refused(_coding(b" Transfer-Encoding: chunked")),
    "coding behind a control in its name": refused(_coding(b"\x01Transfer-Encoding: chunked")),
    "coding by an underscore": refused(_coding(b"Transfer_Encoding: chunked")),
    "coding by an underscore with a length": refused(
        post(b"Transfer_Encoding: chunked", b"Content-Length: 40", body=_ZERO + SMUGGLED)
    ),
    "coding in HTTP/1.0": refused(
        b"POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + _ZERO + SMUGGLED
    ),
    "coding in capitals": served(
        _coding(b"TRANSFER-ENCODING: CHUNKED", body=_ABC), _coding(b"TRANSFER-ENCODING: chunked", body=_ABC)
    ),
    "coding behind a tab": served(_coding(b"Transfer-Encoding:\tchunked", body=_ABC), chunked(_ABC)),
    "coding of an OPTIONS (TE.0)": served(
        b"OPTIONS / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + _HIDDEN_CHUNK + b"\r\n0\r\n\r\n"
    ),
    "coding of a GET": served(get(b"Transfer-Encoding: chunked") + _ABC),
}

CHUNKS: dict[str, Shape] = {
    "chunk without its end": broken(chunked(b"3\r\nabcXX\r\n0\r\n\r\n"), _CODED),
    "chunk longer than its size": broken(chunked(b"3\r\nabcd\r\n0\r\n\r\n"), _CODED),
    "chunk size 0x3": broken(chunked(b"0x3\r\nabc\r\n0\r\n\r\n"), _CODED),
    "chunk size below zero": broken(chunked(b"-3\r\nabc\r\n0\r\n\r\n"), _CODED),
    "chunk size with plus": broken(chunked(b"+3\r\nabc\r\n0\r\n\r\n"), _CODED),
    "chunk size empty": broken(chunked(b"\r\nabc\r\n0\r\n\r\n"), _CODED),
    "chunk size no number": broken(chunked(b"zz\r\nabc\r\n0\r\n\r\n"), _CODED),
    "chunk size behind a space": broken(chunked(b" 3\r\nabc\r\n0\r\n\r\n"), _CODED),
    "chunk size before a space": broken(chunked(b"3 \r\nabc\r\n0\r\n\r\n"), _CODED),
    "chunk size before a tab": broken(chunked(b"3\t\r\nabc\r\n0\r\n\r\n"), _CODED),
    "chunk size before NUL": broken(chunked(b"3\0\r\nabc\r\n0\r\n\r\n"), _CODED),
    "chunk size with an underscore": broken(chunked(b"1_0\r\nabc\r\n0\r\n\r\n"), _CODED),
    "chunk size over 64 bits": broken(chunked(b"fffffffffffffffff3\r\nabc\r\n0\r\n\r\n"), _CODED),
    "chunk size of 64 bits plus three": broken(chunked(b"10000000000000003\r\nabc\r\n0\r\n\r\n"), _CODED),
    "chunk size of noughts": served(chunked(b"0" * 40 + b"3\r\nabc\r\n0\r\n\r\n"), chunked(_ABC)),
    "chunk size in capitals": served(
        chunked(b"A\r\nabcdefghij\r\n0\r\n\r\n"), chunked(b"a\r\nabcdefghij\r\n0\r\n\r\n")
    ),
    "last chunk of many noughts": served(chunked(b"3\r\nabc\r\n000\r\n\r\n"), chunked(_ABC), kept=False),
    "LF behind chunk size": broken(chunked(b"3\nabc\r\n0\r\n\r\n"), _CODED),
    "CR behind chunk size": broken(chunked(b"3\rabc\r\n0\r\n\r\n"), _CODED),
    "LF behind chunk": broken(chunked(b"3\r\nabc\n0\r\n\r\n"), _CODED),
    "CR behind chunk": broken(chunked(b"3\r\nabc\r0\r\n\r\n"), _CODED),
    "LF CR behind chunk": broken(chunked(b"3\r\nabc\n\r0\r\n\r\n"), _CODED),
    "LF behind the last chunk": broken(chunked(b"3\r\nabc\r\n0\n\n" + SMUGGLED), _CODED),
    "LF for the end of the trailers": broken(chunked(b"3\r\nabc\r\n0\r\n\n" + SMUGGLED), _CODED),
    "chunk extension": served(chunked(b'3;a=b;c="d e"\r\nabc\r\n0;x\r\n\r\n'), chunked(_ABC), kept=False),
    "chunk extension that hides a request": served(
        chunked(b"3;" + SMUGGLED.partition(b"\r")[0].replace(b" ", b"_").replace(b"/", b"_") + b"\r\nabc\r\n0\r\n\r\n"),
        chunked(_ABC),
    ),
    "LF in chunk extension": broken(chunked(b"3;a\nb\r\nabc\r\n0\r\n\r\n"), _CODED),
    "CR in chunk extension": broken(chunked(b"3;a\rb\r\nabc\r\n0\r\n\r\n"), _CODED),
    "NUL in chunk extension": broken(chunked(b"3;a\0b\r\nabc\r\n0\r\n\r\n"), _CODED),
    "LF in quoted chunk extension": broken(chunked(b'3;a="b\nc"\r\nabc\r\n0\r\n\r\n'), _CODED),
    "CRLF in quoted chunk extension": broken(chunked(b'3;a="b\r\nc"\r\nabc\r\n0\r\n\r\n'), _CODED),
    "trailer": served(chunked(b"3\r\nabc\r\n0\r\nX-Admin: 1\r\n\r\n"), chunked(_ABC), kept=False),
    "trailer that frames": broken(chunked(b"3\r\nabc\r\n0\r\n" + _HIDDEN + b"\r\n\r\n") + SMUGGLED, _CODED),
    "trailer with a coding": broken(chunked(b"3\r\nabc\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n") + SMUGGLED, _CODED),
    "trailer folded": broken(chunked(b"3\r\nabc\r\n0\r\nX: y\r\n z\r\n\r\n"), _CODED),
    "trailer without a colon": broken(chunked(b"3\r\nabc\r\n0\r\nfoo\r\n\r\n"), _CODED),
    "trailer with a space before the colon": broken(chunked(b"3\r\nabc\r\n0\r\nX : y\r\n\r\n"), _CODED),
    "trailer with NUL": broken(chunked(b"3\r\nabc\r\n0\r\nX: y\0\r\n\r\n"), _CODED),
    "trailers without end": broken(chunked(b"3\r\nabc\r\n0\r\n" + b"X: y\r\n" * 150), _CODED),
    "trailer too long": replace(broken(chunked(b"3\r\nabc\r\n0\r\nX: " + b"y" * 17_000), _CODED), at_once=431),
    "a request behind a chunked one": served(chunked(_ABC) + get(), chunked(_ABC), kept=False),
}
