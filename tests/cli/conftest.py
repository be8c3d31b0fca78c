"""A ledger on disk with known content, and ways to run a command."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pytest
from click.testing import CliRunner, Result

from proxy.cli import cli
from tests.admin.recorded import configure, recorded, settings_in

Run: TypeAlias = Callable[..., Result]
COMMAND = (sys.executable, "-m", "proxy.cli")


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SHADOWREAD_CONFIG", "NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """The configuration of a ledger that a proxy has written."""

    async def write() -> None:
        async with recorded(settings_in(tmp_path)):
            pass

    asyncio.run(write())
    return configure(tmp_path)


@pytest.fixture
def run() -> Run:
    """Run a command in this process; what it raises by accident fails the test."""

    def invoke(*arguments: str | Path, text: str | bytes | None = None) -> Result:
        return CliRunner().invoke(cli, [str(one) for one in arguments], input=text)

    return invoke


def start(*arguments: str | Path, **options: int) -> subprocess.Popen[bytes]:
    """Run a command as a process of its own."""
    return subprocess.Popen(
        [*COMMAND, *map(str, arguments)],
        stdin=options.get("stdin", subprocess.DEVNULL),
        stdout=options.get("stdout", subprocess.PIPE),
        stderr=options.get("stderr", subprocess.PIPE),
        env={**os.environ, "PYTHONUNBUFFERED": ""},
    )
