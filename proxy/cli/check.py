"""`shadowread check`: is the configuration right, and is everything it names there."""

from __future__ import annotations

import asyncio
import sys
from datetime import UTC, datetime
from pathlib import Path

import click
from rich.text import Text

from proxy.cli.common import config_option, config_path, console, json_option, print_json, settings_of, table
from proxy.cli.inspect import Line, inspect
from proxy.errors import SettingsError

EPILOG = """\b
Exit code: 0 all is well, 2 something has to be repaired.
\b
Examples:
  shadowread check
  shadowread check -c config/marketplace.yaml
  shadowread check --json | jq '.checks[] | select(.ok | not)'
"""


@click.command(epilog=EPILOG)
@config_option
@json_option
def check(*, config: Path | None, as_json: bool) -> None:
    """Read the configuration and ask both sides, the id map, the ledger and the rollback plans.

    Nothing is changed: the ledger is opened for writing, and let go.
    """
    path = config_path(config)
    try:
        settings = settings_of(config)
        found = [Line("configuration", str(path), True, f"{len(settings.domains)} domains")]
        found += asyncio.run(inspect(settings, datetime.now(UTC).date()))
    except SettingsError as error:
        found = [Line("configuration", str(path), False, problem, "correct the file") for problem in error.problems]
    well = all(line.ok for line in found)
    if as_json:
        print_json({"ok": well, "checks": [line.as_json() for line in found]})
    else:
        rows = [[line.name, line.where, _sign(line), line.detail, line.remedy] for line in found]
        out = console()
        out.print(table(("what", "where", "", "found", "what to do"), rows))
        wrong = sum(not line.ok for line in found)
        out.print("all is well" if well else f"{wrong} problem{'' if wrong == 1 else 's'}")
    sys.exit(0 if well else 2)


def _sign(line: Line) -> Text:
    if not line.ok:
        return Text("problem", style="bold red")
    return Text("note", style="yellow") if line.remedy else Text("ok", style="green")
