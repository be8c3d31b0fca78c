"""A request body that comes in pieces, on its way to the upstream."""

from __future__ import annotations

from collections.abc import AsyncIterable
from typing import Protocol

from proxy.errors import UpstreamError


class Sink(Protocol):
    """Where the bytes go."""

    def write(self, data: bytes) -> None:
        """Raises UpstreamError once the connection is gone."""

    async def drain(self) -> None:
        """Wait until more may be written."""


async def send_body(sink: Sink, body: AsyncIterable[bytes], length: int | None) -> None:
    """Send `length` bytes exactly, or chunked when None. Whatever goes wrong is an UpstreamError, also where the body's
    own source raises."""
    left = length
    try:
        async for chunk in body:
            if not chunk:
                continue
            if left is None:
                sink.write(b"%x\r\n%b\r\n" % (len(chunk), chunk))
            else:
                left -= len(chunk)
                if left < 0:
                    raise UpstreamError("protocol", "the request body is longer than its Content-Length")
                sink.write(chunk)
            await sink.drain()
        if left is None:
            sink.write(b"0\r\n\r\n")
        elif left:
            raise UpstreamError("protocol", f"the request body ended {left} bytes short")
    except UpstreamError:
        raise
    except Exception as error:
        raise UpstreamError("protocol", "the request body broke off") from error
