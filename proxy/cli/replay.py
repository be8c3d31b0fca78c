"""`shadowread replay`: read stored diffs again, and close the findings that are gone."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from proxy.cli.common import (
    config_option,
    console,
    headers_option,
    json_option,
    print_json,
    printable,
    settings_of,
    table,
)
from proxy.cli.root import Failure
from proxy.ledger import Finding
from proxy.model import Headers
from proxy.opening import Opened, opening
from proxy.settings import Settings
from proxy.sweep.headers import read_headers
from proxy.sweep.replay import Answer, Judged, Replay, Replayed, still_open

EPILOG = """\b
The exchanges kept for open findings are read again from both sides and judged as always; a finding that none of them
shows any more is closed. What is redacted cannot be sent again: give credentials with --headers.
\b
Exit code: 0 all gone, 1 some still differ, 2 it cannot be told.
\b
Examples:
  shadowread replay payments --headers token.txt
  shadowread replay --finding 3f9a1c02b7de
  shadowread replay --trace 01a20895f9c1bbea8f3ea4bf
"""


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be read again: exactly one of the three."""

    domain: str | None
    finding: str | None
    trace: str | None


@click.command(epilog=EPILOG)
@click.argument("domain", required=False)
@click.option("--trace", metavar="ID", help="One stored exchange; no finding is closed by it.")
@click.option("--finding", metavar="ID", help="The stored exchanges of one finding.")
@headers_option(tells="Lines `Name: value` that take the place of the stored fields of the same names.")
@config_option
@json_option
def replay(
    *,
    domain: str | None,
    trace: str | None,
    finding: str | None,
    headers: Path | None,
    config: Path | None,
    as_json: bool,
) -> None:
    """Read the stored diffs of DOMAIN, of one finding or of one trace again."""
    if sum(one is not None for one in (domain, trace, finding)) != 1:
        raise click.UsageError("name one of DOMAIN, --finding ID and --trace ID")
    settings = settings_of(config)
    fields = read_headers(headers) if headers else ()
    judged, replayed, more = asyncio.run(_run(settings, Wish(domain, finding, trace), fields))
    if as_json:
        print_json({"findings": [_judged_json(one) for one in judged], "traces": [_json(one) for one in replayed]})
    else:
        _show(judged, replayed)
    if more:
        click.echo("there are more open findings than are read at once: replay again", err=True)
    answers = {one.answer for one in judged} | {one.answer for one in replayed}
    sys.exit(_exit_code({*answers, "unknown"} if more else answers))


async def _run(settings: Settings, wish: Wish, headers: Headers) -> tuple[list[Judged], list[Replayed], bool]:
    if wish.domain is not None and wish.domain not in settings.domains:
        raise Failure(f"{printable(wish.domain)} is no domain; there are {', '.join(settings.domains)}")
    async with opening(settings, examine=False) as opened:
        if opened.verifier is None:
            raise Failure("no route has a shadow: there is nothing to hold the primary to")
        again = Replay(opened.verifier, opened.ledger, opened.chance, headers)
        if wish.trace is not None:
            return [], [await _trace(opened, again, wish.trace)], False
        wanted, more = await _wanted(opened, wish)
        return [await again.finding(one) for one in wanted], [], more


async def _trace(opened: Opened, again: Replay, id_: str) -> Replayed:
    stored = await opened.ledger.trace(id_)
    if stored is None:
        raise Failure(f"no trace {printable(id_)} is kept; shadowread findings names those that are")
    return await again.trace(stored)


async def _wanted(opened: Opened, wish: Wish) -> tuple[list[Finding], bool]:
    """The findings to be replayed, and whether there are more than these."""
    if wish.finding is None:
        return await still_open(opened.ledger, wish.domain or "")
    one = await opened.ledger.finding(wish.finding)
    if one is None:
        raise Failure(f"there is no finding {printable(wish.finding)}; shadowread findings --json lists their ids")
    return [one], False


def _exit_code(answers: set[Answer]) -> int:
    return 1 if "differs" in answers else 2 if "unknown" in answers else 0


def _show(judged: Sequence[Judged], replayed: Sequence[Replayed]) -> None:
    out = console()
    if replayed:
        out.print(table(("trace", "route", "", "why", "read again"), [
            [one.trace, one.route, one.answer, one.text, one.again] for one in replayed
        ]))  # fmt: skip
        return
    if not judged:
        out.print("no finding is open")
        return
    rows = [
        [one.finding.id, one.finding.route, one.finding.path, one.finding.kind.value,
         "gone, closed" if one.closed else one.answer, one.text]
        for one in judged
    ]  # fmt: skip
    out.print(table(("finding", "route", "path", "kind", "", "why"), rows))
    silent = dict.fromkeys(
        f"{each.trace}: {each.text}" for one in judged for each in one.replayed if each.answer == "unknown"
    )
    for line in silent:
        out.print(printable(line))


def _judged_json(one: Judged) -> dict[str, Any]:
    return {
        "id": one.finding.id,
        "domain": one.finding.domain,
        "route": one.finding.route,
        "path": one.finding.path,
        "kind": one.finding.kind.value,
        "answer": one.answer,
        "text": one.text,
        "closed": one.closed,
        "traces": [_json(each) for each in one.replayed],
    }


def _json(one: Replayed) -> dict[str, Any]:
    return {
        "trace": one.trace,
        "route": one.route,
        "target": one.target,
        "answer": one.answer,
        "text": one.text,
        "again": one.again,
    }
