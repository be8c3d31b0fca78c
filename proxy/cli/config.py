"""`shadowread config`: the configuration seen from outside."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import click
from ruamel.yaml import YAML

from proxy.cli.common import config_option, json_option, print_json, printable, settings_of
from proxy.settings import FileSource, Settings, json_schema, show
from proxy.settings.budget import Budget, budget
from proxy.settings.budget_units import EARLIER

EPILOG = """\b
Examples:
  shadowread config schema > shadowread.schema.json
  shadowread config show -c config/marketplace.yaml
  shadowread config show --json | jq .limits
  shadowread config show --json | jq .memory_budget.total
"""


@click.group(epilog=EPILOG)
def config() -> None:
    """Show the configuration, or the JSON Schema of its file."""


@config.command(epilog="\b\nExample:\n  shadowread config schema > shadowread.schema.json\n")
def schema() -> None:
    """Print the JSON Schema of the file, for editors."""
    print_json(json_schema())


@config.command("show", epilog="\b\nExample:\n  shadowread config show -c config/marketplace.yaml\n")
@config_option
@json_option
def show_config(*, config: Path | None, as_json: bool) -> None:
    """Print the effective configuration: defaults filled in, variables put in, secrets masked.

    Behind it stands what the proxy may take of memory at most: in comments of the YAML, which remains a configuration
    that can be used, and under `memory_budget` of the JSON.
    """
    settings = settings_of(config)
    shown, memory = show(settings), budget(settings, _file_sizes(settings))
    if as_json:
        print_json({**shown, "memory_budget": memory.as_json()})
        return
    text = io.StringIO()
    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = False
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]  # its stub knows the default only
    yaml.dump(shown, text)
    click.echo(text.getvalue(), nl=False)
    click.echo("\n".join(f"# {line}".rstrip() for line in _memory(memory)))


def _file_sizes(settings: Settings) -> dict[Path, int]:
    """The sizes of the ids files that are there."""
    files = [source.file for source in settings.ids.sources if isinstance(source, FileSource)]
    return {file: file.stat().st_size for file in files if file.is_file()}


def _memory(memory: Budget) -> Iterator[str]:
    """The budget as a table of plain text."""
    yield ""
    yield "The memory that one proxy may take, if everything that it may hold were there at once:"
    rows = [("what", "at most", "how", "set by")]
    group = ""
    for line in memory.lines:
        if line.group != group:
            group = line.group
            rows.append((f"{group}:", _mebibytes(memory.of(group)), "", ""))
        rows.append((f"  {line.what}", _mebibytes(line.size), line.formula, line.bound))
    rows.append(("all", _mebibytes(memory.total), "", ""))
    more = f"{EARLIER} x (verification + ids + workers), while earlier configurations end"
    rows.append(("after a reload, beside it", _mebibytes(memory.reloading), more, ""))
    what, size, how, _ = (max(map(len, column)) for column in zip(*rows, strict=True))
    for row in rows:
        yield f"{printable(row[0]):{what}}  {row[1]:>{size}}  {row[2]:{how}}  {row[3]}"


def _mebibytes(size: int) -> str:
    return f"{size / 1024**2:,.1f} MiB"
