"""Reads one side over HTTP and tells what it answered, or why it did not."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from proxy.errors import UpstreamError
from proxy.model import Headers, Observation, ReadRequest, Side, header
from proxy.readers.client import HttpClient
from proxy.readers.client_whole import Whole
from proxy.readers.codings import CodingError, decode

_DECODE_HERE = 4 * 1024
_DECODED_HERE = 64 * 1024
"""Coded bytes up to which decoding stays on the event loop, and bytes that may come of them: more could hold up every
client at once, and a few hundred bytes may unfold to all that is allowed."""


class HttpReader:
    """Reads from the backend behind `client`. `max_body` bytes, coded and decoded alike, are the most it takes."""

    def __init__(
        self, client: HttpClient, side: Side, *, max_body: int, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        self._client = client
        self.peer = client.peer
        self._side = side
        self._max_body = max_body
        self._clock = clock

    async def read(self, request: ReadRequest, timeout: float) -> Observation:
        """One read, `timeout` seconds from connecting to the last byte. Raises nothing but CancelledError."""
        started = self._clock()
        status: int | None = None
        headers: Headers = ()
        body: bytes | None = None
        error: str | None = None
        detail = ""
        try:
            async with asyncio.timeout(timeout):
                status, headers, coded = await self._fetch(request)
            body = await decoded(coded, headers, self._max_body)
        except TimeoutError:
            error, detail = "timeout", f"no complete response within {timeout:g} s"
        except (UpstreamError, CodingError) as failure:
            error, detail = failure.code, str(failure)
        except Exception as failure:  # noqa: BLE001 - a reader's own fault must not travel either
            error, detail = "protocol", f"{type(failure).__name__}: {failure}"
        return Observation(
            side=self._side,
            status=status if error is None else None,
            headers=headers if error is None else (),
            body=body,
            error=error,
            detail=detail,
            seconds=self._clock() - started,
        )

    def ask(self, request: ReadRequest, timeout: float, done: Callable[[Observation | None], None]) -> Whole | None:
        """The same read without a task, on a connection that is idle; None when none is, or for a body to be sent.

        `done` is told what was seen, the content coding still on; None when the read has to be made by `read`, because
        the connection turned out to have been closed meanwhile. It is told nothing after the result was aborted.
        """
        if request.body:
            return None
        headers = self._addressed(request.headers)
        clock, side = self._clock, self._side
        started = clock()

        def answered(whole: Whole) -> None:
            error = whole.error
            if error is None:
                done(Observation(side, whole.status, whole.headers, whole.body, None, "", clock() - started))
            elif error.code == "reset" and not whole.has_head:
                done(None)
            else:
                done(Observation(side, None, (), None, error.code, str(error), clock() - started))

        return self._client.ask(
            request.method, request.target, headers, limit=self._max_body, timeout=timeout, done=answered
        )

    def _addressed(self, headers: Headers) -> Headers:
        """With a Host field: the caller's, else the backend's own name."""
        return headers if header(headers, b"host") is not None else ((b"Host", self._client.authority), *headers)

    async def _fetch(self, request: ReadRequest) -> tuple[int, Headers, bytes]:
        headers = self._addressed(request.headers)
        response = await self._client.send(request.method, request.target, headers, request.body or None, crumbs=False)
        try:
            length = response.length or 0
            if length > self._max_body and request.method != "HEAD":
                raise UpstreamError("too_large", f"the body has {length} bytes, at most {self._max_body} are read")
            pieces = []
            size = 0
            while piece := await response.read():
                size += len(piece)
                if size > self._max_body:
                    raise UpstreamError("too_large", f"the body is over {self._max_body} bytes")
                pieces.append(piece)
        finally:
            response.abort()
        return response.status, response.headers, b"".join(pieces)


async def decoded(coded: bytes, headers: Headers, limit: int) -> bytes:
    """A body without the content codings that its fields name; what is or becomes large is undone in a thread.

    All Content-Encoding fields count as one list (RFC 9110 5.3). Raises CodingError.
    """
    named = ",".join(value.decode("latin-1") for name, value in headers if name.lower() == b"content-encoding")
    if not named:
        return decode(coded, named, limit)
    if len(coded) <= _DECODE_HERE:
        try:
            return decode(coded, named, min(limit, _DECODED_HERE))
        except CodingError as error:
            if error.code != "too_large" or limit <= _DECODED_HERE:
                raise
    return await asyncio.to_thread(decode, coded, named, limit)
