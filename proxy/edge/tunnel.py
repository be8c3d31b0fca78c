"""After 101: bytes both ways, untouched, each direction ending on its own."""

from __future__ import annotations

import asyncio

from proxy.edge.protocol import EdgeProtocol, TunnelInput
from proxy.errors import UpstreamError
from proxy.readers.client_response import UpgradedStream


async def tunnel(client: EdgeProtocol, incoming: TunnelInput, upstream: UpgradedStream) -> None:
    """Carry bytes until both directions have ended, or either connection broke (then both are reset)."""
    try:
        async with asyncio.TaskGroup() as both:
            both.create_task(_up(incoming, upstream))
            both.create_task(_down(upstream, client))
    except* (UpstreamError, ConnectionError):
        upstream.abort()
        client.reset()
    else:
        upstream.close()


async def _up(incoming: TunnelInput, upstream: UpgradedStream) -> None:
    while piece := await incoming.read():
        upstream.write(piece)
        await upstream.drain()
    upstream.write_eof()


async def _down(upstream: UpgradedStream, client: EdgeProtocol) -> None:
    while piece := await upstream.read():
        client.write(piece)
        # A tunnel may rest as long as it likes; a dead client ends by TCP keep-alive.
        await client.drain(None)
    client.write_eof()
