"""`shadowread status`: the per-domain table, or one domain in full."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import click
from rich.text import Text

from proxy.cli.common import (
    config_option,
    console,
    evidence_of,
    json_option,
    moment,
    print_json,
    printable,
    rate,
    settings_of,
    table,
)
from proxy.cli.detail import show
from proxy.cli.running import lines_of, running_configuration
from proxy.gate import GateResult
from proxy.gate.words import span
from proxy.model import FAILURES, SKIPS
from proxy.settings import Settings
from proxy.settings.until import DatedRule
from proxy.window import RULES

EPILOG = """\b
Examples:
  shadowread status
  shadowread status payments                 what its evidence covers, and what it would not see
  shadowread status --json | jq '.domains[] | select(.gate == "open").name'
"""
WIDE = (
    "domain", "stage", "gate", "observed", "compared", "diff", "transient", "unstable", "failed", "skipped",
    "diff rate", "upper bound", "entities", "last diff (UTC)",
)  # fmt: skip
NARROW = ("domain", "gate", "compared", "diff", "failed", "skipped", "upper bound")
WINDOWS = ("domain", "window since (UTC)", "watched", "rules", "why")
UNPROVEN = "unproven"
"""Shown instead of a zero that says nothing."""
TEXTS = frozenset({"domain", "stage", "gate", "last diff (UTC)"})
WIDE_COLUMNS = 150
"""Terminal columns that the wide table needs with long names and large figures."""


@click.command(epilog=EPILOG)
@click.argument("domain", required=False)
@config_option
@json_option
def status(*, domain: str | None, config: Path | None, as_json: bool) -> None:
    """Show every domain: what was compared in its window, what differed, whether its gate is open.

    With DOMAIN: its routes, entities and fields, what proves it, and what its comparison would not see.
    """
    if domain is not None:
        found = asyncio.run(_domain(settings_of(config), domain))
        if as_json:
            print_json(found)
        else:
            show(console(), found)
        return
    settings = settings_of(config)
    rows, dated = asyncio.run(_overview(settings))
    domains = [row for row, _ in rows]
    if as_json:
        print_json({"domains": domains})
        return
    out = console()
    columns = WIDE if out.width >= WIDE_COLUMNS else NARROW
    cells = [_cells(one) for one in domains]
    figures = [[row[column] for column in columns] for row in cells]
    out.print(table(columns, figures, right=[column for column in columns if column not in TEXTS]))
    out.print(table(WINDOWS, [_window(one) for one in domains if one["window"] is not None]))
    for line in (*_not_verified([gate for _, gate in rows]), *_dated(dated)):
        out.print(Text(printable(line)), soft_wrap=True)
    for one in domains:
        if one["reasons"]:
            out.print(Text(printable(f"{one['name']}: {_reasons(one)}")), soft_wrap=True)
    if (running := asyncio.run(running_configuration(settings))) is not None:
        for line in lines_of(running, settings):
            out.print(Text(printable(line)), soft_wrap=True)


async def _domain(settings: Settings, name: str) -> dict[str, Any]:
    async with evidence_of(settings) as evidence:
        return await evidence.domain(name)


async def _overview(settings: Settings) -> tuple[list[tuple[dict[str, Any], GateResult]], Sequence[DatedRule]]:
    async with evidence_of(settings) as evidence:
        return await evidence.overview(), evidence.dated_rules()


def _not_verified(gates: Sequence[GateResult]) -> Iterator[str]:
    """One line beside the zeros for what no zero speaks of."""
    ignored = [(gate.domain, note.figure) for gate in gates for note in gate.notes if note.name == "not_verified"]
    if ignored:
        told = ", ".join(f"{domain} {count:,}" for domain, count in ignored)
        yield f"not verified, since rules ignore it (values): {told}; `shadowread gate DOMAIN` names the rules"


def _dated(rules: Sequence[DatedRule]) -> Iterator[str]:
    for rule in rules:
        yield f"rule {'expired, no longer applied' if rule.expired else 'expires soon'}: {rule.text}"


def _cells(domain: dict[str, Any]) -> dict[str, Any]:
    verdicts = domain["verdicts"]
    last = domain["last_diff_at"]
    unproven = Text(UNPROVEN, style="yellow") if domain["provenance"] == UNPROVEN else None
    diffs = verdicts["diff"]
    return {
        "domain": domain["name"],
        "stage": domain["stage"],
        "gate": Text(domain["gate"], style="green" if domain["gate"] == "open" else "red"),
        "observed": domain["observed"],
        "compared": domain["comparisons"],
        "diff": Text(str(diffs), style="bold red") if diffs else Text("?", style="yellow") if unproven else "0",
        "transient": verdicts["transient"],
        "unstable": verdicts["unstable"],
        "failed": sum(verdicts[verdict.value] for verdict in FAILURES),
        "skipped": sum(verdicts[verdict.value] for verdict in SKIPS),
        "diff rate": unproven or rate(domain["diff_rate"]),
        "upper bound": unproven or rate(domain["upper_bound"]),
        "entities": domain["entities"],
        "last diff (UTC)": moment(None if last is None else datetime.fromisoformat(last)),
    }


def _window(domain: dict[str, Any]) -> tuple[str, ...]:
    """Since when the domain's figures count, how long it was watched, under which rules, and what began that."""
    window = domain["window"]
    since = moment(datetime.fromisoformat(window["started_at"]))
    return domain["name"], since, span(domain["observed_seconds"]), window["parts"].get(RULES, ""), window["why"]


def _reasons(domain: dict[str, Any]) -> str:
    first, *others = domain["reasons"]
    more = f" (and {len(others)} more: shadowread gate {domain['name']})" if others else ""
    return f"{first}{more}"
