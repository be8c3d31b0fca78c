"""An HTTP/1.1 client for a proxy: exact about bytes, cheap per exchange, one keep-alive pool per upstream."""

from __future__ import annotations

import asyncio
import math
import socket
import ssl
from collections import deque
from collections.abc import AsyncIterable, Callable
from urllib.parse import urlsplit

from proxy.errors import UpstreamError
from proxy.model import Headers
from proxy.readers.client_connection import Connection
from proxy.readers.client_response import ClientResponse, OnInformational
from proxy.readers.client_whole import Whole
from proxy.readers.client_wire import request_head
from proxy.tasks import TaskGroup

__all__ = ["ClientResponse", "HttpClient"]

_REPEATABLE = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods tried again on a stale connection, and with which no body is expected. PUT and DELETE are idempotent but
writes: never repeated."""


class HttpClient:
    """Sends requests to one base URL. Every failure is an UpstreamError; cancellation closes the connection.

    - `connect_timeout`: seconds to reach the upstream, TLS included, and to wait for a free connection.
    - `idle_timeout`: seconds of silence tolerated while a response is awaited or read; 0 for no limit.
    - `max_connections`: open at once, tunnels included; `max_idle`: of these kept open between exchanges.
    - `keep_alive`: seconds an unused connection is kept. Below Node's 5 s, so that the upstream is seldom
      first to close: a write that meets a closing connection fails, for it cannot be repeated.
    - `max_header_bytes`: the most a response head, a trailer or chunk framing may take.
    """

    def __init__(
        self,
        base_url: str,
        *,
        connect_timeout: float,
        idle_timeout: float,
        max_connections: int,
        max_idle: int,
        max_header_bytes: int = 64 * 1024,
        keep_alive: float = 4.0,
    ) -> None:
        parts = urlsplit(base_url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"{base_url!r} is not an http or https URL with a host")
        self._host = parts.hostname
        self._ssl = ssl.create_default_context() if parts.scheme == "https" else None
        self._port = parts.port or (443 if self._ssl else 80)
        self._prefix = parts.path.rstrip("/")
        self._connect_timeout = connect_timeout
        self._idle_timeout = idle_timeout
        self._max_connections = max_connections
        self._max_idle = max_idle
        self._max_header_bytes = max_header_bytes
        self._keep_alive = keep_alive
        self._idle: deque[Connection] = deque()
        self._open: set[Connection] = set()
        self._connecting = 0
        self._waiters: deque[asyncio.Future[Connection | None]] = deque()
        self._uploads = TaskGroup(2 * max_connections)
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False
        self._drained = asyncio.Event()
        self.authority = parts.netloc.rpartition("@")[2].encode("ascii")
        self.peer: dict[str, str | int] = {"server.address": self._host, "server.port": self._port}
        """Who is asked, as attributes of a span."""
        """Host and port as the URL has them: what a Host field would say."""

    @property
    def open_connections(self) -> int:
        return len(self._open)

    @property
    def idle_connections(self) -> int:
        return len(self._idle)

    async def send(
        self,
        method: str,
        target: str,
        headers: Headers,
        body: bytes | AsyncIterable[bytes] | None,
        *,
        on_informational: OnInformational | None = None,
        upgrade: bool = False,
        crumbs: bool = True,
    ) -> ClientResponse:
        """Send one request and return once the final response head is in.

        `target` goes out byte for byte after the base URL's path, `headers` exactly as given but for the
        framing (see `request_head`). `upgrade` says that a 101 is welcome; the response then has `upgraded`.
        `crumbs` as in `ClientResponse`.
        A GET, HEAD or OPTIONS whose reused connection closed before any response byte is tried once more on
        a fresh one, unless its body is a stream; nothing else is ever sent twice. Where such a request has a body, its
        connection is closed afterwards: an upstream that looks for none there would take it for the next request, and
        answer that to somebody else.
        """
        known = body if isinstance(body, bytes) else None
        stream = None if body is None or isinstance(body, bytes) else body
        if target[0] == "/":
            target = self._prefix + target
        head, length = request_head(method, target, headers, known, streamed=stream is not None)
        if known:
            head += known
        repeatable = method in _REPEATABLE
        fresh = False
        while True:
            connection = (None if fresh else self._take_idle()) or await self._acquire(fresh=fresh)
            reused = connection.uses > 0
            response = ClientResponse(method, connection, on_informational, connection.loop, crumbs=crumbs)
            connection.begin(response, head, upgrade=upgrade, last=repeatable and bool(known or stream))
            try:
                if stream is not None and not response.has_head:
                    connection.uploading = True
                    response.upload = self._uploads.start(
                        connection.upload(stream, length), name=f"upload {self._host}:{self._port}"
                    )
                await response.headed
            except UpstreamError as error:
                stale = reused and error.code == "reset" and not connection.answered
                if stale and stream is None and not fresh and repeatable:
                    fresh = True
                    continue
                await response.stop_upload()
                raise
            except asyncio.CancelledError:
                response.abort()
                raise
            return response

    def ask(
        self,
        method: str,
        target: str,
        headers: Headers,
        *,
        limit: int,
        timeout: float,
        done: Callable[[Whole], None],
    ) -> Whole | None:
        """Send a request without a body on a connection that is idle, and have `done` called with the whole response.

        None, and nothing is sent, when no connection is idle. Nothing is tried again: a response that failed with
        `reset` before it had a head may have met a connection that the upstream was just closing. `limit` is in bytes,
        `timeout` in seconds to the last byte, kept to a second or a quarter of the client's shortest time.
        """
        connection = self._take_idle()
        if connection is None:
            return None
        if target[0] == "/":
            target = self._prefix + target
        whole = Whole(method, connection, limit, connection.loop.time() + timeout, done)
        try:
            head, _ = request_head(method, target, headers, None, streamed=False)
        except UpstreamError as error:
            self.released(connection)
            whole.fail(error)
            return whole
        except BaseException:
            self.released(connection)
            raise
        connection.begin(whole, head)
        return whole

    async def close(self) -> None:
        """Close every connection; exchanges under way break off."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_exception(UpstreamError("refused", "the client is closed"))
        for connection in tuple(self._open):
            connection.abort()
        await self._uploads.drain(0)
        if self._open:
            # Transports report their end in the loop's next round, and hold sockets until then.
            await self._drained.wait()

    # pool

    def _take_idle(self) -> Connection | None:
        while self._idle:
            connection = self._idle.pop()
            if connection.closed:
                continue
            if connection.touched < connection.loop.time() - self._keep_alive:
                connection.close()
                continue
            return connection
        return None

    async def _acquire(self, *, fresh: bool) -> Connection:
        if self._closed:
            raise UpstreamError("refused", "the client is closed")
        try:
            async with asyncio.timeout(self._connect_timeout):
                while len(self._open) + self._connecting >= self._max_connections:
                    connection = await self._wait_for_free()
                    if connection is not None and not fresh and not connection.closed:
                        return connection
                    if connection is not None:
                        connection.close()
                return await self._connect()
        except TimeoutError as error:
            raise UpstreamError(
                "timeout", f"no connection to {self._host}:{self._port} within {self._connect_timeout:g} s"
            ) from error

    async def _wait_for_free(self) -> Connection | None:
        if (connection := self._take_idle()) is not None:
            return connection
        waiter: asyncio.Future[Connection | None] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        try:
            return await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled() and (given := waiter.result()) is not None:
                self.released(given)
            elif waiter in self._waiters:
                self._waiters.remove(waiter)
            else:
                self._wake(None)
            raise

    def _wake(self, connection: Connection | None) -> bool:
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(connection)
                return True
        return False

    async def _connect(self) -> Connection:
        loop = asyncio.get_running_loop()
        self._connecting += 1
        made: Connection | None = None
        try:
            _, made = await loop.create_connection(
                lambda: Connection(self, self._max_header_bytes), self._host, self._port, ssl=self._ssl
            )
        except (ssl.SSLError, ssl.CertificateError) as error:
            raise UpstreamError("tls", f"{self._host}:{self._port}: {error}") from error
        except socket.gaierror as error:
            raise UpstreamError("dns", f"{self._host}: {error.strerror}") from error
        except OSError as error:
            raise UpstreamError("refused", f"{self._host}:{self._port}: {error.strerror or error}") from error
        finally:
            self._connecting -= 1
            if made is None:
                self._wake(None)
        if not made.closed:
            self._open.add(made)
        if self._closed:
            made.abort()
        if self._timer is None and not self._closed:
            self._timer = loop.call_later(self._tick, self._sweep)
        return made

    def released(self, connection: Connection) -> None:
        if self._wake(connection):
            return
        if len(self._idle) < self._max_idle and not self._closed:
            self._idle.append(connection)
        else:
            connection.close()

    def lost(self, connection: Connection) -> None:
        if connection in self._open:
            self._open.discard(connection)
            self._wake(None)
            if self._closed and not self._open:
                self._drained.set()

    # time

    @property
    def _tick(self) -> float:
        shortest = min(self._keep_alive, self._idle_timeout or self._keep_alive)
        return min(1.0, max(0.02, shortest / 4))

    def _sweep(self) -> None:
        """One timer for all connections, so that an exchange costs none: silence and idleness end here."""
        now = asyncio.get_running_loop().time()
        while self._idle and (self._idle[0].closed or self._idle[0].touched < now - self._keep_alive):
            self._idle.popleft().close()
        silent = now - (self._idle_timeout or math.inf)
        for connection in tuple(self._open):
            response = connection.response
            if response is not None and response.deadline < now:
                connection.timed_out("no complete response in time")
                continue
            if response is None or not response.timed or connection.touched > silent:
                continue
            # While the request body is still coming, silence is the client's, unless the upstream
            # has stopped taking it.
            if response.waiting and (not connection.uploading or connection.write_paused):
                connection.timed_out(f"no byte from the upstream for {self._idle_timeout:g} s")
        self._timer = asyncio.get_running_loop().call_later(self._tick, self._sweep) if self._open else None
