"""Which configuration the proxy that runs works under, asked of its admin port."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import aiohttp

from proxy.cli.common import moment
from proxy.settings import Settings
from proxy.settings.changes import fingerprint

SECONDS = 1.0
MOST_BYTES = 64 * 1024
EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - compared with, not listened on


async def running_configuration(settings: Settings) -> dict[str, Any] | None:
    """What `/readyz` tells of the configuration in force; None where no proxy answers."""
    listen, token = settings.admin.listen, settings.admin.token.get_secret_value()
    host = EVERYWHERE.get(listen.host, listen.host)
    url = f"http://{f'[{host}]' if ':' in host else host}:{listen.port}/readyz"
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(SECONDS)) as client,
            client.get(url, headers=headers, allow_redirects=False) as answer,
        ):
            content = b""
            while len(content) < MOST_BYTES and (some := await answer.content.read(MOST_BYTES - len(content))):
                content += some  # a read ends where a packet does
            found = json.loads(content)["configuration"]
            refused = found["refused"]
            return {
                "at": datetime.fromisoformat(found["loaded_at"]),
                "fingerprint": str(found["fingerprint"]),
                "problems": [str(one) for one in refused["problems"]] if isinstance(refused, dict) else [],
                "refused": bool(refused),
            }
    except (aiohttp.ClientError, OSError, TimeoutError, ValueError, TypeError, KeyError):
        # Something else may listen there, or a proxy of another release.
        return None


def lines_of(found: dict[str, Any], settings: Settings) -> Iterator[str]:
    """For people: since when which configuration is in force, and why it is not this one."""
    own = fingerprint(settings)
    other = "" if found["fingerprint"] == own else f"; this file is another one, {own}"
    yield f"the proxy works under configuration {found['fingerprint']} since {moment(found['at'])} (UTC){other}"
    if found["refused"]:
        yield "the last configuration that it read is refused:"
        yield from (f"  {problem}" for problem in found["problems"] or ["its log says why"])
