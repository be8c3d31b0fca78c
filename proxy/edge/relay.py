"""The primary's response, written to the client as it comes and then told to the tap."""

from __future__ import annotations

from aiohttp import web

from proxy.edge.fields import response_lines, trailer_lines
from proxy.edge.guard import GuardedTap
from proxy.edge.protocol import CLOSE, KEEP, EdgeProtocol, EdgeRequest
from proxy.edge.tunnel import tunnel
from proxy.errors import UpstreamError
from proxy.model import Headers, header
from proxy.readers.client_response import ClientResponse

COPIED = 16 * 1024
"""Bytes of a body that are copied behind their head; more are handed over beside it."""


class Relay:
    """One response on its way to one client.

    `reusable` says whether the client's connection could serve another request after this one; it is asked
    when the head goes out and again at the end, because an upload may still be running at the first.
    """

    def __init__(self, request: EdgeRequest, response: ClientResponse, tap: GuardedTap | None, timeout: float) -> None:
        self._request = request
        self._client: EdgeProtocol = request.client
        self._response = response
        self._tap = tap
        self._timeout = timeout

    async def run(self, *, reusable: bool) -> web.StreamResponse:
        """Write it all. Raises ConnectionError or TimeoutError when the client is gone or takes nothing.

        A response that breaks off resets the client's connection: a part must not look like the whole.
        """
        response, client, tap = self._response, self._client, self._tap
        if response.upgraded is not None:
            return await self._upgrade()
        old = self._request.version < (1, 1)
        no_body = response.method == "HEAD" or response.status in (204, 304)
        chunked = response.chunked and not no_body and not old
        until_close = not no_body and not chunked and response.length is None
        keep = reusable and not until_close
        head = self._head(chunked=chunked, no_body=no_body, keep=keep, old=old)
        piece = b"" if no_body else response.take()
        # One write for what is there: most responses arrive whole, with their head.
        whole = response.complete
        if chunked:
            client.write(head + _frame(piece, chunked) + (self._last() if whole else b""))
        elif len(piece) > COPIED:
            client.writelines([head, piece])
        else:
            client.write(head + piece)
        if tap is not None:
            tap.response_head(response.status, response.headers)
            if piece:
                tap.response_body(piece)
        if not whole and not await self._rest(chunked=chunked):
            return CLOSE
        if tap is not None:
            tap.end()
        return KEEP if keep else CLOSE

    async def _rest(self, *, chunked: bool) -> bool:
        response, client, tap = self._response, self._client, self._tap
        if (header(response.headers, b"content-type") or "").startswith("text/event-stream"):
            response.timed = False
        try:
            while True:
                await client.drain(self._timeout)
                piece = await response.read()
                if not piece:
                    break
                client.write(_frame(piece, chunked))
                if tap is not None:
                    tap.response_body(piece)
        except UpstreamError as error:
            client.reset()
            if tap is not None:
                tap.failed(error.code)
            return False
        if chunked:
            client.write(self._last())
        return True

    def _head(self, *, chunked: bool, no_body: bool, keep: bool, old: bool) -> bytes:
        response = self._response
        lines = response_lines(response.headers, status=response.status, chunked=chunked, no_body=no_body)
        if not keep:
            lines.append(b"Connection: close")
        elif old:
            lines.append(b"Connection: keep-alive")
        lines.insert(0, b"HTTP/1.1 %d %b" % (response.status, response.reason))
        lines.append(b"\r\n")
        return b"\r\n".join(lines)

    def _last(self) -> bytes:
        trailers = self._response.trailers
        return b"0\r\n" + trailer_lines(trailers) + b"\r\n" if trailers else b"0\r\n\r\n"

    async def _upgrade(self) -> web.StreamResponse:
        response, client = self._response, self._client
        assert response.upgraded is not None  # noqa: S101 - asked by the caller
        incoming = client.open_tunnel()
        client.write(informational(response.status, response.reason, response.headers))
        if self._tap is not None:
            self._tap.response_head(response.status, response.headers)
            self._tap.end()
        await tunnel(client, incoming, response.upgraded)
        return CLOSE


def informational(status: int, reason: bytes, headers: Headers) -> bytes:
    """A 1xx head for the client."""
    lines = response_lines(headers, status=status, chunked=False, no_body=True)
    return b"HTTP/1.1 %d %b\r\n" % (status, reason) + b"".join([line + b"\r\n" for line in lines]) + b"\r\n"


def _frame(piece: bytes, chunked: bool) -> bytes:
    return b"%x\r\n%b\r\n" % (len(piece), piece) if chunked and piece else piece
