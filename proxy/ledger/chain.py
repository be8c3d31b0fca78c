"""Gate decisions as a chain: each bears a hash over itself and the one before it.

The hash of an entry is `sha256(prev || stated)`: `prev` is the hash of the entry before it as hex digits (64 zeros for
the first), `stated` the canonical JSON (keys sorted, no spaces, ASCII) of `seq`, `domain`, `at` (microseconds since
1970 UTC), `state` and `digest`, which is the SHA-256 of the canonical JSON of the whole result. What is changed, taken
out or moved afterwards no longer fits its neighbours. Who can write the file could still chain all of it anew: that is
found by whoever noted a head elsewhere and asks for it.
"""

from __future__ import annotations

import hashlib
import json
import re
import zlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select, type_coerce, update
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.types import NullType

from proxy.errors import LedgerError
from proxy.ledger import schema
from proxy.ledger.dialect import insert
from proxy.ledger.moments import from_us, to_us

GENESIS = "0" * 64
"""What the first entry follows."""
HASH = re.compile("[0-9a-f]{64}")
HEAD, COUNT = "decisions_head", "decisions_count"
"""Where `meta` keeps the hash of the last entry and how many there are: without them a lost end would not show."""
CLOSED_BODIES = 1_000
"""How many decisions of a domain that did not open its gate keep their figures; those that did all keep them."""
BODY_BYTES = 64 * 1024 * 1024
"""The most a result may take as JSON."""


@dataclass(frozen=True, slots=True)
class Decision:
    """A stored gate decision. `result` is the whole of it as it was, None where only its place in the chain is kept."""

    seq: int
    domain: str
    at: datetime
    state: str
    hash: str
    result: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class Entry:
    """Where a decision stands in the chain; noting `hash` elsewhere pins everything up to it."""

    seq: int
    hash: str


def canonical(value: Any) -> bytes:
    """The one way a value is written to be hashed. Raises LedgerError for what JSON cannot say."""
    try:
        return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise LedgerError(f"a decision cannot be written as JSON: {error}") from error


def hash_of(prev: str, seq: int, domain: str, at: int, state: str, digest: str) -> str:
    """The hash of an entry; `at` in microseconds since 1970 UTC."""
    stated = canonical({"seq": seq, "domain": domain, "at": at, "state": state, "digest": digest})
    return hashlib.sha256(prev.encode() + stated).hexdigest()


def digest_of(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def unpack(packed: bytes) -> bytes:
    """Raises ValueError for what is no whole packed body, or is one of more than `BODY_BYTES`."""
    unpacking = zlib.decompressobj()
    try:
        body = unpacking.decompress(packed, BODY_BYTES)
    except zlib.error as error:
        raise ValueError(str(error)) from error
    if not unpacking.eof or unpacking.unused_data:
        raise ValueError("it is cut, or longer than it may be")
    return body


async def append(
    connection: AsyncConnection, *, domain: str, at: datetime, state: str, result: Mapping[str, Any]
) -> Entry:
    """Add a decision at the end, inside the caller's write transaction. Raises LedgerError."""
    body = canonical(result)
    if len(body) > BODY_BYTES:
        raise LedgerError(f"the decision on {domain} takes {len(body)} bytes, at most {BODY_BYTES} can be stored")
    table = schema.decisions
    known = await meta_of(connection)
    # The end is where `meta` says, also when entries there are gone: the gap must stay to be seen.
    seq = 1 + max(known.count, await connection.scalar(select(func.max(table.c.seq))) or 0)
    digest, us = digest_of(body), to_us(at)
    entry = Entry(seq, hash_of(known.head, seq, domain, us, state, digest))
    await connection.execute(
        insert(connection, table).values(
            seq=seq,
            prev=known.head,
            domain=domain,
            at=us,
            state=state,
            digest=digest,
            hash=entry.hash,
            body=zlib.compress(body),
        )
    )
    for name, value in ((HEAD, entry.hash), (COUNT, str(seq))):
        statement = insert(connection, schema.meta).values(name=name, value=value)
        await connection.execute(
            statement.on_conflict_do_update(index_elements=[schema.meta.c.name], set_={"value": value})
        )
    lesser = (table.c.domain == domain) & (table.c.state != "open") & table.c.body.is_not(None)
    oldest = select(table.c.seq).where(lesser).order_by(table.c.seq.desc()).offset(CLOSED_BODIES)
    await connection.execute(update(table).where(table.c.seq.in_(oldest)).values(body=None))
    return entry


async def decisions(connection: AsyncConnection, domain: str | None, limit: int) -> list[Decision]:
    """Newest first. Raises LedgerError for a stored result that cannot be read."""
    table = schema.decisions
    statement = select(table).order_by(table.c.seq.desc()).limit(limit)
    if domain is not None:
        statement = statement.where(table.c.domain == domain)
    return [
        Decision(row.seq, row.domain, from_us(row.at), row.state, row.hash, _result(row.seq, row.body))
        for row in await connection.execute(statement)
    ]


def _result(seq: int, body: bytes | None) -> Mapping[str, Any] | None:
    if body is None:
        return None
    try:
        found: Mapping[str, Any] = json.loads(unpack(body))
    except ValueError as error:
        raise LedgerError(f"decision {seq} is damaged ({error}); see `shadowread gate --verify-log`") from error
    return found


@dataclass(frozen=True, slots=True)
class Meta:
    """What is known of the end beside the entries themselves."""

    head: str
    count: int


async def meta_of(connection: AsyncConnection) -> Meta:
    """A count that is no number reads as none: the chain goes on by the hash, and `verify` says it."""
    table = schema.meta
    found = dict(
        (await connection.execute(select(table.c.name, table.c.value).where(table.c.name.in_((HEAD, COUNT))))).all()
    )
    count = str(found.get(COUNT, ""))
    sound = count.isascii() and count.isdigit() and len(count) < 16
    return Meta(str(found.get(HEAD, GENESIS)), int(count) if sound else 0)


MOST_FAULTS = 100
"""How many faults are told one by one."""
PAGE = 50
"""Entries held at once; one with its figures may be large."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Where the chain is not as it was written: at entry `seq`, or with None in what is noted beside the entries."""

    seq: int | None
    text: str


@dataclass(frozen=True, slots=True)
class Report:
    """What the chain is found to be. `head` is the last entry's hash; of the `found` faults the first ones are told."""

    entries: int
    faults: tuple[Fault, ...]
    head: str
    found: int

    @property
    def whole(self) -> bool:
        return not self.found


async def verify(connection: AsyncConnection, known_head: str | None = None) -> Report:
    """Look at every entry for edits, removals and moves, inside the caller's read transaction.

    `known_head` is a hash noted at some time: an entry must still bear it. Raises LedgerError when it is no hash.
    """
    if known_head is not None:
        known_head = known_head.strip().lower()
        if not HASH.fullmatch(known_head):
            raise LedgerError(f"{known_head[:80]!r} is no hash of a decision: it has 64 hex digits")
    walk = _Walk()
    noted = known_head in (None, GENESIS)
    table = schema.decisions
    # Without the types: what somebody else wrote into a column may be of any.
    page = select(*(type_coerce(column, NullType()).label(column.name) for column in table.c)).order_by(table.c.seq)
    last = None
    while rows := (
        await connection.execute((page if last is None else page.where(table.c.seq > last)).limit(PAGE))
    ).all():
        for row in rows:
            walk.entry(row)
            noted = noted or row.hash == known_head
        last = rows[-1].seq
    walk.end(await meta_of(connection))
    if not noted:
        walk.fault(None, f"no entry has the noted hash {known_head}: it was removed, or the chain was made anew")
    return Report(walk.entries, tuple(walk.faults), walk.head, walk.found)


class _Walk:
    """From the first entry to the last, knowing only the one before."""

    def __init__(self) -> None:
        self.entries = 0
        self.faults: list[Fault] = []
        self.found = 0
        self.head = GENESIS
        self._fitting = {GENESIS}  # what the next entry may follow
        self._seq = 0
        self._closed: Counter[str] = Counter()
        self._bare: list[tuple[int, str, int]] = []

    def fault(self, seq: int | None, text: str) -> None:
        self.found += 1
        if len(self.faults) < MOST_FAULTS:
            self.faults.append(Fault(seq, text))

    def entry(self, row: Any) -> None:
        seq, expected = row.seq, self._seq + 1
        if seq > expected:
            self.fault(expected, f"{_entries(expected, seq - 1)} missing before entry {seq}")
        elif seq < expected:
            self.fault(seq, f"entry {seq} stands before the first one: it was added or moved")
        elif row.prev not in self._fitting:
            before = f"entry {self._seq}" if self._seq else "the beginning"
            self.fault(seq, f"entry {seq} does not follow {before}: one of them was replaced, added or moved")
        try:
            made = hash_of(row.prev, seq, row.domain, row.at, row.state, row.digest)
        except (LedgerError, AttributeError):  # a value of a type that was never written
            made = ""
        if made != row.hash:
            self.fault(seq, f"entry {seq} was changed: its hash is not that of its domain, time, state and digest")
        self._body(row)
        self.entries += 1
        self.head, self._fitting = str(row.hash), {row.hash, made or row.hash}
        self._seq = max(seq, self._seq)

    def end(self, known: Meta) -> None:
        for seq, domain, place in self._bare:
            if self._closed[domain] - 1 - place < CLOSED_BODIES:
                self.fault(seq, f"the figures of entry {seq} were removed")
        if known.count > self._seq:
            self.fault(self._seq + 1, f"{_entries(self._seq + 1, known.count)} missing at the end")
        elif known.count < self._seq:
            self.fault(None, f"the ledger counts {known.count} decisions, the last entry is number {self._seq}")
        elif known.head not in self._fitting:
            self.fault(self._seq or None, "the last entry is not the one that the ledger knows as the last")

    def _body(self, row: Any) -> None:
        domain = str(row.domain)
        if row.state != "open":
            self._closed[domain] += 1
        if row.body is None:
            if row.state == "open":
                self.fault(row.seq, f"the figures of entry {row.seq} were removed")
            else:
                self._bare.append((row.seq, domain, self._closed[domain] - 1))
            return
        try:
            sound = digest_of(unpack(row.body)) == row.digest
        except (ValueError, TypeError):
            sound = False
        if not sound:
            self.fault(row.seq, f"the figures of entry {row.seq} were changed: they do not have its digest")


def _entries(first: int, last: int) -> str:
    return f"entry {first} is" if first == last else f"entries {first} to {last} are"
