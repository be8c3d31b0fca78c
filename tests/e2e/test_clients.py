"""`limits.clients` holds in a whole proxy, shows in its metrics, and may change while it runs."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.e2e.backends import answering, backend, fetch, response
from tests.e2e.conftest import running, settings


async def test_clients_beyond_the_limit(folder: Path) -> None:
    answer = response(b'{"n":1}')
    async with backend(answering(answer)) as primary, backend(answering(answer)) as shadow:
        made = settings(folder, primary, shadow, limits={"clients": 1})
        async with running(made) as proxy:
            admin = f"http://127.0.0.1:{proxy.application.admin.port}"
            host, port = proxy.application.edge.address
            reader, writer = await asyncio.open_connection(host, port)
            try:
                writer.write(b"GET /api/things/1 HTTP/1.1\r\nHost: h\r\n\r\n")
                assert (await reader.readuntil(b'{"n":1}')).startswith(b"HTTP/1.1 200 OK")
                assert (await fetch(proxy.url)).startswith(b"HTTP/1.1 503 Service Unavailable")
                shown = await fetch(admin, b"/metrics", authority=b"127.0.0.1")
                assert b"\nshadowread_edge_refused_clients_total 1.0\n" in shown
                assert b"\nshadowread_buffered_bytes " in shown
                await proxy.application.reload(made.model_copy(update={"limits": made.limits.model_copy(
                    update={"clients": 2})}))  # fmt: skip
                assert (await fetch(proxy.url)).startswith(b"HTTP/1.1 200 OK")
            finally:
                writer.close()
