"""What a direct reader is to ask and how its answer is to be laid out: plain nouns, made from the configuration."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from proxy.direct.parameters import Parameter

if TYPE_CHECKING:
    from proxy.direct.shape import Shape

JSON_HEADERS = (("Content-Type", "application/json; charset=utf-8"),)
"""The fields of an answer that configures none: what Express sends with `res.json`."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A response that is given as it stands. `body` is a JSON value."""

    status: int
    body: Any


NOT_FOUND = Answer(404, None)
INVALID = Answer(400, None)


@dataclass(frozen=True, slots=True)
class PostgresTypes:
    """How values of Postgres become JSON where backends differ; the first word of each is the default.

    The whole table is in `proxy.direct.postgres_values`.
    """

    numeric: Literal["text", "number"] = "text"
    bigint: Literal["text", "number"] = "text"
    timestamptz: Literal["iso_ms", "postgres"] = "iso_ms"
    timestamp: Literal["iso_ms", "postgres"] = "iso_ms"
    date: Literal["text", "iso_ms"] = "text"
    bytea: Literal["base64", "hex"] = "base64"
    interval: Literal["postgres", "iso"] = "postgres"


@dataclass(frozen=True, slots=True)
class StatementPlan:
    """One named SQL statement; `parameters[0]` is bound to `$1`."""

    name: str
    sql: str
    parameters: tuple[Parameter, ...] = ()


@dataclass(frozen=True, slots=True)
class PostgresPlan:
    """What the Postgres reader does for one route. `route` is the pattern's text, as in `GET /api/users/{id}`.

    `status` is that of a read that found something.
    """

    route: str
    statements: tuple[StatementPlan, ...]
    shape: Shape
    types: PostgresTypes = field(default_factory=PostgresTypes)
    not_found: Answer = NOT_FOUND
    invalid: Answer = INVALID
    headers: tuple[tuple[str, str], ...] = JSON_HEADERS
    status: int = 200


@dataclass(frozen=True, slots=True)
class QueryPlan:
    """One named question to MongoDB. `document` is the filter of a find, or the pipeline (a list) of an aggregate.

    `$1`, `$2` as whole values stand for `parameters`, in `document`, `limit` and `skip` alike.
    """

    name: str
    collection: str
    operation: Literal["find", "aggregate"]
    document: Any
    sort: tuple[tuple[str, int], ...] = ()
    limit: int | str | None = None
    skip: int | str | None = None
    projection: Any = None
    parameters: tuple[Parameter, ...] = ()


@dataclass(frozen=True, slots=True)
class MongoPlan:
    """What the Mongo reader does for one route; fields as in `PostgresPlan`."""

    route: str
    queries: tuple[QueryPlan, ...]
    shape: Shape
    not_found: Answer = NOT_FOUND
    invalid: Answer = INVALID
    headers: tuple[tuple[str, str], ...] = JSON_HEADERS
    status: int = 200


@dataclass(frozen=True, slots=True)
class ProvedStatement:
    """What the server says of a statement it has prepared: the types of its parameters and its columns, in order.

    Types are written as Postgres names them (`int8`, `uuid[]`).
    """

    name: str
    sql: str
    parameters: tuple[str, ...]
    columns: tuple[tuple[str, str], ...]
