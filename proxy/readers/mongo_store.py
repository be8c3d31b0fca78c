"""The way to MongoDB that all its readers share: bounded, never waited for past a deadline, healing by itself."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Coroutine
from typing import Any, TypeVar

import pymongo
from bson.codec_options import CodecOptions
from bson.errors import BSONError
from bson.raw_bson import RawBSONDocument
from motor.motor_asyncio import AsyncIOMotorClient
from pymongo.errors import (
    ConnectionFailure,
    ExecutionTimeout,
    NetworkTimeout,
    OperationFailure,
    PyMongoError,
    ServerSelectionTimeoutError,
    WaitQueueTimeoutError,
)
from pymongo.read_preferences import make_read_preference, read_pref_mode_from_name

from proxy.direct.mongo_query import Bound
from proxy.direct.plans import QueryPlan
from proxy.errors import UpstreamError

_RAW: CodecOptions[Any] = CodecOptions(document_class=RawBSONDocument)
_CONNECT_SECONDS = 2.0
_HEARTBEAT_SECONDS = 1.0
"""How often a server is looked after: so soon is one known to be back."""
_GRACE_SECONDS = 1.0
"""How long a read waits for a server that is known to be away; a connection lost by chance is made again within it."""
_POLL_SECONDS = 0.02
_CLOSE_SECONDS = 2.0
_DENIED = frozenset({13, 18, 8000})
"""Codes of the server: unauthorized, authentication failed, and the latter as Atlas says it."""
_MAX_TEXT = 300
_TAIL = re.compile(
    r"(, full error: | \(configured timeouts: |, Timeout: [0-9.]+s, Topology Description: ).*", re.DOTALL
)
"""What PyMongo says beyond the error itself."""
_T = TypeVar("_T")


class MongoError(UpstreamError):
    """MongoDB could not be read. `code` is one of: timeout, refused, unreachable, statement, too_large, config."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(code, text if len(text) <= _MAX_TEXT else text[: _MAX_TEXT - 3] + "...")


class MongoStore:
    """One database of one server or replica set. `max_time` (seconds) bounds each query, here and on the server.

    At most `connections` reads are under way at once, and no more than motor has threads (five for each processor,
    unless MOTOR_MAX_WORKERS says otherwise); others wait their turn, within their own deadline.
    """

    def __init__(
        self, url: str, database: str, *, connections: int = 8, max_time: float = 2.0, read_preference: str = "primary"
    ) -> None:
        self._url = url
        self._name = database
        self._connections = connections
        self._max_time = max_time
        self._preference = make_read_preference(read_pref_mode_from_name(read_preference), None)
        self._turns = asyncio.Semaphore(connections)
        self._client: Any = None

    async def start(self) -> None:
        """Make the client. A server that is away is no error; MongoError `config` for a URL that cannot be used."""
        loop = asyncio.get_running_loop()
        try:
            # In a thread: a mongodb+srv URL is looked up in the DNS.
            self._client = await asyncio.to_thread(
                AsyncIOMotorClient,
                self._url,
                io_loop=loop,
                appname="shadowread",
                connect=False,
                maxPoolSize=self._connections,
                connectTimeoutMS=int(_CONNECT_SECONDS * 1000),
                heartbeatFrequencyMS=int(_HEARTBEAT_SECONDS * 1000),
                retryReads=True,
            )
        except (PyMongoError, ValueError, TypeError) as error:
            # The text may hold a piece of the URL, and so of the password.
            text = type(error).__name__ if "@" in self._url else str(error)
            raise MongoError("config", f"mongo.url cannot be used: {text}") from None

    async def close(self) -> None:
        """Close all connections; waits two seconds at most for a server that does not answer."""
        if self._client is None:
            return
        seconds = _CLOSE_SECONDS if self._away() is None else _POLL_SECONDS
        client, self._client = self._client, None
        with pymongo.timeout(seconds):
            await asyncio.to_thread(client.close)

    async def ping(self, timeout: float) -> None:
        """Ask for a sign of life. Raises MongoError."""
        await self._guarded(self._ping(), timeout)

    async def fetch(self, plan: QueryPlan, bound: Bound, timeout: float, *, documents: int, size: int) -> list[bytes]:
        """The documents of a query, as BSON. More than `documents`, or than `size` bytes, are `too_large`.

        Raises MongoError, within `timeout` seconds.
        """
        return await self._guarded(self._fetch(plan, bound, documents, size), timeout)

    async def _guarded(self, work: Coroutine[Any, Any, _T], timeout: float) -> _T:
        deadline = asyncio.get_running_loop().time() + timeout
        try:
            async with asyncio.timeout_at(deadline):
                await self._await_server()
                async with self._turns:
                    left = deadline - asyncio.get_running_loop().time()
                    # Kept in the thread that motor works in too: a thread outlives the task that awaits it.
                    with pymongo.timeout(max(0.001, min(left, self._max_time))):
                        return await work
        except TimeoutError:
            raise MongoError("timeout", f"no complete answer within {timeout:g} s") from None
        except (PyMongoError, BSONError, OverflowError) as error:
            raise _failure(error) from error
        finally:
            work.close()

    async def _ping(self) -> None:
        await self._client[self._name].command("ping", read_preference=self._preference)

    async def _fetch(self, plan: QueryPlan, bound: Bound, documents: int, size: int) -> list[bytes]:
        collection = self._client[self._name].get_collection(
            plan.collection, codec_options=_RAW, read_preference=self._preference
        )
        if plan.operation == "find":
            # One more than is taken, to see that there are more.
            limit = min(bound.limit or documents + 1, documents + 1)
            sort = list(plan.sort) or None
            cursor = collection.find(bound.document, plan.projection, sort=sort, skip=bound.skip, limit=limit)
        else:
            cursor = collection.aggregate(bound.document)
        rows = []
        left = size
        async for document in cursor:
            raw = bytes(document.raw)  # not a view, which would hold all of the server's message
            rows.append(raw)
            left -= len(raw)
            if len(rows) > documents or left < 0:
                await cursor.close()
                what = f"{documents} documents" if left >= 0 else f"{size} bytes of documents"
                raise MongoError("too_large", f"query {plan.name} finds more than {what}")
        return rows

    async def _await_server(self) -> None:
        """Return when a server is known, or not known to be away; else give up soon rather than at the deadline."""
        if self._client is None:
            raise MongoError("unreachable", "the store has not been started, or is closed")
        until = asyncio.get_running_loop().time() + _GRACE_SECONDS
        while (error := self._away()) is not None:
            if asyncio.get_running_loop().time() >= until:
                raise _failure(error)
            await asyncio.sleep(_POLL_SECONDS)

    def _away(self) -> Exception | None:
        topology = self._client.delegate.topology_description
        if topology.has_readable_server(self._preference):
            return None
        errors = [server.error for server in topology.server_descriptions().values() if server.error is not None]
        return errors[0] if errors else None


def _failure(error: Exception) -> MongoError:
    text = _TAIL.sub("", str(error))
    if isinstance(error, WaitQueueTimeoutError):
        return MongoError("timeout", f"no connection came free: {text}")
    if isinstance(error, ExecutionTimeout | NetworkTimeout) and not isinstance(error, ServerSelectionTimeoutError):
        return MongoError("timeout", text)
    if isinstance(error, ConnectionFailure):
        return MongoError("refused" if "refused" in text.lower() else "unreachable", text)
    if isinstance(error, OperationFailure):
        return MongoError("refused" if error.code in _DENIED else "statement", text)
    if getattr(error, "timeout", False):
        return MongoError("timeout", text)
    return MongoError("statement", f"{type(error).__name__}: {text}")
