from __future__ import annotations

import asyncio

from aiohttp import web

from proxy.admin.listener import BoundedSite

ASK = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"


async def test_one_connection_too_many_is_closed_and_the_others_are_served() -> None:
    async def hello(_request: web.Request) -> web.Response:
        return web.Response(text="hello")

    app = web.Application()
    app.router.add_get("/", hello)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await BoundedSite(runner, "127.0.0.1", 0, most=2).start()
        port = runner.addresses[0][1]

        async def ask() -> tuple[bytes, asyncio.StreamWriter]:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                writer.write(ASK)
                async with asyncio.timeout(5):
                    return await reader.readline(), writer
            except ConnectionError:
                return b"", writer

        kept = [await ask() for _ in range(2)]
        more = [await ask() for _ in range(3)]
        assert [line for line, _ in kept] == [b"HTTP/1.1 200 OK\r\n"] * 2
        assert [line for line, _ in more] == [b""] * 3
        kept[0][1].close()
        assert runner.server is not None
        async with asyncio.timeout(5):
            while len(runner.server.connections) > 1:  # noqa: ASYNC110 - nothing announces it
                await asyncio.sleep(0.001)
        again = await ask()
        assert again[0] == b"HTTP/1.1 200 OK\r\n"
        for _, writer in (*kept, *more, again):
            writer.close()
    finally:
        await runner.cleanup()
