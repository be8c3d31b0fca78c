"""Content codings undone with a limit, so that a small body cannot become a large one unnoticed."""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable
from typing import Protocol, TypeVar

import brotli
import zstandard

from proxy.errors import ShadowreadError

MAX_CODINGS = 4
"""Codings stacked on one body; more is not believed."""

MAX_PARTS = 20_000
"""Gzip members or zstd frames of one body; a part without content takes eight bytes, and as long as a large one."""

_STEP = 64 * 1024
_FIRST = 512
"""Bytes that a part is tried with first: what it leaves over is copied, which must not be all that follows it."""
_ZEROS = re.compile(rb"\0*")


class CodingError(ShadowreadError):
    """A body could not be decoded. `code` is `too_large` or `coding`, as in `Observation.error`."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(f"{code}: {text}")
        self.code = code


def decode(body: bytes, content_encoding: str | None, limit: int) -> bytes:
    """`body` without its content codings (RFC 9110 8.4), which the field lists in the order applied.

    Knows gzip, x-gzip, deflate (with and without the zlib wrapper), br, zstd and identity. Raises
    CodingError: `too_large` once the result passes `limit` bytes, `coding` for an unknown coding or a
    body that is broken or cut short. An empty body is empty under every coding.
    """
    names = [name.strip().lower() for name in (content_encoding or "").split(",")]
    names = [name for name in names if name not in ("", "identity")]
    if len(names) > MAX_CODINGS:
        raise CodingError("coding", f"{len(names)} content codings on one body, at most {MAX_CODINGS} are undone")
    for name in reversed(names):
        undo = _DECODERS.get(name)
        if undo is None:
            raise CodingError("coding", f"content coding {name[:40]!r} is not known")
        if body:
            try:
                body = undo(body, limit)
            except (zlib.error, brotli.error, zstandard.ZstdError) as error:
                raise CodingError("coding", f"the body is not valid {name}: {error}") from error
    if len(body) > limit:
        raise _over(limit)
    return body


def _over(limit: int) -> CodingError:
    return CodingError("too_large", f"the decoded body is over {limit} bytes")


class _Part(Protocol):
    """A decompression object of zlib or zstandard."""

    @property
    def eof(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...


T = TypeVar("T", bound=_Part)


def _parts(
    body: bytes, new: Callable[[], T], undo: Callable[[T, memoryview], None], padding: re.Pattern[bytes] | None = None
) -> None:
    """Undo one part after another until the body ends. `padding` may stand behind a part and is passed over."""
    rest, at, parts = memoryview(body), 0, 0
    while at < len(rest):
        if parts == MAX_PARTS:
            raise CodingError("coding", f"more than {MAX_PARTS} compressed parts in one body")
        parts += 1
        part, step = new(), _FIRST
        while not part.eof:
            if at >= len(rest):
                raise CodingError("coding", "the compressed body is cut short")
            piece = rest[at : at + step]
            undo(part, piece)
            at += len(piece) - len(part.unused_data)
            step = min(2 * step, _STEP)
        if padding is not None and (passed := padding.match(body, at)) is not None:
            at = passed.end()


def _inflate(wbits: int, body: bytes, limit: int) -> tuple[bytes, bytes]:
    """One zlib stream from the start of `body`: its bytes, and what follows it."""
    inflater = zlib.decompressobj(wbits)
    out = inflater.decompress(body, limit + 1)
    if len(out) > limit:
        raise _over(limit)
    if not inflater.eof:
        raise CodingError("coding", "the compressed body is cut short")
    return out, inflater.unused_data


def _gzip(body: bytes, limit: int) -> bytes:
    """RFC 1952: one or more members after one another, zero padding allowed behind them."""
    out = bytearray()

    def undo(member: zlib._Decompress, piece: memoryview) -> None:
        nonlocal out
        out += member.decompress(piece, limit + 1 - len(out))
        if len(out) > limit:
            raise _over(limit)

    _parts(body, lambda: zlib.decompressobj(16 + zlib.MAX_WBITS), undo, _ZEROS)
    return bytes(out)


def _deflate(body: bytes, limit: int) -> bytes:
    """RFC 9110 8.4.1.2 means the zlib format; some senders leave its wrapper off."""
    try:
        out, rest = _inflate(zlib.MAX_WBITS, body, limit)
    except zlib.error:
        out, rest = _inflate(-zlib.MAX_WBITS, body, limit)
    if rest:
        raise CodingError("coding", "bytes follow the deflate stream")
    return out


def _brotli(body: bytes, limit: int) -> bytes:
    decoder = brotli.Decompressor()
    out = bytearray(decoder.process(body, output_buffer_limit=_STEP))
    while not decoder.is_finished():
        if len(out) > limit:
            raise _over(limit)
        piece = decoder.process(b"", output_buffer_limit=_STEP)
        if not piece and decoder.can_accept_more_data():
            raise CodingError("coding", "the compressed body is cut short")
        out += piece
    if len(out) > limit:
        raise _over(limit)
    return bytes(out)


def _zstd(body: bytes, limit: int) -> bytes:
    """RFC 8878 frames after one another; the window is held to 8 MiB as RFC 9659 has it for HTTP.

    Read twice: the stream reader keeps to the limit but takes a cut frame for an end, the object that
    knows where a frame ends has no limit and so must only see what is known to be small.
    """
    decompressor = zstandard.ZstdDecompressor(max_window_size=8 * 1024 * 1024)
    size = 0
    with decompressor.stream_reader(body, read_across_frames=True) as reader:
        while piece := reader.read(_STEP):
            size += len(piece)
            if size > limit:
                raise _over(limit)
    out = bytearray()

    def undo(frame: zstandard.ZstdDecompressionObj, piece: memoryview) -> None:
        nonlocal out
        out += frame.decompress(piece)

    _parts(body, decompressor.decompressobj, undo)
    return bytes(out)


_DECODERS: dict[str, Callable[[bytes, int], bytes]] = {
    "gzip": _gzip,
    "x-gzip": _gzip,
    "deflate": _deflate,
    "br": _brotli,
    "zstd": _zstd,
}
