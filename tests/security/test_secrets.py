"""The proof: secrets in every place of real exchanges, and none of them in anything that the proxy leaves behind."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from collections import Counter, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import simplejson
from aiohttp import web
from click.testing import CliRunner

from proxy.cli import cli
from proxy.ledger import LedgerReader
from proxy.settings import show
from tests.demo.trees import tree, wait_until_gone
from tests.e2e.backends import backend
from tests.e2e.conftest import settings
from tests.security.scene import Scene

EXCHANGES = 9
MOST_OF_A_KIND = 12
"""Pages that are looked at of one kind: one for each trace, and a few of each list with its filters."""
LINK = re.compile(rb'(?:href|src|action)="(/[^"#]*)')
API = ("domains", "domains/things", "findings", "findings?limit=50", "traces", "gates/things", "live", "decisions")


@dataclass
class Collector:
    """An OTLP receiver that keeps every byte."""

    url: str = ""
    received: dict[str, list[bytes]] = field(default_factory=dict)

    async def take(self, request: web.Request) -> web.Response:
        self.received.setdefault(request.path, []).append(await request.read())
        return web.Response(content_type="application/x-protobuf")


@asynccontextmanager
async def collecting() -> AsyncIterator[Collector]:
    collector = Collector()
    app = web.Application(client_max_size=64 * 1024 * 1024)
    app.router.add_post("/{path:.*}", collector.take)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    collector.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield collector
    finally:
        await runner.cleanup()


class Served:
    """`shadowread serve -v` as a process, with all that it logs."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.logged = bytearray()
        self.url = self.admin = ""
        self._ready = asyncio.get_running_loop().create_future()
        self._reading = asyncio.ensure_future(self._read())

    async def _read(self) -> None:
        assert self.process.stderr is not None
        async for line in self.process.stderr:
            self.logged += line
            if found := re.search(rb"serving (http://[\d.:]+), admin port (\d+)", line):
                self.url, self.admin = found[1].decode(), f"http://127.0.0.1:{found[2].decode()}"
                self._ready.set_result(None)
        if not self._ready.done():
            self._ready.set_exception(AssertionError(f"the proxy ended: {self.logged.decode()}"))

    async def ready(self) -> None:
        await asyncio.wait_for(self._ready, 120)

    async def stop(self) -> None:
        if self.process.returncode is None:
            self.process.send_signal(signal.SIGTERM)
        await asyncio.wait_for(self.process.wait(), 60)
        await self._reading


@asynccontextmanager
async def serving(path: Path, environ: dict[str, str]) -> AsyncIterator[Served]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "proxy.cli", "serve", "-v", "-c", str(path), stderr=asyncio.subprocess.PIPE,
        env={**os.environ, **environ}, limit=1024 * 1024,
    )  # fmt: skip
    try:
        served = Served(process)
        await served.ready()
        yield served
    finally:
        members = tree(process.pid)
        if process.returncode is None:
            os.kill(process.pid, signal.SIGKILL)
        await process.wait()
        await asyncio.to_thread(wait_until_gone, members)


async def ask(url: str, method: bytes, target: bytes, fields: list[bytes], body: bytes = b"") -> bytes:
    """One request as it is written here, and the whole answer."""
    host, port = url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        lines = [method + b" " + target + b" HTTP/1.1", b"Host: shop.test", b"Connection: close", *fields]
        if body:
            lines.append(b"Content-Length: %d" % len(body))
        writer.write(b"\r\n".join(lines) + b"\r\n\r\n" + body)
        return await asyncio.wait_for(reader.read(), 30)
    finally:
        writer.close()


async def exchanges(scene: Scene, url: str) -> list[bytes]:
    """Send everything; the bytes that went over the wire, in which every secret must be found."""
    search = simplejson.dumps({"filter": {"clientSecret": scene.search}}).encode()
    form = f"grant=code&refresh_token={scene.form}".encode()
    kind = b"Content-Type: application/json"
    form_kind = b"Content-Type: application/x-www-form-urlencoded"
    asked = [
        (b"GET", scene.target, scene.fields, b""),
        (b"GET", b"/api/things/2", [scene.basic_field], b""),
        (b"GET", b"/api/things/3", [scene.digest_field], b""),
        (b"GET", b"/api/reset/" + scene.path.encode(), scene.fields, b""),
        (b"POST", b"/api/things/search", [*scene.fields, kind], search),
        (b"POST", b"/api/things/search", [*scene.fields, form_kind], form),
        (b"GET", b"/api/text", scene.fields, b""),
        (b"GET", b"/api/broken", scene.fields, b""),
        (b"GET", b"/api/direct/1", scene.fields, b""),
    ]
    assert len(asked) == EXCHANGES
    wire: list[bytes] = []
    for method, target, fields, body in asked:
        answer = await ask(url, method, target, fields, body)
        assert answer.startswith(b"HTTP/1.1 200"), answer[:200]
        wire += [target, *fields, body, answer]
    return wire


async def crawl(client: aiohttp.ClientSession, admin: str) -> dict[str, bytes]:
    """Every page and every answer of the API that can be reached."""
    found: dict[str, bytes] = {}
    seen: Counter[str] = Counter()
    waiting = deque(["/", "/metrics", "/healthz", "/readyz", *(f"/api/v1/{name}" for name in API)])
    while waiting:
        path = waiting.popleft()
        kind = re.sub(r"[0-9a-f]{12,}|\?.*|\d+", "*", path)
        if path in found or seen[kind] >= MOST_OF_A_KIND or "/events" in path:
            continue
        seen[kind] += 1
        async with client.get(f"{admin}{path}", allow_redirects=False) as response:
            head = b"\n".join(f"{name}: {value}".encode() for name, value in response.headers.items())
            body = await response.read()
        found[path] = head + b"\n\n" + body
        waiting += [link.decode().replace("&amp;", "&") for link in LINK.findall(body)]
        if path == "/api/v1/traces":
            for one in simplejson.loads(body)["traces"]:
                waiting += [f"/api/v1/traces/{one['id']}", f"/api/v1/traces/{one['id']}/tree", f"/traces/{one['id']}"]
        if path == "/api/v1/findings":
            waiting += [f"/api/v1/findings/{one['id']}" for one in simplejson.loads(body)["findings"]]
    return found


def command(path: Path, *words: str) -> bytes:
    """What a command prints. In this process, as it takes many of them."""
    result = CliRunner(env={"COLUMNS": "4000"}).invoke(cli, [*words, "-c", str(path)])
    assert result.exit_code in (0, 1, 2), (words, result.output, result.exception)
    return result.output.encode()


def configured(scene: Scene, folder: Path, primary: str, shadow: str) -> dict[str, Any]:
    plant = scene.plant
    made: dict[str, Any] = show(settings(folder, primary, shadow))
    made["admin"]["token"] = plant("admin token")
    # Nobody listens there, so that every error of the drivers is told.
    made["postgres"] = {"dsn": f"postgresql://app:{plant('password of postgres.dsn')}@127.0.0.1:9/shop"}
    made["mongo"] = {
        "url": f"mongodb://app:{plant('password of mongo.url')}@127.0.0.1:9/?timeoutMS=300",
        "database": "s",
    }
    made["examine"] = {"share": 1.0}
    made["compare"] = {"headers": ["content-type", "location", "set-cookie", "x-session-token", "x-debug"]}
    made["domains"] = {
        "things": {
            "routes": [
                "GET /api/things/{id}",
                "GET /api/reset/{token}",
                {"route": "POST /api/things/search", "safe": True},
                "GET /api/text",
                "GET /api/broken",
                {
                    "route": "GET /api/direct/{id}",
                    "shadow": {"postgres": {"sql": "SELECT 1 AS id WHERE $1 <> ''", "params": ["path.id"]}},
                },
            ]
        }
    }
    return made


async def all_counted(client: aiohttp.ClientSession, admin: str) -> dict[str, Any]:
    async with asyncio.timeout(120):
        while True:
            async with client.get(f"{admin}/api/v1/domains") as response:
                assert response.status == 200, await response.text()
                (domain,) = (await response.json())["domains"]
            if domain["observed"] == EXCHANGES:
                return dict(domain)
            await asyncio.sleep(0.05)


@pytest.mark.slow
async def test_no_secret_is_left_anywhere(tmp_path: Path) -> None:
    scene = Scene()
    async with (
        backend(scene.script("primary")) as primary,
        backend(scene.script("shadow")) as shadow,
        collecting() as collector,
    ):
        path = tmp_path / "shadowread.yaml"
        path.write_text(simplejson.dumps(configured(scene, tmp_path, primary, shadow)))
        exporting = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
            "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
            "OTEL_TRACES_SAMPLER": "always_on",
            "OTEL_METRIC_EXPORT_INTERVAL": "500",
            "OTEL_BSP_SCHEDULE_DELAY": "200",
        }
        token = {"Authorization": f"Bearer {scene.plant.secrets['admin token']}"}
        async with serving(path, exporting) as served, aiohttp.ClientSession(headers=token) as client:
            wire = await exchanges(scene, served.url)
            domain = await all_counted(client, served.admin)
            left = await crawl(client, served.admin)
            traces = simplejson.loads(left["/api/v1/traces"].partition(b"\n\n")[2])["traces"]
            rich = next(one["id"] for one in traces if one["target"].startswith("/api/things/1;"))
            async with client.post(f"{served.admin}/api/v1/traces/{rich}/replay", json={}) as response:
                left["replay"] = await response.read()
            await served.stop()
            left["log"] = bytes(served.logged)
        left |= {f"otlp {name}": b"".join(parts) for name, parts in collector.received.items()}
        left |= {f"file {file.name}": file.read_bytes() for file in (tmp_path / "ledger").rglob("*") if file.is_file()}
        url = f"sqlite:///{tmp_path / 'ledger' / 'shadowread.db'}"
        reader = await LedgerReader.open(url)
        try:
            for one in await reader.traces(limit=100):
                left[f"stored trace {one.id}"] = repr(await reader.trace(one.id)).encode()
                left[f"stored trace {one.id} as it lies"] = repr(one).encode()
        finally:
            await reader.close()
        finding = simplejson.loads(left["/api/v1/findings"].partition(b"\n\n")[2])["findings"][0]
        commands = [
            ("status",), ("status", "--json"), ("findings",), ("findings", "things", "--json"), ("gate",),
            ("gate", "things", "--json", "--junit", str(tmp_path / "report.xml")), ("config", "show"),
            ("trace", rich), ("trace", rich, "--json"), ("check",), ("replay", "things"),
            ("replay", "--finding", finding["id"]),
        ]  # fmt: skip
        for words in commands:
            # A thread: each runs a loop of its own.
            left[" ".join(words)] = await asyncio.to_thread(command, path, *words)
        left["report.xml"] = (tmp_path / "report.xml").read_bytes()

    # What was planted was really sent, what is searched really tells of it, and then none of it is there.
    assert scene.plant.missing([*wire, path.read_bytes(), *scene.sent]) == []
    assert domain["verdicts"]["diff"] >= 6, domain["verdicts"]
    assert domain["verdicts"]["shadow_error"] == 2, [(one["route"], one["verdict"]) for one in traces]
    assert {"otlp /v1/traces", "otlp /v1/metrics"} <= left.keys()
    for name, mark in {
        "log": b"INFO",
        f"trace {rich}": b"[redacted ",
        f"/traces/{rich}": b"[redacted ",
        "/api/v1/traces": b"redacted",
    }.items():
        assert mark in left[name], (name, left[name][:500])
    assert all(text.strip() for text in left.values())
    assert "\n".join(scene.plant.anywhere(left)) == ""
