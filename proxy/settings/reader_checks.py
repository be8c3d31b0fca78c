"""What can be known to be wrong with a direct reader before any server is asked."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from proxy.direct.plans import QueryPlan
from proxy.direct.shape import ShapeError, compile_shape
from proxy.settings.document import Key
from proxy.settings.parameters import ParameterSettings, unmatched
from proxy.settings.placed import Placed
from proxy.settings.queries import counts, key_of, numbers, parameter_number

ROWS = "rows"
"""The name that the short form of a reader gives to its one statement or query."""


def statement_problems(sql: str, params: Sequence[ParameterSettings]) -> Iterator[Placed]:
    """What is wrong with a statement, seen from the block that holds it."""
    # The SQL parser takes a tenth of a second to load, which commands that read no store need not wait for.
    from proxy.direct.statements import StatementError, check_statement

    try:
        checked = check_statement(sql)
    except StatementError as error:
        yield Placed(("sql",), str(error))
        return
    yield from unmatched(checked.numbers, params, "sql", "statement")


def query_problems(plan: QueryPlan, params: Sequence[ParameterSettings], shown: frozenset[int]) -> Iterator[Placed]:
    """What is wrong with a query, seen from the block that holds it. `shown` are parameters that the shape shows."""
    from proxy.direct.mongo_query import QueryError, compile_query  # as above: it brings PyMongo

    find = plan.operation == "find"
    if not find:
        for key, stage in (("sort", "$sort"), ("limit", "$limit"), ("skip", "$skip"), ("projection", "$project")):
            if getattr(plan, key) not in (None, ()):
                yield Placed((key,), f"is for find; a pipeline has the stage {stage}")
    limits = {number for each in (plan.limit, plan.skip) if (number := parameter_number(each)) is not None}
    if not find:
        limits |= set(counts(plan.document))
    used = set(numbers(plan.document)) | limits
    yield from unmatched(frozenset(used), params, plan.operation, "query", shown)
    if max(used, default=0) <= len(params):
        try:
            compile_query(plan)
        except QueryError as error:
            whole = {plan.operation: plan.document, "projection": plan.projection}
            yield Placed(key_of(whole, error.at), error.text)
    for number, parameter in enumerate(params, 1):
        if number in limits and (parameter.type != "int" or parameter.is_list):
            yield Placed(("params", number - 1), f"${number} is a count of documents; write type: int, and min: 0 or 1")
        if parameter.type == "auto" and not (parameter.minimum is parameter.maximum is None):
            yield Placed(("params", number - 1), "is a text unless it has a type; min and max need type: int or number")


def shape_problems(spec: Any, parts: Mapping[str, int]) -> Iterator[Placed]:
    """What is wrong with a shape over `parts`: names of statements or queries with how many parameters each has."""
    if spec is None and list(parts) != [ROWS]:
        yield Placed((), f'needs a shape, which may only be left out where what is asked is called "{ROWS}"')
        return
    try:
        shape = compile_shape(spec)
    except ShapeError as error:
        yield Placed(("shape", *_shape_key(spec, error.path)), error.text)
        return
    used = shape.columns()
    for name in sorted(used.keys() - parts.keys()):
        yield Placed(("shape",), f'asks for rows of "{name}", and there are {", ".join(parts)}')
    for name in sorted(parts.keys() - used.keys()):
        yield Placed(("shape",), f'does not use the rows of "{name}"; use them, or remove what reads them')
    held = next(iter(parts.values()))
    for number in sorted(number for number in shape.parameters if number > held):
        yield Placed(("shape",), f"shows parameter {number}, and params of the first one holds {held}")


def shown_parameters(spec: Any) -> frozenset[int]:
    """The parameters of the first statement or query that a shape shows; none where it is no shape."""
    try:
        return compile_shape(spec).parameters
    except ShapeError:
        return frozenset()


def _shape_key(spec: Any, path: str) -> Key:
    """A place that a shape names (`data.items[0]`) as a key. Names may hold dots, so they are looked up."""
    key: list[str | int] = []
    while path := path.removeprefix("."):
        if isinstance(spec, dict):
            names = [name for name in spec if re.match(re.escape(name) + r"(?:[.\[]|$)", path)]
            if not names:
                break
            step: str | int = max(names, key=len)
            path = path[len(str(step)) :]
        elif isinstance(spec, list) and (found := re.match(r"\[([0-9]+)\]", path)):
            step, path = int(found[1]), path[found.end() :]
        else:
            break
        key.append(step)
        spec = spec[step]
    return tuple(key)
