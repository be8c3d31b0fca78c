"""What is measured for throughput: which proxies there are, how each is started, and what says that it did its work."""

from __future__ import annotations

import json
import os
import socket
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from proxy.demo.processes import Child, Supervisor
from proxy.demo.servers import free_port
from tests.bench import backend, bare
from tests.bench.installing import debian, python_environment
from tests.bench.nginx import nginx_conf
from tests.bench.proxies import (
    LOAD_CORE,
    PROXY_CORE,
    config_of,
    descendants,
    pinned,
    python,
    serve,
    spent,
    told,
)

MITMPROXY = ("mitmproxy>=11,<13", "aiohttp>=3.11,<4", "deepdiff>=9,<10")


@dataclass(frozen=True, slots=True)
class Contender:
    """A proxy (by the name of its server) under one kind of load.

    `new`: each request is answered by a document that differs from all before. `few`: sizes of which it answers so few
    a second that two clients are enough.
    """

    key: str
    title: str
    server: str
    new: bool = False
    few: frozenset[int] = frozenset()
    group: str = ""


DIRECT, NGINX, MIRROR, BARE, MITM, DEEPDIFF, MAPPED = "none", "nginx", "mirror", "bare", "mitm", "deepdiff", "mapped"
OFF, SAME, NEW, SAME_TWO, NEW_TWO = "off", "same", "new", "same-2cores", "new-2cores"
COMPARED = "comparisons"
_NOT_SMALL = frozenset((10, 100))

CONTENDERS = (
    Contender(DIRECT, "no proxy", DIRECT),
    Contender(NGINX, "nginx", NGINX),
    Contender(MIRROR, "nginx with `mirror` (the shadow's response is thrown away)", MIRROR),
    Contender(BARE, "aiohttp `web.Server` and `ClientSession`, uvloop", BARE),
    Contender(MITM, "mitmproxy", MITM, group="mitmproxy"),
    Contender(DEEPDIFF, "mitmproxy with shadow and DeepDiff", DEEPDIFF, few=_NOT_SMALL, group="mitmproxy"),
    Contender(MAPPED, "the same, ids mapped before DeepDiff", MAPPED, few=_NOT_SMALL, group="mitmproxy"),
    Contender(OFF, "**shadowread**, verification off", OFF, group="ours"),
    Contender(SAME, "**shadowread**, verified", "on", group="ours"),
    Contender(NEW, "**shadowread**, verified, no two alike", "on", new=True, group="ours"),
    Contender(SAME_TWO, "**shadowread**, verified, comparisons on a second core", "on-2cores", group="ours"),
    Contender(
        NEW_TWO, "**shadowread**, verified, no two alike, comparisons on a second core", "on-2cores", True, group="ours"
    ),
)


@dataclass(frozen=True, slots=True)
class Server:
    """A running contender. `verified` counts what it has verified so far, by outcome, of which `wanted` is the one for
    these pairs, and how often it compared (COMPARED) where it need not for each. `late`: verification goes on after the
    client has its answer, and `verified` waits for it. `apart`: its children work on another core, to which `place` has
    those go that were started since."""

    name: str
    pid: int
    port: int
    asks_twin: bool = False
    verified: Callable[[], Mapping[str, int]] | None = None
    wanted: str = ""
    late: bool = False
    apart: bool = False
    place: Callable[[], None] | None = None

    def spent(self) -> tuple[float, float]:
        """Processor seconds used so far: on the proxy's core, and by what works apart from it."""
        own, below = spent(self.pid), sum(map(spent, descendants(self.pid)))
        return (own, below) if self.apart else (own + below, 0.0)


class Backend:
    """Both sides, and the id map that joins them."""

    def __init__(self, owner: Supervisor) -> None:
        self.child = python(owner, "backend", LOAD_CORE, "tests.bench.backend")
        self.primary, self.twin = map(int, told(owner, self.child, backend.TOLD))
        self.ids = owner.folder / "ids.json"
        backend.write_ids(self.ids)

    def requests(self) -> dict[str, int]:
        """How many listings each side was asked for."""
        found: dict[str, int] = json.loads(fetch(self.primary, "/requests"))
        return found


def fetch(port: int, target: str, seconds: float = 120.0) -> bytes:
    """The body of one answer."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{target}", timeout=seconds) as answer:
        body: bytes = answer.read()
    return body


class Servers:
    """Starts contenders. Raises UnavailableError (what it needs is not to be had) and ProcessError."""

    def __init__(self, owner: Supervisor, sides: Backend) -> None:
        self._owner = owner
        self._sides = sides

    def start(self, name: str) -> Server:
        mitmproxy: dict[str, Mapping[str, str] | None] = {
            MITM: None,
            DEEPDIFF: {"SHADOW_URL": self._url(self._sides.twin)},
            MAPPED: {"SHADOW_URL": self._url(self._sides.twin), "SHADOW_IDS": str(self._sides.ids)},
        }
        if name in mitmproxy:
            return self._mitmproxy(name, mitmproxy[name])
        starters: Mapping[str, Callable[[], Server]] = {
            DIRECT: lambda: Server(DIRECT, self._sides.child.pid, self._sides.primary),
            NGINX: lambda: self._nginx(NGINX),
            MIRROR: lambda: self._nginx(MIRROR),
            BARE: self._bare,
            OFF: lambda: self._shadowread(OFF, PROXY_CORE),
            "on": lambda: self._shadowread("on", PROXY_CORE),
            "on-2cores": lambda: self._shadowread("on-2cores", LOAD_CORE),
        }
        return starters[name]()

    def _bare(self) -> Server:
        child = python(self._owner, BARE, PROXY_CORE, "tests.bench.bare", self._url(self._sides.primary))
        (port,) = told(self._owner, child, bare.TOLD)
        return Server(BARE, child.pid, int(port))

    def _nginx(self, name: str) -> Server:
        program, folder, port = debian("nginx", "nginx"), self._owner.folder / name, free_port()
        (folder / "temporary").mkdir(parents=True)
        text = nginx_conf(
            port=port,
            primary=self._sides.primary,
            twin=self._sides.twin,
            mirror=name == MIRROR,
            root=os.geteuid() == 0,
        )
        (folder / "nginx.conf").write_text(text)
        child = pinned(
            self._owner, name, PROXY_CORE, program.path, "-p", str(folder), "-c", "nginx.conf", env=program.env
        )
        self._await(child, port)
        return Server(name, child.pid, port, asks_twin=name == MIRROR)

    def _mitmproxy(self, name: str, variables: Mapping[str, str] | None) -> Server:
        folder, port = python_environment("mitmproxy", *MITMPROXY), free_port()
        addon = ["-s", str(Path(__file__).with_name("mitm_addon.py"))] if variables else []
        mode = f"reverse:{self._url(self._sides.primary)}"
        home = ["--set", f"confdir={self._owner.folder / name}"]
        argv = [str(folder / "mitmdump"), "-q", "--mode", mode, "--listen-host", "127.0.0.1", "-p", str(port)]
        child = pinned(self._owner, name, PROXY_CORE, *argv, *home, *addon, env=variables)
        self._await(child, port)
        if not variables:
            return Server(name, child.pid, port)

        def verified() -> Mapping[str, int]:
            counts: Mapping[str, int] = json.loads(fetch(port, "/compared"))
            return counts

        # DeepDiff knows no ids: only when they were mapped before are the pairs equal to it.
        return Server(name, child.pid, port, True, verified, wanted="equal" if name == MAPPED else "different")

    def _shadowread(self, name: str, worker_core: int) -> Server:
        stage = "off" if name == OFF else "shadow"
        config = config_of(
            self._url(self._sides.primary),
            self._url(self._sides.twin),
            self._sides.ids,
            limits={"busy": 1},
            domains={"listings": {"stage": stage, "routes": ["GET /api/listings"]}},
        )
        serving = serve(self._owner, name, config, worker_core=worker_core)
        pid, port = serving.child.pid, serving.port
        if name == OFF:
            return Server(name, pid, port)

        def verified() -> Mapping[str, int]:
            counts = serving.settled()
            return {**counts.verdicts, COMPARED: int(counts.metric("shadowread_compare_duration_seconds_count"))}

        def place() -> None:
            serving.workers_to(worker_core)

        apart = worker_core != PROXY_CORE
        return Server(name, pid, port, True, verified, wanted="match", late=True, apart=apart, place=place)

    def _await(self, child: Child, port: int) -> None:
        self._owner.await_ready(child, lambda: _accepts(port), 60.0)

    @staticmethod
    def _url(port: int) -> str:
        return f"http://127.0.0.1:{port}"


def _accepts(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False


def chosen(names: Sequence[str]) -> list[Contender]:
    """The contenders by key or group (`ours`, `mitmproxy`); all when none is named. Raises ValueError."""
    known = {each.key for each in CONTENDERS} | {each.group for each in CONTENDERS if each.group}
    if unknown := set(names) - known:
        raise ValueError(f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(sorted(known))}")
    return [each for each in CONTENDERS if not names or each.key in names or each.group in names]
