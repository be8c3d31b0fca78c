"""Requests for things that exist: ids out of the id map, put into the paths of routes that name one."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, takewhile
from typing import Any
from urllib.parse import quote

import asyncpg

from comparators.ids import IdPair
from proxy.direct.parameters import Parameter, ParameterError, spelled
from proxy.direct.plans import MongoPlan, PostgresPlan, QueryPlan, StatementPlan
from proxy.identity.errors import IdentityError
from proxy.identity.pairs import LEGACY, UUID, read_pairs
from proxy.identity.sources import FileSource, TableSource, quoted, sources_of
from proxy.settings import Settings
from proxy.settings.patterns import Part, Pattern

PER_ENTITY = 20
"""Ids of one entity that are tried: a row may be gone while its pair is still in the map, or be of another kind."""
PER_GUESS = 3
"""The same where the configuration does not say which entity is meant."""
MAX_FIXED = 5
MAX_ENTITIES = 50
MAX_TARGETS = 60
SECONDS = 5.0
_ID_TYPES = ("auto", "text", "uuid", "object_id")


@dataclass(frozen=True, slots=True)
class Target:
    """A request target that may find something. `entity` tells the pair that its id was taken from."""

    text: str
    entity: str = ""


async def known_pairs(settings: Settings) -> list[IdPair]:
    """A few pairs of every entity of every source of the id map. A source that cannot be read gives none.

    Why it cannot be read is told by the check of the id map itself.
    """
    pairs: list[IdPair] = []
    tables = []
    for source in sources_of(settings):
        if isinstance(source, FileSource):
            try:
                pairs += _few(await asyncio.to_thread(read_pairs, source.path), PER_ENTITY)
            except IdentityError:
                continue
        else:
            tables.append(source)
    if tables and settings.postgres is not None:
        pairs += await _of_tables(settings.postgres.dsn.get_secret_value(), tables)
    return list(dict.fromkeys(pairs))


async def _of_tables(dsn: str, tables: Iterable[TableSource]) -> list[IdPair]:
    pairs: list[IdPair] = []
    try:
        connection = await asyncpg.connect(
            dsn,
            timeout=SECONDS,
            command_timeout=SECONDS,
            server_settings={"application_name": "shadowread", "default_transaction_read_only": "on"},
        )
    except (OSError, TimeoutError, ValueError, asyncpg.PostgresError, asyncpg.InterfaceError):
        return pairs
    try:
        for table in tables:
            try:
                pairs += _usable(table, await connection.fetch(_sample(table)))
            except (TimeoutError, asyncpg.PostgresError):
                continue
    except (OSError, asyncpg.InterfaceError):
        return pairs
    finally:
        connection.terminate()
    return pairs


def _sample(table: TableSource) -> str:
    """The statement that gives a few pairs of each entity of a table."""
    legacy, uuid = _column(table.legacy), _column(table.uuid)
    # Every name is quoted, so that nothing here is free text.
    rows = f"FROM {quoted(table.table)} AS t WHERE t.{legacy} IS NOT NULL AND t.{uuid} IS NOT NULL"
    if table.entity is None:
        return f"SELECT NULL::text, t.{legacy}::text, t.{uuid}::text {rows} LIMIT {PER_ENTITY}"
    entity = _column(table.entity)
    return (
        f"SELECT e.name::text, p.* FROM (SELECT DISTINCT {entity} AS name FROM {quoted(table.table)} "  # noqa: S608
        f"LIMIT {MAX_ENTITIES}) AS e, "
        f"LATERAL (SELECT t.{legacy}::text, t.{uuid}::text {rows} AND t.{entity} = e.name LIMIT {PER_ENTITY}) AS p"
    )


def _column(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _usable(table: TableSource, rows: Iterable[Any]) -> Iterator[IdPair]:
    for entity, legacy, uuid in rows:
        pair = IdPair(table.entity_name or entity, legacy.strip().lower(), uuid.strip().lower())
        if pair.entity and LEGACY.fullmatch(pair.legacy) and UUID.fullmatch(pair.uuid):
            yield pair


def _few(pairs: Iterable[IdPair], count: int) -> list[IdPair]:
    """The first `count` of each entity."""
    kept: dict[str, list[IdPair]] = {}
    for pair in pairs:
        own = kept.setdefault(pair.entity, []) if pair.entity in kept or len(kept) < MAX_ENTITIES else None
        if own is not None and len(own) < count:
            own.append(pair)
    return [pair for own in kept.values() for pair in own]


def targets(pattern: Pattern, parameters: Iterable[Parameter], pairs: Sequence[IdPair]) -> list[Target]:
    """Targets of a route, the likeliest first, at most `MAX_TARGETS`; none when a step of its path cannot be known.

    Legacy ids come before uuids, as a client of the primary writes them. Where the parameters name no entity, those
    whose name is like the step before the id come first. A step that is no id takes the default or the choices of its
    parameter, or small whole numbers from its lower bound.
    """
    named = _by_step(parameters)
    steps: list[list[Target]] = []
    before = ""
    for segment in pattern.segments:
        if segment.part is Part.LITERAL:
            steps.append([Target(quote(segment.text, safe=""))])
            before = segment.text
        elif segment.part is Part.PARAM:
            found = _values(named.get(segment.text), segment.text, before, pairs)
            if not found:
                return []
            steps.append(found)
        else:
            return []
    width = min(MAX_TARGETS, max((len(step) for step in steps), default=1))
    made = {_joined(step[min(number, len(step) - 1)] for step in steps): None for number in range(width)}
    return list(made)


def unknown_steps(pattern: Pattern, parameters: Iterable[Parameter], pairs: Sequence[IdPair]) -> list[str]:
    """The steps of a route for which `targets` knows no value."""
    named = _by_step(parameters)
    return [
        segment.text or "**"
        for segment in pattern.segments
        if segment.part is Part.REST
        or (segment.part is Part.PARAM and not _values(named.get(segment.text), segment.text, "", pairs))
    ]


def _joined(steps: Iterable[Target]) -> Target:
    parts = list(steps)
    return Target("/" + "/".join(part.text for part in parts), ", ".join(part.entity for part in parts if part.entity))


def _by_step(parameters: Iterable[Parameter]) -> dict[str, Parameter]:
    """The parameter of each step of the path: the one that says most of it."""
    named: dict[str, Parameter] = {}
    for one in parameters:
        if one.source == "path" and (one.name not in named or _says(one) > _says(named[one.name])):
            named[one.name] = one
    return named


def _says(parameter: Parameter) -> tuple[bool, bool]:
    return parameter.entity is not None, parameter.type != "auto"


def _values(parameter: Parameter | None, name: str, before: str, pairs: Sequence[IdPair]) -> list[Target]:
    if parameter is not None and (fixed := _fixed(parameter)):
        return [Target(quote(text, safe="")) for text in fixed]
    if parameter is not None and parameter.type not in _ID_TYPES:
        return []
    entity = None if parameter is None else parameter.entity
    own = [pair for pair in pairs if entity in (None, pair.entity)]
    if entity is None:
        own = _few(own, PER_GUESS)
        own.sort(key=lambda pair: -_likeness(pair.entity, (before, name)))
    own = list(islice(own, MAX_TARGETS // 2))
    return [Target(pair.legacy, pair.entity) for pair in own] + [Target(pair.uuid, pair.entity) for pair in own]


def _fixed(parameter: Parameter) -> list[str]:
    """The values that the configuration itself suggests for a parameter."""
    values = [each for each in (parameter.default, *parameter.choices) if each is not None]
    if not values and parameter.type == "int":
        first = 0 if parameter.minimum is None else int(parameter.minimum)
        values = [n for n in range(first, first + MAX_FIXED) if parameter.maximum is None or n <= parameter.maximum]
    try:
        return [spelled(value) for value in values[:MAX_FIXED]]
    except ParameterError:
        return []


def _likeness(entity: str, names: Iterable[str]) -> int:
    """Letters that an entity and one of the names have in common at their beginning: `order` and `orders`."""
    return max(_common(_bare(entity), _bare(name)) for name in names)


def _common(one: str, other: str) -> int:
    return sum(1 for _ in takewhile(lambda letters: letters[0] == letters[1], zip(one, other, strict=False)))


def _bare(name: str) -> str:
    return name.replace("_", "").replace("-", "").lower()


def parameters_of(plans: Iterable[PostgresPlan | MongoPlan]) -> list[Parameter]:
    """The parameters of all statements and queries of a route's plans."""
    return [parameter for plan in plans for part in parts_of(plan) for parameter in part.parameters]


def parts_of(plan: PostgresPlan | MongoPlan) -> Sequence[StatementPlan | QueryPlan]:
    """The statements or queries of a plan."""
    return plan.statements if isinstance(plan, PostgresPlan) else plan.queries
