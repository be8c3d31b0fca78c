"""`shadowread gate`: may a domain's reads flip."""

from __future__ import annotations

import asyncio
import os
import secrets
import sys
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import click
from rich.console import Console
from rich.text import Text

from proxy.cli.annotations import annotate, in_actions
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
from proxy.cli.verify_log import verify_log as verified_log
from proxy.errors import LedgerError
from proxy.gate import GateResult, exit_code
from proxy.ledger.chain import Entry
from proxy.settings import Settings

EPILOG = """\b
Exit code: 0 all open, 1 some closed, 2 it cannot be told.
With --verify-log: 0 the log is whole, 1 it was tampered with, 2 it cannot be told.
\b
Examples:
  shadowread gate                            every domain
  shadowread gate users payments
  shadowread gate users --json | jq -r '.gates[].reasons[]'
  shadowread gate --junit gate.xml           for the report of a CI system
  shadowread gate --verify-log --head HASH   is every decision up to the one noted still as it was made
"""
STYLES = {"open": "green", "closed": "red", "unknown": "yellow"}
PLAN_LINES = 20
PLAN_WIDTH = 200


class Decided(NamedTuple):
    """A decision, and where it stands in the log; None where it could not be stored."""

    result: GateResult
    entry: Entry | None

    def as_json(self) -> dict[str, Any]:
        log = None if self.entry is None else {"seq": self.entry.seq, "hash": self.entry.hash}
        return {**self.result.as_json(), "log": log}


@click.command(epilog=EPILOG)
@click.argument("domains", metavar="[DOMAIN]...", nargs=-1)
@click.option("--junit", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", help="Also write JUnit XML.")
@click.option("--verify-log", is_flag=True, help="Decide nothing; check the log of all decisions.")
@click.option("--head", metavar="HASH", help="With --verify-log: a hash noted earlier that must still be in the log.")
@config_option
@json_option
def gate(
    *,
    domains: tuple[str, ...],
    junit: Path | None,
    verify_log: bool,
    head: str | None,
    config: Path | None,
    as_json: bool,
) -> None:
    """Decide for each DOMAIN, with every reason, and store the decision in the ledger."""
    if verify_log:
        if domains or junit:
            raise click.UsageError("--verify-log checks the whole log; it takes no DOMAIN and no --junit")
        sys.exit(verified_log(settings_of(config), head, as_json=as_json))
    if head is not None:
        raise click.UsageError("--head belongs to --verify-log")
    decided = asyncio.run(_decide(settings_of(config), list(dict.fromkeys(domains))))
    results = [one.result for one in decided]
    actions = in_actions(os.environ)
    if as_json:
        print_json({"gates": [one.as_json() for one in decided]})
    else:
        _print(decided, actions=actions)
    if actions:
        for line in annotate(results):
            click.echo(line, err=as_json)
    if junit is not None:
        try:
            junit.write_bytes(junit_xml(results))
        except OSError as error:
            raise Failure(f"{junit} cannot be written: {error.strerror or error}") from error
    sys.exit(exit_code(results))


async def _decide(settings: Settings, names: Sequence[str]) -> list[Decided]:
    async with evidence_of(settings) as evidence:
        decided: list[Decided] = []
        stored = True
        for result in await evidence.gates(names):
            entry = None
            if stored:
                try:
                    entry = await evidence.ledger.store_decision(result)
                except LedgerError as error:
                    # The decision stands, only its record is missing: a mounted copy may well be read-only.
                    click.echo(f"shadowread: {error}", err=True)
                    stored = False
            decided.append(Decided(result, entry))
        return decided


def _print(decided: Sequence[Decided], *, actions: bool) -> None:
    """In GitHub Actions a line that begins as a command would be one; what backends said must not give orders."""
    token = secrets.token_hex(16)
    if actions:
        click.echo(f"::stop-commands::{token}")
    out = console()
    for one in decided:
        _show(out, one)
    if actions:
        click.echo(f"::{token}::")


def _show(out: Console, decided: Decided) -> None:
    result = decided.result
    heading = Text(printable(result.domain), style="bold")
    heading.append(": ")
    heading.append(result.state, style=STYLES[result.state])
    out.print(heading)
    signs = {True: Text("holds", "green"), False: Text("fails", "red"), None: Text("unknown", "yellow")}
    notes = [[note.name, Text("note", "yellow"), note.text] for note in result.notes]
    rows: list[list[Any]] = []
    for one in result.conditions:
        rows.append([one.name, signs[one.ok], _figures(one.text, one.remedy)])
        if one.name == "diffs":  # beside the zero that they qualify
            rows += notes
    out.print(table(("condition", "", "figures"), rows))
    if result.state == "open":
        _way_on(out, result)
    if decided.entry is not None:
        out.print(Text(f"decision {decided.entry.seq} in the log, hash {decided.entry.hash}"), soft_wrap=True)


def _figures(text: str, remedy: str) -> Text:
    shown = Text(printable(text))
    if remedy:
        shown.append(" " + printable(remedy), style="bold")
    return shown


def _way_on(out: Console, result: GateResult) -> None:
    """What to change, and how to go back: the plan's first lines, where it is still the one that was decided on."""
    flags = ", ".join(result.flags_to_change) or "none is written in the configuration"
    out.print(Text(printable(f"to flip its reads, set: {flags}")), soft_wrap=True)
    out.print(
        Text(printable(f"to roll back: {result.rollback_plan} (SHA-256 {result.rollback_digest})")), soft_wrap=True
    )
    from proxy.admin.evidence import read_plan

    plan = None if result.rollback_plan is None else read_plan(Path(result.rollback_plan))
    if plan is None or sha256(plan.encode()).hexdigest() != result.rollback_digest:
        return
    lines = plan.strip().splitlines()
    for line in lines[:PLAN_LINES]:
        out.print(Text(printable(f"  {line[:PLAN_WIDTH]}")), soft_wrap=True)
    if len(lines) > PLAN_LINES:
        out.print(Text(f"  ... and {len(lines) - PLAN_LINES} more lines"), soft_wrap=True)
