"""HTTP to a collector that may answer anything: its status is what counts, and of the rest little is read."""

from __future__ import annotations

import contextlib
import os
import time
from typing import Any

import requests

MAX_ANSWER = 64 * 1024
MAX_SECONDS = 1.0
_CREDENTIALS = ("OTEL_PYTHON_EXPORTER_OTLP_HTTP_", "_CREDENTIAL_PROVIDER")


class BriefSession(requests.Session):
    """Reads at most 64 KiB of an answer, and begins no read after a second: no bound of `requests` holds for a whole
    answer, so that one without an end would fill the memory, and a slow one hold all exports. What is not read to its
    end costs the connection."""

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        answer = super().send(request, **(options | {"stream": True}))
        until, room = time.monotonic() + MAX_SECONDS, MAX_ANSWER
        # The status has come; whatever breaks off afterwards changes nothing about it.
        with contextlib.closing(answer), contextlib.suppress(Exception):
            while room > 0 and time.monotonic() < until and (piece := answer.raw.read1(room, decode_content=False)):
                room -= len(piece)
        return answer


def session() -> requests.Session | None:
    """What an exporter sends with. None where the variables name one that brings credentials: the SDK makes that."""
    start, end = _CREDENTIALS
    if any(name.startswith(start) and name.endswith(end) and value for name, value in os.environ.items()):
        return None
    return BriefSession()
