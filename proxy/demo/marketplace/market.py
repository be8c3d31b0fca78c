"""What a handler works with: the call, its domain's desk (store, bugs, writes), and the hub of live listeners."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from aiohttp import web

from proxy.demo.marketplace.catalog import entity_of
from proxy.demo.marketplace.entities import Entity, Record
from proxy.demo.marketplace.flags import Mode
from proxy.demo.marketplace.http import Page, ProblemError, Reply, bad_request, not_found, page_of
from proxy.demo.marketplace.mirror import Mirror
from proxy.demo.marketplace.store import Store, is_id

TOKEN_PREFIX = "Bearer demo-"  # noqa: S105 - the demo's tokens are user ids, there is no secret
LISTENER_QUEUE = 100
VERSION = "2.8.79"


class Hub:
    """Live listeners by topic. A listener that does not keep up misses events rather than hold them."""

    def __init__(self) -> None:
        self._listeners: dict[str, set[asyncio.Queue[Any]]] = defaultdict(set)

    @contextmanager
    def listen(self, topic: str) -> Iterator[asyncio.Queue[Any]]:
        queue: asyncio.Queue[Any] = asyncio.Queue(LISTENER_QUEUE)
        self._listeners[topic].add(queue)
        try:
            yield queue
        finally:
            self._listeners[topic].discard(queue)
            if not self._listeners[topic]:
                del self._listeners[topic]

    def publish(self, topic: str, event: Any) -> None:
        for queue in self._listeners.get(topic, ()):
            if not queue.full():
                queue.put_nowait(event)


class Ticker:
    """Instants and sequence numbers of new records: to the millisecond, and never the same number twice."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._seq = 0

    def now(self) -> datetime:
        moment = self._clock()
        return moment.replace(microsecond=moment.microsecond // 1000 * 1000)

    def seq(self) -> int:
        self._seq = max(self._seq + 1, int(self._clock().timestamp() * 1_000_000))
        return self._seq


@dataclass(frozen=True)
class Desk:
    """One domain as this instance serves it. `bugs` is empty unless the domain reads Postgres."""

    domain: str
    mode: Mode
    store: Store
    bugs: frozenset[str]
    mirror: Mirror
    ticker: Ticker

    async def save(self, entity: Entity, record: Record) -> None:
        """Write a record here now and, unless the mode is `mongo`, to the other store soon."""
        await self.store.save(entity, record)
        self._copy(entity, record["id"])

    async def remove(self, entity: Entity, own_id: str) -> None:
        await self.store.remove(entity, own_id)
        self._copy(entity, own_id)

    def _copy(self, entity: Entity, own_id: str) -> None:
        if self.mode is not Mode.MONGO:
            self.mirror.put(entity, own_id, self.mode)

    def new(self, entity: Entity, **values: Any) -> Record:
        """A fresh record; fields not given are null."""
        now = self.ticker.now()
        blank: Record = {one.name: None for one in entity.fields}
        parts: Record = {child.field: [] if child.many else None for child in entity.children}
        stamps = {"seq": self.ticker.seq(), "createdAt": now, "updatedAt": now}
        return {"id": self.store.new_id(), **blank, **parts, **stamps, **values}

    async def load(self, entity: Entity, any_id: str, *, whole: bool = False) -> Record:
        """The record of an id of either form; ProblemError 400 when it is no id, 404 when there is none."""
        found = await self.store.get(entity, await self.own_id(entity, any_id), whole=whole)
        if found is None:
            raise not_found(entity.name)
        return found

    async def own_id(self, entity: Entity, any_id: str) -> str:
        """This store's id for an id of either form, one that names nothing if need be; ProblemError 400 as above."""
        if not is_id(any_id):
            raise bad_request("INVALID_ID", "The id is neither an ObjectId nor a uuid")
        return await self.store.resolve(entity, any_id) or self.store.new_id()


@dataclass
class Market:
    """One instance: its desks by domain, the bugs that are in it, and the domains that were `fixed` while it ran."""

    desks: dict[str, Desk]
    hub: Hub
    planted: frozenset[str]
    fixed: set[str] = field(default_factory=set)
    writing: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def version(self) -> str:
        """The build that this instance reports: each fixed domain makes it another one."""
        names = [name.replace("_", "-") for name in sorted(self.fixed)]
        return ".".join([f"{VERSION}+fixed", *names]) if names else VERSION


@dataclass(frozen=True)
class Call:
    """One request at its domain's desk."""

    request: web.Request
    desk: Desk
    market: Market

    @property
    def store(self) -> Store:
        return self.desk.store

    def has_bug(self, name: str) -> bool:
        return name in self.desk.bugs

    def refuse_nul(self) -> None:
        """ProblemError 400 when path or query bear a NUL, which MongoDB takes and Postgres does not."""
        texts = (*self.request.match_info.values(), *self.request.query.values())
        if any("\0" in text for text in texts):
            raise bad_request("INVALID_QUERY", "A request must not bear NUL characters")

    def param(self, name: str) -> str:
        return self.request.match_info[name]

    @property
    def query(self) -> Mapping[str, str]:
        return self.request.query

    def page(self) -> Page:
        return page_of(self.query)

    async def user_id(self) -> str:
        """The caller, from the token; ProblemError 401 without a valid one."""
        header = self.request.headers.get("Authorization", "")
        text = header.removeprefix(TOKEN_PREFIX)
        user = None
        if text != header and is_id(text):
            user = await self.store.get(entity_of("user"), await self.desk.own_id(entity_of("user"), text))
        if user is None:
            raise ProblemError(401, "UNAUTHORIZED", "A valid token is required")
        return str(user["id"])


Handler = Callable[[Call], Awaitable[Reply]]


@dataclass(frozen=True, slots=True)
class Route:
    """`writes` marks what changes data: such calls run one at a time."""

    domain: str
    method: str
    path: str
    handler: Handler
    writes: bool = False
