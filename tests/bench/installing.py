"""Programs that the benchmarks need: as they are installed, or unpacked under build/ without touching the system."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench.proxies import ROOT

BUILD = ROOT / "build" / "bench"


class UnavailableError(Exception):
    """A program is not there and could not be brought."""


@dataclass(frozen=True, slots=True)
class Program:
    """How to start it, and the environment variables that it needs beside the usual ones."""

    path: str
    env: Mapping[str, str] = field(default_factory=dict)


def debian(name: str, *packages: str) -> Program:
    """A program on PATH; else from Debian packages, unpacked under build/: nothing is set up or started by that.

    Raises UnavailableError.
    """
    if found := shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"):
        return Program(found)
    root = BUILD / "debian"
    if (program := _unpacked(root, name)) is None:
        if not all(map(shutil.which, ("apt-get", "dpkg-deb"))):
            raise UnavailableError(f"{name} is not on PATH, and there is no apt-get to bring it; install it")
        root.mkdir(parents=True, exist_ok=True)
        try:
            _run(["apt-get", "download", *packages], root)
        except UnavailableError:
            if os.geteuid() != 0:
                raise
            _run(["apt-get", "update"], root)  # a fresh machine knows no packages
            _run(["apt-get", "download", *packages], root)
        for package in sorted(root.glob("*.deb")):
            _run(["dpkg-deb", "-x", str(package), str(root)], root)
            package.unlink()
        program = _unpacked(root, name)
    if program is None:
        raise UnavailableError(f"{name} is not in the packages {', '.join(packages)}")
    return program


def _unpacked(root: Path, name: str) -> Program | None:
    libraries = ":".join(map(str, sorted(root.glob("usr/lib/*-linux-*"))))
    found = next((path for folder in ("bin", "sbin") if (path := root / "usr" / folder / name).exists()), None)
    return None if found is None else Program(str(found), {"LD_LIBRARY_PATH": libraries} if libraries else {})


def python_environment(name: str, *requirements: str) -> Path:
    """The bin folder of a virtual environment of its own under build/ with these packages. Raises UnavailableError."""
    home = BUILD / name
    done = home / ".installed"
    if not done.exists() or done.read_text().split() != list(requirements):
        _run([sys.executable, "-m", "venv", "--clear", str(home)], ROOT)
        quiet = ["--quiet", "--disable-pip-version-check", "--prefer-binary"]
        _run([str(home / "bin" / "python"), "-m", "pip", "install", *quiet, *requirements], ROOT)
        done.write_text("\n".join(requirements))
    return home / "bin"


def _run(command: Sequence[str], folder: Path) -> None:
    try:
        subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True, timeout=600)
    except subprocess.CalledProcessError as error:
        last = (error.stderr.strip() or "no word why").splitlines()[-1]
        raise UnavailableError(f"`{' '.join(map(str, command[:3]))} ...` failed: {last}") from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UnavailableError(f"`{' '.join(map(str, command[:3]))} ...` failed: {error}") from error
