"""A ledger on disk with known content, and ways to run a command."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeAlias

import pytest
from click.testing import CliRunner, Result

from proxy.cli import cli
from proxy.settings import load_settings
from tests.admin.recorded import configure, recorded

Run: TypeAlias = Callable[..., Result]
COMMAND = (sys.executable, "-m", "proxy.cli")


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SHADOWREAD_CONFIG", "NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """The configuration of a ledger that a proxy has just written."""
    path = configure(tmp_path)
    write(path)
    return path


def write(config: Path) -> None:
    """Let a proxy write its ledger under this configuration."""

    async def seen() -> None:
        async with recorded(load_settings(config, {}), datetime.now(UTC)):
            pass

    asyncio.run(seen())


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
