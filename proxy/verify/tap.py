"""What the edge tells verification about one exchange, and the only way the two rooms speak."""

from __future__ import annotations

from typing import Protocol

from proxy.model import Headers


class Tap(Protocol):
    """One claimed exchange, told as it happens. Every method is synchronous, O(1) per call and never raises.

    Exactly one of `end`, `failed` and `cancelled` closes a tap; what comes after the first of them is ignored.
    """

    wants_request_body: bool

    @property
    def traceparent(self) -> bytes:
        """What the primary is sent as `traceparent` in the place of the client's; empty: what the client sent."""

    def request_body(self, chunk: bytes) -> None:
        """A piece of the request body, sent on to the primary (only told when `wants_request_body`)."""

    def response_head(self, status: int, headers: Headers) -> None:
        """The primary's final status and header fields."""

    def response_body(self, chunk: bytes) -> None:
        """A piece of the primary's response body, with its content coding still on."""

    def end(self) -> None:
        """The primary's response is complete."""

    def failed(self, code: str) -> None:
        """The primary could not be read to its end; `code` as in `UpstreamError`."""

    def cancelled(self) -> None:
        """The client went away first."""


class OpenTap(Protocol):
    """Called by the edge for each request before it is sent to the primary, with the fields that the primary will see.

    None: nothing of this exchange needs to be told.
    """

    def __call__(self, method: str, target: str, headers: Headers) -> Tap | None: ...
