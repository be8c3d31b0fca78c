"""The reverse proxy that one writes with aiohttp: `python -m tests.bench.bare URL`, which prints its port.

Its low-level server (no routing, no middleware) and its `ClientSession`, on uvloop.
"""

from __future__ import annotations

import asyncio
import sys

import aiohttp
import uvloop
from aiohttp import web

TOLD = r"bare on port (\d+)"


async def main(upstream: str) -> None:
    session = aiohttp.ClientSession(auto_decompress=False, connector=aiohttp.TCPConnector(limit=256))

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        async with session.request(
            request.method, upstream + request.raw_path, headers=request.headers, allow_redirects=False
        ) as answer:
            response = web.StreamResponse(status=answer.status, reason=answer.reason, headers=answer.headers)
            await response.prepare(request)
            async for chunk in answer.content.iter_any():
                await response.write(chunk)
            await response.write_eof()
            return response

    server = await asyncio.get_running_loop().create_server(web.Server(handle, access_log=None), "127.0.0.1", 0)
    print(f"bare on port {server.sockets[0].getsockname()[1]}")  # noqa: T201 - who started this reads it
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1]))
