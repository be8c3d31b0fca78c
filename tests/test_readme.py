"""The README is held against the code: what it lists exists, and what exists is listed."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from comparators.reading import TOLERANCES
from proxy.admin.openapi import document
from proxy.admin.pages import PAGES
from proxy.admin.site import OPEN
from proxy.cli.root import COMMANDS, cli
from proxy.direct.plans import PostgresPlan
from proxy.model import Side, Verdict
from proxy.settings import Settings, load_settings, reader_plan

TOP = Path(__file__).parents[1]
COMMAND_OBJECTS = {name: cli.get_command(click.Context(cli), name) for name in COMMANDS}
README = (TOP / "README.md").read_text()


def test_every_command_is_in_the_table_and_every_row_is_a_command() -> None:
    section = README.split("## Commands")[1].split("\n## ")[0]
    listed = set(re.findall(r"^\| `(\w+)", section, re.MULTILINE))
    assert listed == set(COMMANDS)


def test_every_option_that_is_named_exists() -> None:
    section = README.split("## Commands")[1].split("\n## ")[0]
    for name, rest in re.findall(r"^\| `(\w+)([^`]*)`", section, re.MULTILINE):
        command = COMMAND_OBJECTS[name]
        assert command is not None
        known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
        assert set(re.findall(r"--[\w-]+", rest)) <= known, name


def test_help_of_every_command_has_examples() -> None:
    for name, command in COMMAND_OBJECTS.items():
        assert command is not None
        with click.Context(command) as context:
            assert "Examples:" in command.get_help(context), name


def test_every_verdict_is_explained() -> None:
    for verdict in Verdict:
        assert f"`{verdict.value.removeprefix('skipped:')}`" in README


def test_every_tolerance_is_named() -> None:
    for kind in TOLERANCES:
        assert f"`{kind}`" in README


def test_every_admin_path_is_listed() -> None:
    for path in (*PAGES, *document()["paths"], *OPEN, "/metrics"):
        assert f"`{path}" in README, path


@pytest.mark.parametrize("link", re.findall(r"\]\(([^)#:]+)\)", README))
def test_links_lead_somewhere(link: str) -> None:
    assert (TOP / link).exists()


def test_the_shown_configuration_names_only_real_keys() -> None:
    shown = README.split("```yaml")[1].split("```")[0]
    keys = set(re.findall(r"^ {3}(\w+):", shown, re.MULTILINE))
    assert keys
    assert keys <= set(Settings.model_fields)


def test_the_explained_comparison_prints_what_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = README.split("$ shadowread compare mongo.json postgres.json --ids ids.json\n")[1].split("```")[0]
    monkeypatch.chdir(TOP / "tests" / "readme")
    monkeypatch.setenv("COLUMNS", "120")
    done = CliRunner().invoke(cli, ["compare", "mongo.json", "postgres.json", "--ids", "ids.json"])
    assert done.exit_code == 1
    assert shown.split() == done.output.split()


def test_the_direct_readers_shown_can_be_loaded(tmp_path: Path) -> None:
    shown = README.split("## Without a twin")[1].split("```yaml\n")[1].split("```")[0]
    config = tmp_path / "shadowread.yaml"
    config.write_text(f"primary: {{url: http://127.0.0.1:5001}}\n{shown}")
    settings = load_settings(config, {"PG_URL": "postgresql://127.0.0.1/x", "MONGODB_URI": "mongodb://127.0.0.1"})
    plan = reader_plan(settings, "marketplace", "GET /api/requests/{id}", Side.SHADOW)
    assert isinstance(plan, PostgresPlan)
    assert [statement.name for statement in plan.statements] == ["rows", "offers"]


def test_the_make_targets_exist() -> None:
    targets = set(re.findall(r"^make (\w+)", README, re.MULTILINE))
    assert targets == {"demo", "test", "install", "lint", "bench"}
    makefile = (TOP / "Makefile").read_text()
    for target in targets:
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
