"""Child processes that cannot outlive their owner: a `Supervisor` starts them through a janitor process.

The janitor (`janitor.py`) is the parent of every child and owns the private folder. It ends them all and
removes the folder when the supervisor is closed and just as well when the supervisor's process is killed.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from proxy.errors import ShadowreadError

JANITOR = Path(__file__).with_name("janitor.py")
TAIL_BYTES = 65536


class ProcessError(ShadowreadError):
    """A process could not be started, did not become ready, or ended when it should not have."""


@dataclass(frozen=True)
class Command:
    """What to start. `env` is the whole environment; `account` is a (uid, gid) to run as, for root only.

    `stop` asks for an orderly end; `orphaned` is what the kernel sends should the janitor be killed (Linux).
    """

    name: str
    argv: Sequence[str]
    env: Mapping[str, str]
    cwd: Path
    account: tuple[int, int] | None = None
    stop: signal.Signals = signal.SIGTERM
    orphaned: signal.Signals = signal.SIGKILL


class Child:
    """One started process. `code` is its exit status once it has ended (negative: the signal)."""

    def __init__(self, command: Command, number: int, log: Path, send: Callable[..., None]) -> None:
        self.command = command
        self.name = command.name
        self.log = log
        self.pid = 0
        self.code: int | None = None
        self.started = threading.Event()
        self.exited = threading.Event()
        self._number = number
        self._send = send

    def wait(self, seconds: float) -> int | None:
        """The exit status, or None when it still runs after `seconds`."""
        self.exited.wait(seconds)
        return self.code

    def stop(self, seconds: float = 10.0) -> None:
        """Ask it to end, wait up to `seconds`, then kill it with its whole process group."""
        if not self.exited.is_set():
            self._send(op="signal", id=self._number, signal=int(self.command.stop))
        if not self.exited.wait(seconds):
            self._send(op="signal", id=self._number, signal=int(signal.SIGKILL))
            self.exited.wait(seconds)

    def tail(self, lines: int = 20) -> str:
        """The last lines of its log."""
        try:
            with self.log.open("rb") as file:
                file.seek(max(0, self.log.stat().st_size - TAIL_BYTES))
                text = file.read().decode(errors="replace")
        except OSError:
            return ""
        return "\n".join(text.splitlines()[-lines:])

    def obituary(self) -> str:
        """How it ended, with the last lines of its log."""
        if self.code is None:
            how = "does not answer"
        elif self.code < 0:
            how = f"was ended by {signal.Signals(-self.code).name}"
        else:
            how = f"ended with status {self.code}"
        last = self.tail()
        return f"{self.name} {how}" + (f"; the last lines of its log:\n{last}" if last else "; its log is empty")


class Supervisor:
    """Owns a private `folder` and every process started through it. May be used from any thread.

    `logs` is where children's logs are written (default: `logs` in the private folder); `grace` is for how
    many seconds children may end in their own way before they are killed.
    """

    def __init__(self, logs: Path | None = None, *, grace: float = 5.0) -> None:
        self._lock = threading.Lock()
        self._children: dict[int, Child] = {}
        self._vital: set[int] = set()
        self._on_death: Callable[[Child | None], None] | None = None
        self._closing = False
        self._ready = threading.Event()
        self._found: list[Path] = []
        self._janitor = subprocess.Popen(
            # -I -S: the janitor knows nothing of the environment it is started from.
            [sys.executable, "-I", "-S", str(JANITOR), str(os.getpid()), str(grace)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._listen, name="janitor-events", daemon=True)
        self._reader.start()
        self._ready.wait(30)
        if not self._found:
            self.close()
            raise ProcessError("the janitor process did not start; is the temporary folder (TMPDIR) writable?")
        self.folder = self._found[0]
        self.logs: Path = logs if logs is not None else self.folder / "logs"
        self.logs.mkdir(parents=True, exist_ok=True, mode=0o700)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def on_death(self, callback: Callable[[Child | None], None]) -> None:
        """Call `callback` (from another thread) when a vital child or the janitor (None) ends unasked."""
        self._on_death = callback

    def spawn(self, command: Command) -> Child:
        """Start a process in a session of its own, its output going to `logs/NAME.log`."""
        with self._lock:
            number = len(self._children) + 1
            child = Child(command, number, self.logs / f"{command.name}.log", self._send)
            self._children[number] = child
        self._send(
            op="spawn",
            id=number,
            argv=list(command.argv),
            env=dict(command.env),
            cwd=str(command.cwd),
            log=str(child.log),
            account=command.account,
            stop=int(command.stop),
            orphaned=int(command.orphaned),
        )
        if self._closing or not child.started.wait(30) or child.pid == 0:
            raise ProcessError(f"{command.name} could not be started: the janitor process is gone")
        return child

    def run(self, command: Command, seconds: float) -> None:
        """Start a process that ends by itself; raises ProcessError unless with status 0 in `seconds`."""
        child = self.spawn(command)
        if child.wait(seconds) != 0:
            text = child.obituary()
            child.stop()
            raise ProcessError(text)

    def await_ready(self, child: Child, condition: Callable[[], bool], seconds: float) -> None:
        """Wait until `condition` holds; raises ProcessError when the child ends or `seconds` pass before."""
        deadline = time.monotonic() + seconds
        while not condition():
            if child.exited.wait(0.02):
                raise ProcessError(child.obituary())
            if self._closing:
                raise ProcessError(f"{child.name} was ended before it was ready")
            if time.monotonic() > deadline:
                text = child.obituary()
                child.stop()
                raise ProcessError(f"{child.name} was not ready after {seconds:.0f} s: {text}")

    def guard(self, child: Child) -> None:
        """From now on the child is vital: its end is told to `on_death`, also when it has ended already."""
        with self._lock:
            self._vital.add(child._number)  # noqa: SLF001 - the two classes are one unit
        if child.exited.is_set():
            self._died(child)

    def release(self, child: Child) -> None:
        """The child may end from now on."""
        with self._lock:
            self._vital.discard(child._number)  # noqa: SLF001 - the two classes are one unit

    def close(self) -> None:
        """End every process and remove the folder. Safe to call twice."""
        with self._lock:
            if self._closing:
                return
            self._closing = True
        assert self._janitor.stdin is not None  # noqa: S101 - opened as a pipe above
        assert self._janitor.stdout is not None  # noqa: S101 - opened as a pipe above
        with contextlib.suppress(OSError):
            self._janitor.stdin.close()
        try:
            self._janitor.wait(30)
        except subprocess.TimeoutExpired:
            self._janitor.kill()
            self._janitor.wait()
        self._reader.join(10)
        self._janitor.stdout.close()
        self._clear()

    def _clear(self) -> None:
        """What the janitor would have done, had it not been killed: only then is anything left to do."""
        if not self._found or not self._found[0].exists():
            return
        for child in self._children.values():
            if child.code is None and child.pid:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(child.pid, signal.SIGKILL)
        shutil.rmtree(self._found[0], ignore_errors=True)

    def _send(self, **request: object) -> None:
        line = json.dumps(request).encode() + b"\n"
        with self._lock:
            if self._closing or self._janitor.stdin is None:
                return
            with contextlib.suppress(OSError):  # a janitor that is gone is told by its closed output
                self._janitor.stdin.write(line)
                self._janitor.stdin.flush()

    def _listen(self) -> None:
        assert self._janitor.stdout is not None  # noqa: S101 - opened as a pipe above
        for line in self._janitor.stdout:
            event = json.loads(line)
            if event["event"] == "ready":
                self._found.append(Path(event["folder"]))
                self._ready.set()
                continue
            child = self._children[event["id"]]
            if event["event"] == "started":
                child.pid = event["pid"]
                child.started.set()
            else:
                child.code = event["code"]
                child.exited.set()
                self._died(child)
        self._ready.set()
        for child in list(self._children.values()):
            child.started.set()
            child.exited.set()
        if not self._closing and self._on_death is not None:
            self._on_death(None)

    def _died(self, child: Child) -> None:
        with self._lock:
            told = child._number in self._vital and not self._closing  # noqa: SLF001 - one unit
            self._vital.discard(child._number)  # noqa: SLF001 - one unit
        if told and self._on_death is not None:
            self._on_death(child)
