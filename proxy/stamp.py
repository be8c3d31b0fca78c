"""Whether a file is another than it was, without reading it."""

from __future__ import annotations

from pathlib import Path
from typing import TypeAlias

Stamp: TypeAlias = tuple[str, int, int, int, int] | tuple[str]
"""The path with device, inode, size and time of the last change in nanoseconds; alone where there is no file."""


def stamp(path: Path) -> Stamp:
    """What tells the content at `path` from an earlier one. Links are followed: a file may be replaced behind one."""
    try:
        found = path.stat()
    except OSError:
        return (str(path),)
    return str(path), found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns
