"""Reads one side of a route straight from MongoDB, through motor."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final

import bson
from bson.codec_options import CodecOptions, DatetimeConversion
from bson.errors import BSONError

from comparators.encode import dumps
from comparators.ids import IdTable
from proxy.direct.bson_undefined import without_undefined
from proxy.direct.mongo_query import Bound, compile_query
from proxy.direct.mongo_values import jsonable
from proxy.direct.parameters import Asked, Parameter, ParameterError, ids_wanted, raw_values, value_of
from proxy.direct.plans import Answer, MongoPlan
from proxy.direct.shape import NOT_FOUND, ShapeError
from proxy.errors import ShadowreadError
from proxy.model import Observation, ReadRequest, Side
from proxy.readers.asked import asked_of
from proxy.readers.mongo_store import MongoError, MongoStore
from proxy.settings.patterns import parse_route

__all__ = ["MAX_BODY", "MAX_DOCUMENTS", "MongoError", "MongoReader", "MongoStore", "Resolve"]

MAX_DOCUMENTS = 10_000
MAX_BODY = 8 * 1024 * 1024
_LAY_OUT_HERE = 16 * 1024
"""Bytes of BSON up to which the answer is made on the event loop; more could hold up every client at once."""
_RAW_FACTOR = 4
"""How many times the bytes of the answer may be read: a shape leaves most of a document out."""
_OPTIONS: CodecOptions[dict[str, Any]] = CodecOptions(
    tz_aware=True,
    # JavaScript knows dates that Python does not.
    datetime_conversion=DatetimeConversion.DATETIME_AUTO,
)

Resolve = Callable[[set[str]], Awaitable[IdTable]]
"""The id map's look-up: the pairs of these ids, lower case, of either store."""


@dataclass(frozen=True, slots=True)
class _Asking:
    """The values of every query's parameters, and what is to be said of them."""

    values: Sequence[Sequence[Any]]
    bounds: Sequence[Bound]
    notes: Sequence[str]


class MongoReader:
    """Reads what `plan` says from `store`. Raises QueryError when made for a query that is not to be asked.

    An answer of more than `max_documents` documents, or of more than `max_body` bytes, is `too_large`. Several queries
    of a plan run one after another, each seeing what is there at its own moment. A BSON type `auto` is text.
    """

    peer: Final = {"db.system.name": "mongodb"}

    def __init__(
        self,
        store: MongoStore,
        plan: MongoPlan,
        side: Side,
        resolve: Resolve,
        clock: Callable[[], float] = time.perf_counter,
        *,
        max_documents: int = MAX_DOCUMENTS,
        max_body: int = MAX_BODY,
    ) -> None:
        self._store = store
        self._plan = plan
        self._side = side
        self._resolve = resolve
        self._clock = clock
        self._max_documents = max_documents
        self._max_body = max_body
        self._pattern = parse_route(plan.route)
        self._queries = tuple(compile_query(query) for query in plan.queries)
        self._headers = tuple((name.encode("latin-1"), value.encode("latin-1")) for name, value in plan.headers)

    async def read(self, request: ReadRequest, timeout: float) -> Observation:
        """One read, `timeout` seconds for all of it. Raises nothing but CancelledError.

        Error codes: timeout, refused (nobody listens, or not to this account), unreachable, statement (the server can
        not run the query, or what it found fits no document or shape), too_large, protocol (a fault of this program).
        """
        started = self._clock()
        answer: tuple[int, bytes] | None = None
        error: str | None = None
        detail = ""
        try:
            async with asyncio.timeout(timeout):
                answer, detail = await self._answer(request, started + timeout)
        except TimeoutError:
            error, detail = "timeout", f"no answer of MongoDB within {timeout:g} s"
        except MongoError as failure:
            error, detail = failure.code, str(failure)
        except ShapeError as failure:
            error, detail = "too_large" if failure.too_large else "statement", str(failure)
        except (BSONError, ValueError) as failure:
            # A document that cannot be read.
            error, detail = "statement", f"{type(failure).__name__}: {failure}"
        except Exception as failure:  # noqa: BLE001 - a reader's own fault must not travel either
            error, detail = "protocol", f"{type(failure).__name__}: {failure}"
        return Observation(
            side=self._side,
            status=answer[0] if answer else None,
            headers=self._headers if answer else (),
            body=answer[1] if answer else None,
            error=error,
            detail=detail,
            seconds=self._clock() - started,
        )

    async def _answer(self, request: ReadRequest, deadline: float) -> tuple[tuple[int, bytes], str]:
        try:
            asking = await self._asking(asked_of(request, self._pattern))
        except ParameterError as failure:
            return _given(self._plan.invalid), str(failure)
        found: dict[str, list[bytes]] = {}
        documents, size = self._max_documents, self._max_body * _RAW_FACTOR
        for query, bound in zip(self._queries, asking.bounds, strict=True):
            rows = await self._store.fetch(query.plan, bound, deadline - self._clock(), documents=documents, size=size)
            found[query.plan.name] = rows
            documents -= len(rows)
            size -= sum(map(len, rows))
        params = [_shown(value) for value in asking.values[0]] if asking.values else []
        if self._max_body * _RAW_FACTOR - size <= _LAY_OUT_HERE:
            body = self._laid_out(found, params)
        else:
            body = await asyncio.to_thread(self._laid_out, found, params)
        answer = _given(self._plan.not_found) if body is None else (self._plan.status, body)
        return answer, "; ".join(asking.notes)

    async def _asking(self, asked: Asked) -> _Asking:
        wanted = {token for query in self._queries for token in ids_wanted(query.plan.parameters, asked)}
        table = IdTable()
        if wanted:
            try:
                table = await self._resolve(wanted)
            except ShadowreadError as failure:
                raise MongoError("unreachable", f"the id map cannot be asked: {failure}") from failure
        notes: list[str] = []
        values = [
            [_value(parameter, asked, table, notes) for parameter in query.plan.parameters] for query in self._queries
        ]
        bounds = [query.bound(own) for query, own in zip(self._queries, values, strict=True)]
        return _Asking(values, bounds, list(dict.fromkeys(notes)))

    def _laid_out(self, found: dict[str, list[bytes]], params: Sequence[Any]) -> bytes | None:
        rows = {
            name: [jsonable(bson.decode(without_undefined(raw), _OPTIONS)) for raw in documents]
            for name, documents in found.items()
        }
        value = self._plan.shape.lay_out(rows, params)
        if value is NOT_FOUND:
            return None
        body = dumps(value).encode()
        if len(body) > self._max_body:
            raise MongoError("too_large", f"the answer has {len(body)} bytes, at most {self._max_body} are taken")
        return body


def _given(answer: Answer) -> tuple[int, bytes]:
    return answer.status, dumps(answer.body).encode()


def _value(parameter: Parameter, asked: Asked, table: IdTable, notes: list[str]) -> Any:
    noted = len(notes)
    value = value_of(parameter, asked, parameter.type, table, notes.append)
    if value is None and len(notes) > noted:
        # Null would find the documents that lack the field: an unknown id is asked for as the text that it is.
        return [] if parameter.is_list else next(iter(raw_values(parameter, asked) or ()), None)
    return value


def _shown(value: Any) -> Any:
    """A parameter's value as JSON."""
    if isinstance(value, list):
        return [_shown(item) for item in value]
    if isinstance(value, Decimal):
        return value
    if isinstance(value, date) and not isinstance(value, datetime):
        return value.isoformat()
    return jsonable(value)
