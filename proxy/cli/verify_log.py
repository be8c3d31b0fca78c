"""`shadowread gate --verify-log`: is every stored decision as it was made."""

from __future__ import annotations

import asyncio
from typing import Literal

from rich.text import Text

from proxy.cli.common import console, evidence_of, print_json, printable
from proxy.ledger.chain import Report, verify
from proxy.settings import Settings


def verify_log(settings: Settings, head: str | None, *, as_json: bool) -> Literal[0, 1]:
    """Print what the log is found to be: 0 it is whole, 1 it is not. Raises LedgerError when that cannot be told."""
    report = asyncio.run(_verify(settings, head))
    if as_json:
        print_json(
            {
                "whole": report.whole,
                "entries": report.entries,
                "head": report.head,
                "found": report.found,
                "faults": [{"seq": fault.seq, "text": fault.text} for fault in report.faults],
            }
        )
    else:
        _show(report, noted=head is not None)
    return 0 if report.whole else 1


async def _verify(settings: Settings, head: str | None) -> Report:
    async with evidence_of(settings) as evidence:
        return await evidence.ledger.ask(lambda connection: verify(connection, head))


def _show(report: Report, *, noted: bool) -> None:
    out = console()
    count = f"{report.entries:,} decision{'' if report.entries == 1 else 's'}"
    if report.whole:
        out.print(Text(f"{count}, all as they were made; head {report.head}"), soft_wrap=True)
        if not noted:
            hint = "note the head somewhere else: who can write the ledger could make the whole log anew (--head)"
            out.print(Text(hint), soft_wrap=True)
        return
    out.print(Text(f"{count}, {report.found:,} faults:", style="bold red"))
    for fault in report.faults:
        out.print(Text(printable(f"  {fault.text}")), soft_wrap=True)
    if report.found > len(report.faults):
        out.print(Text(f"  and {report.found - len(report.faults):,} more"))
    out.print(Text(f"head {printable(report.head)}"), soft_wrap=True)
