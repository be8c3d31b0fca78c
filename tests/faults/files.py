"""What befalls a ledger in a file, and the disk that it lies on."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from enum import StrEnum
from pathlib import Path
from typing import Self

from proxy.tasks import TaskGroup

DISK_BYTES = 8 * 1024 * 1024
TURN = 0.25
"""Seconds between two changes of what flaps."""


class FileFault(StrEnum):
    """What befalls the file of a ledger."""

    HANGING = "locked"
    FLAPPING = "locked now and then"
    GARBAGE = "garbage"
    RESET = "deleted"


class DiskFault(StrEnum):
    """What befalls the disk under a ledger."""

    FULL = "full"
    FLAPPING = "full now and then"
    HANGING = "hanging"


class FileFaults:
    """Breaks the SQLite file at `path` behind the back of the one who has it open.

    - locked: another process holds the lock of writers;
    - locked now and then: it takes and leaves it in turn;
    - garbage: the file is overwritten by random bytes, and in the end by what it was;
    - deleted: with all that lies beside it but the journals. A new ledger begins then: that evidence is gone.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._other: sqlite3.Connection | None = None
        self._turns = TaskGroup(1)
        self._saved: bytes | None = None

    async def begin(self, fault: FileFault) -> None:
        match fault:
            case FileFault.HANGING:
                await self._lock()
            case FileFault.FLAPPING:
                self._turns.start(self._flap(), name="flapping lock")
            case FileFault.GARBAGE:
                self._saved = self._path.read_bytes()
                self._overwrite(os.urandom(len(self._saved)))
            case FileFault.RESET:
                for ending in ("", "-wal", "-shm"):
                    self._path.with_name(self._path.name + ending).unlink(missing_ok=True)

    async def end(self) -> None:
        await self._turns.drain(0)
        self._unlock()
        if self._saved is not None:
            self._overwrite(self._saved)
            self._saved = None

    def _overwrite(self, data: bytes) -> None:
        with self._path.open("r+b") as file:
            file.write(data)

    async def _flap(self) -> None:
        while True:
            await self._lock()
            await asyncio.sleep(TURN)
            self._unlock()
            await asyncio.sleep(TURN)

    async def _lock(self) -> None:
        self._other = sqlite3.connect(self._path, timeout=0, isolation_level=None)
        while True:
            try:
                self._other.execute("BEGIN IMMEDIATE")
                return
            except sqlite3.OperationalError:  # the ledger itself is just writing
                await asyncio.sleep(0.005)

    def _unlock(self) -> None:
        other, self._other = self._other, None
        if other is not None:
            other.close()


class DiskFaults:
    """A disk of its own, `DISK_BYTES` large, at `place`: full, full now and then, or hanging.

    A hanging one takes no write: whoever writes to it waits in the kernel until it goes on. A process apart thaws it
    after `longest` seconds, whatever becomes of this one.
    """

    def __init__(self, place: Path, longest: float) -> None:
        self.place = place
        self._longest = longest
        self._turns = TaskGroup(1)
        self._freezer: asyncio.subprocess.Process | None = None

    @classmethod
    @contextmanager
    def mounted(cls, place: Path, longest: float) -> Iterator[Self]:
        """Raises PermissionError where nothing can be mounted (not root, or a container that forbids it)."""
        place.mkdir()
        image = place.with_suffix(".img")
        with image.open("wb") as file:
            file.truncate(DISK_BYTES)
        commands: list[list[str | Path]] = [
            ["mkfs.ext4", "-q", "-m", "0", image],
            ["mount", "-o", "loop", image, place],
        ]
        for command in commands:
            try:
                done = subprocess.run(command, capture_output=True, check=False)
            except FileNotFoundError as error:
                raise PermissionError(f"no disk can be made here: {error}") from error
            if done.returncode:
                raise PermissionError(f"no disk can be made here: {done.stderr.decode().strip()}")
        try:
            yield cls(place, longest)
        finally:
            subprocess.run(["umount", "-l", place], check=True)
            image.unlink()

    async def begin(self, fault: DiskFault) -> None:
        match fault:
            case DiskFault.FULL:
                self._fill()
            case DiskFault.FLAPPING:
                self._turns.start(self._flap(), name="flapping disk")
            case DiskFault.HANGING:
                command = f"fsfreeze -f {self.place} && echo frozen && sleep {self._longest}; fsfreeze -u {self.place}"
                self._freezer = await asyncio.create_subprocess_exec(
                    "sh", "-c", command, stdout=asyncio.subprocess.PIPE, start_new_session=True
                )
                assert self._freezer.stdout is not None
                assert await self._freezer.stdout.readline() == b"frozen\n"

    async def end(self) -> None:
        if self._freezer is not None:
            freezer, self._freezer = self._freezer, None
            thawing = await asyncio.create_subprocess_exec(
                "fsfreeze", "-u", self.place, stderr=asyncio.subprocess.DEVNULL
            )  # it has thawed already where this process was held, too
            await thawing.wait()
            with suppress(ProcessLookupError):
                os.killpg(freezer.pid, signal.SIGKILL)
            await freezer.wait()
        await self._turns.drain(0)
        self._free()

    async def _flap(self) -> None:
        while True:
            self._fill()
            await asyncio.sleep(TURN)
            self._free()
            await asyncio.sleep(TURN)

    def _fill(self) -> None:
        with (self.place / "filler").open("wb", buffering=0) as out, suppress(OSError):
            while out.write(bytes(4096)):
                pass

    def _free(self) -> None:
        (self.place / "filler").unlink(missing_ok=True)
