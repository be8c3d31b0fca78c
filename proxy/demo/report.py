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
from proxy.demo.heal import Case, line_of

VALUE_CHARACTERS = 40
REASON_CHARACTERS = 140
REASONS_SHOWN = 2
SAME_STORE = "both sides read the same store"
"""The words in which the proxy says that a domain's zero is one of a store against itself."""


@dataclass(frozen=True)
class Planted:
    """One planted bug and the finding that shows it, if one does.

    `absent`: it is in the code of the twin, which did not run, so that nothing could show it. `unproven`: why the
    zero of its domain counts for nothing, where that is how it was caught.
    """

    bug: str
    domain: str
    description: str
    findable: bool
    finding: Mapping[str, Any] | None
    absent: bool = False
    unproven: str | None = None

    def as_json(self) -> dict[str, Any]:
        return {
            "bug": self.bug,
            "domain": self.domain,
            "found": self.finding is not None,
            "finding": None if self.finding is None else dict(self.finding),
            "unproven": self.unproven,
        }


def planted(
    findings: Sequence[Mapping[str, Any]], domains: Sequence[Mapping[str, Any]] = (), *, direct: bool = False
) -> list[Planted]:
    """Every planted bug with the finding that shows it, or what is said of a domain that shows none. `direct`: there
    was no twin."""
    by_name = {domain["name"]: domain for domain in domains}
    made = []
    for bug in BUGS:
        domain = by_name.get(bug.domain)
        why = None
        if not bug.findable and domain is not None and is_unproven(domain):
            why = next((reason for reason in domain["reasons"] if SAME_STORE in reason), None)
        absent = direct and not bug.stored
        made.append(Planted(bug.name, bug.domain, bug.description, bug.findable, found(bug, findings), absent, why))
    return made


def is_unproven(domain: Mapping[str, Any]) -> bool:
    """Whether it is not known that the shadow read the other store: then its diffs say nothing."""
    return bool(domain.get("provenance") == "unproven")


def document(domains: Mapping[str, Any], bugs: Sequence[Planted], healed: Sequence[Case] = ()) -> dict[str, Any]:
    """The JSON object that `demo --json` prints; `not_visible` names the bugs that were not there to be found,
    `healed` the domains whose bugs went while it ran."""
    told: dict[str, Any] = {"domains": domains["domains"], "planted": [bug.as_json() for bug in bugs]}
    if absent := [bug.bug for bug in bugs if bug.absent]:
        told["not_visible"] = absent
    if healed:
        told["healed"] = [case.as_json() for case in healed]
    return told


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
        table.add_row(
            domain["name"],
            str(domain["observed"]),
            str(domain["comparisons"]),
            diffs_text(domain),
            str(verdicts.get("transient", 0)),
            str(verdicts.get("shadow_error", 0) + verdicts.get("lost", 0)),
            str(sum(count for verdict, count in verdicts.items() if verdict.startswith("skipped:"))),
            Text(domain["gate"], style="green" if domain["gate"] == "open" else "yellow"),
        )
    return table


def diffs_text(domain: Mapping[str, Any]) -> Text:
    """How many exchanges differed; without proof a zero is no figure."""
    diffs = domain["verdicts"].get("diff", 0)
    if not diffs and is_unproven(domain):
        return Text("unproven", style="yellow")
    return Text(str(diffs), style="bold red" if diffs else "green")


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
        elif bug.unproven is not None:
            table.add_row(Text("unproven", style="green"), Text("\n").join([name, Text(bug.unproven, style="dim")]))
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


def healed_table(cases: Sequence[Case]) -> Table:
    """What each healed domain's gate said from the moment on at which it was healed."""
    table = Table.grid(padding=(0, 2))
    table.title = "healed while it ran"
    table.title_justify = "left"
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for case in cases:
        repaired = f", {case.repaired} records repaired" if case.repaired else ""
        lines = [Text(f"after {case.at:.1f} s without {', '.join(case.bugs)}{repaired}; build {case.version}")]
        befores = [None, *case.moments]
        lines += [
            Text(line_of(moment, before), style="green" if moment.gate == "open" else "dim")
            for before, moment in zip(befores, case.moments, strict=False)
        ]
        table.add_row(case.domain, Text("\n").join(lines))
    return table


def summary(domains: Sequence[Mapping[str, Any]], bugs: Sequence[Planted]) -> Text:
    """The last line: how many domains are at zero, how many bugs were found."""
    # Where nothing was compared, no difference says nothing, and just as little where it is not known with what.
    zero = [domain for domain in domains if domain["comparisons"] and not domain["verdicts"].get("diff", 0)]
    clean = sum(1 for domain in zero if not is_unproven(domain))
    text = f"{clean} of {len(domains)} domains at zero diffs"
    if clean < len(zero):
        text += f", {len(zero) - clean} unproven"
    if bugs:
        there = [bug for bug in bugs if not bug.absent]
        seen = sum(1 for bug in there if bug.finding is not None)
        text += f"; {seen} of {len(there)} planted bugs found"
        if caught := sum(1 for bug in there if bug.unproven is not None):
            text += f", {caught} caught as unproven"
        if len(there) < len(bugs):
            text += f", {len(bugs) - len(there)} are in the code of the twin and cannot be seen this way"
    return Text(text, style="bold")


def final(domains: Sequence[Mapping[str, Any]], bugs: Sequence[Planted], healed: Sequence[Case] = ()) -> RenderableType:
    """Everything a finished demo tells on a terminal."""
    parts: list[RenderableType] = [domains_table(domains), reasons_table(domains), Text()]
    if healed:
        parts += [healed_table(healed), Text()]
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
