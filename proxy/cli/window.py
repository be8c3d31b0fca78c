"""`shadowread window`: since when the evidence of a domain counts, and why; and to begin anew by hand."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
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
    settings_of,
    table,
)
from proxy.ledger.summary import window_json
from proxy.settings import Settings
from proxy.window import Window

EPILOG = """\b
A window begins by itself when a domain's rules change, or what one of its sides reports.
\b
Examples:
  shadowread window                          of every domain, its current one
  shadowread window users                    all that are kept, the current one first
  shadowread window users --restart --why "the diffs of last night were repaired"
"""
MOST_WHY = 500


@click.command(epilog=EPILOG)
@click.argument("domain", required=False)
@click.option(
    "--restart", is_flag=True, help="Begin a new window of DOMAIN; earlier evidence stays, but counts no more."
)
@click.option("--why", metavar="TEXT", help="With --restart: the reason, which is kept and shown.")
@config_option
@json_option
def window(*, domain: str | None, restart: bool, why: str | None, config: Path | None, as_json: bool) -> None:
    """Show the windows of evidence, of all domains or of DOMAIN."""
    if restart:
        why = (why or "").strip()
        if domain is None or not why:
            raise click.UsageError("--restart needs a DOMAIN and --why TEXT")
        if len(why) > MOST_WHY:
            raise click.UsageError(f"--why takes at most {MOST_WHY} characters")
    elif why is not None:
        raise click.UsageError("--why belongs to --restart")
    found = asyncio.run(_windows(settings_of(config), domain, why))
    if as_json:
        print_json({"windows": [_json(one, current=current) for one, current in found]})
        return
    out = console()
    if not found:
        out.print("no window has begun yet; one does with the first request that `shadowread serve` sees")
        return
    columns = ("domain", "since (UTC)", "current", "why", "of")
    rows = [
        (one.domain, moment(one.started_at), Text("yes", "green") if current else "", one.why, _parts(one))
        for one, current in found
    ]
    out.print(table(columns, rows))
    if restart:
        out.print(
            Text(printable(f"{domain}: a new window has begun; a running proxy takes it over with its next write"))
        )


async def _windows(settings: Settings, domain: str | None, why: str | None) -> list[tuple[Window, bool]]:
    """Each window, and whether it is the domain's current one."""
    async with evidence_of(settings) as evidence:
        evidence.check_names([] if domain is None else [domain])
        if domain is not None and why is not None:
            await evidence.ledger.restart_window(domain, f"by hand: {why}", datetime.now(UTC))
        found: list[tuple[Window, bool]] = []
        for one in await evidence.windows(domain):
            current = not found or found[-1][0].domain != one.domain
            if current or domain is not None:
                found.append((one, current))
        return found


def _json(one: Window, *, current: bool) -> dict[str, Any]:
    return {"domain": one.domain, "current": current, **window_json(one)}


def _parts(one: Window) -> str:
    return "; ".join(f"{name} {value}" for name, value in sorted(one.parts.items()))
