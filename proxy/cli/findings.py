"""`shadowread findings`: what differs, counted by place and kind, and what became of it."""

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
from proxy.ledger import Finding, FindingState
from proxy.settings import Settings

EPILOG = """\b
Examples:
  shadowread findings                        of all domains, the most frequent first
  shadowread findings payments --limit 10
  shadowread findings --state returned       open, gone, returned or accepted
  shadowread findings --json | jq -r '.findings[].first_trace'
"""

FIGURES = ("exchanges", "differences")
COLUMNS = ("id", "domain", "route", "path", "kind", "state", *FIGURES, "primary", "shadow", "last (UTC)", "trace")
WIDE_COLUMNS = 180
"""Terminal columns below which a finding is a few lines of its own instead of one of a table."""


@click.command(epilog=EPILOG)
@click.argument("domain", required=False)
@click.option("--limit", type=click.IntRange(1, 1000), default=200, show_default=True, help="Findings at most.")
@click.option("--state", type=click.Choice([one.value for one in FindingState]), help="Only those in this state.")
@config_option
@json_option
def findings(*, domain: str | None, limit: int, state: str | None, config: Path | None, as_json: bool) -> None:
    """Show what differs, in all domains or in DOMAIN."""
    found = asyncio.run(_findings(settings_of(config), domain, limit, None if state is None else FindingState(state)))
    if as_json:
        print_json({"findings": [finding_json(one) for one in found]})
        return
    out = console()
    if not found:
        out.print("no differences recorded" if state is None else f"no findings are {state}")
        return
    if out.width >= WIDE_COLUMNS:
        out.print(table(COLUMNS, [_row(one) for one in found], right=FIGURES))
    else:
        for one in found:
            _block(out, one)
    out.print("shadowread trace ID shows one exchange in full")


async def _findings(settings: Settings, domain: str | None, limit: int, state: FindingState | None) -> list[Finding]:
    async with evidence_of(settings) as evidence:
        return await evidence.findings(domain, limit=limit, state=state)


def _life(one: Finding) -> str:
    """The state with what belongs to it, in a few words."""
    if one.state is FindingState.GONE:
        return f"gone since {moment(one.gone_at)}: {one.gone_why}"
    if one.state is FindingState.ACCEPTED and one.acceptance is not None:
        return f"accepted by {one.acceptance.owner} through {one.acceptance.until}: {one.acceptance.why}"
    told = f"returned {moment(one.returned_at)}" if one.state is FindingState.RETURNED else "open"
    if one.acceptance is not None:
        told += f", accepted by {one.acceptance.owner} until {one.acceptance.until}, which is past"
    return told


def _row(one: Finding) -> list[object]:
    return [
        one.id,
        one.domain,
        one.route,
        one.path,
        one.kind.value,
        _life(one),
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

    line(f"{one.domain}  {one.path}  {one.kind.value}  {one.id}", "bold")
    gaps = f", {one.known_gap} explained by known gaps" if one.known_gap else ""
    line(f"  {one.route}: {one.exchanges} exchanges, {one.differences} differences{gaps}, last {moment(one.last_at)}")
    line(f"  {_life(one)}")
    line(f"  primary  {'' if one.sample_primary is None else one.sample_primary}")
    line(f"  shadow   {'' if one.sample_shadow is None else one.sample_shadow}")
    line(f"  trace    {one.first_trace or one.last_trace or '(none kept)'}")
