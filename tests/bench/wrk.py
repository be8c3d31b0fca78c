"""Load by wrk: one address again and again, or another one for each request; at full speed, or as slow as asked for."""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.bench.backend import FIRST_PAGE, target
from tests.bench.installing import Program
from tests.bench.proxies import LOAD_CORE, BenchError

CONNECTIONS = 32
SCRIPT = """
local path, page, pause, step
function init(args)
  path, page, step, pause = args[1], tonumber(args[2]), tonumber(args[3]), tonumber(args[4])
end
function request()
  page = page + step
  return wrk.format("GET", path .. string.format("%d", page))
end
"""
PAUSE = """
function delay()
  return math.floor(pause + math.random())
end
"""
"""Milliseconds are whole ones: the fraction is the chance of one more."""
_DONE = re.compile(r"(\d+) requests in ([\d.]+)(us|ms|s|m)\b")
_UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0}
_ERRORS = re.compile(r"^ +(Socket errors:.*|Non-2xx.*)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Load:
    """What is asked: `new` asks for another page with each request, from page `first` on; `pause` is the milliseconds
    that each of the 32 connections waits after an answer."""

    kilobytes: int
    new: bool = False
    first: int = FIRST_PAGE
    pause: float = 0.0


@dataclass(frozen=True, slots=True)
class Done:
    requests: int
    seconds: float


class NoAnswerError(BenchError):
    """Not one request was answered in time."""


class Wrk:
    """`folder` is where its scripts are written."""

    def __init__(self, program: Program, folder: Path) -> None:
        self._program = program
        self._quick, self._slow = folder / "load.lua", folder / "paced.lua"
        self._quick.write_text(SCRIPT)
        self._slow.write_text(SCRIPT + PAUSE)

    def run(self, port: int, load: Load, seconds: int, timeout: int = 30) -> Done:
        """Raises NoAnswerError, and BenchError when an answer was no 200."""
        command = ["taskset", "-c", str(LOAD_CORE), self._program.path]
        command += ["-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", f"--timeout={timeout}s"]
        url = f"http://127.0.0.1:{port}"
        if load.new or load.pause:
            path = target(load.kilobytes).removesuffix(str(FIRST_PAGE))
            script = self._slow if load.pause else self._quick
            first = load.first - load.new
            command += ["-s", str(script), url, "--", path, str(first), str(int(load.new)), str(load.pause)]
        else:
            command.append(url + target(load.kilobytes, load.first))
        env = {**os.environ, **self._program.env}
        limit = seconds + timeout + 30
        ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=limit, env=env)
        done, errors = _DONE.search(ended.stdout), _ERRORS.findall(ended.stdout)
        if done is None or errors:
            raise BenchError(f"wrk: {'; '.join(errors) or ended.stderr.strip() or ended.stdout.strip()}")
        if not int(done[1]):
            raise NoAnswerError(f"wrk: no request was answered in {seconds} s")
        return Done(int(done[1]), float(done[2]) * _UNITS[done[3]])
