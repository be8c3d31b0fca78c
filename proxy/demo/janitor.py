"""The process that owns every other process of a demo or a test run, and outlives the one that asked.

It is started as a script of its own, knows the standard library only, creates the private folder, starts
the children and waits at a pipe. When the pipe closes - because its owner is done, was interrupted or was
killed - it ends every child, every descendant of a child, and removes the folder. So nothing depends on
the owner's last words.

Requests, one JSON object a line on standard input: `{"op": "spawn", "id", "argv", "env", "cwd", "log",
"account", "stop", "orphaned"}` and `{"op": "signal", "id", "signal"}`. Events, one a line on standard
output: `{"event": "ready", "folder"}`, `{"event": "started", "id", "pid"}`, `{"event": "exited", "id", "code"}`.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import select
import shutil
import signal
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

KILL_SECONDS = 10.0
LINUX = sys.platform == "linux"
PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
IGNORED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)


@dataclass(frozen=True)
class Owned:
    id: int
    stop: int


def prctl(option: int, value: int) -> None:
    if LINUX:
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def open_to_all(folder: Path) -> bool:
    """Whether any account can walk down to `folder`."""
    return all(part.stat().st_mode & 0o001 for part in (folder, *folder.parents))


def make_folder() -> Path:
    """A private folder. Root's can be walked through: its database server runs under another account."""
    places = [Path(tempfile.gettempdir()).resolve()]
    if os.geteuid() == 0:
        places += [Path(p) for p in ("/tmp", "/var/tmp", "/dev/shm")]  # noqa: S108 - mkdtemp makes the name private
        places = [p for p in places if p.is_dir() and open_to_all(p)] or places[:1]
    folder = Path(tempfile.mkdtemp(prefix="shadowread-", dir=places[0]))
    if os.geteuid() == 0:
        folder.chmod(0o711)
    return folder


def become(request: dict[str, Any], janitor: int) -> None:
    """In the forked child: turn into the program that was asked for. Never returns."""
    try:
        signal.set_wakeup_fd(-1)
        for number in (*IGNORED, signal.SIGCHLD, signal.SIGPIPE):
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, IGNORED)
        os.setsid()
        os.umask(0o077)
        log = os.open(request["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        null = os.open(os.devnull, os.O_RDONLY)
        for source, target in ((null, 0), (log, 1), (log, 2)):
            os.dup2(source, target)
        if request["account"] is not None:
            uid, gid = request["account"]
            os.setgroups([])
            os.setgid(gid)
            os.setuid(uid)
        # Asked for after the change of account, which clears it. A janitor that died before is seen by pid.
        prctl(PR_SET_PDEATHSIG, request["orphaned"])
        if os.getppid() != janitor:
            os._exit(125)
        os.chdir(request["cwd"])
        os.execve(request["argv"][0], request["argv"], request["env"])  # noqa: S606 - no shell is wanted
    except BaseException as error:  # noqa: BLE001 - whatever it was, this copy of the janitor must end here
        os.write(2, f"cannot start {request['argv'][0]}: {error}\n".encode())
        os._exit(127)


class Janitor:
    def __init__(self, folder: Path, grace: float) -> None:
        self.folder = folder
        self.grace = grace
        self.children: dict[int, Owned] = {}

    def tell(self, **event: Any) -> None:
        with contextlib.suppress(OSError):  # an owner that is gone hears nothing
            os.write(1, json.dumps(event).encode() + b"\n")

    def handle(self, request: dict[str, Any]) -> None:
        if request["op"] == "signal":
            for pid, child in self.children.items():
                if child.id == request["id"]:
                    self.signal_group(pid, request["signal"])
            return
        janitor = os.getpid()
        # Held back over the fork: until the copy has stopped ignoring them, a signal meant for it would be lost.
        signal.pthread_sigmask(signal.SIG_BLOCK, IGNORED)
        pid = os.fork()
        if pid == 0:
            become(request, janitor)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, IGNORED)
        self.children[pid] = Owned(request["id"], request["stop"])
        self.tell(event="started", id=request["id"], pid=pid)

    @staticmethod
    def signal_group(pid: int, number: int) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)  # a child that was forked a moment ago has no group of its own yet
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, number)

    def reap(self) -> bool:
        """Collect what has ended; False when this process has no descendants left."""
        while True:
            try:
                ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                return False
            if ended is None:
                return True
            child = self.children.pop(ended.si_pid, None)
            if child is not None:
                # Before its number is given back: whatever the child left behind in its group ends with it.
                self.signal_group(ended.si_pid, signal.SIGKILL)
            _, status = os.waitpid(ended.si_pid, 0)
            if child is not None:
                self.tell(event="exited", id=child.id, code=os.waitstatus_to_exitcode(status))

    def serve(self, wakeup: int, owner: int | None) -> None:
        """Do what standard input says until it ends or the owner's process is gone."""
        pending = b""
        waited = [0, wakeup] if owner is None else [0, wakeup, owner]
        while True:
            ready, _, _ = select.select(waited, [], [])
            if owner in ready:
                return
            if wakeup in ready:
                with contextlib.suppress(BlockingIOError):
                    os.read(wakeup, 4096)
                self.reap()
            if 0 in ready:
                chunk = os.read(0, 65536)
                if not chunk:
                    return
                *lines, pending = (pending + chunk).split(b"\n")
                for line in lines:
                    self.handle(json.loads(line))

    def orphans(self) -> list[int]:
        """Descendants that came to this process when their own parents ended (Linux)."""
        if not LINUX:
            return []
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                with contextlib.suppress(OSError, ValueError, IndexError):
                    stat = (entry / "stat").read_text()
                    if int(stat.rpartition(")")[2].split()[1]) == os.getpid():
                        found.append(int(entry.name))
        return found

    def finish(self) -> None:
        """Ask every child to end, then make the rest end, then remove the folder."""
        for pid, child in reversed(self.children.items()):
            self.signal_group(pid, child.stop)
        deadline = time.monotonic() + self.grace
        while self.reap() and self.children and time.monotonic() < deadline:
            time.sleep(0.01)
        deadline = time.monotonic() + KILL_SECONDS
        while self.reap() and time.monotonic() < deadline:
            for pid in (*self.children, *self.orphans()):
                self.signal_group(pid, signal.SIGKILL)
            time.sleep(0.01)
        shutil.rmtree(self.folder, ignore_errors=True)


def main() -> None:
    owner_pid, grace = int(sys.argv[1]), float(sys.argv[2])
    for number in IGNORED:
        signal.signal(number, signal.SIG_IGN)
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    wakeup, wake = os.pipe()
    os.set_blocking(wakeup, False)
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    owner = None
    if LINUX and hasattr(os, "pidfd_open"):
        # The pipe alone would stay open while a forked copy of the owner holds its end.
        with contextlib.suppress(OSError):
            owner = os.pidfd_open(owner_pid)
    if os.getppid() != owner_pid:
        return
    janitor = Janitor(make_folder(), grace)
    try:
        janitor.tell(event="ready", folder=str(janitor.folder))
        janitor.serve(wakeup, owner)
    finally:
        janitor.finish()


if __name__ == "__main__":
    main()
