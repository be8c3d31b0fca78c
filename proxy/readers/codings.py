"""Content codings undone with a limit, so that a small body cannot become a large one unnoticed."""

from __future__ import annotations

import zlib
from collections.abc import Callable

import brotli
import zstandard

from proxy.errors import ShadowreadError

MAX_CODINGS = 4
"""Codings stacked on one body; more is not believed."""

_STEP = 64 * 1024


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
    while body:
        member, body = _inflate(16 + zlib.MAX_WBITS, body, limit - len(out))
        out += member
        body = body.lstrip(b"\0")
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
    out = []
    while body:
        frame = decompressor.decompressobj()
        out.append(frame.decompress(body))
        if not frame.eof:
            raise CodingError("coding", "the compressed body is cut short")
        body = frame.unused_data
    return b"".join(out)


_DECODERS: dict[str, Callable[[bytes, int], bytes]] = {
    "gzip": _gzip,
    "x-gzip": _gzip,
    "deflate": _deflate,
    "br": _brotli,
    "zstd": _zstd,
}
