"""The demo as a user runs it: what it finds, that it finds nothing where nothing is, and that it leaves nothing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from proxy.demo.bugs import BUGS
from tests.demo.trees import command_line, tree, wait_for, wait_until_gone

ROOT = Path(__file__).parents[2]
ENOUGH = 100
"""Exchanges of each domain at least that were compared, or not because the domain rested for a look at the counters."""
pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Run:
    told: dict[str, Any]
    traffic: dict[str, Any]

    def verdicts(self, name: str) -> dict[str, int]:
        (domain,) = (d for d in self.told["domains"] if d["name"] == name)
        found: dict[str, int] = domain["verdicts"]
        return found


def command(*options: str) -> list[str]:
    return [sys.executable, "-m", "proxy.cli", "demo", *options]


def start(folder: Path, *options: str) -> subprocess.Popen[str]:
    folder.mkdir(exist_ok=True)
    return subprocess.Popen(
        command(*options),
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(folder)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def run(folder: Path, *options: str) -> Run:
    keep = folder / "kept"
    process = start(folder, "--json", "--keep", str(keep), *options)
    try:
        out, err = process.communicate(timeout=110)
    finally:
        process.kill()
    assert process.returncode == 0, err
    lines = (keep / "logs" / "traffic.log").read_text().splitlines()
    return Run(json.loads(out), json.loads(next(line for line in reversed(lines) if line.startswith("{"))))


def nests(folder: Path) -> list[Path]:
    """The private folders of demos: as root they may stand elsewhere, where the database's account can go."""
    places = {folder, Path("/tmp"), Path("/var/tmp"), Path("/dev/shm")}  # noqa: S108 - they are looked into only
    return [nest for place in places for nest in place.glob("shadowread-*")]


def check_identity(told: dict[str, Any]) -> None:
    assert len(told["domains"]) == 18
    for domain in told["domains"]:
        assert domain["observed"] == sum(domain["verdicts"].values()), domain


def test_every_planted_bug_is_found_and_the_other_domains_are_clean(tmp_path: Path) -> None:
    done = run(tmp_path, "--duration", "45")
    check_identity(done.told)
    assert done.told.keys() == {"domains", "planted"}
    missed = {bug["bug"] for bug in done.told["planted"] if not bug["found"]}
    assert missed == {bug.name for bug in BUGS if not bug.findable}
    assert len(done.told["planted"]) >= 12
    for bug in done.told["planted"]:
        assert bug.keys() == {"bug", "domain", "found", "finding", "unproven"}
        assert bug["finding"] is None or bug["finding"]["domain"] == bug["domain"]
    buggy = {bug.domain for bug in BUGS if bug.findable}
    for domain in done.told["domains"]:
        if domain["name"] not in buggy:
            assert domain["verdicts"].get("diff", 0) == 0, domain
            assert domain["comparisons"] + domain["verdicts"].get("skipped:paused", 0) >= ENOUGH, domain
            assert domain["comparisons"] > 0, domain
    assert done.traffic["failures"] == 0, done.traffic


def test_without_bugs_there_is_no_difference_although_writes_run(tmp_path: Path) -> None:
    done = run(tmp_path, "--duration", "15", "--healthy")
    check_identity(done.told)
    assert done.told["planted"] == []
    assert {d["name"]: d["verdicts"]["diff"] for d in done.told["domains"] if d["verdicts"].get("diff", 0)} == {}
    assert all(domain["comparisons"] > 0 for domain in done.told["domains"])
    assert done.traffic["failures"] == 0, done.traffic
    assert done.traffic["classes"]["write"] > 0, done.traffic


@pytest.mark.parametrize("end", ["SIGINT", "SIGTERM", "SIGKILL", "crash"])
def test_whatever_ends_it_nothing_is_left(tmp_path: Path, end: str) -> None:
    before = set(nests(tmp_path))
    options = [] if end in ("SIGINT", "SIGTERM") else ["--duration", "60"]
    process = start(tmp_path, "--healthy", *options)
    try:
        wait_for(
            lambda: process.poll() is not None or any("demo.traffic" in part for part in parts(process)),
            "traffic did not start",
            60,
        )
        assert process.poll() is None, process.communicate()
        members = tree(process.pid)
        assert len(members) >= 7  # demo, janitor, two stores, two marketplaces, proxy, traffic
        if end == "crash":
            victim = next(pid for pid, _ in members if "secantus" in command_line(pid))
            os.kill(victim, signal.SIGKILL)
        else:
            process.send_signal(signal.Signals[end])
        out, err = process.communicate(timeout=60)
        wait_until_gone(members)
        wait_for(lambda: set(nests(tmp_path)) <= before, "a temporary folder is left")
    finally:
        process.kill()
        process.communicate()
    if end == "crash":
        assert process.returncode == 2
        assert "mongo was ended by SIGKILL" in err
    elif end == "SIGKILL":
        assert process.returncode == -signal.SIGKILL
    else:
        assert process.returncode == 0, err
        assert "domains at zero diffs" in out


def parts(process: subprocess.Popen[str]) -> list[str]:
    return [command_line(pid) for pid, _ in tree(process.pid)]
