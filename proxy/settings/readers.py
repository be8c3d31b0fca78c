"""How a side of a route is read where it is not the backend: SQL on Postgres, or a query on MongoDB.

What can be known of a reader without its server is checked here, so that a file that loads has no statement that
writes, no parameter without a place, and no shape that asks for rows nobody fetches.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema, model_validator

from proxy.direct.plans import JSON_HEADERS, Answer, MongoPlan, PostgresPlan, PostgresTypes, QueryPlan, StatementPlan
from proxy.direct.shape import compile_shape
from proxy.settings.blocks import Block
from proxy.settings.document import Key
from proxy.settings.parameters import Json, ParameterSettings, Params, json_value
from proxy.settings.placed import Placed, refuse
from proxy.settings.queries import parameter_number
from proxy.settings.reader_checks import ROWS, query_problems, shape_problems, shown_parameters, statement_problems
from proxy.settings.scalars import retyped
from proxy.settings.types import Count

MAX_PARTS = 20

_FRAMING = frozenset({"connection", "content-encoding", "content-length", "keep-alive", "trailer", "transfer-encoding"})


def _name(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,62}", text):
        raise ValueError("must be a plain name: letters, digits and _, not starting with a digit")
    return text


def _collection(text: str) -> str:
    if not re.fullmatch(r"[^$\x00]{1,200}", text) or text.startswith("system."):
        raise ValueError("must be the name of a collection, without $ and not one of the server's own (system.)")
    return text


def _field_name(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,200}", text):
        raise ValueError("is not the name of a header")
    if text.lower() in _FRAMING:
        raise ValueError("belongs to the connection, which sets it by itself; remove it")
    return text


def _field_value(text: str) -> str:
    if not re.fullmatch(r"[\x20-\x7e\x80-\xff]{0,4000}", text):
        raise ValueError("must be one line that a header can hold")
    return text


def _whole_or_parameter(value: Any) -> Any:
    value = retyped(value)
    if (
        value is None
        or parameter_number(value)
        or (isinstance(value, int) and not isinstance(value, bool) and value >= 0)
    ):
        return value
    raise ValueError("must be a whole number from 0, or a parameter such as $2")


def _sort_direction(value: Any) -> Any:
    value = retyped(value)
    if value in (1, -1) and not isinstance(value, bool):
        return int(value)
    raise ValueError("must be 1 (ascending) or -1 (descending)")


Status = Annotated[Count, Field(ge=200, le=599)]
Name = Annotated[str, AfterValidator(_name)]
Sql = Annotated[str, Field(min_length=1, max_length=100_000)]
Collection = Annotated[str, AfterValidator(_collection)]
HeaderName = Annotated[str, AfterValidator(_field_name)]
HeaderValue = Annotated[str, AfterValidator(_field_value)]
Amount = Annotated[
    Any, BeforeValidator(_whole_or_parameter), WithJsonSchema({"type": ["integer", "string"], "minimum": 0})
]
Direction = Annotated[int, BeforeValidator(_sort_direction), WithJsonSchema({"enum": [1, -1]})]
Filter = Annotated[dict[str, Any], BeforeValidator(json_value)]
Pipeline = Annotated[list[dict[str, Any]], BeforeValidator(json_value), Field(max_length=100)]


class NotFoundSettings(Block):
    """The answer of a read that found no row for the top of its shape."""

    status: Status = 404
    """Its status."""
    body: Json = None
    """Its body, any JSON value."""


class InvalidSettings(Block):
    """The answer of a read that was asked with a value that does not fit its parameter."""

    status: Status = 400
    """Its status."""
    body: Json = None
    """Its body, any JSON value."""


class TypesSettings(Block):
    """How values of Postgres are written as JSON, to imitate what the backend does."""

    numeric: Literal["text", "number"] = "text"
    """`numeric` as a text, as node-postgres does, or as an exact number."""
    bigint: Literal["text", "number"] = "text"
    """`bigint` as a text, as node-postgres does, or as a number."""
    timestamptz: Literal["iso_ms", "postgres"] = "iso_ms"
    """`timestamptz` as `2024-02-29T12:00:00.000Z`, or as Postgres prints it."""
    timestamp: Literal["iso_ms", "postgres"] = "iso_ms"
    """`timestamp` as UTC in the same spelling, or as Postgres prints it."""
    date: Literal["text", "iso_ms"] = "text"
    """`date` as `2024-02-29`, or as midnight UTC of that day."""
    bytea: Literal["base64", "hex"] = "base64"
    """`bytea` as base64, or as hex digits."""
    interval: Literal["postgres", "iso"] = "postgres"
    """`interval` as Postgres prints it, or as ISO 8601 (`PT1H30M`)."""


class HttpReaderSettings(Block):
    """The backend of this side, at its `url`."""


class _Reader(Block):
    """What both direct readers have."""

    shape: Json = None
    """How the rows are laid out as the body; the rows of the one statement as they are where not given."""
    status: Status = 200
    """Status of a read that found something."""
    headers: Annotated[dict[HeaderName, HeaderValue], Field(max_length=50)] = Field(default_factory=dict)
    """Headers of every answer; `content-type` is `application/json; charset=utf-8` unless it is given here."""
    not_found: NotFoundSettings = NotFoundSettings()
    invalid: InvalidSettings = InvalidSettings()

    def answers(self) -> tuple[Answer, Answer]:
        """What to say when nothing was found, and when a value does not fit."""
        not_found, invalid = self.not_found, self.invalid
        return Answer(not_found.status, not_found.body), Answer(invalid.status, invalid.body)

    def fields(self) -> tuple[tuple[str, str], ...]:
        """The headers of an answer, the content type among them."""
        given = {name.lower() for name in self.headers}
        return (*(field for field in JSON_HEADERS if field[0].lower() not in given), *self.headers.items())


class StatementSettings(Block):
    """One named statement of a `postgres` reader."""

    sql: Sql
    """One SELECT, or WITH that only reads; `$1`, `$2` stand for `params`."""
    params: Params = Field(default_factory=list)
    """What is bound to `$1`, `$2`, in this order."""


class PostgresReaderSettings(_Reader):
    """Reads the tables themselves: every statement in one read-only transaction, so that they fit together."""

    kind: ClassVar[str] = "postgres"

    sql: Sql | None = None
    """One statement, for `statements: {rows: {sql: ...}}`."""
    params: Params = Field(default_factory=list)
    """What is bound to `$1`, `$2` of `sql`."""
    statements: Annotated[dict[Name, StatementSettings], Field(max_length=MAX_PARTS)] = Field(default_factory=dict)
    """Several statements by name, for a shape with more than one kind of row."""
    types: TypesSettings = TypesSettings()

    @model_validator(mode="after")
    def _usable(self) -> PostgresReaderSettings:
        refuse(self._problems())
        return self

    def _problems(self) -> Iterator[Placed]:
        if (self.sql is None) is not bool(self.statements):
            yield Placed((), "must hold either sql or statements")
            return
        if self.params and self.sql is None:
            yield Placed(("params",), "belongs to sql; a statement under statements has its own params")
        for name, statement in self.parts().items():
            at: tuple[str, ...] = () if self.sql is not None else ("statements", name)
            for problem in statement_problems(statement.sql, statement.params):
                yield problem.below(*at)
        yield from shape_problems(self.shape, {name: len(part.params) for name, part in self.parts().items()})

    def parameters(self) -> Iterator[tuple[Key, ParameterSettings]]:
        """Every parameter with its place below this reader."""
        yield from _placed_parameters(self.parts(), None if self.sql is not None else "statements")

    def parts(self) -> dict[str, StatementSettings]:
        """The statements by name, the short form among them."""
        if self.sql is None:
            return self.statements
        return {ROWS: StatementSettings.model_construct(sql=self.sql, params=self.params)}

    def plan(self, route: str) -> PostgresPlan:
        """What the reader is to do for `route`."""
        not_found, invalid = self.answers()
        return PostgresPlan(
            route=route,
            statements=tuple(
                StatementPlan(name, part.sql, tuple(each.parameter() for each in part.params))
                for name, part in self.parts().items()
            ),
            shape=compile_shape(self.shape),
            types=PostgresTypes(**self.types.model_dump()),
            not_found=not_found,
            invalid=invalid,
            headers=self.fields(),
            status=self.status,
        )


class _Query(Block):
    """What is asked of one collection."""

    find: Filter | None = None
    """A filter; `$1`, `$2` as whole values stand for `params`."""
    aggregate: Pipeline | None = None
    """A pipeline in the place of `find`. In an expression a parameter is written `{$literal: $1}`."""
    sort: Annotated[dict[str, Direction], Field(max_length=32)] = Field(default_factory=dict)
    """Fields with 1 (ascending) or -1, for `find`."""
    limit: Amount = None
    """Documents at most, for `find`: a number or a parameter."""
    skip: Amount = None
    """Documents that are passed over first, for `find`: a number or a parameter."""
    projection: Filter | None = None
    """The fields that are read, for `find`."""
    params: Params = Field(default_factory=list)
    """The values of `$1`, `$2`, in this order."""


class QuerySettings(_Query):
    """One named query of a `mongo` reader."""

    collection: Collection
    """The collection."""

    def plan(self, name: str) -> QueryPlan:
        """What is asked, under the name that the shape knows it by."""
        return QueryPlan(
            name=name,
            collection=self.collection,
            operation="find" if self.aggregate is None else "aggregate",
            document=self.find if self.aggregate is None else self.aggregate,
            sort=tuple(self.sort.items()),
            limit=self.limit,
            skip=self.skip,
            projection=self.projection,
            parameters=tuple(each.parameter() for each in self.params),
        )


class MongoReaderSettings(_Query, _Reader):
    """Reads the collections themselves."""

    kind: ClassVar[str] = "mongo"

    collection: Collection | None = None
    """The collection of one query, for `queries: {rows: {collection: ...}}`; what is asked stands beside it."""
    queries: Annotated[dict[Name, QuerySettings], Field(max_length=MAX_PARTS)] = Field(default_factory=dict)
    """Several queries by name, for a shape with more than one kind of row."""

    @model_validator(mode="after")
    def _usable(self) -> MongoReaderSettings:
        refuse(self._problems())
        return self

    def _problems(self) -> Iterator[Placed]:
        if (self.collection is None) is not bool(self.queries):
            yield Placed((), "must hold either collection (with find or aggregate) or queries")
            return
        if self.queries:
            for key in sorted(self.model_fields_set & _Query.model_fields.keys()):
                if getattr(self, key):
                    yield Placed((key,), "belongs to collection; a query under queries has its own")
        shown = shown_parameters(self.shape)
        for name, query in self.parts().items():
            at: tuple[str, ...] = ("queries", name) if self.queries else ()
            if (query.find is None) is (query.aggregate is None):
                held = "both" if query.find is not None else "neither; find: {} is all documents"
                yield Placed(at, f"must hold either find or aggregate, and holds {held}")
                continue
            for problem in query_problems(query.plan(name), query.params, shown):
                yield problem.below(*at)
            shown = frozenset()
        yield from shape_problems(self.shape, {name: len(part.params) for name, part in self.parts().items()})

    def parameters(self) -> Iterator[tuple[Key, ParameterSettings]]:
        """Every parameter with its place below this reader."""
        yield from _placed_parameters(self.parts(), "queries" if self.queries else None)

    def parts(self) -> dict[str, QuerySettings]:
        """The queries by name, the short form among them."""
        if self.collection is None:
            return self.queries
        own = {name: getattr(self, name) for name in _Query.model_fields}
        return {ROWS: QuerySettings.model_construct(collection=self.collection, **own)}

    def plan(self, route: str) -> MongoPlan:
        """What the reader is to do for `route`."""
        not_found, invalid = self.answers()
        return MongoPlan(
            route=route,
            queries=tuple(part.plan(name) for name, part in self.parts().items()),
            shape=compile_shape(self.shape),
            not_found=not_found,
            invalid=invalid,
            headers=self.fields(),
            status=self.status,
        )


class ReaderSettings(Block):
    """Who is asked on one side of a route: exactly one of the three."""

    http: HttpReaderSettings | None = None
    """`{}`: the backend of this side, as without any reader."""
    postgres: PostgresReaderSettings | None = None
    """SQL on the Postgres of `postgres.dsn`."""
    mongo: MongoReaderSettings | None = None
    """A query on the MongoDB of `mongo.url`."""

    @model_validator(mode="after")
    def _one(self) -> ReaderSettings:
        given = [name for name in type(self).model_fields if getattr(self, name) is not None]
        if len(given) != 1:
            held = f"holds {' and '.join(given)}" if given else "holds none"
            raise ValueError(f"takes exactly one of http, postgres and mongo, and {held}")
        return self

    @property
    def direct(self) -> PostgresReaderSettings | MongoReaderSettings | None:
        """The reader of a store; None for the backend."""
        return self.postgres or self.mongo


def _placed_parameters(
    parts: Mapping[str, StatementSettings] | Mapping[str, QuerySettings], above: str | None
) -> Iterator[tuple[Key, ParameterSettings]]:
    for name, part in parts.items():
        at: Key = () if above is None else (above, name)
        for number, parameter in enumerate(part.params):
            yield (*at, "params", number), parameter
