"""A verifier as the commands open it, between scripted backends."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from proxy.model import Headers, ReadRequest
from proxy.opening import Opened, opening
from proxy.verify.verifier import Verifier
from tests.e2e.backends import backend, response
from tests.e2e.conftest import settings as settings_for

LEGACY, UUID = "a" * 24, "11111111-1111-4111-8111-111111111111"
TOKEN: Headers = ((b"Authorization", b"Bearer t"),)
ROUTES = [{"route": "GET /api/things/{id}", "sweep": {"entities": {"id": "thing"}}}, "GET /api/{kind}/named/{name}"]


class Scripted:
    """A scripted backend: the same answer to every request, which may be changed, and the heads that it was sent."""

    def __init__(self, body: Any, status: bytes = b"200 OK") -> None:
        self.body = body
        self.status = status
        self.heads: list[bytes] = []

    async def __call__(self, head: bytes, writer: asyncio.StreamWriter) -> None:
        self.heads.append(head)
        writer.write(response(json.dumps(self.body).encode(), status=self.status))


@asynccontextmanager
async def opened(
    folder: Path, primary: Scripted, shadow: Scripted, **more: Any
) -> AsyncIterator[tuple[Opened, Verifier]]:
    more.setdefault("domains", {"things": {"routes": ROUTES}})
    more.setdefault("settle", {"attempts": 0})
    async with (
        backend(primary) as one,
        backend(shadow) as other,
        opening(settings_for(folder, one, other, **more), examine=False) as made,
    ):
        assert made.verifier is not None
        yield made, made.verifier


def get(target: str, headers: Headers = TOKEN) -> ReadRequest:
    return ReadRequest("GET", target, headers)
