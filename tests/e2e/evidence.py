"""What the tests of the evidence share: limits that a few requests can meet, and what the admin site tells."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp

from tests.e2e.backends import fetch
from tests.e2e.conftest import Proxy

EASY: dict[str, Any] = {
    "min_comparisons": 10,
    "min_route_comparisons": 1,
    "min_entities": 0,
    "min_soak": 0.0,
    "max_upper_bound": 0.9,
    "max_route_upper_bound": 1.0,
    "min_damages": 5,
    "min_sensitivity": 0.5,
    "max_latency_ratio": 100.0,
    "provenance": [],
}
"""Limits of a gate that a test can meet in a second. No proof is asked for: scripted backends have no store."""


def plan(folder: Path) -> str:
    """A rollback plan in `folder`, and its path."""
    path = folder / "rollback.md"
    path.write_text("Set the flags back.\n")
    return str(path)


async def told(proxy: Proxy, path: str) -> dict[str, Any]:
    """What the admin site of a proxy answers."""
    url = f"http://127.0.0.1:{proxy.application.admin.port}{path}"
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        assert response.status == 200, await response.text()
        found: dict[str, Any] = await response.json()
        return found


async def asked_until(
    proxy: Proxy, condition: Callable[[dict[str, Any]], bool], *targets: bytes, seconds: float = 30
) -> dict[str, Any]:
    """Send requests until what is told of the domain `things` fulfils `condition`; returns that."""
    targets = targets or (b"/api/things/1",)
    async with asyncio.timeout(seconds):
        while True:
            for target in targets:
                await fetch(proxy.url, target)
            domain = await told(proxy, "/api/v1/domains/things")
            if condition(domain):
                return domain


def failing(domain: dict[str, Any]) -> dict[str, str]:
    """The conditions of a domain's gate that do not hold, with their sentences."""
    return {one["name"]: one["text"] for one in domain["conditions"] if not one["ok"]}
