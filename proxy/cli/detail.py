"""`shadowread status DOMAIN`: what the evidence of one domain covers and what it is worth."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.text import Text

from proxy.cli.common import moment, printable, rate, table
from proxy.gate.words import percent, span

LISTED = 20
"""Lines of one list; the API tells all."""
PROOFS = {"proven": "green", "failed": "red", "unknown": "yellow"}


def show(out: Console, domain: dict[str, Any]) -> None:
    """Print the object that `domains/{name}` answers with."""
    coverage, sensitivity = domain["coverage"], domain["sensitivity"]
    for line in _heading(domain):
        out.print(Text(printable(line)), soft_wrap=True)
    rows: list[list[Any]] = [
        [one["check"], Text(one["proof"], PROOFS[one["proof"]]), one["text"], _moment(one["at"])]
        for one in domain["standings"]
    ]
    _table(out, ("provenance", "", "figures", "at (UTC)"), rows)
    _table(out, ("route", "compared", "diffs", "damaged", "seen"), list(_routes(domain)), right=4)
    rows = [
        [one["entity"] or "(of no known kind)", one["verified"], one["known"], _share(one["share"])]
        for one in coverage["entities"]
    ]
    _table(out, ("entity", "verified", "known", "share"), rows, right=3)
    rows = [
        [one["route"], one["path"], one["looked"], one["present"], one["null"], one["empty"]]
        for one in coverage["fields"]["paths"]
        if not one["valued"]
    ]
    fields = coverage["fields"]
    out.print(f"fields: {fields['known']:,} seen, {fields['not_verified']:,} of them never with a value on both sides")
    _table(out, ("route", "field not verified", "looked", "present", "null", "empty"), rows, right=4)
    tried = f"{sensitivity['seen']:,} of {sensitivity['tried']:,} planted damages were seen"
    share = "" if sensitivity["share"] is None else f" ({percent(sensitivity['share'])})"
    out.print(f"sensitivity: {tried}{share}")
    rows = [
        [one["route"], one["path"], one["damage"], one["tried"], one["rule"], "accepted" if one["accepted"] else ""]
        for one in sensitivity["blind_spots"]
    ]
    _table(out, ("route", "blind spot", "damage", "tried", "hidden by", ""), rows)
    rows = [[_moment(one["began"]), span(one["seconds"]), one["why"]] for one in reversed(domain["holes"])]
    _table(out, ("not watched since (UTC)", "for", "why"), rows)
    rows = [
        [side, read["reads"], *(_seconds(read[name]) for name in ("p50", "p95", "p99"))]
        for side, read in domain["latency"].items()
    ]
    _table(out, ("reads", "timed", "50 % within", "95 %", "99 %"), rows, right=4)


def _heading(domain: dict[str, Any]) -> Iterator[str]:
    yield f"{domain['name']}: stage {domain['stage']}, gate {domain['gate']}, {domain['provenance']}"
    if (window := domain["window"]) is not None:
        parts = "; ".join(f"{name} {value}" for name, value in sorted(window["parts"].items()))
        yield f"window since {_moment(window['started_at'])} UTC: {window['why']} ({parts})"
    diffs = _diffs(domain, domain["verdicts"]["diff"])
    yield (
        f"{domain['observed']:,} exchanges in this window, {domain['comparisons']:,} compared, "
        f"{diffs} diffs of which {domain['known_gaps']:,} are explained by a known gap; "
        f"{domain['lifetime']['observed']:,} exchanges in all windows"
    )
    if domain["diff_rate"] is not None:
        yield f"diff rate {rate(domain['diff_rate'])}, below {rate(domain['upper_bound'])} with 95 % confidence"
    never = domain["coverage"]["routes"]["never_compared"]
    if never:
        yield f"never compared: {', '.join(never)}"


def _diffs(domain: dict[str, Any], diffs: int) -> str:
    """While nothing is proven a zero says nothing."""
    return f"{diffs:,}" if diffs or domain["provenance"] != "unproven" else "?"


def _routes(domain: dict[str, Any]) -> Iterator[list[Any]]:
    damaged = {one["route"]: one for one in domain["sensitivity"]["routes"]}
    for one in domain["routes"]:
        damage = damaged.get(one["route"], {"tried": 0, "share": None})
        yield [
            one["route"],
            one["comparisons"],
            _diffs(domain, one["verdicts"].get("diff", 0)),
            damage["tried"],
            _share(damage["share"]),
        ]


def _table(out: Console, columns: Sequence[str], rows: list[list[Any]], *, right: int = 0) -> None:
    """Nothing where there are no rows; `right` columns at the end hold figures."""
    if not rows:
        return
    out.print(table(columns, rows[:LISTED], right=columns[len(columns) - right :]))
    if len(rows) > LISTED:
        out.print(f"and {len(rows) - LISTED:,} more, see `--json`")


def _share(share: float | None) -> str:
    return "" if share is None else percent(share)


def _seconds(seconds: float | None) -> str:
    return "" if seconds is None else span(seconds)


def _moment(text: str) -> str:
    return moment(datetime.fromisoformat(text))
