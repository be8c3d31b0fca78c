"""`shadowread serve` as a process: SIGHUP, a changed file, a bad one, what `status` and the page tell, two SIGTERMs."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import simplejson

from proxy.settings import Settings, show
from tests.demo.trees import tree, wait_until_gone
from tests.e2e.backends import backend, fetch
from tests.e2e.conftest import settings
from tests.reload.conftest import SLOW, Side, until

TOKEN = "a long and secret token"


class Served:
    """The process, its log so far, and where it listens."""

    def __init__(self, process: asyncio.subprocess.Process, file: Path) -> None:
        self.process = process
        self.file = file
        self.log = ""

    async def read(self) -> None:
        assert self.process.stderr is not None
        async for line in self.process.stderr:
            self.log += line.decode()

    async def said(self, text: str, times: int = 1) -> None:
        await until(lambda: self.log.count(text) >= times or self.process.returncode is not None, 30.0)
        assert self.log.count(text) >= times, self.log

    @property
    def url(self) -> str:
        found = re.search(r"serving (http://\S+), admin port (\d+)", self.log)
        assert found is not None, self.log
        self.admin = int(found[2])
        return found[1]

    def write(self, made: Settings, **more: Any) -> None:
        write(self.file, made, **more)


def write(file: Path, made: Settings, **more: Any) -> None:
    file.write_text(simplejson.dumps({**show(made), "admin": {"listen": "127.0.0.1:0", "token": TOKEN}, **more}))


@asynccontextmanager
async def serving(folder: Path, made: Settings) -> AsyncIterator[Served]:
    file = folder / "shadowread.yaml"
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    write(file, made)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "proxy.cli", "serve", "-c", str(file), stderr=asyncio.subprocess.PIPE, env=environment
    )
    served = Served(process, file)
    async with asyncio.TaskGroup() as group:
        reading = group.create_task(served.read())
        try:
            await served.said("serving http://")
            yield served
        finally:
            members = tree(process.pid)
            if process.returncode is None:
                process.kill()
            await process.wait()
            await reading
            await asyncio.to_thread(wait_until_gone, members)


@pytest.mark.slow
async def test_a_process_reloads_refuses_and_tells(tmp_path: Path) -> None:
    primary, shadow = Side({"a": 1}), Side({"a": 2})
    async with backend(primary) as primary.url, backend(shadow) as shadow.url:
        made = settings(tmp_path, primary.url, shadow.url, settle={"attempts": 0})
        async with serving(tmp_path, made) as served:
            host, port = served.url.removeprefix("http://").split(":")
            reader, writer = await asyncio.open_connection(host, int(port))

            async def ask() -> None:
                writer.write(b"GET /api/things/1 HTTP/1.1\r\nHost: a\r\n\r\n")
                assert b"200 OK" in await reader.readuntil(b"\r\n\r\n")
                assert await reader.readexactly(8) == b'{"a": 1}'

            await ask()
            served.write(made, compare={"ignore": ["$.a"]})
            served.process.send_signal(signal.SIGHUP)
            await served.said("taken over: compare.ignore")
            await ask()

            served.file.write_text("primary: {url: nonsense}\nunknown: 1\n")
            await served.said("the configuration as it is now is refused")
            assert f"{served.file}:1: primary.url: " in served.log
            assert f"{served.file}:2: unknown: " in served.log
            await ask()

            served.write(made, listen="127.0.0.1:1", sampling=0.5)
            await served.said("refused: listen: cannot change while the proxy runs")
            await ask()
            refused = await _readyz(served)
            assert [one.partition(":")[0] for one in refused["refused"]["problems"]] == ["listen"]
            assert (await _readyz(served, token=False))["refused"] is True
            assert "listen: cannot change" in await _page(served)

            # The port was chosen by the system: it is told to the command, and to nobody else.
            beside = tmp_path / "beside.yaml"
            admin = {"listen": f"127.0.0.1:{served.admin}", "token": TOKEN}
            beside.write_text(simplejson.dumps({**show(made), "admin": admin}))
            status = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "proxy.cli", "status", "-c", str(beside), stdout=asyncio.subprocess.PIPE
            )
            out = (await status.communicate())[0].decode()
            assert status.returncode == 0
            assert f"the proxy works under configuration {refused['fingerprint']} since " in out
            assert "this file is another one" in out
            assert "  listen: cannot change while the proxy runs" in out
            assert TOKEN not in served.log + out

            served.write(made)
            await served.said("taken over: compare.ignore", 2)
            await ask()
            writer.close()
            served.process.terminate()
            assert await served.process.wait() == 0


@pytest.mark.slow
async def test_a_second_signal_ends_it_at_once(tmp_path: Path) -> None:
    primary = Side({"a": 1})
    async with backend(primary) as primary.url:
        made = settings(tmp_path, primary.url, None, drain=60.0)
        async with serving(tmp_path, made) as served, asyncio.TaskGroup() as group:
            under_way = group.create_task(_broken(served.url))
            await primary.waited_for()
            served.process.terminate()
            await served.said("stopping: ")
            served.process.terminate()
            async with asyncio.timeout(5):
                assert await served.process.wait() == 128 + signal.SIGTERM
            await under_way
            primary.let.set()


async def _broken(url: str) -> None:
    assert await fetch(url, SLOW) == b""


async def _readyz(served: Served, *, token: bool = True) -> dict[str, Any]:
    headers = {"Authorization": f"Bearer {TOKEN}"} if token else {}
    address = f"http://127.0.0.1:{served.admin}/readyz"
    async with aiohttp.ClientSession() as client, client.get(address, headers=headers) as answer:
        found: dict[str, Any] = (await answer.json())["configuration"]
        return found


async def _page(served: Served) -> str:
    headers = {"Authorization": f"Bearer {TOKEN}", "Accept": "text/html"}
    address = f"http://127.0.0.1:{served.admin}/"
    async with aiohttp.ClientSession() as client, client.get(address, headers=headers) as answer:
        return await answer.text()
