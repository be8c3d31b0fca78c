"""Pinned processes for the benchmarks, and a real `shadowread serve` among them whose own counters are asked.

The proxy that is measured has one core for itself; load, backends and its comparison workers have the other.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from proxy.demo.processes import Child, Command, Supervisor

PROXY_CORE, LOAD_CORE = 0, 1
ROOT = Path(__file__).resolve().parents[2]
READY_SECONDS = 60.0
SETTLE_SECONDS = 120.0
_SAMPLE = re.compile(r'^shadowread_exchanges_total\{.*verdict="([^"]+)".*\} (\S+)$', re.MULTILINE)
_TICKS = os.sysconf("SC_CLK_TCK")


class BenchError(Exception):
    """What was to be measured did not do its work."""


def pinned(
    owner: Supervisor, name: str, core: int, *argv: str, env: Mapping[str, str] | None = None, cwd: Path = ROOT
) -> Child:
    """Start a process that runs on one core. `env` is laid over this process's environment."""
    taskset, program = (shutil.which(name) or name for name in ("taskset", argv[0]))
    command = [taskset, "-c", str(core), program, *argv[1:]]
    return owner.spawn(Command(name, command, {**os.environ, "PYTHONUNBUFFERED": "1", **(env or {})}, cwd))


def python(owner: Supervisor, name: str, core: int, module: str, *arguments: str) -> Child:
    """`python -m module arguments` on one core."""
    return pinned(owner, name, core, sys.executable, "-m", module, *arguments)


def told(owner: Supervisor, child: Child, pattern: str, seconds: float = READY_SECONDS) -> tuple[str, ...]:
    """Wait until the process has written a line with `pattern`; its groups. Raises ProcessError."""
    found: list[tuple[str, ...]] = []

    def ready() -> bool:
        match = re.search(pattern, child.log.read_text(errors="replace")) if child.log.exists() else None
        found.extend([match.groups()] if match else [])
        return bool(found)

    owner.await_ready(child, ready, seconds)
    return found[0]


def spent(pid: int) -> float:
    """Seconds of processor time (user and system) that a process has used, by /proc/PID/stat; 0 when it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / _TICKS


def descendants(pid: int) -> list[int]:
    """All processes below one, without itself."""
    parents: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
        except OSError:  # it ended meanwhile
            continue
        parents.setdefault(parent, []).append(int(stat.parent.name))

    def below(of: int) -> Iterator[int]:
        for child in parents.get(of, []):
            yield child
            yield from below(child)

    return list(below(pid))


def move(pids: list[int], core: int) -> None:
    """Have processes run on another core, with all threads that they have; what they start later inherits it."""
    for pid in pids:
        for task in Path(f"/proc/{pid}/task").glob("[0-9]*"):
            try:
                os.sched_setaffinity(int(task.name), {core})
            except ProcessLookupError:
                continue


@dataclass(frozen=True, slots=True)
class Counts:
    """What a proxy has counted since it started: verdicts, and exchanges that have none yet."""

    verdicts: Mapping[str, int]
    under_way: int
    metrics: str
    """The whole exposition, for other figures."""

    @property
    def decided(self) -> int:
        return sum(self.verdicts.values())

    def since(self, before: Counts) -> dict[str, int]:
        """Verdicts since another look, without those that there were none of."""
        grown = {name: count - before.verdicts.get(name, 0) for name, count in self.verdicts.items()}
        return {name: count for name, count in grown.items() if count}

    def metric(self, name: str) -> float:
        """The sum over all labels of one metric, by its name in the exposition; 0 when there is none."""
        found = re.findall(rf"^{re.escape(name)}(?:\{{.*\}})? (\S+)$", self.metrics, re.MULTILINE)
        return sum(map(float, found))


@dataclass(frozen=True, slots=True)
class Serving:
    """A running `shadowread serve`."""

    child: Child
    port: int
    admin_port: int
    token: str

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def ask(self, path: str, seconds: float = 30.0) -> str:
        """GET of the admin site."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.admin_port}{path}", headers={"Authorization": f"Bearer {self.token}"}
        )
        with urllib.request.urlopen(request, timeout=seconds) as answer:  # noqa: S310 - as above
            text: str = answer.read().decode()
        return text

    def counts(self) -> Counts:
        """By the process's own counters, which are exact at any moment (the ledger follows by `ledger.flush`)."""
        text = self.ask("/metrics")
        verdicts: dict[str, int] = {}
        for verdict, value in _SAMPLE.findall(text):
            verdicts[verdict] = verdicts.get(verdict, 0) + int(float(value))
        depth = re.search(r"^shadowread_queue_depth(?:\{\})? (\S+)$", text, re.MULTILINE)
        return Counts(verdicts, int(float(depth[1])) if depth else 0, text)

    def settled(self, seconds: float = SETTLE_SECONDS) -> Counts:
        """The counters once every exchange has its verdict. Raises BenchError when that takes too long."""
        deadline = time.monotonic() + seconds
        while (counts := self.counts()).under_way:
            if time.monotonic() > deadline:
                raise BenchError(f"{counts.under_way} exchanges had no verdict {seconds:g} s after the last request")
            time.sleep(0.02)
        return counts

    def books(self) -> tuple[int, dict[str, int]]:
        """What the ledger holds: exchanges observed, and verdicts of all domains together."""
        domains = json.loads(self.ask("/api/v1/domains"))["domains"]
        verdicts: dict[str, int] = {}
        for domain in domains:
            for verdict, count in domain["verdicts"].items():
                verdicts[verdict] = verdicts.get(verdict, 0) + count
        return sum(domain["observed"] for domain in domains), verdicts

    def workers(self) -> list[int]:
        """The processes that compare for it (and what belongs to them)."""
        return descendants(self.child.pid)

    def workers_to(self, core: int) -> None:
        """Have the comparison workers that run now leave for another core: one that is started later, as after a death,
        starts where the proxy is."""
        move(self.workers(), core)


def serve(
    owner: Supervisor,
    name: str,
    config: Mapping[str, Any],
    *,
    core: int = PROXY_CORE,
    worker_core: int | None = LOAD_CORE,
    options: tuple[str, ...] = (),
    program: tuple[str, ...] = ("proxy.cli",),
) -> Serving:
    """Start `shadowread serve` with a configuration and wait until it serves.

    Addresses, admin token and ledger (an SQLite file of its own) are added where `config` does not name them; `{name}`
    must be new for this `owner`. `program` is the module to run and its first arguments. `worker_core` None leaves the
    comparison workers on the proxy's core.
    """
    folder = owner.folder / name
    folder.mkdir(mode=0o700)
    token = secrets.token_hex(16)
    whole = {
        "listen": "127.0.0.1:0",
        "admin": {"listen": "127.0.0.1:0", "token": token},
        "ledger": {"url": f"sqlite:///{folder / 'shadowread.db'}"},
        **config,
    }
    path = folder / "shadowread.yaml"
    path.write_text(json.dumps(whole, indent=1))  # JSON is YAML
    path.chmod(0o600)
    child = python(owner, name, core, *program, "serve", "-c", str(path), *options)
    port, admin = told(owner, child, r"serving http://[^:]+:(\d+), admin port (\d+)")
    serving = Serving(child, int(port), int(admin), str(whole["admin"].get("token", token)))
    if worker_core is not None and worker_core != core:
        serving.workers_to(worker_core)
    return serving


def config_of(primary: str, twin: str, ids: Path, **more: Any) -> dict[str, Any]:
    """A configuration as a user would write it, for the backend of `tests.bench.backend`: one domain of listings.

    `more` replaces whole blocks: `limits={"busy": 1}`.
    """
    return {
        "primary": {"url": primary},
        "shadow": {"url": twin},
        "ids": {"sources": [{"file": str(ids)}]},
        "domains": {"listings": {"routes": ["GET /api/listings", "GET /api/listings/{id}"]}},
        **more,
    }
