"""The edge: takes every client request to the primary and brings the primary's answer back, byte for byte.

What is carried over exactly: method, target, status, reason phrase, field order, spelling and repetition,
body bytes (no content coding is touched), fixed length or chunked, 1xx responses (100 and 103 among them:
the edge never sends a 100 of its own), response trailers, upgrades of any protocol as raw tunnels.
What is not, and why:
- a request that is traced names our span as its parent: `traceparent` is replaced, or added where there was none
  (`proxy.telemetry`); all other requests keep theirs;
- hop-by-hop fields end here (see `fields`), and `Connection: close` is added where a connection ends;
- chunk boundaries and chunk extensions are not kept; nothing is held back to fill a chunk;
- request trailers are lost, because aiohttp's parser drops them;
- the status line always says HTTP/1.1, the edge's own version (RFC 9112 2.3); HTTP/1.0 clients get no 1xx
  and no chunks;
- a response that ends with the primary's connection ends with the client's, its head unchanged;
- aiohttp refuses what RFC 9112 forbids and some things it merely could: a repeated Content-Type, Host,
  ETag or User-Agent field, bytes over 0x7f in the target, unknown methods. All get 400;
- a target in absolute form is brought to origin form.
A client that closes its sending direction counts as gone, as with most reverse proxies.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

from aiohttp import EMPTY_PAYLOAD, StreamReader, web
from aiohttp.web_protocol import RequestPayloadError

from proxy.edge.fields import Admitted, RefusedError, admit
from proxy.edge.forwarded import ForwardedSetting, with_forwarded
from proxy.edge.guard import GuardedTap, TapGuard
from proxy.edge.problem import UPSTREAM_DETAILS, problem
from proxy.edge.protocol import CLOSE, KEEP, EdgeProtocol, EdgeRequest, EdgeServer
from proxy.edge.relay import Relay, informational
from proxy.errors import UpstreamError
from proxy.model import Headers, header
from proxy.readers.serving import Upstream
from proxy.telemetry.context import with_traceparent
from proxy.verify.tap import OpenTap

_BACKLOG = 1024


class Edge:
    """The server in front of one primary.

    - `forwarded`: see `ForwardedSetting`.
    - `max_field_bytes`, `max_fields`: bounds on the request line and on each request field, and on how many
      there are; beyond them 431 or 400.
    - `max_head_bytes`: the most that a request head may take, and what frames a body between two of its bytes.
    - `keep_alive`: seconds a client connection may wait between requests, and for a request head to be whole.
    - `client_timeout`: seconds a client may neither send nor take a byte inside a message.
    - `max_clients`: connections open at once; one more is answered with 503 and closed.
    - `linger`: seconds a rest of a request body is read and dropped, so that its sender sees the response.
    """

    def __init__(
        self,
        *,
        primary: Upstream,
        open_tap: OpenTap,
        forwarded: ForwardedSetting = "off",
        max_field_bytes: int = 16 * 1024,
        max_fields: int = 128,
        max_head_bytes: int = 64 * 1024,
        keep_alive: float = 75.0,
        client_timeout: float = 60.0,
        max_clients: int = 16_384,
        linger: float = 5.0,
    ) -> None:
        self._primary = primary
        self._taps = TapGuard(open_tap)
        self._forwarded: ForwardedSetting = forwarded
        self._client_timeout = client_timeout
        self._options: dict[str, Any] = {
            "keepalive_timeout": keep_alive,
            "lingering_time": linger,
            "max_line_size": max_field_bytes,
            "max_field_size": max_field_bytes,
            "max_headers": max_fields,
            "max_meta_bytes": max_head_bytes,
            "unread_timeout": client_timeout,
            "read_bufsize": 64 * 1024,
            "auto_decompress": False,
            "access_log": None,
            "most": max_clients,
        }
        self._server: EdgeServer | None = None
        self._listener: asyncio.Server | None = None
        self._active = 0
        self._quiet = asyncio.Event()
        self._stopping = False

    def serve_with(
        self,
        *,
        primary: Upstream,
        open_tap: OpenTap,
        forwarded: ForwardedSetting,
        max_clients: int | None = None,
    ) -> None:
        """Serve requests that come from now on with these; exchanges under way end with what they began with.

        Clients that are connected stay, also those beyond a new `max_clients`; None leaves it as it is.
        """
        if max_clients is not None:
            self._options["most"] = max_clients
            if self._server is not None:
                self._server.most = max_clients
        self._primary = primary
        self._taps.open_tap = open_tap
        self._forwarded = forwarded

    @property
    def active(self) -> int:
        """Exchanges under way, tunnels included."""
        return self._active

    @property
    def refused_clients(self) -> int:
        """Connections that were one too many, since the start."""
        return 0 if self._server is None else self._server.refused

    @property
    def tap_faults(self) -> int:
        """Exceptions that verification raised on the hot path; each would be a fault of ours."""
        return self._taps.faults

    @property
    def address(self) -> tuple[str, int]:
        """Host and port listened on (IPv6 without its scope)."""
        if self._listener is None or not self._listener.sockets:
            raise RuntimeError("the edge has not been started")
        name = self._listener.sockets[0].getsockname()
        return name[0], name[1]

    async def start(self, host: str, port: int, *, sock: socket.socket | None = None, reuse_port: bool = False) -> None:
        """Listen on `host`:`port` (0: any free port), or on `sock`. Raises OSError when that is not possible."""
        self._server = EdgeServer(
            self._handle,  # the factory below makes EdgeRequests only
            request_factory=EdgeRequest,
            handler_cancellation=True,
            **self._options,
        )
        loop = asyncio.get_running_loop()
        if sock is not None:
            self._listener = await loop.create_server(self._server, sock=sock, backlog=_BACKLOG)
        else:
            self._listener = await loop.create_server(
                self._server, host, port, reuse_port=reuse_port or None, backlog=_BACKLOG
            )

    async def stop(self, drain_seconds: float) -> None:
        """Take no more connections, let exchanges end for `drain_seconds`, then break off the rest."""
        if self._server is None or self._listener is None:
            return
        self._stopping = True
        self._listener.close()
        self._server.pre_shutdown()
        if self._active:
            try:
                async with asyncio.timeout(drain_seconds):
                    await self._quiet.wait()
            except TimeoutError:
                pass
        # aiohttp takes 0 for no limit; what is left has had its time.
        await self._server.shutdown(0.01)
        if self._active:
            async with asyncio.timeout(5):
                await self._quiet.wait()

    async def _handle(self, request: EdgeRequest) -> web.StreamResponse:
        self._active += 1
        try:
            answered = await self._exchange(request)
            if request.client.writing_paused:
                # A client that asks for more than it takes would otherwise fill the memory with answers.
                await self._taken(request.client)
            return answered
        finally:
            self._active -= 1
            if self._stopping and not self._active:
                self._quiet.set()

    async def _taken(self, client: EdgeProtocol) -> None:
        try:
            await client.drain(self._client_timeout)
        except (ConnectionError, TimeoutError):
            client.reset()

    async def _exchange(self, request: EdgeRequest) -> web.StreamResponse:
        method, received = request.method, request.parsed.raw_headers
        client = request.client
        try:
            admitted = admit(method, request.parsed.path, request.version, received, upgrade=request.parsed.upgrade)
        except RefusedError as refused:
            return self._answer(request, refused.status, refused.detail, close=True)
        sent = self._fields(request, admitted)
        # The tap is told what the primary is sent, so that the other side can be asked the very same.
        tap = self._taps.open(method, admitted.target, sent)
        if tap is not None and tap.traceparent:
            sent = with_traceparent(sent, tap.traceparent)
        response = None
        try:
            body = self._body(request.content, admitted, tap)
            if admitted.upgrade is not None and body is None:
                client.hold_upgrade()
            response = await self._primary.send(
                method,
                admitted.target,
                sent,
                body,
                on_informational=partial(_inform, client) if request.version == (1, 1) else None,
                upgrade=admitted.upgrade is not None,
            )
            relay = Relay(request, response, tap, self._client_timeout)
            return await relay.run(reusable=self._reusable(request, admitted))
        except UpstreamError as error:
            return self._unavailable(request, admitted, tap, error)
        except (ConnectionError, TimeoutError):
            client.reset()
            return CLOSE
        finally:
            if tap is not None:
                # Whatever has not ended by now was broken off: the client is gone, or the edge is stopping.
                tap.cancelled()
            if response is not None:
                response.abort()
                await response.stop_upload()

    def _fields(self, request: EdgeRequest, admitted: Admitted) -> Headers:
        headers = admitted.headers
        if request.version == (1, 0) and header(headers, b"host") is None:
            headers = ((b"Host", self._primary.authority), *headers)
        if self._forwarded == "off":
            return headers
        return with_forwarded(headers, self._forwarded, request.remote or "")

    def _body(
        self, payload: StreamReader, admitted: Admitted, tap: GuardedTap | None
    ) -> bytes | AsyncIterator[bytes] | None:
        if payload is EMPTY_PAYLOAD:
            return None
        if payload.is_eof() and not admitted.chunked:
            # Small bodies have arrived with their head: no task is needed to send them.
            body = payload.read_nowait(-1)
            if tap is not None and tap.wants_request_body:
                tap.request_body(body)
            return body
        return self._upload(payload, tap)

    async def _upload(self, payload: StreamReader, tap: GuardedTap | None) -> AsyncIterator[bytes]:
        while True:
            async with asyncio.timeout(self._client_timeout):
                chunk = await payload.readany()
            if not chunk:
                return
            yield chunk
            if tap is not None and tap.wants_request_body:
                tap.request_body(chunk)

    def _reusable(self, request: EdgeRequest, admitted: Admitted) -> bool:
        if self._stopping or not request.keep_alive or not request.content.is_eof():
            return False
        if admitted.chunked and not request.client.ended_clean:
            return False
        # Behind other upgrades the parser may have dropped bytes, so that the next request is not known.
        return admitted.upgrade is None or admitted.upgrade == b"websocket"

    def _unavailable(
        self, request: EdgeRequest, admitted: Admitted, tap: GuardedTap | None, error: UpstreamError
    ) -> web.StreamResponse:
        """The primary gave no response head (or the client's own body broke off before one came)."""
        cause = error.__cause__
        if isinstance(cause, (RequestPayloadError, TimeoutError)) and error.code == "protocol":
            if isinstance(cause, TimeoutError):
                return self._answer(request, 408, "The request body did not arrive in time.", close=True)
            return self._answer(request, 400, "The request body is malformed.", close=True)
        if isinstance(cause, ConnectionError) and error.code == "protocol":
            return CLOSE
        status = {"timeout": 504, "no_backend": 404}.get(error.code, 502)
        close = not self._reusable(request, admitted)
        answer = self._answer(request, status, UPSTREAM_DETAILS.get(error.code, "The primary failed."), close=close)
        if tap is not None:
            tap.failed(error.code)
        return answer

    def _answer(self, request: EdgeRequest, status: int, detail: str, *, close: bool) -> web.StreamResponse:
        client: EdgeProtocol = request.client
        if client.transport is not None and not client.transport.is_closing():
            client.transport.write(problem(status, detail, close=close, head_only=request.method == "HEAD"))
        return CLOSE if close else KEEP


def _inform(client: EdgeProtocol, status: int, reason: bytes, headers: Headers) -> None:
    if client.transport is not None and not client.transport.is_closing():
        client.transport.write(informational(status, reason, headers))
