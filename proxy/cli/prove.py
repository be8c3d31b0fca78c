"""`shadowread prove`: do the two sides of a domain read different stores, and would a difference be seen."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.text import Text

from proxy.cli.common import (
    config_option,
    console,
    headers_option,
    json_option,
    moment,
    print_json,
    printable,
    settings_of,
    table,
)
from proxy.cli.mask import Mask
from proxy.cli.proving import Proved, Proving, Sensitivity, Wish
from proxy.cli.root import Failure
from proxy.ledger import LedgerReader
from proxy.opening import opening
from proxy.provenance.repair import Repaired, repair_all
from proxy.settings import Settings
from proxy.sweep.headers import read_headers
from proxy.window import DamageCount

EPILOG = """\b
Asks both backends what they read, holds Postgres' scan counters against shadow reads, and damages some pairs of answers
that match to see which damage the rules would show. What is found is kept in the ledger, none of it as a verdict.
--canary also changes one harmless field (provenance.canary of the domain) in Postgres for a moment, with the account of
provenance.canary_dsn, expects the shadow's answer to show it, and puts it back.
\b
Exit code: 0 proven, 1 disproven, 2 it cannot be told.
\b
Examples:
  shadowread prove users
  shadowread prove users --headers token.txt --target /api/users/66f1a0c2e4b0a1b2c3d4e5f6
  shadowread prove users --canary
  shadowread prove users --restore
"""
_PROOFS = {"proven": "green", "failed": "bold red", "unknown": "yellow"}
MAX_SHOWN = 40


@dataclass(frozen=True, slots=True)
class Found:
    """What a run found: what was repaired first, and the proof (None with --restore)."""

    repaired: tuple[Repaired, ...]
    proved: Proved | None

    @property
    def exit_code(self) -> int:
        if not all(one.ok for one in self.repaired):
            return 2
        return 0 if self.proved is None else self.proved.exit_code

    def as_json(self, domain: str) -> dict[str, Any]:
        repaired = [
            {"table": one.canary.table, "column": one.canary.column, "ok": one.ok, "text": one.text}
            for one in self.repaired
        ]
        return {"domain": domain, "repaired": repaired, **(_proof_json(self.proved) if self.proved else {})}


@click.command(epilog=EPILOG)
@click.argument("domain")
@click.option("--canary", is_flag=True, help="Also change a harmless field in Postgres for a moment.")
@click.option("--restore", is_flag=True, help="Only put back what a canary may have left changed.")
@click.option("--target", "targets", multiple=True, metavar="PATH", help="A path to read, with its query; repeatable.")
@headers_option("-H")
@config_option
@json_option
def prove(
    *,
    domain: str,
    canary: bool,
    restore: bool,
    targets: tuple[str, ...],
    headers: Path | None,
    config: Path | None,
    as_json: bool,
) -> None:
    """Prove that the shadow of DOMAIN reads another store than its primary, and that a difference would be seen."""
    if restore and (canary or targets):
        raise click.UsageError("--restore proves nothing; it takes neither --canary nor --target")
    settings = settings_of(config)
    wish = Wish(domain, canary, targets, read_headers(headers) if headers else ())
    try:
        found = asyncio.run(_run(settings, wish, restore=restore))
    except asyncio.CancelledError:
        sys.exit(128 + signal.SIGTERM)
    content = Mask.of(settings, wish.headers).hide(found.as_json(domain))
    if as_json:
        print_json(content)
    else:
        _show(console(), content)
    sys.exit(found.exit_code)


async def _run(settings: Settings, wish: Wish, *, restore: bool) -> Found:
    if wish.domain not in settings.domains:
        raise Failure(f"{printable(wish.domain)} is no domain; there are {', '.join(settings.domains)}")
    _end_in_order_on_sigterm()
    if restore:
        ledger = await LedgerReader.open(settings.ledger.url)
        try:
            return Found(tuple(await repair_all(settings, ledger, _now, wish.domain)), None)
        finally:
            await ledger.close()
    if settings.domains[wish.domain].stage == "off":
        raise Failure(f"{wish.domain} is off: nothing of it is verified")
    async with opening(settings) as opened:
        if opened.verifier is None:
            raise Failure("no route has a shadow: there is nothing to prove")
        repaired = await repair_all(settings, opened.ledger, opened.chance.now, wish.domain)
        return Found(tuple(repaired), await Proving(settings, opened, opened.verifier, wish).run())


def _end_in_order_on_sigterm() -> None:
    """As SIGINT does: a mark is taken back first, and who asks twice does not keep it from that."""
    task = asyncio.current_task()
    if task is not None:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, lambda: task.cancelling() or task.cancel())


def _now() -> datetime:
    return datetime.now(UTC)


def _proof_json(proved: Proved) -> dict[str, Any]:
    window, sensitivity = proved.window, proved.sensitivity
    return {
        "proven": proved.exit_code == 0,
        "window": {
            "id": window.id,
            "started_at": window.started_at.isoformat(),
            "why": window.why,
            "parts": dict(window.parts),
        },
        "asked": list(proved.asked),
        "checks": [
            {"check": one.check, "proof": one.proof, "text": one.text, "at": one.at.isoformat()}
            for one in proved.standings
        ],
        "canary": None
        if proved.canary is None
        else {"paths": list(proved.canary.paths), "restored": proved.canary.restored},
        "sensitivity": {
            "pairs": sensitivity.pairs,
            "differing": sensitivity.differing,
            "tried": sensitivity.tried,
            "seen": sensitivity.seen,
            "share": sensitivity.seen / sensitivity.tried if sensitivity.tried else None,
            "routes": _routes(sensitivity),
            "unseen": [_damage(one) for one in sensitivity.unseen],
        },
    }


def _routes(sensitivity: Sensitivity) -> list[dict[str, Any]]:
    routes: dict[str, tuple[int, int]] = {}
    for one in sensitivity.damages:
        tried, seen = routes.get(one.route, (0, 0))
        routes[one.route] = (tried + one.tried, seen + one.seen)
    return [{"route": route, "tried": tried, "seen": seen} for route, (tried, seen) in sorted(routes.items())]


def _damage(one: DamageCount) -> dict[str, Any]:
    return {
        "route": one.route, "path": one.path, "damage": one.damage, "tried": one.tried, "seen": one.seen,
        "rule": one.rule,
    }  # fmt: skip


def _show(out: Console, content: dict[str, Any]) -> None:
    for one in content["repaired"]:
        out.print(Text(printable(one["text"]), style="" if one["ok"] else "bold red"), soft_wrap=True)
    if "checks" not in content:
        if not content["repaired"]:
            out.print("no canary was left behind")
        return
    rows = [[one["check"], Text(one["proof"], style=_PROOFS[one["proof"]]), one["text"]] for one in content["checks"]]
    out.print(table(("check", "", "found"), rows))
    if content["canary"] is not None:
        out.print(Text(printable(content["canary"]["restored"])), soft_wrap=True)
    _show_sensitivity(out, content["sensitivity"])
    window = content["window"]
    began = moment(datetime.fromisoformat(window["started_at"]))
    out.print(Text(printable(f"evidence window of {content['domain']} since {began}: {window['why']}")), soft_wrap=True)


def _show_sensitivity(out: Console, made: dict[str, Any]) -> None:
    if not made["pairs"]:
        why = f"{made['differing']} pairs differ" if made["differing"] else "no pair of answers could be read"
        out.print(f"sensitivity: not known, {why}; name requests by --target, with credentials by --headers")
        return
    share = f" ({made['share']:.1%})" if made["share"] is not None else ""
    out.print(
        f"sensitivity: {made['seen']} of {made['tried']} damages to {made['pairs']} matching pairs were seen{share}"
    )
    unseen: Sequence[dict[str, Any]] = made["unseen"]
    if unseen:
        rows = [
            [one["route"], one["path"], one["damage"], one["tried"] - one["seen"], one["rule"] or "(no rule)"]
            for one in unseen[:MAX_SHOWN]
        ]
        out.print(table(("route", "not seen at", "damage", "times", "hidden by"), rows, right=("times",)))
    if len(unseen) > MAX_SHOWN:
        out.print(f"(and {len(unseen) - MAX_SHOWN} more)")
