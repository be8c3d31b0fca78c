"""Primaries without a backend: routes whose answer is read from a store where others are relayed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, Mapping
from http import HTTPStatus
from typing import Protocol

from proxy.errors import UpstreamError
from proxy.model import Headers, Observation, ReadRequest
from proxy.readers.client_response import ClientResponse, OnInformational
from proxy.settings.routes import Router


class Reader(Protocol):
    """One side of a route. Never raises but for cancellation: a failed read is an observation that bears an error."""

    async def read(self, request: ReadRequest, timeout: float) -> Observation: ...


class Upstream(Protocol):
    """What a client's request is sent to. Raises UpstreamError when no response head comes."""

    @property
    def authority(self) -> bytes: ...

    async def send(
        self,
        method: str,
        target: str,
        headers: Headers,
        body: bytes | AsyncIterable[bytes] | None,
        *,
        on_informational: OnInformational | None = None,
        upgrade: bool = False,
    ) -> ClientResponse: ...


class Serving:
    """An upstream that answers the routes in `readers` (by domain and route) itself, within `timeout` seconds.

    Everything else goes to `backend`; without one it ends in an UpstreamError of code `no_backend`.
    """

    def __init__(
        self,
        backend: Upstream | None,
        router: Router,
        readers: Mapping[tuple[str, str], Reader],
        *,
        timeout: float,
    ) -> None:
        self._backend = backend
        self._router = router
        self._readers = readers
        self._timeout = timeout
        self.reading = 0
        """Answers that stores are being asked for."""

    @property
    def authority(self) -> bytes:
        return b"localhost" if self._backend is None else self._backend.authority

    async def send(
        self,
        method: str,
        target: str,
        headers: Headers,
        body: bytes | AsyncIterable[bytes] | None,
        *,
        on_informational: OnInformational | None = None,
        upgrade: bool = False,
    ) -> ClientResponse:
        """The answer of the store or of the backend. A request body is not looked at where a store answers."""
        match = None if upgrade else self._router.match(method, target)
        reader = None if match is None else self._readers.get((match.domain, match.route))
        if reader is not None:
            self.reading += 1
            try:
                return _response(method, await reader.read(ReadRequest(method, target, headers), self._timeout))
            finally:
                self.reading -= 1
        if self._backend is None:
            raise UpstreamError("no_backend", "no route claims the request, and there is no backend to ask")
        return await self._backend.send(
            method, target, headers, body, on_informational=on_informational, upgrade=upgrade
        )  # fmt: skip


class _Nothing:
    """The connection of a response that has arrived whole."""

    def pause(self) -> None: ...

    def resume(self) -> None: ...

    def touch(self) -> None: ...

    def abort(self) -> None: ...

    def close(self) -> None: ...

    def write(self, data: bytes) -> None: ...

    async def drain(self) -> None: ...

    def write_eof(self) -> None: ...


def _response(method: str, seen: Observation) -> ClientResponse:
    if seen.status is None or seen.error is not None:
        raise UpstreamError(seen.error or "protocol", seen.detail or "the store could not be read")
    body = seen.body or b""
    response = ClientResponse(method, _Nothing(), None, asyncio.get_running_loop())
    response.arrived()
    response.status = seen.status
    response.reason = HTTPStatus(seen.status).phrase.encode()
    framed = [field for field in seen.headers if field[0].lower() not in (b"content-length", b"transfer-encoding")]
    response.headers = (*framed, (b"Content-Length", b"%d" % len(body)))
    response.length = len(body)
    if body and method != "HEAD":
        response.feed(body)
    response.finish()
    return response
