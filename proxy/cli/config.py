"""`shadowread config`: the configuration seen from outside."""

from __future__ import annotations

import io
from pathlib import Path

import click
from ruamel.yaml import YAML

from proxy.cli.common import config_option, json_option, print_json, settings_of
from proxy.settings import json_schema, show

EPILOG = """\b
Examples:
  shadowread config schema > shadowread.schema.json
  shadowread config show -c config/marketplace.yaml
  shadowread config show --json | jq .limits
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
    """Print the effective configuration: defaults filled in, variables put in, secrets masked."""
    shown = show(settings_of(config))
    if as_json:
        print_json(shown)
        return
    text = io.StringIO()
    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = False
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]  # its stub knows the default only
    yaml.dump(shown, text)
    click.echo(text.getvalue(), nl=False)
