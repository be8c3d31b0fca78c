"""The command as a whole: help, where the configuration comes from, what becomes of errors."""

from __future__ import annotations

import os
import pty
import select
import subprocess
from pathlib import Path

import click
import pytest

from proxy.cli import cli
from proxy.cli.root import COMMANDS
from tests.admin.recorded import configure
from tests.cli.conftest import COMMAND, Run, start


@pytest.mark.parametrize("command", [(), *((name,) for name in COMMANDS), ("config", "show"), ("config", "schema")])
def test_help_has_an_example_that_can_be_typed(run: Run, command: tuple[str, ...]) -> None:
    result = run(*command, "--help")
    assert result.exit_code == 0
    assert "Example" in result.output
    assert f"shadowread {' '.join(command)}".strip() in result.output


def test_every_option_of_the_examples_exists() -> None:
    """An example that names an option which is gone would be the first thing that somebody types."""
    context = click.Context(cli)
    for name in COMMANDS:
        command = cli.get_command(context, name)
        assert command is not None
        known = {option for parameter in command.params for option in parameter.opts}
        if isinstance(command, click.Group):
            for sub in command.commands.values():
                known |= {option for parameter in sub.params for option in parameter.opts}
        for line in (command.epilog or "").splitlines():
            words = line.partition(" | ")[0].split()
            if words[:2] == ["shadowread", name]:
                assert {word for word in words if word.startswith("-") and word != "-"} <= known, line


def test_unknown_commands_and_options_are_bad_input(run: Run) -> None:
    assert run("stauts").exit_code == 2
    assert run("status", "--jsn").exit_code == 2
    assert run("gate", "--limit", "x").exit_code == 2


def test_where_the_configuration_comes_from(
    run: Run, config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run("status", "-c", config).exit_code == 0
    assert run("-c", config, "status").exit_code == 0
    monkeypatch.setenv("SHADOWREAD_CONFIG", str(config))
    assert run("status").exit_code == 0
    monkeypatch.delenv("SHADOWREAD_CONFIG")
    monkeypatch.chdir(tmp_path)
    missing = run("status")
    assert missing.exit_code == 2
    assert "config/shadowread.yaml" in missing.stderr
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "users.md").touch()
    (tmp_path / "config" / "shadowread.yaml").write_text(config.read_text())
    assert run("status").exit_code == 0


def test_a_wrong_configuration_is_told_problem_by_problem(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text("primary: {url: http://127.0.0.1:1, connect_timout: 1s}\nsampling: 7\n")
    result = run("status", "-c", path)
    assert result.exit_code == 2
    assert result.stdout == ""
    lines = [line for line in result.stderr.splitlines() if line.startswith("  ")]
    assert len(lines) == 2
    assert f"{path}:1:" in lines[0]
    assert "connect_timeout" in lines[0]
    assert f"{path}:2:" in lines[1]


def test_no_ledger_yet(run: Run, tmp_path: Path) -> None:
    for command in ("status", "findings", "gate"):
        result = run(command, "-c", configure(tmp_path))
        assert result.exit_code == 2
        assert "does not exist" in result.stderr
    assert not (tmp_path / "ledger.db").exists()


def test_a_bug_never_looks_like_an_answer(run: Run, config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("proxy.cli.gate.exit_code", broken)
    result = run("gate", "-c", config)
    assert result.exit_code == 2
    assert "ZeroDivisionError" in result.stderr


def test_a_reader_that_has_enough_is_no_error(config: Path) -> None:
    with start("status", "-c", config) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
        process.wait(30)
    assert process.returncode == 141


def test_colour_in_a_terminal_only(run: Run, config: Path) -> None:
    assert "\x1b" not in run("gate", "-c", config).output
    assert b"\x1b[32m" in in_terminal("gate", "-c", config)
    assert b"\x1b" not in in_terminal("gate", "-c", config, NO_COLOR="1")


def test_a_narrow_terminal_loses_no_domain_and_no_figure(config: Path) -> None:
    text = in_terminal("status", "-c", config, NO_COLOR="1", COLUMNS="80").decode()
    payments = next(line for line in text.splitlines() if line.strip().startswith("payments"))
    assert payments.split() == ["payments", "closed", "3", "3", "1", "0", "1"]
    found = in_terminal("findings", "-c", config, NO_COLOR="1", COLUMNS="40").decode().replace("\r\n", "")
    assert "1180591620717411303424" in found


def in_terminal(*arguments: str | Path, **variables: str) -> bytes:
    """What a command writes to a terminal."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [*COMMAND, *map(str, arguments)], stdout=theirs, env={**os.environ, "TERM": "xterm", **variables}
    )
    os.close(theirs)
    found = b""
    while select.select([ours], [], [], 60)[0]:
        try:
            part = os.read(ours, 65536)
        except OSError:  # Linux: the other end is closed
            break
        if not part:
            break
        found += part
    os.close(ours)
    process.wait(60)
    return found
