"""What a request costs at the edge against a bare aiohttp reverse proxy: `python -m tests.bench.bench_edge`.

Processor time per request, which other work on the machine disturbs less than requests per second. Rounds
are interleaved and medians compared, for figures drift; only ratios mean something. Needs wrk.
"""

from __future__ import annotations

import os
import re
import statistics
import subprocess
import sys
from pathlib import Path

BACKEND = """
import asyncio, sys, uvloop
class Backend(asyncio.Protocol):
    size = int(sys.argv[1])
    answer = b"HTTP/1.1 200 OK\\r\\nContent-Type: application/json\\r\\nContent-Length: %d\\r\\n\\r\\n" % size
    answer += b"x" * size
    def connection_made(self, transport): self.transport = transport
    def data_received(self, data): self.transport.write(self.answer * data.count(b"\\r\\n\\r\\n"))
async def main():
    server = await asyncio.get_running_loop().create_server(Backend, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.Event().wait()
uvloop.run(main())
"""

EDGE = """
import asyncio, sys, uvloop
from proxy.edge.server import Edge
from proxy.readers.client import HttpClient
class Tap:
    wants_request_body = False
    traceparent = b""
    def response_head(self, status, headers): pass
    def response_body(self, chunk): pass
    def end(self): pass
    def failed(self, code): pass
    def cancelled(self): pass
async def main():
    primary = HttpClient(sys.argv[1], connect_timeout=5, idle_timeout=30, max_connections=256, max_idle=256)
    edge = Edge(primary=primary, open_tap=lambda *_: Tap())
    await edge.start("127.0.0.1", 0)
    print(edge.address[1], flush=True)
    await asyncio.Event().wait()
uvloop.run(main())
"""

BARE = """
import asyncio, sys, aiohttp, uvloop
from aiohttp import web
async def main():
    session = aiohttp.ClientSession(auto_decompress=False, connector=aiohttp.TCPConnector(limit=256))
    async def handle(request):
        async with session.request(
            request.method, sys.argv[1] + request.raw_path, headers=request.headers, allow_redirects=False
        ) as upstream:
            response = web.StreamResponse(status=upstream.status, reason=upstream.reason, headers=upstream.headers)
            await response.prepare(request)
            async for chunk in upstream.content.iter_any():
                await response.write(chunk)
            await response.write_eof()
            return response
    server = await asyncio.get_running_loop().create_server(web.Server(handle, access_log=None), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.Event().wait()
uvloop.run(main())
"""


def start(core: int, code: str, argument: str) -> tuple[subprocess.Popen[str], int]:
    command = ["taskset", "-c", str(core), sys.executable, "-c", code, argument]
    # What aiohttp logs when wrk hangs up is no result.
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout is not None
    return process, int(process.stdout.readline())


def spent(process: subprocess.Popen[str]) -> float:
    """Seconds of processor time `process` has used, by /proc/PID/stat (user and system)."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def cost(process: subprocess.Popen[str], port: int, seconds: int) -> float:
    """Microseconds of processor time that `process` spends on a request, under load on `port`."""
    before = spent(process)
    command = ["taskset", "-c", "1", "wrk", "-t1", "-c32", f"-d{seconds}s", f"http://127.0.0.1:{port}/a?b=c"]
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    after = spent(process)
    found = re.search(r"(\d+) requests in", out)
    if "Non-2xx" in out or found is None:
        raise SystemExit(out)
    return (after - before) / int(found[1]) * 1e6


def main(rounds: int = 3, seconds: int = 2) -> None:
    for size in (1024, 10_240, 102_400):
        backend, port = start(1, BACKEND, str(size))
        proxies = {}
        try:
            for name, code in (("edge", EDGE), ("bare aiohttp", BARE)):
                proxies[name] = start(0, code, f"http://127.0.0.1:{port}")
            figures: dict[str, list[float]] = {name: [] for name in proxies}
            for _ in range(rounds):
                for name, (process, at) in proxies.items():
                    figures[name].append(cost(process, at, seconds))
            medians = {name: statistics.median(values) for name, values in figures.items()}
            ratio = medians["bare aiohttp"] / medians["edge"]
            told = ", ".join(f"{name} {value:.0f} us" for name, value in medians.items())
            sys.stdout.write(f"{size:>7} bytes: the edge costs 1/{ratio:.2f} of bare aiohttp ({told} a request)\n")
        finally:
            for process in (backend, *(process for process, _ in proxies.values())):
                process.kill()
                process.wait()


if __name__ == "__main__":
    main()
