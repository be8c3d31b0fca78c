"""Things and their ids, backends that serve them, and the command run on them as a process."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from tests.e2e.backends import backend, response, target_of

ROUTE = "GET /api/things/{id}"


def legacy(n: int) -> str:
    return f"{n:024x}"


def uuid(n: int) -> str:
    return f"00000000-0000-4000-8000-{n:012x}"


class Things:
    """One side: things by number, asked by legacy id, and a list of them in pages of ten."""

    def __init__(self, count: int, *, by_uuid: bool) -> None:
        self.things = {n: {"id": uuid(n) if by_uuid else legacy(n), "name": f"thing {n}"} for n in range(1, count + 1)}
        self.heads: list[bytes] = []
        self.down = False

    async def __call__(self, head: bytes, writer: asyncio.StreamWriter) -> None:
        self.heads.append(head)
        if self.down:
            writer.close()
            return
        path, _, query = target_of(head).decode().partition("?")
        if path == "/api/things":
            page = int(dict(part.split("=") for part in query.split("&"))["page"])
            writer.write(_ok({"data": list(self.things.values())[(page - 1) * 10 : page * 10]}))
        elif (thing := self.things.get(int(path.rsplit("/", 1)[-1], 16))) is not None:
            writer.write(_ok({"data": thing}))
        else:
            writer.write(response(b"{}", status=b"404 Not Found"))

    @property
    def asked(self) -> list[int]:
        """The numbers of the things that were asked for by id, in that order."""
        paths = [target_of(head).decode().partition("?")[0] for head in self.heads]
        return [int(path.rsplit("/", 1)[-1], 16) for path in paths if path.startswith("/api/things/")]


def _ok(body: Any) -> bytes:
    return response(json.dumps(body).encode())


@asynccontextmanager
async def configured(folder: Path, primary: Things, shadow: Things, **more: Any) -> AsyncIterator[Path]:
    """Both sides served, with the id map of `primary`'s things; yields the configuration file."""
    pairs = [{"entity": "thing", "legacy": legacy(n), "uuid": uuid(n)} for n in primary.things]
    (folder / "ids.json").write_text(json.dumps(more.pop("pairs", pairs)))
    async with backend(primary) as one, backend(shadow) as other:
        config = folder / "shadowread.yaml"
        content: dict[str, Any] = {
            "listen": "127.0.0.1:0",
            "admin": {"listen": "127.0.0.1:0"},
            "primary": {"url": one},
            "shadow": {"url": other, "timeout": "2s"},
            "ids": {"sources": [{"file": "ids.json"}]},
            "ledger": {"url": f"sqlite:///{folder / 'shadowread.db'}", "flush": "50ms"},
            "settle": {"delay": "10ms", "attempts": 1},
            "examine": {"share": 0},
            "domains": {"things": {"routes": [{"route": ROUTE, "sweep": {"entities": {"id": "thing"}}}]}},
            **more,
        }
        with config.open("w") as file:
            YAML(typ="safe").dump(content, file)
        yield config


async def started(*arguments: str | Path) -> asyncio.subprocess.Process:
    """The command as a process of its own."""
    return await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "proxy.cli", *map(str, arguments)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def ended(process: asyncio.subprocess.Process) -> tuple[int | None, Any, str]:
    """Its exit code, what it printed as JSON (None when that is none), and its errors."""
    try:
        out, err = await asyncio.wait_for(process.communicate(), 60)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return process.returncode, json.loads(out) if out.startswith(b"{") else None, err.decode() + out.decode()


async def run(*arguments: str | Path) -> tuple[int | None, Any, str]:
    return await ended(await started(*arguments))
