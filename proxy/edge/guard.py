"""The one place where verification's faults end: whatever a tap raises, the client's bytes go on."""

from __future__ import annotations

import logging
from collections.abc import Callable

from proxy.model import Headers
from proxy.verify.tap import OpenTap, Tap

log = logging.getLogger(__name__)

_MAX_KINDS = 32


class TapGuard:
    """Opens guarded taps. Each kind of fault is logged once, at most 32 kinds; all are counted in `faults`."""

    def __init__(self, open_tap: OpenTap) -> None:
        self.open_tap = open_tap
        self._seen: set[tuple[str, str]] = set()
        self.faults = 0

    def open(self, method: str, target: str, headers: Headers) -> GuardedTap | None:
        try:
            tap = self.open_tap(method, target, headers)
            return None if tap is None else GuardedTap(tap, self)
        except Exception as error:  # noqa: BLE001 - the hot path must survive any fault behind it
            self.note("open_tap", error)
            return None

    def note(self, where: str, error: Exception) -> None:
        self.faults += 1
        kind = (where, type(error).__name__)
        if kind not in self._seen and len(self._seen) < _MAX_KINDS:
            self._seen.add(kind)
            log.error("verification failed in %s; the exchange is served, not verified", where, exc_info=error)


class GuardedTap:
    """A tap that cannot raise. After its first fault only the closing call is still passed on."""

    __slots__ = ("_broken", "_closed", "_guard", "_tap", "traceparent", "wants_request_body")

    def __init__(self, tap: Tap, guard: TapGuard) -> None:
        self.wants_request_body = bool(tap.wants_request_body)
        self.traceparent = bytes(tap.traceparent)
        self._tap = tap
        self._guard = guard
        self._broken = False
        self._closed = False

    def request_body(self, chunk: bytes) -> None:
        if not self._broken:
            try:
                self._tap.request_body(chunk)
            except Exception as error:  # noqa: BLE001 - see the module
                self._fault("request_body", error)

    def response_head(self, status: int, headers: Headers) -> None:
        if not self._broken:
            try:
                self._tap.response_head(status, headers)
            except Exception as error:  # noqa: BLE001 - see the module
                self._fault("response_head", error)

    def response_body(self, chunk: bytes) -> None:
        if not self._broken:
            try:
                self._tap.response_body(chunk)
            except Exception as error:  # noqa: BLE001 - see the module
                self._fault("response_body", error)

    def end(self) -> None:
        # A tap that missed a piece must not take the exchange for complete.
        self._close("end", self._tap.cancelled if self._broken else self._tap.end)

    def failed(self, code: str) -> None:
        self._close("failed", lambda: self._tap.failed(code))

    def cancelled(self) -> None:
        self._close("cancelled", self._tap.cancelled)

    def _close(self, where: str, call: Callable[[], None]) -> None:
        if self._closed:
            return
        self._closed = True
        try:
            call()
        except Exception as error:  # noqa: BLE001 - see the module
            self._guard.note(where, error)

    def _fault(self, where: str, error: Exception) -> None:
        self._broken = True
        self._guard.note(where, error)
