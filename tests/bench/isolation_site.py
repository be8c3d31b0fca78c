"""The processes of the isolation benchmark: Postgres, backends and load on one core, the proxies on the other.

All proxies are started once. Those that are not being measured are stopped by SIGSTOP, so that none disturbs another.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import errno
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

import asyncpg
import msgspec

from proxy.demo.processes import Supervisor
from proxy.demo.servers import start_postgres
from tests.bench.isolation_arms import FULL, Addresses, Fault, configuration
from tests.bench.isolation_documents import id_map
from tests.bench.isolation_load import Load, Result
from tests.bench.proxies import LOAD_CORE, ROOT, BenchError, Serving, descendants, move, python, serve, told

SMALL_DISK = "24m"
_NEW_MOUNTS = 0x00020000
URGENCY = {"load": 30, "primary": 20, "twin": 10}
"""Real-time priorities: on their core they never wait for the twin, the comparison workers or Postgres, which would
then show in what is measured although it is none of the proxy's doing."""


def own_mounts() -> str | None:
    """Give this process mounts of its own, which end with it however it ends. Why not, where it may not."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_NEW_MOUNTS) != 0:
        return os.strerror(ctypes.get_errno())
    made = subprocess.run(["mount", "--make-rprivate", "/"], capture_output=True, text=True, check=False)
    return made.stderr.strip() or None


class Generator:
    """A process that makes load; it ends with this one."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            ["taskset", "-c", str(LOAD_CORE), sys.executable, "-m", "tests.bench.isolation_load"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=ROOT,
        )
        self.pid = self._process.pid

    def start(self, load: Load) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(msgspec.json.encode(asdict(load)) + b"\n")
        self._process.stdin.flush()

    def result(self) -> Result:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise BenchError(f"the load generator ended with status {self._process.wait()}")
        return msgspec.json.decode(line, type=Result)

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()


class Site:
    """Started by `opened`. `left_out` says which proxies there are not, and why."""

    def __init__(
        self, owner: Supervisor, at: Addresses, postgres: int, backends: dict[str, int], *, ahead: bool
    ) -> None:
        self._owner = owner
        self._at = at
        self._ahead = ahead
        self._postgres = postgres
        self._backends = backends
        self._filling = Path(at.small_disk) / "filling"
        self.load, self.pages = Generator(), Generator()
        self.proxies: dict[str, Serving] = {}
        self.left_out: dict[str, str] = {}
        self.urgent = False
        """Whether load and backends go before all others on their core."""

    @classmethod
    @contextlib.contextmanager
    def opened(cls, names: list[str], progress: Callable[[str], None], *, ahead: bool = False) -> Iterator[Site]:
        """Start everything. `ahead` lets it all go before other work of the machine, as on a quiet one."""
        no_mounts = own_mounts()
        with Supervisor() as owner, contextlib.ExitStack() as stack:
            progress("starting Postgres and filling the id map")
            postgres = start_postgres(owner)
            move([postgres.child.pid, *descendants(postgres.child.pid)], LOAD_CORE)
            asyncio.run(_fill(postgres.dsn()))
            progress("starting the backends")
            backends, ports = {}, {}
            for side in ("primary", "twin", "hanging"):
                child = python(owner, side, LOAD_CORE, "tests.bench.isolation_backend", side)
                ports[side], backends[side] = told(owner, child, r"(?m)^(\d+)\n")[0], child.pid
            refusing = stack.enter_context(socket.socket())
            refusing.bind(("127.0.0.1", 0))  # held, so that nobody else listens there
            small, journals = owner.folder / "small_disk", owner.folder / "journals"
            small.mkdir()
            journals.mkdir()
            no_disk = no_mounts or _mount(small)
            at = Addresses(
                primary=f"http://127.0.0.1:{ports['primary']}",
                twin=f"http://127.0.0.1:{ports['twin']}",
                hanging=f"http://127.0.0.1:{ports['hanging']}",
                refusing=f"http://127.0.0.1:{refusing.getsockname()[1]}",
                postgres=postgres.dsn(),
                journals=str(journals),
                small_disk=str(small),
            )
            site = cls(owner, at, postgres.child.pid, backends, ahead=ahead)
            stack.callback(site.close)
            for name in names:
                if name == FULL and no_disk:
                    site.left_out[name] = f"a small disk to fill cannot be mounted: {no_disk}"
                    continue
                progress(f"starting the proxy `{name}`")
                site.proxies[name] = serve(owner, name, configuration(name, at))
                site._send(name, signal.SIGSTOP)
            site.urgent = site._urge()
            yield site

    @property
    def primary_port(self) -> int:
        return int(self._at.primary.rpartition(":")[2])

    @contextlib.contextmanager
    def awake(self, name: str) -> Iterator[Serving]:
        """The proxy alone runs."""
        self._send(name, signal.SIGCONT)
        try:
            yield self.proxies[name]
        finally:
            self._send(name, signal.SIGSTOP)

    @contextlib.contextmanager
    def fault(self, fault: Fault | None) -> Iterator[None]:
        """What goes wrong as long as this lasts."""
        if fault == "disk":
            self._fill_disk()
            try:
                yield
            finally:
                self._filling.unlink()
        elif fault == "postgres":
            # Its processes are in sessions of their own; the first of them is stopped first and starts no others.
            _signal([self._postgres], signal.SIGSTOP)
            below = descendants(self._postgres)
            _signal(below, signal.SIGSTOP)
            try:
                yield
            finally:
                _signal([*below, self._postgres], signal.SIGCONT)
        else:
            yield

    @contextlib.contextmanager
    def at_ease(self) -> Iterator[None]:
        """All at the usual priority: at full speed, none must starve another."""
        with contextlib.suppress(PermissionError):
            for pid in (*self._backends.values(), *self._beside()):
                _schedule(pid, os.SCHED_OTHER, 0)
        try:
            yield
        finally:
            self._urge()

    def close(self) -> None:
        self.load.close()
        self.pages.close()
        for name in self.proxies:
            self._send(name, signal.SIGCONT)

    def _urge(self) -> bool:
        """Whether load and backends may go before all others on their core."""
        try:
            for name, pid in {"load": self.load.pid, **self._backends}.items():
                _schedule(pid, os.SCHED_FIFO, URGENCY.get(name, 1))
            for pid in self._beside():
                _schedule(pid, os.SCHED_FIFO, 1)
        except PermissionError:
            return False
        return True

    def _beside(self) -> list[int]:
        """What goes before all other work of the machine only where that is asked for."""
        proxies = [pid for one in self.proxies.values() for pid in (one.child.pid, *one.workers())]
        return [*proxies, self._postgres, *descendants(self._postgres)] if self._ahead else []

    def _send(self, name: str, number: signal.Signals) -> None:
        serving = self.proxies[name]
        _signal([serving.child.pid, *serving.workers()], number)

    def _fill_disk(self) -> None:
        with self._filling.open("wb", buffering=0) as file:
            for piece in (b"\0" * 65_536, b"\0" * 512):
                try:
                    while file.write(piece):
                        pass
                except OSError as error:
                    if error.errno != errno.ENOSPC:
                        raise


def _schedule(pid: int, policy: int, priority: int) -> None:
    """For all threads of a process; the first, which has the loop, before the others. Raises PermissionError."""
    for task in Path(f"/proc/{pid}/task").glob("[0-9]*"):
        thread = int(task.name)
        with contextlib.suppress(ProcessLookupError):
            os.sched_setscheduler(thread, policy, os.sched_param(priority + (thread == pid and priority > 0)))


def _signal(pids: list[int], number: signal.Signals) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def _mount(folder: Path) -> str | None:
    command = ["mount", "-t", "tmpfs", "-o", f"size={SMALL_DISK}", "none", str(folder)]
    return subprocess.run(command, capture_output=True, text=True, check=False).stderr.strip() or None


async def _fill(dsn: str) -> None:
    connection = await asyncpg.connect(dsn)
    await connection.execute("CREATE TABLE id_map (entity text, legacy text, uuid uuid)")
    await connection.copy_records_to_table("id_map", records=id_map())
    for column in ("legacy", "uuid"):
        await connection.execute(f"CREATE INDEX ON id_map ({column})")
    await connection.execute("ANALYZE id_map")
    await connection.close()
