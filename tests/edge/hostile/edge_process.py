"""An edge in a process of its own, as `shadowread serve` runs one: what it costs can be read from outside."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

_EDGE = """
import asyncio, resource, sys, uvloop
from proxy.edge.server import Edge
from proxy.readers.client import HttpClient
async def main():
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    primary = HttpClient(sys.argv[1], connect_timeout=5, idle_timeout=30, max_connections=10_000, max_idle=256)
    edge = Edge(primary=primary, open_tap=lambda *_: None, client_timeout=float(sys.argv[2]))
    await edge.start("127.0.0.1", 0)
    print(edge.address[1], flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    await edge.stop(0)
    await primary.close()
uvloop.run(main())
"""


@dataclass(frozen=True, slots=True)
class EdgeProcess:
    """Its process id and the port it listens on."""

    pid: int
    port: int

    @property
    def resident(self) -> int:
        """Bytes of memory that the process holds now."""
        fields = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in fields if line.startswith("VmRSS:")) * 1024


@asynccontextmanager
async def edge_process(primary: str, *, client_timeout: float = 60.0) -> AsyncIterator[EdgeProcess]:
    """Run one in front of the URL `primary`; it ends with the block."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _EDGE, primary, str(client_timeout), stdin=pipe, stdout=pipe
    )
    try:
        assert process.stdout is not None
        yield EdgeProcess(process.pid, int(await process.stdout.readline()))
        await process.communicate(b"")
        assert process.returncode == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
