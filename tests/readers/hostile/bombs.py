"""Bodies that are made to hurt whoever reads them: JSON that is no JSON or too much of it, and compressed floods."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable
from functools import partial

import brotli
import zstandard

JSON_BOMBS: dict[str, bytes] = {
    "arrays 100 000 deep": b"[" * 100_000 + b"]" * 100_000,
    "objects 100 000 deep": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "a million brackets and no end": b"[" * 1_000_000,
    "one level too deep": b'{"a":' * 201 + b"1" + b"}" * 201,
    "a million members of one name": b"{" + b",".join([b'"a":1'] * 1_000_001) + b"}",
    "a million empty objects": b"[" + b",".join([b"{}"] * 1_000_001) + b"]",
    "a number of a million digits": b'{"n":' + b"1" * 1_000_000 + b"}",
    "a fraction of a million digits": b'{"n":0.' + b"1" * 1_000_000 + b"}",
    "an exponent of ten digits": b'{"n":1e9999999999}',
    "an exponent of a million digits": b'{"n":1e' + b"9" * 1_000_000 + b"}",
    "NaN": b'{"n":NaN}',
    "Infinity": b'{"n":-Infinity}',
    "a leading zero": b'{"n":01}',
    "hexadecimal": b'{"n":0x1}',
    "a byte order mark": b'\xef\xbb\xbf{"n":1}',
    "UTF-16": '{"n":1}'.encode("utf-16"),
    "UTF-7": b"+AHsAIgBu-",
    "NUL": b'{"n":"\0"}',
    "NUL behind the value": b'{"n":1}\0',
    "NUL alone": bytes(7),
    "bytes that are no UTF-8": b'{"n":"\xff\xfe"}',
    "overlong UTF-8": b'{"n":"\xc0\xaf"}',
    "a surrogate as UTF-8": b'{"n":"\xed\xa0\x80"}',
    "a line end in a string": b'{"n":"a\nb"}',
    "single quotes": b"{'n':1}",
    "a comment": b'{"n":1}/**/',
    "two values": b'{"n":1}{"n":1}',
    "a comma too many": b'{"n":1,}',
    "a string without an end": b'{"n":"' + b"a" * 1_000_000,
    "a million quotes": b'"' * 1_000_000,
    "a million backslashes": b'"' + b"\\" * 1_000_001 + b'"',
    "a cut escape": b'{"n":"\\ud8',
    "nothing": b"",
    "white space": b" \t\r\n" * 1_000_000,
    "HTML": b"<!doctype html><title>Oops</title>",
}
"""None of these can be compared as JSON: the same on both sides they match, beside anything else they differ."""

ODD_JSON: dict[str, tuple[bytes, bytes, str]] = {
    "a name twice, the last one counts": (b'{"n":2,"n":1}', b'{"n":1}', "match"),
    "a name twice, the first one differs": (b'{"n":1,"n":2}', b'{"n":1}', "diff"),
    "lone surrogates": (b'{"n":"\\ud800"}', b'{"n":"\\ud800" }', "match"),
    "other lone surrogates": (b'{"n":"\\ud800"}', b'{"n":"\\ud801"}', "diff"),
    "NUL as an escape": (b'{"n":"\\u0000"}', b'{"n": "\\u0000"}', "match"),
    "NUL as an escape on one side": (b'{"n":"\\u0000"}', b'{"n":""}', "diff"),
    "minus nothing": (b'{"n":-0}', b'{"n":0}', "match"),
    "numbers past 64 bits": (b'{"n":18446744073709551617}', b'{"n":18446744073709551616}', "diff"),
    "numbers past a double": (b'{"n":1e400}', b'{"n":1e401}', "diff"),
    "large exponents": (b'{"n":[' + b"1e999999," * 1_000 + b"1]}", b'{"n":[' + b"1e-999999," * 1_000 + b"1]}", "diff"),
    "as many digits as are taken": (b'{"n":' + b"1" * 4_300 + b"}", b'{"n":' + b"1" * 4_299 + b"2}", "diff"),
    "a string of a megabyte": (b'"' + b"x" * 1_000_000 + b'"', b'"' + b"x" * 999_999 + b'y"', "diff"),
    "a name of half a megabyte": (b'{"' + b"k" * 500_000 + b'":1}', b'{"' + b"k" * 499_999 + b'":1}', "diff"),
    "white space around it": (b" " * 1_000_000 + b'{"n":1}', b'{"n":1}' + b"\n" * 1_000_000, "match"),
    "one member of very many": (
        b"{" + b",".join(b'"%d":1' % number for number in range(20_000)) + b"}",
        b"{" + b",".join(b'"%d":1' % number for number in range(19_999)) + b',"19999":2}',
        "diff",
    ),
    "very many members that differ": (
        b"[" + b",".join(b'{"a":%d}' % number for number in range(5_000)) + b"]",
        b"[" + b",".join(b'{"b":%d}' % number for number in range(5_000)) + b"]",
        "diff",
    ),
}

FLOOD = 64 * 1024 * 1024
"""Bytes that each flood unfolds to: eight times what is ever compared."""


def zeros(new: Callable[[], object]) -> bytes:
    """`FLOOD` zeros by a compressor that works in pieces, so that the making needs no memory."""
    compressor = new()
    piece, out = bytes(1024 * 1024), bytearray()
    compress = getattr(compressor, "compress", None) or getattr(compressor, "process")  # noqa: B009 - untyped library
    finish = getattr(compressor, "finish", None) or getattr(compressor, "flush")  # noqa: B009 - untyped library
    for _ in range(FLOOD // len(piece)):
        out += compress(piece)
    return bytes(out + finish())


def floods() -> dict[str, tuple[bytes, bytes]]:
    """Content-Encoding and body of floods in every coding, by name."""
    once = {
        "gzip": zeros(partial(zlib.compressobj, 9, wbits=16 + zlib.MAX_WBITS)),
        "deflate": zeros(partial(zlib.compressobj, 9)),
        "raw deflate": zeros(partial(zlib.compressobj, 9, wbits=-zlib.MAX_WBITS)),
        "br": zeros(partial(brotli.Compressor, quality=5)),
        "zstd": zeros(zstandard.ZstdCompressor(level=3).compressobj),
    }
    made = {name: (name.removeprefix("raw ").encode(), body) for name, body in once.items()}
    made["x-gzip"] = (b"x-gzip", once["gzip"])
    made["gzip in gzip"] = (b"gzip, gzip", gzip.compress(once["gzip"]))
    made["four codings"] = (
        b"gzip, br, gzip, zstd",
        zstandard.compress(gzip.compress(brotli.compress(once["gzip"], quality=5))),
    )
    return made


BROKEN: dict[str, tuple[bytes, bytes]] = {
    "gzip said, JSON sent": (b"gzip", b'{"n":1}'),
    "deflate said, JSON sent": (b"deflate", b'{"n":1}'),
    "br said, JSON sent": (b"br", b'{"n":1}'),
    "zstd said, JSON sent": (b"zstd", b'{"n":1}'),
    "br said, gzip sent": (b"br", gzip.compress(b'{"n":1}')),
    "gzip cut short": (b"gzip", gzip.compress(b'{"n":1}')[:-1]),
    "gzip with a wrong checksum": (b"gzip", gzip.compress(b'{"n":1}')[:-8] + bytes(8)),
    "gzip and more": (b"gzip", gzip.compress(b'{"n":1}') + b"more"),
    "deflate and more": (b"deflate", zlib.compress(b'{"n":1}') + b"more"),
    "br and more": (b"br", brotli.compress(b'{"n":1}') + b"more"),
    "zstd and more": (b"zstd", zstandard.compress(b'{"n":1}') + b"more"),
    "zstd cut short": (b"zstd", zstandard.compress(b'{"n":1}')[:-1]),
    "zstd with a window of 128 MiB": (
        b"zstd",
        b"\x28\xb5\x2f\xfd\x00" + bytes([(27 - 10) << 3]) + b"\x39\x00\x00" + b'{"n":1}',
    ),
    "a million gzip members": (b"gzip", gzip.compress(b"", 9, mtime=0) * 300_000),
    "a million zstd frames": (b"zstd", zstandard.compress(b"") * 600_000),
    "a million zstd frames to skip": (b"zstd", b"\x50\x2a\x4d\x18\0\0\0\0" * 1_000_000),
    "a coding that is not known": (b"compress", b'{"n":1}'),
    "a coding with a line of its own": (b"gzip;q=1", b'{"n":1}'),
    "five codings": (b"gzip,gzip,gzip,gzip,gzip", b'{"n":1}'),
    "a thousand codings": (b",".join([b"gzip"] * 1_000), b'{"n":1}'),
    "bytes that are no coding": (b"\xff\xfe", b'{"n":1}'),
}
