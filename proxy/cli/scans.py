"""What a store would do for a statement or a query: its plan in a line a node, and the large tables it reads whole."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import asyncpg

LARGE_ROWS = 10_000
"""Rows over which a table had better not be read whole for one answer."""
PAGE_BYTES = 8192
LARGE_BYTES = 128 * PAGE_BYTES
"""A table that was never analyzed has no row count; over this size it counts as large."""
SECONDS = 10.0
MAX_NODES = 500
MAX_DEPTH = 100

_SIZES = """
SELECT DISTINCT ON (relname) oid::regclass::text AS name, relname::text, reltuples::float8 AS rows,
  pg_relation_size(oid) AS bytes
FROM pg_class WHERE relname = ANY($1::text[]) AND relkind IN ('r', 'm')
ORDER BY relname, pg_table_is_visible(oid) DESC, reltuples DESC
"""
"""A plan names tables without their schema: of several the one that a statement without a schema means comes first."""


@dataclass(frozen=True, slots=True)
class Scan:
    """A table that is read from one end to the other. `rows` is the server's estimate, None where it has none."""

    table: str
    rows: int | None

    @property
    def text(self) -> str:
        size = "large, never analyzed" if self.rows is None else f"about {self.rows:,} rows"
        return f"reads all of {self.table} ({size})"


@dataclass(frozen=True, slots=True)
class Explained:
    """The nodes of a plan, indented as a tree, and its scans of large tables. No value of a request is in it."""

    nodes: tuple[str, ...]
    scans: tuple[Scan, ...] = ()


async def explain_unknown(connection: asyncpg.Connection[Any], sql: str) -> str:
    """The plan of a statement, as JSON text, that Postgres would take for values it does not know.

    The statement is planned and not run, in a read-only transaction. Raises what asyncpg does.
    """
    async with connection.transaction(readonly=True):
        await connection.execute("SET LOCAL plan_cache_mode = force_generic_plan")
        await connection.execute(f"PREPARE shadowread_explained AS {sql}")
        try:
            count = await connection.fetchval(
                "SELECT cardinality(parameter_types) FROM pg_prepared_statements WHERE name = 'shadowread_explained'"
            )
            arguments = f"({', '.join(['NULL'] * count)})" if count else ""
            return str(await connection.fetchval(f"EXPLAIN (FORMAT JSON) EXECUTE shadowread_explained{arguments}"))
        finally:
            await connection.execute("DEALLOCATE shadowread_explained")


async def of_postgres(connection: asyncpg.Connection[Any], text: str) -> Explained:
    """A plan given as JSON text, with the tables it reads from one end to the other. Raises what asyncpg does."""
    nodes = [node for plan in json.loads(text) for node in _tree(plan["Plan"], 0)][:MAX_NODES]
    whole = {
        str(node["Relation Name"])
        for _, node in nodes
        if node.get("Node Type") == "Seq Scan" and "Relation Name" in node
    }
    scans: list[Scan] = []
    for row in await connection.fetch(_SIZES, sorted(whole)) if whole else ():
        known = row["rows"] >= 0
        if row["rows"] > LARGE_ROWS if known else row["bytes"] > LARGE_BYTES:
            scans.append(Scan(row["name"], int(row["rows"]) if known else None))
    return Explained(tuple("  " * level + _node(node) for level, node in nodes), tuple(scans))


def _tree(node: Mapping[str, Any], level: int) -> Iterator[tuple[int, Mapping[str, Any]]]:
    yield level, node
    if level < MAX_DEPTH:
        for child in node.get("Plans", ()):
            yield from _tree(child, level + 1)


def _node(node: Mapping[str, Any]) -> str:
    text = str(node.get("Node Type", "?"))
    if "Relation Name" in node:
        text += f" on {node['Relation Name']}"
    if "Index Name" in node:
        text += f" with {node['Index Name']}"
    return f"{text} (about {int(node.get('Plan Rows', 0)):,} rows, cost {node.get('Total Cost', 0)})"


def of_mongo(answer: Mapping[str, Any], collection: str, documents: int) -> Explained:
    """The plan in MongoDB's answer to `explain`; `documents` is what the collection holds, about."""
    stages = list(_stages(answer, 0))[:MAX_NODES]
    nodes = tuple("  " * level + _stage(stage) for level, stage in stages)
    whole = documents > LARGE_ROWS and any(stage.get("stage") == "COLLSCAN" for _, stage in stages)
    return Explained(nodes, (Scan(collection, documents),) if whole else ())


def _stages(value: Any, level: int) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """The stages of the winning plans, wherever the server's version puts them."""
    if level > MAX_DEPTH:
        return
    if isinstance(value, Mapping):
        inside: Iterable[Any] = (item for key, item in value.items() if key not in ("rejectedPlans", "command"))
        if isinstance(value.get("stage"), str):
            yield level, value
            level += 1
        for item in inside:
            yield from _stages(item, level)
    elif isinstance(value, list):
        for item in value:
            yield from _stages(item, level)


def _stage(stage: Mapping[str, Any]) -> str:
    index = stage.get("indexName")
    return f"{stage['stage']} with {index}" if index else str(stage["stage"])
