"""What a demo has found, as JSON and as tables for a terminal. Pure: API objects in, renderables out."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from proxy.demo.bugs import BUGS, found

VALUE_CHARACTERS = 40
REASON_CHARACTERS = 100
REASONS_SHOWN = 2


@dataclass(frozen=True)
class Planted:
    """One planted bug and the finding that shows it, if one does.

    `absent`: it is in the code of the twin, which did not run, so that nothing could show it.
    """

    bug: str
    domain: str
    description: str
    findable: bool
    finding: Mapping[str, Any] | None
    absent: bool = False

    def as_json(self) -> dict[str, Any]:
        return {
            "bug": self.bug,
            "domain": self.domain,
            "found": self.finding is not None,
            "finding": None if self.finding is None else dict(self.finding),
        }


def planted(findings: Sequence[Mapping[str, Any]], *, direct: bool = False) -> list[Planted]:
    """Every planted bug with the finding that shows it. `direct`: there was no twin."""
    return [
        Planted(b.name, b.domain, b.description, b.findable, found(b, findings), absent=direct and not b.stored)
        for b in BUGS
    ]


def document(domains: Mapping[str, Any], bugs: Sequence[Planted]) -> dict[str, Any]:
    """The JSON object that `demo --json` prints; `not_visible` names the bugs that were not there to be found."""
    told = {"domains": domains["domains"], "planted": [bug.as_json() for bug in bugs]}
    absent = [bug.bug for bug in bugs if bug.absent]
    return {**told, "not_visible": absent} if absent else told


def domains_table(domains: Sequence[Mapping[str, Any]]) -> Table:
    """One line a domain: figures and gate. It fits into 80 columns."""
    table = Table(
        title="domains", title_justify="left", header_style="underline", box=None, padding=(0, 1, 0, 0), pad_edge=False
    )
    table.add_column("domain", no_wrap=True)
    for name in ("seen", "compared", "diffs", "transient", "failed", "skipped"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("gate", no_wrap=True)
    for domain in domains:
        verdicts: Mapping[str, int] = domain["verdicts"]
        diffs = verdicts.get("diff", 0)
        table.add_row(
            domain["name"],
            str(domain["observed"]),
            str(domain["comparisons"]),
            Text(str(diffs), style="bold red" if diffs else "green"),
            str(verdicts.get("transient", 0)),
            str(verdicts.get("shadow_error", 0) + verdicts.get("lost", 0)),
            str(sum(count for verdict, count in verdicts.items() if verdict.startswith("skipped:"))),
            Text(domain["gate"], style="green" if domain["gate"] == "open" else "yellow"),
        )
    return table


def reasons_table(domains: Sequence[Mapping[str, Any]]) -> Table:
    """Why each closed gate is closed: its first reasons, and how many more there are."""
    table = Table.grid(padding=(0, 2))
    table.title = "closed gates"
    table.title_justify = "left"
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for domain in domains:
        if domain["gate"] != "open":
            table.add_row(domain["name"], Text(reasons(domain["reasons"])))
    return table


def reasons(texts: Sequence[str]) -> str:
    shown = " ".join(cut(text, REASON_CHARACTERS) for text in texts[:REASONS_SHOWN])
    more = len(texts) - REASONS_SHOWN
    return f"{shown} (+{more} more)" if more > 0 else shown


def bugs_table(bugs: Sequence[Planted]) -> Table:
    """For each planted bug: found or not, where, a sample of both values, and the trace that shows it."""
    table = Table.grid(padding=(0, 2))
    table.title = "planted bugs"
    table.title_justify = "left"
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for bug in (bug for bug in bugs if not bug.absent):
        name = Text.assemble((bug.bug, "bold"), f" in {bug.domain}: {bug.description}")
        if bug.finding is not None:
            table.add_row(Text("found", style="green"), Text("\n").join([name, *found_lines(bug.finding)]))
        elif bug.findable:
            table.add_row(Text("not found", style="bold red"), name)
        else:
            table.add_row(Text("not yet", style="yellow"), name)
    if absent := [bug.bug for bug in bugs if bug.absent]:
        why = "these are in the code of the Postgres twin, which does not run here:"
        table.add_row(Text("not visible", style="yellow"), Text.assemble(why, "\n", (", ".join(absent), "dim")))
    return table


def found_lines(finding: Mapping[str, Any]) -> list[Text]:
    """Where it shows, how often, what it looks like, and in which trace."""
    where = f"{finding['route']} {finding['path']} ({finding['kind']}, {finding['exchanges']} exchanges)"
    sample: Mapping[str, Any] = finding["sample"]
    values = f"{shortened(sample['primary'])} -> {shortened(sample['shadow'])}"
    trace = finding["first_trace"]
    return [Text(where), Text(values if trace is None else f"{values}  trace {trace}", style="dim")]


def summary(domains: Sequence[Mapping[str, Any]], bugs: Sequence[Planted]) -> Text:
    """The last line: how many domains are at zero, how many bugs were found."""
    # Where nothing was compared, no difference says nothing.
    clean = sum(1 for domain in domains if domain["comparisons"] and not domain["verdicts"].get("diff", 0))
    text = f"{clean} of {len(domains)} domains at zero diffs"
    if bugs:
        there = [bug for bug in bugs if not bug.absent]
        seen = sum(1 for bug in there if bug.finding is not None)
        text += f"; {seen} of {len(there)} planted bugs found"
        if len(there) < len(bugs):
            text += f", {len(bugs) - len(there)} are in the code of the twin and cannot be seen this way"
    return Text(text, style="bold")


def final(domains: Sequence[Mapping[str, Any]], bugs: Sequence[Planted]) -> RenderableType:
    """Everything a finished demo tells on a terminal."""
    parts: list[RenderableType] = [domains_table(domains), reasons_table(domains), Text()]
    if bugs:
        parts += [bugs_table(bugs), Text()]
    return Group(*parts, summary(domains, bugs))


def shortened(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return cut(text, VALUE_CHARACTERS)


def cut(text: str, characters: int) -> str:
    return text if len(text) <= characters else text[: characters - 1] + "…"


def client_failures(summary: Mapping[str, Any]) -> int:
    """How many requests failed in a way that no client should see, by the summary that traffic prints."""
    failures = summary.get("failures", 0)
    return len(failures) if isinstance(failures, list | dict) else int(failures)
