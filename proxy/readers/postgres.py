"""Reads one side from Postgres itself, by the configured statements, and lays the rows out as the response."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

from comparators.encode import dumps
from comparators.ids import IdTable
from proxy.direct.parameters import Asked, ParameterError, ids_wanted, value_of
from proxy.direct.plans import Answer, PostgresPlan, ProvedStatement
from proxy.direct.postgres_binding import bound
from proxy.direct.postgres_values import UnfitValueError, jsonable
from proxy.direct.shape import NOT_FOUND, ShapeError
from proxy.direct.sql_tokens import StatementError
from proxy.errors import ShadowreadError, UpstreamError
from proxy.model import Observation, ReadRequest, Side
from proxy.readers.asked import asked_of
from proxy.readers.postgres_proof import Proof
from proxy.readers.postgres_store import PostgresStore, Rows, SchemaChangedError
from proxy.settings.patterns import parse_route

__all__ = ["MAX_BODY", "PostgresReader", "PostgresStore", "Resolve"]

MAX_BODY = 8 * 1024 * 1024
PROOF_SECONDS = 60.0
"""How long the types of columns are believed: a migration may change them while the proxy runs."""
_CELLS_HERE, _BYTES_HERE = 2_000, 64 * 1024
"""Values, and bytes of texts, up to which rows are laid out on the event loop; more could hold up every client."""

Resolve = Callable[[set[str]], Awaitable[IdTable]]
"""The id map's look-up: the pairs of these ids, lower case, of either store."""


class PostgresReader:
    """Answers one route from `store`. `max_body` bytes are the most that a response may have; `clock` gives seconds."""

    peer: Final = {"db.system.name": "postgresql"}

    def __init__(
        self,
        store: PostgresStore,
        plan: PostgresPlan,
        side: Side,
        resolve: Resolve,
        clock: Callable[[], float] = time.perf_counter,
        *,
        max_body: int = MAX_BODY,
    ) -> None:
        self._store = store
        self._plan = plan
        self._side = side
        self._resolve = resolve
        self._clock = clock
        self._max_body = max_body
        self._pattern = parse_route(plan.route)
        self._headers = tuple((name.encode("latin-1"), value.encode("latin-1")) for name, value in plan.headers)
        self._proofs: Sequence[Proof] = ()
        self._proved_at = 0.0
        self._proving = asyncio.Lock()

    async def read(self, request: ReadRequest, timeout: float) -> Observation:
        """One read, `timeout` seconds with all its waits. Raises nothing but CancelledError.

        Error codes: timeout, refused (Postgres takes no connection), unreachable, statement (it cannot be run, or does
        not fit the shape), too_large, protocol (a fault of this program).
        """
        started = self._clock()
        error: str | None = None
        answer: Answer | None = None
        body: bytes | None = None
        notes: list[str] = []
        try:
            async with asyncio.timeout(timeout):
                answer, body = await self._answer(request, started + timeout, notes.append)
        except TimeoutError:
            error, notes = "timeout", [f"no answer of Postgres within {timeout:g} s"]
        except UpstreamError as failure:
            error, notes = failure.code, [str(failure)]
        except (StatementError, ShapeError, UnfitValueError) as failure:
            error, notes = "too_large" if getattr(failure, "too_large", False) else "statement", [str(failure)]
        except SchemaChangedError as failure:
            error, notes = "statement", [str(failure)]
        except ShadowreadError as failure:
            error, notes = "unreachable", [str(failure)]
        except Exception as failure:  # noqa: BLE001 - a reader's own fault must not travel either
            error, notes = "protocol", [f"{type(failure).__name__}: {failure}"]
        return Observation(
            side=self._side,
            status=None if error or answer is None else answer.status,
            headers=() if error else self._headers,
            body=None if error else body,
            error=error,
            detail="; ".join(dict.fromkeys(notes)),
            seconds=self._clock() - started,
        )

    async def explain(self, request: ReadRequest, timeout: float) -> list[tuple[ProvedStatement, str]]:
        """The plan, as JSON text, of each statement for the values of `request`.

        Raises UpstreamError, StatementError, and ParameterError when the request's values do not fit.
        """
        proofs = await self._proved(timeout)
        asked = asked_of(request, self._pattern)
        table = await self._table(proofs, asked)
        values = [_values(proof, asked, table, lambda _: None) for proof in proofs]
        return [
            (proof.statement, await self._store.explain(proof.statement.sql, _bound(proof, each)))
            for proof, each in zip(proofs, values, strict=True)
        ]

    async def _answer(self, request: ReadRequest, deadline: float, note: Callable[[str], None]) -> tuple[Answer, bytes]:
        try:
            asked = asked_of(request, self._pattern)
            try:
                proofs, values, results = await self._fetched(asked, deadline, note)
            except SchemaChangedError:
                self._proofs = ()
                proofs, values, results = await self._fetched(asked, deadline, lambda _: None)
        except ParameterError as unfit:
            note(str(unfit))
            return self._written(self._plan.invalid)
        except (UpstreamError, SchemaChangedError) as failure:
            if getattr(failure, "code", "statement") == "statement":
                self._proofs = ()
            raise
        if _is_large(results):
            return await asyncio.to_thread(self._laid_out, proofs, results, values[0])
        return self._laid_out(proofs, results, values[0])

    async def _fetched(
        self, asked: Asked, deadline: float, note: Callable[[str], None]
    ) -> tuple[Sequence[Proof], list[list[Any]], list[Rows]]:
        proofs = await self._proved(deadline - self._clock())
        table = await self._table(proofs, asked)
        values = [_values(proof, asked, table, note) for proof in proofs]
        statements = [(proof.statement.sql, _bound(proof, each)) for proof, each in zip(proofs, values, strict=True)]
        results = await self._store.fetch(statements, deadline - self._clock())
        for proof, rows in zip(proofs, results, strict=True):
            if rows and [name for name, _ in proof.statement.columns] != list(rows[0].keys()):
                raise SchemaChangedError(f"statement {proof.statement.name} has other columns than a moment ago")
        return proofs, values, results

    async def _proved(self, seconds: float) -> Sequence[Proof]:
        if self._are_proved():
            return self._proofs
        # Once for all reads that find them unproved, not once for each.
        async with self._proving:
            if not self._are_proved():
                self._proofs = ()
                self._proofs = await self._store.prove(self._plan, seconds)
                self._proved_at = self._clock()
            return self._proofs

    def _are_proved(self) -> bool:
        return bool(self._proofs) and self._clock() - self._proved_at <= PROOF_SECONDS

    async def _table(self, proofs: Sequence[Proof], asked: Asked) -> IdTable:
        wanted: set[str] = set()
        for proof in proofs:
            wanted |= ids_wanted(proof.parameters, asked, proof.kinds)
        return await self._resolve(wanted) if wanted else IdTable()

    def _laid_out(
        self, proofs: Sequence[Proof], results: Sequence[Rows], values: Sequence[Any]
    ) -> tuple[Answer, bytes]:
        rows = {
            proof.statement.name: self._rows(proof.statement, found)
            for proof, found in zip(proofs, results, strict=True)
        }
        laid_out = self._plan.shape.lay_out(rows, [_shown(value) for value in values])
        if laid_out is NOT_FOUND:
            return self._written(self._plan.not_found)
        return self._written(Answer(self._plan.status, laid_out))

    def _rows(self, statement: ProvedStatement, rows: Rows) -> list[Mapping[str, Any]]:
        types = self._plan.types
        return [
            {
                name: jsonable(value, pg_type, types)
                for (name, pg_type), value in zip(statement.columns, row, strict=True)
            }
            for row in rows
        ]

    def _written(self, answer: Answer) -> tuple[Answer, bytes]:
        body = dumps(answer.body).encode()
        if len(body) > self._max_body:
            raise UpstreamError("too_large", f"the body has {len(body)} bytes, at most {self._max_body} are taken")
        return answer, body


def _values(proof: Proof, asked: Asked, table: IdTable, note: Callable[[str], None]) -> list[Any]:
    return [
        value_of(parameter, asked, kind, table, note)
        for parameter, kind in zip(proof.parameters, proof.kinds, strict=True)
    ]


def _bound(proof: Proof, values: Sequence[Any]) -> list[Any]:
    return [bound(value, pg_type) for value, pg_type in zip(values, proof.statement.parameters, strict=True)]


def _shown(value: Any) -> Any:
    """A parameter's value as a response repeats it: a page's number is a number, whatever type Postgres gives it."""
    if isinstance(value, list):
        return [_shown(each) for each in value]
    if isinstance(value, datetime):
        return f"{value.astimezone(UTC):%Y-%m-%dT%H:%M:%S}.{value.microsecond // 1000:03d}Z"
    if value is None or isinstance(value, str | bool | int | Decimal):
        return value
    return str(value)


def _is_large(results: Sequence[Rows]) -> bool:
    if sum(len(rows) * len(rows[0]) for rows in results if rows) > _CELLS_HERE:
        return True
    values = (value for rows in results for row in rows for value in row)
    return sum(len(value) for value in values if isinstance(value, str | bytes)) > _BYTES_HERE
