"""Whatever ends the owner of a process tree, nothing of the tree and no folder of it is left."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from proxy.demo.processes import Child, Command, ProcessError, Supervisor
from tests.demo.trees import processes, tree, wait_for, wait_until_gone

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")

# A child that will not listen: it ignores the polite signals and leaves a process in a session of its own.
STUBBORN = """
import os, signal, sys, time
for number in (signal.SIGTERM, signal.SIGINT):
    signal.signal(number, signal.SIG_IGN)
if os.fork() == 0:
    os.setsid()
print("up", flush=True)
time.sleep(600)
"""

OWNER = """
import json, signal, sys, threading
from pathlib import Path
from proxy.demo import janitor
from proxy.demo.processes import Command, Supervisor
from proxy.demo.servers import start_postgres

# Whoever starts the tests in the background has SIGINT ignored, and a child inherits that.
signal.signal(signal.SIGINT, signal.default_int_handler)
ended = threading.Event()
with Supervisor(grace=0.5) as owner:
    owner.on_death(lambda child: ended.set())
    stubborn = owner.spawn(Command("stubborn", [sys.executable, "-c", sys.argv[1]], {}, owner.folder))
    owner.await_ready(stubborn, lambda: stubborn.tail().count("up") == 2, 20)
    owner.guard(stubborn)
    pids = {"stubborn": stubborn.pid}
    if sys.argv[2] == "postgres":
        server = start_postgres(owner)
        owner.guard(server.child)
        pids["postgres"] = server.child.pid
    print(json.dumps({"folder": str(owner.folder), **pids}), flush=True)
    ended.wait()
"""


@dataclass(frozen=True)
class Running:
    process: subprocess.Popen[str]
    folder: Path
    pids: dict[str, int]
    members: set[tuple[int, int]]

    def janitor(self) -> int:
        return next(pid for (pid, _), parent in processes().items() if parent == self.process.pid)


def start(*, postgres: bool) -> Running:
    process = subprocess.Popen(
        [sys.executable, "-c", OWNER, STUBBORN, "postgres" if postgres else ""],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
        start_new_session=True,
    )
    assert process.stdout is not None
    told = json.loads(process.stdout.readline())
    folder = Path(told.pop("folder"))
    assert folder.is_dir()
    members = tree(process.pid)
    assert len(members) >= 4  # owner, janitor, the stubborn child and its own child
    return Running(process, folder, told, members)


@pytest.fixture
def running(request: pytest.FixtureRequest) -> Iterator[Running]:
    running = start(postgres=getattr(request, "param", False))
    yield running
    running.process.kill()
    running.process.communicate()


def assert_nothing_left(running: Running) -> None:
    running.process.wait(30)
    wait_until_gone(running.members)
    wait_for(lambda: not running.folder.exists(), f"{running.folder} is still there")


@pytest.mark.slow
@pytest.mark.parametrize("running", [False, True], indirect=True, ids=["small", "postgres"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=lambda n: n.name)
def test_a_signal_to_the_owner_leaves_nothing(running: Running, number: signal.Signals) -> None:
    running.process.send_signal(number)
    assert_nothing_left(running)


def test_ctrl_c_reaches_the_whole_terminal_group_and_leaves_nothing(running: Running) -> None:
    os.killpg(running.process.pid, signal.SIGINT)
    assert_nothing_left(running)


def test_a_killed_child_is_noticed_and_ends_the_rest(running: Running) -> None:
    os.kill(running.pids["stubborn"], signal.SIGKILL)
    assert_nothing_left(running)
    assert running.process.returncode == 0


@pytest.mark.parametrize("running", [True], indirect=True, ids=["postgres"])
def test_a_killed_postgres_is_noticed_and_ends_the_rest(running: Running) -> None:
    os.kill(running.pids["postgres"], signal.SIGQUIT)
    assert_nothing_left(running)


@pytest.mark.parametrize("running", [True], indirect=True, ids=["postgres"])
def test_a_killed_janitor_is_noticed_and_leaves_nothing_but_what_fled(running: Running) -> None:
    fled = {key for key, parent in processes().items() if parent == running.pids["stubborn"]}
    try:
        os.kill(running.janitor(), signal.SIGKILL)
        running.process.wait(30)
        wait_until_gone(running.members - fled)
        assert not running.folder.exists()
    finally:
        for pid, _ in fled:
            os.kill(pid, signal.SIGKILL)


@pytest.fixture(scope="module")
def own() -> Iterator[Supervisor]:
    with Supervisor() as supervisor:
        yield supervisor


def python(supervisor: Supervisor, name: str, code: str) -> Command:
    return Command(name, [sys.executable, "-c", code], {}, supervisor.folder)


def test_a_command_that_fails_is_told_with_its_last_words(own: Supervisor) -> None:
    with pytest.raises(ProcessError, match=r"(?s)speaker ended with status 3.*the disk is on fire"):
        own.run(python(own, "speaker", "print('the disk is on fire'); raise SystemExit(3)"), 20)


def test_a_program_that_is_not_there_is_named(own: Supervisor) -> None:
    with pytest.raises(ProcessError, match="cannot start /nowhere/at/all"):
        own.run(Command("nobody", ["/nowhere/at/all"], {}, own.folder), 20)


def test_a_child_that_dies_before_it_is_ready_is_not_waited_for(own: Supervisor) -> None:
    child = own.spawn(python(own, "hasty", "raise SystemExit('no configuration')"))
    with pytest.raises(ProcessError, match=r"(?s)hasty ended with status 1.*no configuration"):
        own.await_ready(child, lambda: False, 20)


def test_a_child_that_never_becomes_ready_is_stopped(own: Supervisor) -> None:
    child = own.spawn(python(own, "slow", "import time; time.sleep(600)"))
    with pytest.raises(ProcessError, match="slow was not ready"):
        own.await_ready(child, lambda: False, 0.1)
    assert child.code is not None


def test_only_vital_children_are_mourned_and_also_when_they_died_before(own: Supervisor) -> None:
    mourned: list[str] = []
    told = threading.Event()

    def mourn(child: Child | None) -> None:
        mourned.append(child.name if child else "janitor")
        told.set()

    own.on_death(mourn)
    own.run(python(own, "errand", "pass"), 20)
    early = own.spawn(python(own, "early", "pass"))
    assert early.wait(20) == 0
    own.guard(early)
    assert told.wait(20)
    released = own.spawn(python(own, "released", "import time; time.sleep(600)"))
    own.guard(released)
    own.release(released)
    released.stop()
    assert released.code == -signal.SIGTERM
    assert mourned == ["early"]


def test_the_environment_and_the_folder_are_private(own: Supervisor) -> None:
    command = Command("env", [sys.executable, "-c", "import os; print(sorted(os.environ))"], {"A": "1"}, own.folder)
    child = own.spawn(command)
    child.wait(20)
    assert "'A'" in child.tail()
    assert "PATH" not in child.tail()
    assert own.folder.stat().st_mode & 0o066 == 0
    assert child.log.stat().st_mode & 0o777 == 0o600


def test_closing_twice_is_once() -> None:
    supervisor = Supervisor()
    folder = supervisor.folder
    supervisor.close()
    supervisor.close()
    assert not folder.exists()


def test_a_child_that_was_just_started_does_not_miss_its_end(own: Supervisor) -> None:
    """The janitor ignores these signals, and its forked copy must not, however early one comes."""
    for number in range(20):
        child = own.spawn(python(own, f"brief{number}", "import time; time.sleep(600)"))
        child.stop()
        assert child.code == -signal.SIGTERM
