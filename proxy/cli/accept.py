"""`shadowread accept`: somebody's word that a finding may stay for now."""

from __future__ import annotations

import asyncio
from datetime import UTC, date, datetime
from pathlib import Path

import click

from proxy.admin.shapes import finding_json
from proxy.cli.common import (
    config_option,
    console,
    evidence_of,
    json_option,
    print_json,
    printable,
    settings_of,
)
from proxy.errors import LedgerError
from proxy.ledger import Acceptance, Finding, LedgerReader
from proxy.ledger.findings import accept as keep
from proxy.ledger.findings import revoke as take_back
from proxy.settings import Settings

EPILOG = """\b
Examples:
  shadowread accept 3f9c2a17b0de --owner mara --why "old rows, repaired by ABC-12" --until 2026-12-31
  shadowread accept 3f9c2a17b0de --revoke
  shadowread findings --state accepted       what is accepted, and until when

It is a note for people: every difference is still counted, and the gate decides as before.
Through the day of its date (UTC) the finding is `accepted`, after that it is open again.
"""

OWNER_CHARACTERS = 200
WHY_CHARACTERS = 2_000


class _Day(click.ParamType[date]):
    name = "date"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> date:
        try:
            return datetime.strptime(value, "%Y-%m-%d").replace(tzinfo=UTC).date()
        except ValueError:
            self.fail(f"{value!r} is no date; write it as in 2026-12-31", param, ctx)


class _Text(click.ParamType[str]):
    """Words, not too many and not none."""

    name = "text"

    def __init__(self, most: int) -> None:
        self._most = most

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        text = value.strip().encode(errors="replace").decode()
        if not text:
            self.fail("it is empty", param, ctx)
        if len(text) > self._most:
            self.fail(f"it has {len(text)} characters, at most {self._most} are kept", param, ctx)
        return text


@click.command(epilog=EPILOG)
@click.argument("finding")
@click.option("--owner", type=_Text(OWNER_CHARACTERS), help="Who answers for it.")
@click.option("--why", type=_Text(WHY_CHARACTERS), help="Why it may stay.")
@click.option("--until", type=_Day(), metavar="DATE", help="The last day it stands, as in 2026-12-31 (UTC).")
@click.option("--revoke", is_flag=True, help="Take the acceptance back.")
@config_option
@json_option
def accept(
    *,
    finding: str,
    owner: str | None,
    why: str | None,
    until: date | None,
    revoke: bool,
    config: Path | None,
    as_json: bool,
) -> None:
    """Accept FINDING (an id that `findings` shows) until a date, or take that back."""
    now = datetime.now(UTC)
    given = None if revoke else _acceptance(owner, why, until, now)
    if revoke and (owner or why or until):
        raise click.UsageError("--revoke takes no --owner, --why or --until")
    found, done = asyncio.run(_accept(settings_of(config), finding, given))
    if as_json:
        print_json({"finding": finding_json(found)})
        return
    out = console()
    what = f"finding {found.id} ({found.domain} {found.path} {found.kind.value})"
    if given is not None:
        out.print(printable(f"{what} is accepted by {given.owner} through {given.until}: {given.why}"), soft_wrap=True)
        out.print("its differences are still counted, and the gate decides as before")
    elif done:
        out.print(printable(f"{what} is no longer accepted; it is {found.state.value}"), soft_wrap=True)
    else:
        out.print(printable(f"{what} was not accepted; nothing is changed"), soft_wrap=True)


def _acceptance(owner: str | None, why: str | None, until: date | None, now: datetime) -> Acceptance:
    missing = [name for name, value in (("--owner", owner), ("--why", why), ("--until", until)) if value is None]
    if owner is None or why is None or until is None:
        raise click.UsageError(f"{', '.join(missing)} must be given: who accepts it, why, and until when")
    if until < now.date():
        raise click.UsageError(f"--until {until} is past; an acceptance ends on a day to come, or today")
    return Acceptance(owner, why, until, now)


async def _accept(settings: Settings, id_: str, given: Acceptance | None) -> tuple[Finding, bool]:
    async with evidence_of(settings) as evidence:
        ledger: LedgerReader = evidence.ledger
        if given is None:
            done = await ledger.write(lambda connection: take_back(connection, id_))
        else:
            await ledger.write(lambda connection: keep(connection, id_, given))
            done = True
        found = await ledger.finding(id_)
    if found is None:
        raise LedgerError(f"finding {id_[:80]!r} was removed in the meantime")
    return found, done
