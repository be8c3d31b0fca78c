"""Looks at process trees (Linux), to show that nothing of one is left."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path


def processes() -> dict[tuple[int, int], int]:
    """Every live process as (pid, start time) with its parent's pid; zombies are no longer alive."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if fields[0] not in "ZX":
                found[(int(entry.name), int(fields[19]))] = int(fields[1])
    return found


def tree(root: int) -> set[tuple[int, int]]:
    """The process and all its descendants."""
    everyone = processes()
    inside = {key for key in everyone if key[0] == root}
    while more := {k for k, parent in everyone.items() if k not in inside and parent in {p for p, _ in inside}}:
        inside |= more
    return inside


def wait_for(condition: Callable[[], bool], what: str, seconds: float = 30.0) -> None:
    """Poll until the condition holds; fails with `what` after `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"after {seconds:.0f} s: {what}"
        time.sleep(0.02)


def wait_until_gone(members: set[tuple[int, int]], seconds: float = 30.0) -> None:
    """Wait until none of these processes is alive; names those that are."""
    deadline = time.monotonic() + seconds
    while left := members & processes().keys():
        if time.monotonic() > deadline:
            raise AssertionError(f"still alive: {[command_line(pid) for pid, _ in left]}")
        time.sleep(0.02)


def command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return f"pid {pid}"
