"""The journal of a run: how many exchanges were begun, safe against kill -9 without any I/O per exchange.

Each process that writes to a ledger has one file beside it, mapped into memory. A counter in a shared mapping
belongs to the kernel once the store is done, so it outlives the process however it dies. It may not outlive a
power loss; for that the counters are also written to the database with every flush.

The file is locked as long as the process lives: a journal whose lock can be taken belongs to a dead run.
"""

from __future__ import annotations

import fcntl
import glob
import logging
import mmap
import os
import struct
import time
import weakref
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from uuid import UUID

log = logging.getLogger(__name__)

MAGIC = b"shadowread run 2"
MAGIC_BEFORE = b"shadowread run 1"
"""Of journals whose counters are of no window."""
HEADER = struct.Struct("<16s16s16sQQ")  # magic, run, ledger, pid, start of the process
HEADER_BYTES = 65_536  # mappings begin at multiples of the page size, which is 64 KiB on some machines
LEDGER_AT = 32
SLOT = struct.Struct("<QIHHH")  # begun, 1 when the slot is in use, length of window, of domain and of route
SLOT_BEFORE = struct.Struct("<QIHH")  # without the window
SLOT_BYTES = 2048
SEGMENT_SLOTS = 64
SEGMENT_BYTES = SLOT_BYTES * SEGMENT_SLOTS
WINDOW_BYTES = 24
DOMAIN_BYTES = 200
ROUTE_BYTES = 1800
UNFINISHED_SECONDS = 60.0
NO_LEDGER = bytes(16)


def shorten(text: str, limit: int) -> str:
    """`text` when it fits into `limit` bytes, otherwise its beginning and a hash that keeps it apart."""
    raw = text.encode()
    if len(raw) <= limit:
        return text
    return raw[: limit - 20].decode(errors="ignore") + "..." + sha256(raw).hexdigest()[:16]


def process_start(pid: int) -> int:
    """When the process began, in clock ticks since boot (field 22 of /proc/PID/stat, proc(5)); 0 if unknown."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return 0
    return int(stat.rpartition(")")[2].split()[19])


class Journal:
    """The live journal of this process. All methods raise OSError when the disk does not play along."""

    def __init__(self, path: Path, run: str, lock: int, data: int) -> None:
        self.path = path
        self.run = run
        self._lock = lock
        self._data = data
        self._segments: list[mmap.mmap] = []
        self._cells: list[memoryview] = []
        self._used = 0
        # A forked child would hold the lock on after this process is dead, and its run would never be settled.
        held = weakref.ref(self)
        os.register_at_fork(after_in_child=lambda: _let_go(held))

    @classmethod
    def create(cls, database: Path, run: str) -> Journal:
        """Make and lock the journal of `run` beside `database`."""
        path = database.with_name(f"{database.name}-run-{run}.journal")
        unfinished = database.with_name(f"{database.name}-new-{run}.journal")
        lock = os.open(unfinished, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        data = -1
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Opened apart: a mapping keeps its own file open, and with it a lock taken through that file.
            data = os.open(unfinished, os.O_RDWR | os.O_CLOEXEC)
            header = HEADER.pack(MAGIC, UUID(run).bytes, NO_LEDGER, os.getpid(), process_start(os.getpid()))
            _write(data, 0, header.ljust(HEADER_BYTES, b"\0"))
            journal = cls(path, run, lock, data)
            journal._grow()
            # Only now can others see it: they never meet a journal that is half made or not yet locked.
            unfinished.rename(path)
        except OSError:
            with suppress(OSError):
                unfinished.unlink()
            for descriptor in (data, lock):
                if descriptor >= 0:
                    os.close(descriptor)
            raise
        return journal

    def belongs_to(self, ledger: bytes) -> None:
        """Note the 16-byte id of the database that knows this run."""
        os.pwrite(self._data, ledger, LEDGER_AT)

    def place(self, window: str, domain: str, route: str, begun: int) -> memoryview:
        """A counter for the route, set to `begun`: store to its only element to count.

        The names are at most `WINDOW_BYTES`, `DOMAIN_BYTES` and `ROUTE_BYTES` long.
        """
        if self._used == SEGMENT_SLOTS * len(self._segments):
            self._grow()
        segment, at = self._segments[-1], (self._used % SEGMENT_SLOTS) * SLOT_BYTES
        names = (window.encode(), domain.encode(), route.encode())
        segment[at + SLOT.size : at + SLOT.size + sum(map(len, names))] = b"".join(names)
        SLOT.pack_into(segment, at, begun, 1, *map(len, names))
        cell = memoryview(segment)[at : at + 8].cast("Q")
        self._cells.append(cell)
        self._used += 1
        return cell

    def exists(self) -> bool:
        """Whether the file is still there to be found when this process is gone."""
        try:
            return os.path.samestat(self.path.stat(), os.fstat(self._lock))
        except FileNotFoundError:
            return False

    def close(self, *, remove: bool) -> None:
        """Give up the lock; the counters handed out must no longer be stored to."""
        for cell in self._cells:
            cell.release()
        self._cells.clear()
        if remove:
            with suppress(OSError):
                self.path.unlink()
        for descriptor in (self._data, self._lock):
            os.close(descriptor)
        self._lock = -1
        self._segments.clear()

    def let_go(self) -> None:
        """In a forked child: close the inherited lock. Closing a copy does not unlock the parent's."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def _grow(self) -> None:
        at = HEADER_BYTES + SEGMENT_BYTES * len(self._segments)
        # Zeros are written out: storing to a mapped hole of a full disk would end the process with SIGBUS.
        _write(self._data, at, bytes(SEGMENT_BYTES))
        self._segments.append(mmap.mmap(self._data, SEGMENT_BYTES, offset=at))


@dataclass(frozen=True, slots=True)
class DeadRun:
    """The journal of a run whose process is gone, locked by us until `release`.

    `begun` is by window, domain and route; the window is empty in journals of the time before there were any.
    """

    path: Path
    run: str
    ledger: bytes
    begun: dict[tuple[str, str, str], int]
    lock: int

    def release(self, *, remove: bool) -> None:
        if remove:
            with suppress(OSError):
                self.path.unlink()
        os.close(self.lock)


def dead_runs(database: Path) -> Iterator[DeadRun]:
    """The journals beside `database` that no living process holds. Each must be released."""
    name = glob.escape(database.name)
    for unfinished in database.parent.glob(f"{name}-new-*.journal"):
        # Nothing was counted in it yet. A young one may be about to be renamed by its living maker.
        with suppress(OSError):
            if time.time() - unfinished.stat().st_mtime > UNFINISHED_SECONDS:
                unfinished.unlink()
    for path in sorted(database.parent.glob(f"{name}-run-*.journal")):
        if (found := _claim(path)) is not None:
            yield found


def journal_of(database: Path, run: str) -> Path:
    return database.with_name(f"{database.name}-run-{run}.journal")


def _claim(path: Path) -> DeadRun | None:
    try:
        lock = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        raw = path.read_bytes()
        same = os.path.samestat(path.stat(), os.fstat(lock))
        magic, run, ledger, _, _ = HEADER.unpack_from(raw)
    except (
        OSError,
        struct.error,
    ):  # held by a living process, or settled and removed by another one just now
        os.close(lock)
        return None
    if not same or magic not in (MAGIC, MAGIC_BEFORE):
        if same:
            log.warning("%s is not a journal of this version and is left alone", path)
        os.close(lock)
        return None
    return DeadRun(path, UUID(bytes=run).hex, ledger, dict(_counters(raw, before=magic == MAGIC_BEFORE)), lock)


def _counters(raw: bytes, *, before: bool) -> Iterator[tuple[tuple[str, str, str], int]]:
    header = SLOT_BEFORE if before else SLOT
    for at in range(HEADER_BYTES, len(raw) - SLOT_BYTES + 1, SLOT_BYTES):
        begun, used, *lengths = header.unpack_from(raw, at)
        if used:
            names, start = [], at + header.size
            for length in lengths:
                names.append(raw[start : start + length].decode())
                start += length
            domain, route = names[-2:]
            yield ("" if before else names[0], domain, route), begun


def _write(descriptor: int, at: int, data: bytes) -> None:
    done = 0
    while done < len(data):
        done += os.pwrite(descriptor, data[done:], at + done)


def _let_go(held: weakref.ref[Journal]) -> None:
    if (journal := held()) is not None:
        journal.let_go()
