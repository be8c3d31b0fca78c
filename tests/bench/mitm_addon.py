"""What one writes to have mitmproxy verify a twin: the twin is read, too, and DeepDiff compares both JSON bodies.

Runs in mitmproxy's own environment. SHADOW_URL is the twin. With SHADOW_IDS, an id map as JSON, ObjectIds of the
primary are first replaced by the uuids that stand for them; without it DeepDiff finds every id to differ. `GET
/compared` says how many pairs it took for equal and for different. The client has its answer after the comparison, so
that no pair goes uncompared.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
from pathlib import Path
from typing import Any

import aiohttp
from deepdiff import DeepDiff

LEGACY = re.compile(rb"(?<![0-9a-f])[0-9a-f]{24}(?![0-9a-f])")


class Shadow:
    def __init__(self) -> None:
        self._url = os.environ["SHADOW_URL"]
        pairs = json.loads(Path(os.environ["SHADOW_IDS"]).read_text()) if "SHADOW_IDS" in os.environ else []
        self._uuids = {pair["legacy"].encode(): pair["uuid"].encode() for pair in pairs}
        self._session: aiohttp.ClientSession | None = None
        self._found = {"equal": 0, "different": 0}

    def request(self, flow: Any) -> None:
        from mitmproxy import http  # type: ignore[import-not-found] # only its own environment has it

        if flow.request.path == "/compared":
            flow.response = http.Response.make(200, json.dumps(self._found))
        else:
            # Both sides are read at the same time.
            flow.metadata["shadow"] = asyncio.ensure_future(self._read(flow.request.path))

    async def response(self, flow: Any) -> None:
        if "shadow" not in flow.metadata:
            return
        primary, shadow = flow.response.content, await flow.metadata["shadow"]
        if self._uuids:
            primary = LEGACY.sub(lambda found: self._uuids.get(found[0], found[0]), primary)
        self._found["different" if DeepDiff(json.loads(primary), json.loads(shadow)) else "equal"] += 1

    async def _read(self, path: str) -> bytes:
        if self._session is None:
            self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=256))
        async with self._session.get(self._url + path, headers={"X-Shadow-Read": "1"}) as answer:
            return await answer.read()


addons = [Shadow()]
