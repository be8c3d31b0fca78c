"""`shadowread trace`: one exchange in full."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click
from rich.console import Console
from rich.text import Text

from comparators.explain import MAX_EXPLAINED, explain, text_of
from comparators.model import Difference
from comparators.shown import one_line, path_line
from proxy.admin.shapes import trace_json
from proxy.cli.common import (
    config_option,
    console,
    evidence_of,
    json_option,
    pretty,
    print_json,
    printable,
    settings_of,
    table,
)
from proxy.model import Trace
from proxy.settings import Settings

EPILOG = """\b
Examples:
  shadowread trace 0197b2c4d5e6a1b2c3d4e5f6
  shadowread trace 0197b2c4d5e6a1b2c3d4e5f6 --json | jq .differences
  shadowread findings users --json | jq -r '.findings[0].first_trace' | xargs shadowread trace
"""


@click.command(epilog=EPILOG)
@click.argument("id_", metavar="ID")
@config_option
@json_option
def trace(*, id_: str, config: Path | None, as_json: bool) -> None:
    """Show the exchange ID: what both sides answered, where they differ, and how."""
    found = asyncio.run(_trace(settings_of(config), id_))
    if as_json:
        print_json(trace_json(found))
        return
    _show(console(), found)


async def _trace(settings: Settings, id_: str) -> Trace:
    async with evidence_of(settings) as evidence:
        return await evidence.trace(id_)


def _show(out: Console, found: Trace) -> None:
    def line(text: str, style: str = "") -> None:
        out.print(Text(printable(text), style=style), soft_wrap=True)

    line(f"{found.method} {found.target}", "bold")
    line(f"{found.domain}, {found.route}: {found.verdict.value} at {found.at.isoformat()}, trace {found.id}")
    if found.detail:
        line(found.detail)
    if found.known_gap:
        line("a known gap explains every difference; it is a diff all the same")
    for step in found.settling:
        line(f"settling: {step}")
    out.print(table(("", "primary", "shadow"), _facts(found)))
    for side, body in (("primary", found.primary_body), ("shadow", found.shadow_body)):
        line(f"body of the {side}", "bold")
        line(pretty(body))
    total = found.differences_total
    kept = len(found.differences)
    more = "" if kept == total else f", {kept} of them kept"
    line(f"{total} difference{'' if total == 1 else 's'}{more}", "bold")
    rows = [_difference(one) for one in found.differences]
    if rows:
        out.print(table(("path", "kind", "primary", "shadow"), rows))
        # The id map is not at hand here, and the rules may be others by now: what is told comes from the values alone.
        for text in text_of([explain(one) for one in found.differences[:MAX_EXPLAINED]], total):
            line(text)


def _facts(found: Trace) -> list[list[object]]:
    names = list(dict.fromkeys(name for name, _ in (*found.primary_headers, *found.shadow_headers)))

    def field(headers: tuple[tuple[str, str], ...], name: str) -> str:
        return "\n".join(value for key, value in headers if key == name)

    rows: list[list[object]] = [
        ["status", found.primary_status, found.shadow_status],
        ["milliseconds", f"{found.primary_seconds * 1000:.1f}", f"{found.shadow_seconds * 1000:.1f}"],
    ]
    rows += [[name, field(found.primary_headers, name), field(found.shadow_headers, name)] for name in names]
    return rows


def _difference(one: Difference) -> list[object]:
    primary = "(absent)" if one.kind == "added" else one_line(one.primary)
    shadow = "(absent)" if one.kind == "missing" else one_line(one.shadow)
    return [path_line(one.path), one.kind.value, primary, shadow]
