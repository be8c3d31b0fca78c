"""What a check has found out of a direct reader, and how it is told. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from proxy.cli.inspect import Line
from proxy.cli.known_ids import parts_of
from proxy.cli.stores import Fields, Plan
from proxy.cli.trials import Trial
from proxy.direct.plans import PostgresPlan, ProvedStatement
from proxy.direct.shape import Shape
from proxy.direct.shape_nodes import Items, Many, Members, Node, One
from proxy.model import Side, Verdict


@dataclass(frozen=True, slots=True)
class StatementProof:
    """One statement or query: what is bound to it, what it gives, and which columns its shape never uses.

    `columns` of a query are the fields of the documents that the first trial found, with their types in Python.
    """

    side: Side
    store: str
    name: str
    parameters: tuple[tuple[str, str], ...]
    columns: tuple[tuple[str, str], ...]
    unused: tuple[str, ...] = ()
    plan: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        return {
            "side": self.side.value,
            "store": self.store,
            "name": self.name,
            "parameters": [
                {"number": number, "from": source, "type": kind}
                for number, (source, kind) in enumerate(self.parameters, 1)
            ],
            "columns": [{"name": name, "type": kind, "used": name not in self.unused} for name, kind in self.columns],
            "plan": list(self.plan),
        }


@dataclass(frozen=True, slots=True)
class RouteProof:
    """A route that reads a store: its statements, and what both sides answered."""

    domain: str
    route: str
    statements: tuple[StatementProof, ...]
    trials: tuple[Trial, ...]

    def as_json(self) -> dict[str, Any]:
        return {
            "domain": self.domain,
            "route": self.route,
            "statements": [one.as_json() for one in self.statements],
            "trials": [one.as_json() for one in self.trials],
        }


def verdict_lines(where: str, trial: Trial, *, known: bool) -> Iterator[Line]:
    """What to say of a trial. Only a reader that fails is a problem: a difference is what verification is for."""
    for side, text in trial.faults:
        yield Line("reader", f"{where}: {side.value}", False, text, "correct the reader, or what it reads")
    if trial.refused:
        remedy = "give a caller's header: -H 'Authorization: Bearer ...'"
        yield Line("verdict", where, True, "the backend refuses the request without a caller it knows", remedy)
        return
    if trial.faults:
        return
    if trial.verdict is Verdict.DIFF:
        text = f"diff: {counted(trial.total, 'difference')}, which is a note and no problem of the configuration"
        remedy = "look at both sides: the data, the reader or the rules are to be corrected"
    elif trial.verdict is Verdict.MATCH:
        text, remedy = "match", ""
    else:
        text, remedy = f"{trial.verdict.value}: {trial.detail}", "see why that side fails"
    if not trial.found:
        ids = "no id of the id map that was tried is found" if known and trial.entity else "nothing is found"
        text, remedy = f"{text}; but {ids}", "give a request that finds something: --target /..."
    yield Line("verdict", where, True, text, remedy)


def statement_proofs(side: Side, plan: Plan, proved: Sequence[ProvedStatement]) -> list[StatementProof]:
    """The statements of a plan with what the shape needs of each."""
    needs, whole = plan.shape.columns(), _starred(plan.shape)
    parts = parts_of(plan)
    made = []
    for part, server in zip(parts, proved, strict=True):
        needed = {name for need in needs.get(part.name, ()) for name in _columns(need)}
        made.append(
            StatementProof(
                side=side,
                store=store_of(plan),
                name=part.name,
                parameters=tuple(
                    (parameter.label, kind) for parameter, kind in zip(part.parameters, server.parameters, strict=True)
                ),
                columns=server.columns,
                unused=() if part.name in whole else tuple(n for n, _ in server.columns if needed and n not in needed),
            )
        )
    return made


def _starred(shape: Shape) -> set[str]:
    """The statements of which a shape takes every column (`"*"`)."""
    found: set[str] = set()
    waiting: list[Node] = [shape.root]
    while waiting:
        node = waiting.pop()
        if isinstance(node, One | Many):
            if isinstance(node.each, Members) and node.each.named is not None:
                found.add(node.statement)
            waiting.append(node.each)
        elif isinstance(node, Members):
            waiting += [member for _, member in node.members]
        elif isinstance(node, Items):
            waiting += node.items
    return found


def with_fields(proof: StatementProof, plan: Plan, fields: Fields) -> tuple[StatementProof, list[str]]:
    """A query with the fields of the documents it found, and what its shape names that none of them has."""
    needed, given = plan.shape.columns().get(proof.name, set()), {field for field, _ in fields}
    used = {part for need in needed for part in _columns(need)}
    unused = () if proof.name in _starred(plan.shape) else tuple(field for field, _ in fields if field not in used)
    absent = sorted(need for need in needed if given.isdisjoint(_columns(need)))
    return replace(proof, columns=fields, unused=unused), absent


def _columns(need: str) -> tuple[str, str]:
    """The columns that may be meant: `a.b` is a member of the column `a`, unless a column is called so."""
    return need, need.partition(".")[0]


def store_of(plan: Plan) -> str:
    return "postgres" if isinstance(plan, PostgresPlan) else "mongo"


def counted(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"
