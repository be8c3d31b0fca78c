"""A proxy in this process with a token on its admin site, between backends that answer 5 MB each and differ."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.e2e.backends import answering, backend, fetch, response
from tests.e2e.conftest import Proxy, running, settings

TOKEN = "a long and secret token"
ITEMS = 20_000
DIFFERING = (3, 9_999, 19_998)
"""Elements of `$.items` whose price differs: near the start, in the middle, near the end."""
HOSTILE = "<script>document.title = 'owned'</script>\u202egnp.exe\x00"


def body(*, shadow: bool) -> bytes:
    """About 5 MB of JSON."""
    items: list[dict[str, Any]] = [
        {
            "number": number,
            "name": f"item number {number} with a name that is neither short nor very long",
            "tags": ["red", "green", "blue", f"tag-{number % 97}"],
            "stock": {"warehouse": f"W{number % 13}", "count": number % 1000, "reserved": None},
            "notes": "x" * 60,
            "price": number + 0.5,
        }
        for number in range(ITEMS)
    ]
    if shadow:
        for number in DIFFERING:
            items[number]["price"] = f"{number}.50 {HOSTILE}"
    return json.dumps({"title": HOSTILE, "items": items}).encode()


@asynccontextmanager
async def lone_proxy(folder: Path) -> AsyncIterator[tuple[str, str]]:
    """The address of its admin site and the id of the trace of one exchange that differed."""
    primary, shadow = response(body(shadow=False)), response(body(shadow=True))
    async with backend(answering(primary)) as first, backend(answering(shadow)) as second:
        made = settings(
            folder,
            first,
            second,
            admin={"listen": "127.0.0.1:0", "token": TOKEN},
            shadow={"url": second, "timeout": 20.0},
            limits={"body": 16 * 1024**2, "trace_body": 16 * 1024**2},
        )
        async with running(made) as proxy:
            await fetch(proxy.url)
            yield f"http://127.0.0.1:{proxy.application.admin.port}", await trace_id(proxy)


async def trace_id(proxy: Proxy) -> str:
    """Wait until the difference is written down."""
    async with asyncio.timeout(60):
        while True:
            if found := await proxy.application.ledger.traces():
                return found[0].id
            await asyncio.sleep(0.02)
