"""`shadowread findings`: what differs, counted by place and kind."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click
from rich.console import Console
from rich.text import Text

from proxy.admin.shapes import finding_json
from proxy.cli.common import (
    config_option,
    console,
    evidence_of,
    json_option,
    moment,
    print_json,
    printable,
    settings_of,
    table,
)
from proxy.ledger import Finding
from proxy.settings import Settings

EPILOG = """\b
Examples:
  shadowread findings                        of all domains, the most frequent first
  shadowread findings payments --limit 10
  shadowread findings --json | jq -r '.findings[].first_trace'
"""

FIGURES = ("exchanges", "differences")
COLUMNS = ("domain", "route", "path", "kind", *FIGURES, "primary", "shadow", "last (UTC)", "trace")
WIDE_COLUMNS = 180
"""Terminal columns below which a finding is a few lines of its own instead of one of a table."""


@click.command(epilog=EPILOG)
@click.argument("domain", required=False)
@click.option("--limit", type=click.IntRange(1, 1000), default=200, show_default=True, help="Findings at most.")
@config_option
@json_option
def findings(*, domain: str | None, limit: int, config: Path | None, as_json: bool) -> None:
    """Show what differs, in all domains or in DOMAIN."""
    found = asyncio.run(_findings(settings_of(config), domain, limit))
    if as_json:
        print_json({"findings": [finding_json(one) for one in found]})
        return
    out = console()
    if not found:
        out.print("no differences recorded")
        return
    if out.width >= WIDE_COLUMNS:
        out.print(table(COLUMNS, [_row(one) for one in found], right=FIGURES))
    else:
        for one in found:
            _block(out, one)
    out.print("shadowread trace ID shows one exchange in full")


async def _findings(settings: Settings, domain: str | None, limit: int) -> list[Finding]:
    async with evidence_of(settings) as evidence:
        return await evidence.findings(domain, limit=limit)


def _row(one: Finding) -> list[object]:
    return [
        one.domain,
        one.route,
        one.path,
        one.kind.value,
        one.exchanges,
        one.differences,
        one.sample_primary,
        one.sample_shadow,
        moment(one.last_at),
        one.first_trace or one.last_trace,
    ]


def _block(out: Console, one: Finding) -> None:
    def line(text: str, style: str = "") -> None:
        out.print(Text(printable(text), style=style), soft_wrap=True)

    line(f"{one.domain}  {one.path}  {one.kind.value}", "bold")
    line(f"  {one.route}: {one.exchanges} exchanges, {one.differences} differences, last {moment(one.last_at)}")
    line(f"  primary  {'' if one.sample_primary is None else one.sample_primary}")
    line(f"  shadow   {'' if one.sample_shadow is None else one.sample_shadow}")
    line(f"  trace    {one.first_trace or one.last_trace or '(none kept)'}")
