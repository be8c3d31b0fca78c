"""`shadowread gate`: may a domain's reads flip."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.text import Text

from proxy.cli.common import (
    config_option,
    console,
    evidence_of,
    json_option,
    print_json,
    printable,
    settings_of,
    table,
)
from proxy.cli.junit import junit as junit_xml
from proxy.cli.root import Failure
from proxy.errors import LedgerError
from proxy.gate import GateResult, exit_code
from proxy.settings import Settings

EPILOG = """\b
Exit code: 0 all open, 1 some closed, 2 it cannot be told.
\b
Examples:
  shadowread gate                            every domain
  shadowread gate users payments
  shadowread gate users --json | jq -r '.gates[].reasons[]'
  shadowread gate --junit gate.xml           for the report of a CI system
"""
STYLES = {"open": "green", "closed": "red", "unknown": "yellow"}


@click.command(epilog=EPILOG)
@click.argument("domains", metavar="[DOMAIN]...", nargs=-1)
@click.option("--junit", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", help="Also write JUnit XML.")
@config_option
@json_option
def gate(*, domains: tuple[str, ...], junit: Path | None, config: Path | None, as_json: bool) -> None:
    """Decide for each DOMAIN, with every reason, and store the decision in the ledger."""
    names = list(dict.fromkeys(domains))
    results = asyncio.run(_decide(settings_of(config), names))
    if as_json:
        print_json({"gates": [result.as_json() for result in results]})
    else:
        out = console()
        for result in results:
            _show(out, result)
    if junit is not None:
        try:
            junit.write_bytes(junit_xml(results))
        except OSError as error:
            raise Failure(f"{junit} cannot be written: {error.strerror or error}") from error
    sys.exit(exit_code(results))


async def _decide(settings: Settings, names: Sequence[str]) -> list[GateResult]:
    async with evidence_of(settings) as evidence:
        results = await evidence.gates(names)
        for result in results:
            try:
                await evidence.ledger.store_decision(result)
            except LedgerError as error:
                # The decision stands, only its record is missing: a mounted copy may well be read-only.
                click.echo(f"shadowread: {error}", err=True)
                break
        return results


def _show(out: Console, result: GateResult) -> None:
    heading = Text(printable(result.domain), style="bold")
    heading.append(": ")
    heading.append(result.state, style=STYLES[result.state])
    out.print(heading)
    signs = {True: Text("holds", "green"), False: Text("fails", "red"), None: Text("unknown", "yellow")}
    notes = [[note.name, Text("note", "yellow"), note.text] for note in result.notes]
    rows: list[list[Any]] = []
    for one in result.conditions:
        rows.append([one.name, signs[one.ok], one.text])
        if one.name == "diffs":  # beside the zero that they qualify
            rows += notes
    out.print(table(("condition", "", "figures"), rows))
    if result.state == "open":
        flags = ", ".join(result.flags_to_change) or "none is written in the configuration"
        out.print(Text(printable(f"to flip its reads, set: {flags}")), soft_wrap=True)
        out.print(Text(printable(f"to roll back: {result.rollback_plan}")), soft_wrap=True)
