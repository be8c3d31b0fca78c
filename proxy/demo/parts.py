"""The parts of the demo: two database servers, the marketplace on both, the proxy between, and traffic."""

from __future__ import annotations

import asyncio
import json
import os
import shlex
import signal
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg

import proxy
from proxy.demo.assets import config_file
from proxy.demo.bugs import parse_bugs
from proxy.demo.heal import Heal, control_word
from proxy.demo.marketplace.flags import Mode, primary_flags, twin_flags
from proxy.demo.marketplace.healing import CONTROL_VARIABLE
from proxy.demo.processes import Child, Command, ProcessError, Supervisor
from proxy.demo.servers import (
    ATTEMPTS,
    LOOPBACK,
    READY_SECONDS,
    MongoServer,
    PostgresServer,
    free_port,
    lost_the_port,
    start_mongo,
    start_postgres,
)

DATABASE = "marketplace"
FOREVER_SECONDS = 10 * 365 * 86400
SEED_SECONDS = 120.0
SETTLE_DELAY_MS = 300
# A run of half a minute cannot bring the evidence that a production gate asks for by default, and on one machine for
# everything a shadow is as slow as the clients make it.
GATE_LIMITS = {
    "SHADOWREAD_MIN_COMPARISONS": "50",
    "SHADOWREAD_MIN_ROUTE_COMPARISONS": "5",
    "SHADOWREAD_MIN_ENTITIES": "10",
    "SHADOWREAD_MIN_SOAK": "10s",
    "SHADOWREAD_MAX_UPPER_BOUND": "0.06",
    "SHADOWREAD_MAX_ROUTE_UPPER_BOUND": "0.5",
    "SHADOWREAD_MIN_DAMAGES": "50",
    "SHADOWREAD_MAX_LATENCY_RATIO": "10",
}
# What the instances say is asked for often, so that a new build is seen soon; the verification rests a moment only, and
# every route is examined while it runs.
HASTE = {
    "SHADOWREAD_EXAMINE_SHARE": "0.2",
    "SHADOWREAD_PRIMARY_MODE": Mode.DUAL.value,
    "SHADOWREAD_PROVENANCE_EVERY": "1s",
    "SHADOWREAD_PROVENANCE_CONTROL": "500ms",
}

Progress = Callable[[str], None]


@dataclass(frozen=True)
class DemoOptions:
    """What was asked for. `duration` in seconds of traffic, None until interrupted; `keep` holds ledger and logs.

    `direct`: no twin of the marketplace is started, the proxy reads the stores by itself. `heals` are the domains whose
    bugs go while it runs.
    """

    duration: float | None = None
    seed: int = 1
    healthy: bool = False
    keep: Path | None = None
    direct: bool = False
    heals: tuple[Heal, ...] = ()


@dataclass(frozen=True)
class Addresses:
    """Where the parts of a running demo listen. `shadow` is None when there is no twin.

    `variables` is a file for a shell to read: with what it exports every command works on this run.
    """

    primary: str
    shadow: str | None
    edge: str
    admin: str
    variables: Path

    @property
    def backends(self) -> tuple[str, ...]:
        """The instances of the marketplace, the one that serves the clients first."""
        return (self.primary,) if self.shadow is None else (self.primary, self.shadow)

    def commands(self) -> str:
        """A line for a shell after which commands work on this run."""
        return f". {shlex.quote(str(self.variables))}"


class Parts:
    """Starts the parts of one run. `progress` is told what is being done, in a few words."""

    def __init__(self, options: DemoOptions, supervisor: Supervisor, progress: Progress) -> None:
        self.options = options
        self.supervisor = supervisor
        self.progress = progress
        self.bugs = frozenset[str]() if options.healthy else parse_bugs("all")
        self.proxy: Child | None = None
        self.control = control_word()

    def environment(self, **more: str) -> dict[str, str]:
        """The whole environment of a part: nothing of the user's own settings may reach it."""
        kept = {key: os.environ[key] for key in ("PATH", "HOME", "LANG", "LC_ALL") if key in os.environ}
        sources = str(Path(proxy.__file__).resolve().parents[1])
        folder = str(self.supervisor.folder)
        return {**kept, "PYTHONPATH": sources, "PYTHONUNBUFFERED": "1", "TMPDIR": folder, **more}

    def python(self, name: str, *argv: str, **env: str) -> Child:
        """Start a module of this product with the interpreter that runs us."""
        line = [sys.executable, "-P", "-m", *argv]
        return self.supervisor.spawn(Command(name, line, self.environment(**env), self.supervisor.folder))

    async def start(self) -> Addresses:
        """Start every part but the traffic; returns when all are ready."""
        self.progress("starting Postgres and the MongoDB-wire server")
        postgres, mongo = await self._start_stores()
        shadow: str | None = None
        if self.options.direct:
            self.progress("filling both stores and starting the marketplace")
            primary = await self._start_marketplace("primary", primary_flags(), postgres, mongo)
        else:
            self.progress("filling both stores and starting the marketplace twice")
            primary, shadow = await asyncio.gather(
                self._start_marketplace("primary", primary_flags(), postgres, mongo),
                self._start_marketplace("shadow", twin_flags(self.bugs), postgres, mongo),
            )
        self.progress("starting the proxy")
        return await self._start_proxy(primary, shadow, postgres, mongo)

    async def _start_stores(self) -> tuple[PostgresServer, MongoServer]:
        async with asyncio.TaskGroup() as group:
            first = group.create_task(asyncio.to_thread(start_postgres, self.supervisor))
            second = group.create_task(asyncio.to_thread(start_mongo, self.supervisor))
        postgres, mongo = first.result(), second.result()
        self.supervisor.guard(postgres.child)
        self.supervisor.guard(mongo.child)
        connection = await asyncpg.connect(postgres.dsn())
        try:
            await connection.execute(f"CREATE DATABASE {DATABASE}")
        finally:
            await connection.close()
        return postgres, mongo

    async def _start_marketplace(
        self, side: str, flags: Mapping[str, str], postgres: PostgresServer, mongo: MongoServer
    ) -> str:
        bugs = ",".join(sorted(self.bugs)) or "none"
        chosen = ",".join(f"{key}={value}" for key, value in flags.items())
        stores = ["--mongo-url", mongo.url, "--database", DATABASE, "--pg-dsn", postgres.dsn(DATABASE)]
        about = ["--flags", chosen, "--seed", str(self.options.seed), "--bugs", bugs]
        module = ("proxy.demo.marketplace", "--port", "0", *stores, *about)
        child = self.python(f"marketplace-{side}", *module, **{CONTROL_VARIABLE: self.control})
        await self._ready(child, lambda: last_json(child, "listening") is not None, SEED_SECONDS)
        self.supervisor.guard(child)
        told = last_json(child, "listening")
        assert told is not None  # noqa: S101 - the condition that was waited for
        return str(told["listening"])

    async def _start_proxy(
        self, primary: str, shadow: str | None, postgres: PostgresServer, mongo: MongoServer
    ) -> Addresses:
        config = config_file("marketplace.yaml" if shadow is not None else "direct.yaml")
        sides = {"MONGODB_URI": mongo.url, "MONGODB_DATABASE": DATABASE} if shadow is None else {"SHADOW_URL": shadow}
        folder = self.supervisor.folder if self.options.keep is None else self.options.keep
        ledger = f"sqlite:///{folder / 'ledger.db'}"
        fixed = {
            "SHADOWREAD_CONFIG": str(config),
            "PRIMARY_URL": primary,
            "PG_URL": postgres.dsn(DATABASE),
            "SHADOWREAD_CANARY_DSN": postgres.dsn(DATABASE),
            "SHADOWREAD_LEDGER": ledger,
            "SHADOWREAD_SETTLE_DELAY": f"{SETTLE_DELAY_MS}ms",
            **sides,
            **GATE_LIMITS,
            **HASTE,
        }
        for attempt in range(1, ATTEMPTS + 1):
            edge, admin = f"{LOOPBACK}:{free_port()}", f"{LOOPBACK}:{free_port()}"
            variables = {**fixed, "SHADOWREAD_LISTEN": edge, "SHADOWREAD_ADMIN_LISTEN": admin}
            name = "proxy" if attempt == 1 else f"proxy-{attempt}"
            child = self.python(name, "proxy.cli", "serve", "-c", str(config), **variables)
            try:
                await self._answers(child, f"http://{admin}/readyz")
            except ProcessError:
                if attempt < ATTEMPTS and lost_the_port(child):
                    continue
                raise
            self.supervisor.guard(child)
            self.proxy = child
            exported = folder / "demo.env"
            exported.touch(mode=0o600)  # it bears the password of the database
            exported.write_text("".join(f"export {key}={shlex.quote(value)}\n" for key, value in variables.items()))
            return Addresses(primary, shadow, f"http://{edge}", f"http://{admin}", exported)
        raise ProcessError("the proxy found no free port")

    async def _answers(self, child: Child, url: str) -> None:
        """Wait until `url` answers 200."""
        deadline = asyncio.get_running_loop().time() + READY_SECONDS
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as session:
            while True:
                try:
                    async with session.get(url) as response:
                        if response.status == 200:
                            return
                except (aiohttp.ClientError, TimeoutError):
                    pass
                if child.exited.is_set():
                    raise ProcessError(child.obituary())
                if asyncio.get_running_loop().time() > deadline:
                    raise ProcessError(f"{child.name} was not ready after {READY_SECONDS:.0f} s: {child.obituary()}")
                await asyncio.sleep(0.05)

    async def _ready(self, child: Child, condition: Callable[[], bool], seconds: float) -> None:
        await asyncio.to_thread(self.supervisor.await_ready, child, condition, seconds)

    def start_traffic(self, addresses: Addresses) -> Child:
        """Start the clients; they end by themselves after the duration that was asked for."""
        seconds = self.options.duration if self.options.duration is not None else FOREVER_SECONDS
        argv = ["--target", addresses.edge, "--duration", str(seconds), "--seed", str(self.options.seed)]
        child = self.python("traffic", "proxy.demo.traffic", *argv)
        if self.options.duration is None:
            self.supervisor.guard(child)
        return child

    async def stop_traffic(self, child: Child) -> dict[str, Any]:
        """End the clients if they still run; returns their summary."""
        self.supervisor.release(child)
        await asyncio.to_thread(child.stop)
        # By our signal it may end before it has set up its own way of ending.
        if child.code not in (0, -signal.SIGTERM):
            raise ProcessError(child.obituary())
        return last_json(child, "requests") or {}

    async def stop_proxy(self) -> None:
        """End the proxy in order, so that a ledger that is kept is whole."""
        if self.proxy is not None:
            self.supervisor.release(self.proxy)
            await asyncio.to_thread(self.proxy.stop)


def last_json(child: Child, key: str) -> dict[str, Any] | None:
    """The last line of the child's log that is a JSON object with `key`."""
    for line in reversed(child.tail(1000).splitlines()):
        if line.startswith("{"):
            try:
                value = json.loads(line)
            except ValueError:
                continue
            if isinstance(value, dict) and key in value:
                return value
    return None
