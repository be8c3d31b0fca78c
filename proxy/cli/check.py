"""`shadowread check`: is the configuration right, is everything it names there, and do its direct readers work."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.text import Text

from comparators.shown import one_line, path_line
from proxy.cli.common import config_option, config_path, console, json_option, print_json, printable, settings_of, table
from proxy.cli.inspect import Line, inspect
from proxy.cli.mask import Mask
from proxy.cli.meaning import meaning
from proxy.cli.proofs import Wish, prove
from proxy.cli.proved import RouteProof
from proxy.errors import SettingsError
from proxy.settings import Settings

EPILOG = """\b
Exit code: 0 all is well, 2 something has to be repaired. A verdict of diff is a note: finding differences is what
verification is for.
\b
Examples:
  shadowread check
  shadowread check -c config/marketplace.yaml --explain
  shadowread check -H "Authorization: Bearer $TOKEN" --target /api/orders?limit=5
  shadowread check --json | jq '.checks[] | select(.ok | not)'
"""
_SIGNS = {"problem": "bold red", "note": "yellow", "ok": "green"}
_VERDICTS = {"match": "green", "diff": "bold red"}


@click.command(epilog=EPILOG)
@config_option
@click.option("--explain", is_flag=True, help="Show the plans of direct reads; warn of large tables read as a whole.")
@click.option(
    "--target",
    "targets",
    multiple=True,
    metavar="PATH",
    help="Path and query that a direct reader is tried with, in the place of an id of the id map; may be repeated.",
)
@click.option(
    "-H",
    "--header",
    "headers",
    multiple=True,
    metavar="'NAME: VALUE'",
    help="A header that tried requests bear, such as the caller's token; may be repeated. It is never shown.",
)
@json_option
def check(
    *, config: Path | None, explain: bool, targets: tuple[str, ...], headers: tuple[str, ...], as_json: bool
) -> None:
    """Read the configuration and ask both sides, the id map, the ledger and the rollback plans.

    Then what a zero will rest on: what both backends say of the store they read, the tables whose scans are counted,
    the tables of gaps, and the entities that can be swept.

    Every statement of a direct reader is prepared and held against its shape, then run for one id of the id map (or
    for its defaults), and its answer is compared with the other side's. Nothing is changed: the ledger is opened for
    writing, and let go.
    """
    path = config_path(config)
    mask = Mask()
    proofs: list[RouteProof] = []
    wish = Wish(targets, tuple(_header(text) for text in headers), explain)
    try:
        settings = settings_of(config)
        mask = Mask.of(settings, wish.headers)
        found = [Line("configuration", str(path), True, f"{len(settings.domains)} domains")]
        lines, proofs = asyncio.run(_all(settings, datetime.now(UTC).date(), wish))
        found += lines
    except SettingsError as error:
        found = [Line("configuration", str(path), False, problem, "correct the file") for problem in error.problems]
    well = all(line.ok for line in found)
    content: dict[str, Any] = mask.hide(
        {
            "ok": well,
            "checks": [line.as_json() for line in found],
            "readers": [proof.as_json() for proof in proofs],
        }
    )
    if as_json:
        print_json(content)
    else:
        _show(console(), content)
    sys.exit(0 if well else 2)


async def _all(settings: Settings, today: date, wish: Wish) -> tuple[list[Line], list[RouteProof]]:
    found = await inspect(settings, today)
    found += await meaning(settings, lambda: datetime.now(UTC))
    lines, proofs = await prove(settings, today, wish)
    return found + lines, proofs


def _header(text: str) -> tuple[bytes, bytes]:
    name, colon, value = text.partition(":")
    if not colon or not name.strip() or not text.isprintable():
        raise click.BadParameter("write a header as 'Name: value'", param_hint="-H")
    try:
        return name.strip().encode("ascii"), value.strip().encode("latin-1")
    except UnicodeEncodeError as error:
        raise click.BadParameter("a header holds Latin-1 only", param_hint="-H") from error


def _show(out: Console, content: Mapping[str, Any]) -> None:
    for proof in content["readers"]:
        _show_route(out, proof)
    checks = content["checks"]
    rows = [[one["name"], one["where"], _sign(one), one["detail"], one["remedy"]] for one in checks]
    out.print(table(("what", "where", "", "found", "what to do"), rows))
    wrong = sum(not one["ok"] for one in checks)
    out.print("all is well" if content["ok"] else f"{wrong} problem{'' if wrong == 1 else 's'}")


def _sign(line: Mapping[str, Any]) -> Text:
    sign = "problem" if not line["ok"] else "note" if line["remedy"] else "ok"
    return Text(sign, style=_SIGNS[sign])


def _show_route(out: Console, proof: Mapping[str, Any]) -> None:
    """What was proved of a route: its statements, and each request with both answers."""

    def line(text: str, style: str = "") -> None:
        out.print(Text(printable(text), style=style), soft_wrap=True)

    line(f"{proof['domain']}: {proof['route']}", "bold")
    for statement in proof["statements"]:
        line(f"  {statement['side']} {statement['store']} {statement['name']}")
        for one in statement["parameters"]:
            line(f"    ${one['number']}  {one['from']}  {one['type']}")
        if statement["columns"]:
            given = (
                f"{one['name']} {one['type']}{'' if one['used'] else ' (not used)'}" for one in statement["columns"]
            )
            line(f"    gives {', '.join(given)}")
        for node in statement["plan"]:
            line(f"    plan  {node}")
    for trial in proof["trials"]:
        of = f" ({trial['entity']} of the id map)" if trial["entity"] else ""
        line(f"  {trial['method']} {trial['target']}{of}")
        for side in ("primary", "shadow"):
            seen = trial[side]
            told = f" [{seen['detail']}]" if seen["detail"] else ""
            status = "" if seen["status"] is None else f" {seen['status']} {one_line(seen['body'])}"
            line(f"    {side:<7} {seen['reader']}{status}{told}")
        verdict = trial["verdict"]
        line(f"    {verdict}{': ' + trial['detail'] if trial['detail'] else ''}", _VERDICTS.get(verdict, "yellow"))
        for one in trial["differences"]:
            values = f"{_value(one, 'primary', 'added')} -> {_value(one, 'shadow', 'missing')}"
            line(f"      {path_line(one['path'])}  {one['kind']}  {values}")
        if trial["total"] > len(trial["differences"]):
            line(f"      (and {trial['total'] - len(trial['differences'])} more)")
    line("")


def _value(difference: Mapping[str, Any], side: str, absent: str) -> str:
    return "(absent)" if difference["kind"] == absent else one_line(difference[side])
