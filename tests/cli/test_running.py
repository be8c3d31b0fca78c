"""What `status` asks of the proxy that runs."""

from __future__ import annotations

import asyncio
import json

from proxy.cli.running import running_configuration
from proxy.settings import Settings

ANSWER = {"configuration": {"loaded_at": "2026-05-01T12:00:00+00:00", "fingerprint": "ab", "refused": None}}


async def test_an_answer_in_several_packets_is_read_whole() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        body = json.dumps(ANSWER).encode()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(body) + body[:20])
        await writer.drain()
        await asyncio.sleep(0.05)  # whoever takes what is there takes it by then
        writer.write(body[20:])
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        found = await running_configuration(Settings.model_validate({"admin": {"listen": f"127.0.0.1:{port}"}}))
    assert found is not None
    assert (found["fingerprint"], found["refused"]) == ("ab", False)
