"""Content codings: what is decoded, what is refused, and that a bomb ends at the limit."""

from __future__ import annotations

import gzip
import time
import tracemalloc
import zlib
from collections.abc import Callable

import brotli
import pytest
import zstandard

from proxy.readers.codings import MAX_PARTS, CodingError, decode

PLAIN = b'{"name": "a listing"}' * 500


def raw_deflate(data: bytes) -> bytes:
    compressor = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return compressor.compress(data) + compressor.flush()


CODERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "X-GZip": gzip.compress,
    "deflate": zlib.compress,
    " Deflate ": raw_deflate,
    "br": brotli.compress,
    "zstd": zstandard.ZstdCompressor().compress,
    "identity": bytes,
}


@pytest.mark.parametrize("name", CODERS)
def test_every_known_coding_is_undone(name: str) -> None:
    assert decode(CODERS[name](PLAIN), name, len(PLAIN)) == PLAIN
    assert decode(b"", name, 10) == b""
    assert decode(CODERS[name](b"") or b"", name, 0) == b""


def test_codings_are_undone_in_reverse_order() -> None:
    body = zstandard.ZstdCompressor().compress(brotli.compress(gzip.compress(PLAIN)))
    assert decode(body, "gzip, br,identity , zstd", len(PLAIN)) == PLAIN
    assert decode(PLAIN, None, len(PLAIN)) == PLAIN


def test_members_and_frames_after_one_another_are_one_body() -> None:
    assert decode(gzip.compress(b"ab") + gzip.compress(b"cd") + b"\0\0", "gzip", 4) == b"abcd"
    compress = zstandard.ZstdCompressor().compress
    assert decode(compress(b"ab") + compress(b"cd"), "zstd", 4) == b"abcd"


@pytest.mark.parametrize("name", CODERS)
def test_one_byte_over_the_limit_is_too_large(name: str) -> None:
    with pytest.raises(CodingError) as caught:
        decode(CODERS[name](PLAIN), name, len(PLAIN) - 1)
    assert caught.value.code == "too_large"


@pytest.mark.parametrize("name", [name for name in CODERS if name != "identity"])
def test_a_bomb_ends_at_the_limit_without_being_unfolded(name: str) -> None:
    bomb = CODERS[name](bytes(20_000_000))
    tracemalloc.start()
    try:
        with pytest.raises(CodingError) as caught:
            decode(bomb, name, 100_000)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert caught.value.code == "too_large"
    assert peak < 3_000_000


@pytest.mark.parametrize("name", [name for name in CODERS if name != "identity"])
@pytest.mark.parametrize(
    "damage",
    [lambda body: body[:-6], lambda body: body[: len(body) // 2], lambda _: b"not compressed at all"],
    ids=["short", "half", "plain"],
)
def test_broken_bodies_are_coding_errors(name: str, damage: Callable[[bytes], bytes]) -> None:
    with pytest.raises(CodingError) as caught:
        decode(damage(CODERS[name](PLAIN)), name, 1_000_000)
    assert caught.value.code == "coding"


@pytest.mark.parametrize("name", ["compress", "gzip, aes128gcm", "gzip,gzip,gzip,gzip,gzip"])
def test_unknown_or_too_many_codings_are_refused(name: str) -> None:
    with pytest.raises(CodingError) as caught:
        decode(b"x", name, 100)
    assert caught.value.code == "coding"


@pytest.mark.parametrize("name", ["gzip", "zstd"])
def test_very_many_parts_take_time_that_grows_with_their_number_alone(name: str) -> None:
    """What follows a part must not be copied for each: megabytes of empty parts would take minutes."""
    empty, last = CODERS[name](b""), CODERS[name](b"ab")
    began = time.process_time()
    assert decode(empty * (MAX_PARTS - 1) + last, name, 100) == b"ab"
    with pytest.raises(CodingError, match="parts") as caught:
        decode(empty * 400_000, name, 100)
    assert caught.value.code == "coding"
    assert time.process_time() - began < 5


def test_zeros_behind_members_are_passed_over_at_once() -> None:
    padded = gzip.compress(b"ab") + bytes(4_000_000) + gzip.compress(b"cd") + bytes(4_000_000)
    began = time.process_time()
    assert decode(padded, "gzip", 4) == b"abcd"
    assert time.process_time() - began < 2
